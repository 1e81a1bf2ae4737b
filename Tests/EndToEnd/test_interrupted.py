"""A drain that is killed: no record is lost, and none comes twice."""

import contextlib
import gzip
import json
import os
import signal
import threading
import time

import pytest
from harness.metrics import Metrics, fetch
from harness.process import eventually
from harness.said import DONE, STREAM_HEAD, finish, get, request, token
from harness.tachograph import KEYS
from harness.wire import LAST_CHUNK, chunk, connect
from test_operation import run


class Server:
    """Streams a token, and ends when it is told; or says nothing at all."""

    def __init__(self):
        self.may_end = threading.Event()

    def __call__(self, wire):
        head = wire.message()
        if b"/silent" not in head.start:
            wire.send(STREAM_HEAD, chunk(token("a")))
        if self.may_end.wait(30):
            with contextlib.suppress(OSError):
                wire.send(chunk(finish()), chunk(DONE), LAST_CHUNK)
        wire.ended(10)


def open_records(path):
    """What stands in LOG.open."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert all(line["v"] == 0 for line in lines)
    return [line["open"] for line in lines if "open" in line]


@pytest.fixture
def server():
    server = Server()
    yield server
    server.may_end.set()


def streams(proxy, count=3):
    wires = []
    for number in range(count):
        wires.append(connect(proxy.port))
        wires[-1].send(request("POST", "/v1/chat/completions", None, b"X-User-Id: user-%d" % number))
        wires[-1].until(token("a"))
    return wires


def test_a_drain_that_is_killed_loses_no_record(serve, scripted, server, tmp_path):
    upstream = scripted(server)
    log, left = tmp_path / "t.jsonl", tmp_path / "t.jsonl.open"
    proxy = serve(upstream.url, records=str(log))
    wires = streams(proxy)
    wires.append(connect(proxy.port))
    wires[-1].send(get("/silent"))
    eventually(lambda: upstream.connections == 4)
    proxy.child.signal(signal.SIGTERM)
    eventually(lambda: left.exists() and len(open_records(left)) == 4)
    assert (left.stat().st_mode & 0o777) == 0o640
    for record in open_records(left):
        assert tuple(record) == tuple(KEYS) and record["outcome"] == "interrupted"
    # Renewed each second.
    before = left.stat().st_ino
    eventually(lambda: left.stat().st_ino != before)
    proxy.child.signal(signal.SIGKILL)
    proxy.child.wait(5)
    assert not log.read_bytes()

    again = serve(upstream.url, "--admin", "127.0.0.1:0", records=str(log))
    assert "4 records of exchanges that were open" in again.child.output
    assert not left.exists()
    records = again.records(4)
    assert sorted(record["stage"] for record in records) == ["streaming", "streaming", "streaming", "waiting"]
    assert {record["user"] for record in records} >= {"user-0", "user-1", "user-2"}
    for record in records:
        assert record["outcome"] == "interrupted" and record["error"].startswith("proxy_killed: ")
    port = int(again.child.wait_for(r"admin pages on http://127\.0\.0\.1:(\d+)")[1])
    metrics = Metrics(fetch(port, "/metrics")[1])
    assert metrics.sum("tachograph_exchanges_total", outcome="interrupted") == 4
    assert metrics.sum("tachograph_exchange_errors_total", kind="proxy_killed") == 4
    again.stop()
    third = serve(upstream.url, records=str(log))
    assert len(third.records(4)) == 4 and "records of exchanges" not in third.child.output
    shown = run("tail", "--no-follow", str(log)).stdout
    assert shown.count("interrupted streaming") == 3 and shown.count("interrupted waiting") == 1
    assert "interrupted 4" in run("report", str(log)).stdout


def test_an_exchange_that_ended_in_time_has_one_record(serve, scripted, server, tmp_path):
    log, left = tmp_path / "t.jsonl", tmp_path / "t.jsonl.open"
    slow = Server()
    upstreams = [scripted(server), scripted(slow)]
    proxy = serve(upstreams[0].url, records=str(log))
    first = streams(proxy, 2)
    proxy.child.signal(signal.SIGTERM)
    eventually(lambda: left.exists() and len(open_records(left)) == 2)
    kept = left.read_bytes()
    server.may_end.set()
    for wire in first:
        wire.until(LAST_CHUNK)
    assert proxy.child.wait(10) == 0
    assert not left.exists()
    # As if it had been killed behind the records and before the removal; the log was rotated and compressed meanwhile.
    left.write_bytes(kept)
    (tmp_path / "t.jsonl.1.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    again = serve(upstreams[1].url, records=str(log))
    assert again.records(0) == [] and not left.exists()
    slow.may_end.set()


def test_what_another_process_still_drains_is_left_alone(serve, scripted, server, tmp_path):
    log, left = tmp_path / "t.jsonl", tmp_path / "t.jsonl.open"
    upstream = scripted(server)
    proxy = serve(upstream.url, records=str(log))
    wires = streams(proxy, 1)
    proxy.child.signal(signal.SIGTERM)
    eventually(lambda: left.exists() and len(open_records(left)) == 1)
    other = serve(upstream.url, records=str(log))
    assert left.exists() and not log.read_bytes()
    server.may_end.set()
    wires[0].until(LAST_CHUNK)
    assert proxy.child.wait(10) == 0
    assert [record["outcome"] for record in other.records(1)] == ["ok"]
    assert os.listdir(tmp_path).count("t.jsonl.open") == 0


def test_without_a_file_a_drain_ends_before_docker_kills(serve, scripted, server):
    proxy = serve(scripted(server).url, "--admin", "127.0.0.1:0", records="-")
    wires = streams(proxy, 1)
    began = time.monotonic()
    proxy.child.signal(signal.SIGTERM)
    proxy.child.wait_for(r"draining: .* may take 8\.0 seconds")
    assert proxy.child.wait(12) == 0
    assert 7 < time.monotonic() - began < 10
    assert '"outcome":"timeout"' in proxy.child.output
    assert wires[0].ended(1) is not None
