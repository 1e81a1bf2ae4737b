"""The admin listener's pages, metrics that agree with the records, and a real Prometheus that scrapes them.

Metrics are compared with the records of the same run, not with the proxy's insides.
"""

import json
import math
import re
import shutil
import signal
import socket
import subprocess
import threading
import urllib.parse
import urllib.request

import pytest

from harness.said import DONE, STREAM_HEAD, get, request, token
from harness.metrics import Metrics, fetch, scrape
from harness.process import Child, eventually
from harness.simulator import Simulator
from harness.tachograph import TOP, binary, clean_environment
from harness.wire import LAST_CHUNK, ScriptedUpstream, chunk, connect

TTFT = "gen_ai_server_time_to_first_token_seconds"
TPOT = "gen_ai_server_time_per_output_token_seconds"
DURATION = "gen_ai_server_request_duration_seconds"
GAPS = "gen_ai_client_operation_time_per_output_chunk_seconds"


def admin_port(proxy) -> int:
    return int(proxy.child.wait_for(r"admin pages on http://127\.0\.0\.1:(\d+)/")[1])


def ask(port: int, body: dict, *fields: bytes) -> bytes:
    """One request on a connection of its own, and all that comes."""
    wire = connect(port)
    wire.send(request("POST", "/v1/chat/completions", json.dumps(body).encode(), *fields, b"Connection: close"))
    try:
        return wire.rest()
    finally:
        wire.close()


def chat(model: str, stream: bool = True) -> dict:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": "a secret prompt"}]}


@pytest.fixture
def simulator(tmp_path):
    running = Simulator(tmp_path, "--ttft", "uniform:5ms,60ms", "--interval", "uniform:2ms,12ms", "--tokens", "20")
    yield running
    running.stop()


def test_every_page_is_there_and_nothing_else(serve, simulator):
    environment = {"TACHOGRAPH_TIMEOUTS_IDLE": "9s"}
    proxy = serve(simulator.url, "--admin", "0", "--set", "records.queue=77", environment=environment)
    port = admin_port(proxy)
    assert fetch(port, "/-/healthy")[:2] == (200, "ok\n")
    assert fetch(port, "/-/ready")[:2] == (200, "ready\n")
    status, config, _ = fetch(port, "/-/config")
    assert status == 200
    assert f"upstream: {simulator.url}  # --upstream\n" in config
    assert "  queue: 77  # --set records.queue\n" in config
    assert "  idle: 9s  # TACHOGRAPH_TIMEOUTS_IDLE\n" in config
    assert "  drain: 30s  # default\n" in config
    assert fetch(port, "/metrics", "HEAD")[:2] == (200, "")
    assert fetch(port, "/v1/chat/completions")[0] == 404
    assert fetch(port, "/metrics", "DELETE")[0] == 405
    # Its traffic is nobody's exchange.
    assert scrape(port).sum("tachograph_exchanges_total") == 0
    proxy.records(0)


def test_there_is_no_admin_listener_unless_asked_for(serve, simulator):
    assert "admin pages" not in serve(simulator.url).child.output


def test_an_admin_port_in_use_ends_the_start_and_says_so(simulator, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = subprocess.run(
            [binary(), "serve", "--upstream", simulator.url, "--listen", "127.0.0.1:0"]
            + ["--admin", str(taken.getsockname()[1])],
            capture_output=True, text=True, timeout=30, cwd=tmp_path, env=clean_environment(),
        )
    assert ended.returncode == 1
    assert "for the admin pages" in ended.stderr and "EADDRINUSE" in ended.stderr, ended.stderr


def test_an_admin_listener_that_others_can_reach_is_warned_of(serve, simulator):
    warned = serve(simulator.url, "--admin", "0.0.0.0:0")
    assert "no access control" in warned.child.output
    assert "no access control" not in serve(simulator.url, "--admin", ":0").child.output


def test_settings_read_again_are_the_ones_shown(serve, simulator, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("timeouts:\n  idle: 11s\n")
    proxy = serve(simulator.url, "--admin", "0", "--config", str(file))
    port = admin_port(proxy)
    assert "  idle: 11s  #" in fetch(port, "/-/config")[1]
    file.write_text("timeouts:\n  idle: 12s\n")
    proxy.child.signal(signal.SIGHUP)
    eventually(lambda: f"  idle: 12s  # {file}:2\n" in fetch(port, "/-/config")[1])
    assert scrape(port).sum("tachograph_config_reloads_total", result="taken") == 1


def test_it_is_not_ready_while_it_drains_and_can_be_looked_at_until_the_end(serve):
    finish = threading.Event()

    def hold(wire):
        wire.message()
        wire.send(STREAM_HEAD, chunk(token("a")))
        finish.wait(30)
        wire.send(chunk(DONE), LAST_CHUNK)

    upstream = ScriptedUpstream(hold)
    proxy = serve(upstream.url, "--admin", "0")
    port = admin_port(proxy)
    client = connect(proxy.port)
    client.send(request())
    client.until(b"\r\n\r\n")
    eventually(lambda: scrape(port).sum("tachograph_exchanges_in_flight") == 1)
    assert fetch(port, "/-/ready")[0] == 200
    proxy.child.signal(signal.SIGTERM)
    eventually(lambda: fetch(port, "/-/ready")[:2] == (503, "draining\n"))
    assert fetch(port, "/-/healthy")[0] == 200
    assert scrape(port).sum("tachograph_exchanges_in_flight") == 1
    finish.set()
    client.rest()
    assert proxy.child.wait(30) == 0
    assert [record["outcome"] for record in proxy.records(1)] == ["ok"]
    upstream.close()


def places(values_ms: list[float], bounds: list[float]) -> tuple[list[int], list[int]]:
    """For each bound the least and the most values within it: a record's milliseconds are rounded to microseconds."""
    least = [sum(value + 0.0006 <= bound * 1000 for value in values_ms) for bound in bounds]
    most = [sum(value - 0.0006 <= bound * 1000 for value in values_ms) for bound in bounds]
    return least, most


def held_to(metrics: Metrics, name: str, values_ms: list[float], **labels: str) -> None:
    buckets = metrics.buckets(name, **labels)
    bounds = sorted(buckets)
    least, most = places(values_ms, bounds)
    counts = [buckets[bound] for bound in bounds]
    assert all(low <= count <= high for low, count, high in zip(least, counts, most, strict=True)), (name, labels, buckets)
    assert metrics.sum(f"{name}_count", **labels) == len(values_ms)
    assert metrics.sum(f"{name}_sum", **labels) == pytest.approx(sum(values_ms) / 1000, abs=1e-5 * (1 + len(values_ms)))


def test_metrics_and_records_say_the_same(serve, simulator):
    """Every record of a mixed run against the page: counts by outcome, stage and status, and each distribution by model."""
    proxy = serve(simulator.url, "--admin", "0", "--set", "records.timeline=true")
    port = admin_port(proxy)
    for number in range(12):
        ask(proxy.port, chat(["one", 'two "quoted" \\ model'][number % 2]))
    ask(proxy.port, chat("one", stream=False))
    ask(proxy.port, chat("one"), b"X-Sim-Status: 429")
    wire = connect(proxy.port)
    wire.send(get("/nowhere", b"Connection: close"))
    wire.rest()
    wire = connect(proxy.port)
    wire.send(b"nonsense\r\n\r\n")
    wire.rest()
    wire = connect(proxy.port)
    wire.send(request("POST", "/v1/chat/completions", json.dumps(chat("one")).encode()))
    wire.until(b"data: ")
    wire.reset()
    records = proxy.records(17)
    eventually(lambda: scrape(port).sum("tachograph_records_written_total") == 17)
    metrics = scrape(port)

    ends = {(record["outcome"], record["stage"]) for record in records}
    assert len(ends) >= 4, ends
    for outcome, stage in ends:
        same = metrics.all("tachograph_exchanges_total", outcome=outcome)
        found = [value for has, value in same if has.get("stage") == stage]
        assert found == [sum((record["outcome"], record["stage"]) == (outcome, stage) for record in records)]
    assert metrics.sum("tachograph_exchanges_total") == len(records)
    kinds = [record["error"].split(": ")[0] for record in records if record["error"]]
    assert {"request_malformed"} < set(kinds), kinds
    for kind in kinds:
        assert metrics.sum("tachograph_exchange_errors_total", kind=kind) == kinds.count(kind)
    assert metrics.sum("tachograph_exchange_errors_total") == len(kinds)
    for code in {record["status"] for record in records if record["status"]}:
        count = sum(record["status"] == code for record in records)
        assert metrics.sum("tachograph_responses_total", code=str(code)) == count
    assert metrics.sum("tachograph_parse_failures_total", side="downstream") == 1
    assert metrics.sum("tachograph_exchanges_in_flight") == metrics.sum("tachograph_exchanges_open") == 0

    for model in ("one", 'two "quoted" \\ model'):
        well = [each for each in records if each["model"] == model and each["outcome"] == "ok"]
        labels = {"gen_ai_request_model": model, "gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai"}
        held_to(metrics, TTFT, [each["ttft_ms"] for each in well if each["ttft_ms"] is not None], **labels)
        held_to(metrics, TPOT, [each["tpot_ms"] for each in well if each["tpot_ms"] is not None], **labels)
        offsets = [[offset for offset, _ in each["timeline"]] for each in well if each["timeline"]]
        gaps = [(b - a) / 1000 for times in offsets for a, b in zip(times, times[1:], strict=False)]
        # The timeline is in whole microseconds from t0: of gaps the count is exact, and the sum nearly.
        assert metrics.sum(f"{GAPS}_count", **labels) == len(gaps)
        assert metrics.sum(f"{GAPS}_sum", **labels) == pytest.approx(sum(gaps) / 1000, abs=1e-3)
        for outcome in {each["outcome"] for each in records if each["model"] == model}:
            totals = [each["total_ms"] for each in records if (each["model"], each["outcome"]) == (model, outcome)]
            same = [
                value
                for has, value in metrics.all(f"{DURATION}_count", **labels)
                if has.get("error_type") == (None if outcome == "ok" else outcome)
            ]
            assert sum(same) == len(totals)
        counted = sum(each["output_tokens"] or 0 for each in records if each["model"] == model)
        assert metrics.sum("tachograph_tokens_total", gen_ai_token_type="output", **labels) == counted
    assert "secret prompt" not in metrics.text and "127.0.0.1" not in metrics.text


def test_a_page_of_metrics_does_not_grow_with_what_clients_ask_for(serve, simulator):
    proxy = serve(simulator.url, "--admin", "0", "--set", "admin.models=3")
    for number in range(8):
        ask(proxy.port, chat(f"model-{number}", stream=False))
    proxy.records(8)
    models = {has["gen_ai_request_model"]: value for has, value in scrape(admin_port(proxy)).all(f"{DURATION}_count")}
    assert models == {"model-0": 1, "model-1": 1, "model-2": 1, "other": 5}


@pytest.fixture
def prometheus(tmp_path):
    """Starts a real Prometheus that scrapes a port; its storage is the test's, and it ends with it."""
    started = []

    def start(port: int) -> str:
        program = shutil.which("prometheus")
        assert program, "prometheus is not there: run scripts/setup --tests"
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            f"rule_files: [{TOP / 'config' / 'prometheus-alerts.yaml'}]\n"
            f"scrape_configs:\n  - job_name: tachograph\n    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            own = free.getsockname()[1]
        child = Child(
            [program, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"]
            + [f"--web.listen-address=127.0.0.1:{own}"]
        )
        started.append(child)
        child.wait_for("Server is ready to receive web requests", timeout=60)
        return f"http://127.0.0.1:{own}"

    yield start
    for child in started:
        child.kill()


def answer(url: str, query: str) -> list[dict]:
    text = urllib.request.urlopen(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=10).read()
    said = json.loads(text)
    assert said["status"] == "success", said
    return said["data"]["result"]


def test_a_real_prometheus_scrapes_it_and_answers_for_the_slowest_in_a_hundred(serve, simulator, prometheus):
    proxy = serve(simulator.url, "--admin", "0")
    port = admin_port(proxy)
    url = prometheus(port)
    askers = [threading.Thread(target=lambda: [ask(proxy.port, chat("m")) for _ in range(10)]) for _ in range(6)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    records = proxy.records(60)
    eventually(lambda: [float(each["value"][1]) for each in answer(url, f"sum({TTFT}_count)")] == [60], timeout=60)
    assert [each["value"][1] for each in answer(url, "up")] == ["1"]
    page = scrape(port)
    for name, key in ((TTFT, "ttft_ms"), (TPOT, "tpot_ms"), (DURATION, "total_ms")):
        said = float(answer(url, f"histogram_quantile(0.99, sum by (le) ({name}_bucket))")[0]["value"][1])
        values = sorted(record[key] / 1000 for record in records)
        true = values[math.ceil(0.99 * len(values)) - 1]
        bounds = [0.0, *sorted(page.buckets(name))]
        upper = next(bound for bound in bounds if bound >= true - 1e-6)
        lower = max(bound for bound in bounds if bound < upper)
        # Prometheus knows the bucket, and draws a line through it.
        assert lower - 1e-9 <= said <= upper + 1e-9, (name, said, true, lower, upper)
    # Its rules are loaded, and none of them finds anything wrong with a proxy at ease.
    rules = json.loads(urllib.request.urlopen(f"{url}/api/v1/rules", timeout=10).read())["data"]["groups"][0]["rules"]
    assert len(rules) >= 5 and not [rule["name"] for rule in rules if rule.get("lastError")]


def test_promtool_finds_nothing_wrong(serve, simulator):
    proxy = serve(simulator.url, "--admin", "0")
    ask(proxy.port, chat("m"))
    ask(proxy.port, chat("m"), b"X-Sim-Status: 500")
    proxy.records(2)
    promtool = shutil.which("promtool")
    assert promtool, "promtool is not there: run scripts/setup --tests"
    page = scrape(admin_port(proxy)).text
    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=30)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
    rules = TOP / "config" / "prometheus-alerts.yaml"
    checked = subprocess.run([promtool, "check", "rules", str(rules)], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    # Every metric that an alert asks for is one that there is.
    for name in set(re.findall(r"\b(?:tachograph|process)_[a-z_]+", rules.read_text())):
        assert f"\n{name}" in page, name
