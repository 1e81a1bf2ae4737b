"""Processes that take over from one another under load: no client is refused, reset, or gets less than its whole answer.

Case 55, by sockets that are handed down (LISTEN_FDS) and by an overlap on a shared port (SO_REUSEPORT); case 54, draining.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
from harness.generations import Generations
from harness.load import Load, failures
from harness.process import eventually
from harness.said import answer_plainly, get
from harness.simulator import Simulator
from harness.tachograph import TOP, HandingDown, binary, clean_environment, read_records
from harness.wire import connect

SWAPS = 4


@pytest.fixture
def simulator(tmp_path):
    folder = tmp_path / "simulator"
    folder.mkdir()
    server = Simulator(folder)
    yield server
    server.stop()


def listening(backlog: int = 1024) -> socket.socket:
    """A listening socket that stays with the test, as systemd's would with it."""
    return socket.create_server(("127.0.0.1", 0), backlog=backlog)


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("way", ["handed down", "shared port"])
def test_case_55_restarts_under_load_lose_nobody(serve, simulator, tmp_path, way, workers):
    with contextlib.ExitStack() as stack:
        handed_down = stack.enter_context(listening()) if way == "handed down" else None
        arguments = ("--workers", workers)
        fleet = Generations(serve, simulator.url, tmp_path / "all.jsonl", *arguments, handed_down=handed_down)
        short = {"ttft": "0", "interval": "0", "tokens": "1"}
        loads = {
            "kept": Load(fleet.port, "--connections", "12", "--duration", "600", sim=short),
            "new": Load(
                fleet.port, "--connections", "12", "--duration", "600", sim=short, fields=("Connection: close",)
            ),
            "streams": Load(
                fleet.port, "--connections", "40", "--duration", "600", "--stagger", "1",
                sim={"ttft": "20ms", "interval": "20ms", "tokens": "40"},
            ),
        }
        stack.callback(lambda: [load.stop() for load in loads.values()])
        for _ in range(SWAPS):
            time.sleep(0.4)
            fleet.swap()
        for load in loads.values():
            load.stop()
        results = {name: load.result() for name, load in loads.items()}
        fleet.present.stop()
    assert {name: failures(result) for name, result in results.items()} == dict.fromkeys(loads, 0), results
    assert all(result["ok"] > 50 for result in results.values()), results
    # Two processes at a time wrote to one file: each line whole, each request once.
    records = read_records(tmp_path / "all.jsonl")
    outcomes = [record["outcome"] for record in records]
    assert set(outcomes) <= {"ok", "client_cancelled"}, set(outcomes)
    done = sum(result["ok"] for result in results.values())
    cut = sum(result["cut_at_end"] for result in results.values())
    assert done <= outcomes.count("ok") <= done + cut
    assert done <= len(records) <= done + cut


@pytest.mark.parametrize(("limit", "tokens", "outcome"), [("60s", 12, "ok"), ("1s", 5000, "timeout")])
def test_case_54_a_thousand_streams_end_whole_or_at_the_deadline(serve, simulator, limit, tokens, outcome):
    count = 1000
    proxy = serve(simulator.url, "--set", f"timeouts.drain={limit}")
    load = Load(
        proxy.port, "--connections", str(count), "--requests", str(count), "--stagger", "1",
        sim={"ttft": "3s", "interval": "200ms", "tokens": tokens},
    )
    eventually(lambda: simulator.state()["active"] == count, timeout=60)
    proxy.child.signal(signal.SIGTERM)
    assert proxy.child.wait(60) == 0
    result = load.result()
    # A stream that was cut is broken to its client: none looks whole.
    assert result["ok" if outcome == "ok" else "broken"] == count, result
    records = read_records(proxy.log)
    assert [record["outcome"] for record in records] == [outcome] * count
    assert len({record["request_id"] for record in records}) == count


def test_the_admin_listener_is_taken_over_with_the_port(serve, scripted, tmp_path):
    with listening() as probe:
        admin = probe.getsockname()[1]
    upstream = scripted(answer_plainly)
    fleet = Generations(serve, upstream.url, tmp_path / "all.jsonl", "--admin", f"127.0.0.1:{admin}")

    def asked(path: str) -> bytes:
        wire = connect(admin)
        wire.send(get(path))
        return wire.message().body

    assert asked("/-/ready") == b"ready\n"
    fleet.swap()
    assert asked("/-/ready") == b"ready\n"
    assert f"listen: 127.0.0.1:{fleet.port}".encode() in asked("/-/config")


def test_a_client_is_told_with_its_last_answer(serve, scripted):
    """A kept connection that was used a moment ago is served once more, and told: closing it would meet its next request."""
    proxy = serve(scripted(answer_plainly).url)
    wire = connect(proxy.port)
    wire.send(get())
    assert b"connection: close" not in wire.message().head.lower()
    proxy.child.signal(signal.SIGTERM)
    proxy.child.wait_for("draining")
    wire.send(get())
    assert b"connection: close" in wire.message().head.lower()
    assert wire.ended(10) == "fin"
    assert proxy.child.wait(20) == 0
    assert [record["outcome"] for record in proxy.records(2)] == ["ok", "ok"]


def test_two_addresses_can_be_handed_down(serve, scripted):
    with listening() as first, listening() as second:
        serve(scripted(answer_plainly).url, "--workers", "2", sockets=(first, second))
        for each in (first, second):
            wire = connect(each.getsockname()[1])
            wire.send(get())
            assert wire.message().body == b"{}"


def test_a_socket_that_was_handed_down_outlives_the_process_with_whoever_waits_in_it(serve, scripted):
    upstream = scripted(answer_plainly)
    with listening() as held:
        first = serve(upstream.url, sockets=(held,))
        first.stop()
        waiting = connect(held.getsockname()[1])
        waiting.send(get())
        serve(upstream.url, sockets=(held,))
        assert waiting.message().body == b"{}"


def test_sockets_handed_down_do_not_reach_children_and_never_block(serve, scripted):
    with listening() as held:
        proxy = serve(scripted(answer_plainly).url, "--workers", "2", sockets=(held,))
        assert "on the sockets in LISTEN_FDS" in proxy.child.output
        process = pathlib.Path(f"/proc/{proxy.child.process.pid}")
        wanted = f"socket:[{os.fstat(held.fileno()).st_ino}]"
        found = [entry.name for entry in (process / "fd").iterdir() if os.readlink(entry) == wanted]
        assert len(found) == 2, "one descriptor a worker, and the one handed down is closed"
        for name in found:
            flags = int(re.search(r"flags:\s+(\d+)", (process / "fdinfo" / name).read_text())[1], 8)
            assert flags & os.O_CLOEXEC and flags & os.O_NONBLOCK


def start_with(sockets, tmp_path, **variables: str) -> subprocess.CompletedProcess:
    handing = HandingDown(tuple(sockets), **variables)
    done = subprocess.run(
        [*handing.command, binary(), "serve", "--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"],
        env=clean_environment(), cwd=tmp_path, capture_output=True, text=True, timeout=20,
        stdin=subprocess.DEVNULL, pass_fds=handing.descriptors,
    )
    handing.close()
    return done


def test_what_cannot_be_listened_on_is_refused_with_its_reason(tmp_path):
    with socket.socket() as deaf, socket.socket(type=socket.SOCK_DGRAM) as datagrams, socket.socket(
        socket.AF_UNIX
    ) as local, open(os.devnull, "rb") as file:
        local.bind(str(tmp_path / "local"))
        local.listen()
        for held, reason in ((deaf, "does not listen"), (datagrams, "no stream"), (local, "IPv4"), (file, "no socket")):
            done = start_with([held], tmp_path, LISTEN_FDNAMES="main")
            assert done.returncode == 2 and "socket 3 (main)" in done.stderr and reason in done.stderr, done.stderr
    done = start_with([], tmp_path, LISTEN_FDS="1")
    assert done.returncode == 2 and "is not open" in done.stderr
    done = start_with([], tmp_path, LISTEN_FDS="some")
    assert done.returncode == 2 and "LISTEN_FDS" in done.stderr


def test_sockets_meant_for_another_process_are_left_alone(serve, scripted):
    proxy = serve(scripted(answer_plainly).url, environment={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    wire = connect(proxy.port)
    wire.send(get())
    assert wire.message().body == b"{}"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_is_shared_only_where_that_is_asked_for(serve, scripted, tmp_path, workers):
    proxy = serve(scripted(answer_plainly).url, "--workers", workers)
    done = subprocess.run(
        [binary(), "serve", "--upstream", "http://127.0.0.1:1", "--listen", f"127.0.0.1:{proxy.port}"]
        + ["--workers", workers],
        env=clean_environment(), cwd=tmp_path, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 1 and f"cannot listen on 127.0.0.1:{proxy.port}" in done.stderr


def test_the_units_are_what_systemd_understands(tmp_path):
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("no systemd-analyze here")
    for name in ("tachograph.service", "tachograph.socket"):
        text = (TOP / "config" / name).read_text().replace("/usr/local/bin/tachograph", binary())
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / "tachograph.socket"), str(tmp_path / "tachograph.service")],
        capture_output=True, text=True, timeout=60,
    )
    about = [line for line in done.stderr.splitlines() if "tachograph" in line]
    assert done.returncode == 0 and not about, done.stderr


def test_systemd_hands_its_socket_down(scripted, tmp_path):
    """systemd's own tool for it binds, waits for a client, and becomes the proxy."""
    if not (activate := shutil.which("systemd-socket-activate")):
        pytest.skip("no systemd-socket-activate here")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    upstream = scripted(answer_plainly)
    process = subprocess.Popen(
        [activate, "-l", f"127.0.0.1:{port}", "--fdname=clients", binary(), "serve", "--upstream", upstream.url],
        cwd=tmp_path, env=clean_environment(), stdin=subprocess.DEVNULL,
    )
    try:

        def is_bound() -> bool:
            with contextlib.suppress(OSError):
                connect(port).close()
                return True
            return False

        eventually(is_bound)
        wire = connect(port)
        wire.send(get())
        assert wire.message().body == b"{}"
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
