"""What the command line says: exit codes, hints, the reference, and a wrong upstream."""

import socket

import pytest
from harness.metrics import Metrics, fetch
from harness.said import answer_plainly, get, request
from harness.wire import connect
from test_operation import run


@pytest.mark.parametrize(
    "arguments",
    [
        "serve --port 80", "serve extra", "serve --upstream", "tail --nope", "tail --since never", "report --by nothing",
        "report --where nothing", "simulate --tokens many", "simulate --listen nowhere", "load nowhere", "demo --nope",
        "config --nope", "--nonsense", "nosuch", "serve --workers x --upstream http://127.0.0.1:1", "config --check absent.yaml",
    ],
)
def test_what_is_wrong_in_the_command_line_is_exit_code_2(arguments, tmp_path):
    done = run(*arguments.split(), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr and not done.stdout


@pytest.mark.parametrize("arguments", ["--help", "serve --help", "--version", "config", "help serve"])
def test_what_was_asked_for_is_exit_code_0(arguments):
    done = run(*arguments.split())
    assert done.returncode == 0 and done.stdout and not done.stderr


@pytest.mark.parametrize(
    "flag, meant",
    [
        ("--port", "--listen"), ("--bind", "--listen"), ("--backend", "--upstream"), ("--timeouts.idle", "--set timeouts.idle=VALUE"),
        ("--record", "--records"), ("--metrics-port", "--admin"),
    ],
)
def test_an_unknown_flag_of_serve_suggests_the_one_that_was_meant(flag, meant):
    first = run("serve", flag, "1").stderr.splitlines()[0]
    assert first == f"Error: Unknown option '{flag}'. Did you mean '{meant}'?"


def test_of_a_flag_given_twice_the_last_one_counts(serve, scripted):
    proxy = serve(scripted(answer_plainly).url, "--set", "instance=one", "--set", "instance=two")
    wire = connect(proxy.port)
    wire.send(get())
    wire.message()
    assert proxy.record()["instance"] == "two"
    assert "given twice the last one counts" in " ".join(run("serve", "--help").stdout.split())


def test_a_copied_binary_has_its_reference_with_it(tmp_path):
    reference = run("config").stdout
    (tmp_path / "t.yaml").write_text(reference)
    done = run("config", "--check", "t.yaml", cwd=tmp_path)
    assert done.returncode == 0 and "no mistake found" in done.stdout and "timeouts.drain: auto" in done.stdout
    wrong = run("serve", "--upstream", "http://127.0.0.1:1", "--workers", "x", cwd=tmp_path).stderr
    assert "`tachograph config`" in wrong and "config/tachograph.yaml" not in wrong


def test_a_settings_file_is_checked_without_a_start(tmp_path):
    (tmp_path / "t.yaml").write_text("port: 80\nworkers: many\n")
    done = run("config", "--check", "t.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "t.yaml:1: " in done.stderr and "listen" in done.stderr and "t.yaml:2: " in done.stderr
    (tmp_path / "t.yaml").write_text("workers: 3\n")
    done = run("config", "--check", "t.yaml", cwd=tmp_path, environment={"TACHOGRAPH_WORKERS": "many"})
    assert done.returncode == 0 and "workers: 3" in done.stdout


@pytest.mark.parametrize("place", ["127.0.0.1", "localhost", "127.0.0.3", "[::1]", socket.gethostname()])
@pytest.mark.parametrize("part", ["listen", "admin"])
def test_an_upstream_that_is_the_proxy_itself_is_refused(tmp_path, place, part):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listen = {"listen": f"[::]:{port}", "admin": "127.0.0.1:0"}[part]
    admin = [] if part == "listen" else ["--admin", f"[::]:{port}"]
    done = run("serve", "--upstream", f"http://{place}:{port}", "--listen", listen, *admin, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "name the LLM server" in done.stderr or "the proxy would connect to itself" in done.stderr


def test_probes_leave_no_record_where_the_settings_say_so(serve, scripted):
    skip = "records.skip=/health,/-/*,OPTIONS *"
    proxy = serve(scripted(answer_plainly).url, "--admin", "127.0.0.1:0", "--set", skip)
    wire = connect(proxy.port)
    probes = [get("/health"), get("/health?full=1"), get("/-/ready"), request("OPTIONS", "/", b""), request("OPTIONS", "*", b"")]
    for sent in [*probes, get("/healthz"), *probes, get("/v1/models")]:
        wire.send(sent)
        wire.message()
    assert [record["path"] for record in proxy.records(2)] == ["/healthz", "/v1/models"]
    port = int(proxy.child.wait_for(r"admin pages on http://127\.0\.0\.1:(\d+)")[1])
    metrics = Metrics(fetch(port, "/metrics")[1])
    assert metrics.sum("tachograph_records_skipped_total") == 10
    assert metrics.sum("tachograph_exchanges_total", outcome="ok") == 12
