"""How much and how many: sizes of a message, descriptors, connections of a client, exchanges at the server.

What the limits' defaults do with each byte of a message (cases 30, 50 to 52) stands in `cases/`.
"""

import pathlib
import re
import signal
import threading
import time

import pytest
from harness.said import DONE, STREAM_HEAD, answer_plainly, finish, get, plain, request, token
from harness.wire import LAST_CHUNK, Wire, chunk, connect, fields_of


def wait_until(what: str, is_so) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline, f"not within 20 s: {what}"
        time.sleep(0.02)


CHUNKED = b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
SIZES = {
    "limits.target_bytes=100": (get("/" + "x" * 100), 414),
    "limits.fields=8": (get("/", *(b"X-%d: a" % number for number in range(8))), 431),
    "limits.request_head_bytes=1KiB": (get("/", b"X: " + b"x" * 1024), 431),
    "limits.request_body_bytes=10": (request("POST", "/up", b"x" * 11), 413),
    "limits.trailer_bytes=16": (CHUNKED + b"1\r\nx\r\n0\r\nX-A: 12345678901234567\r\n\r\n", 431),
    "limits.chunk_extension_bytes=8": (CHUNKED + b"1;extension=long\r\nx\r\n0\r\n\r\n", 400),
}


@pytest.mark.parametrize("setting", SIZES)
def test_what_is_larger_than_it_may_be_is_refused_and_never_whole_upstream(serve, scripted, setting):
    seen = []

    def script(wire):
        wire.ended(10)
        seen.append(wire.seen)

    ask, status = SIZES[setting]
    upstream = scripted(script)
    proxy = serve(upstream.url, "--set", setting)
    wire = connect(proxy.port)
    wire.send(ask)
    assert wire.message().start.startswith(b"HTTP/1.1 %d " % status)
    assert wire.ended(10) is not None
    record = proxy.record()
    assert (record["outcome"], record["status"]) == ("rejected", status)
    # What went bad behind its head has reached upstream in part; what was too large from the start has not at all.
    expected = 1 if ask.startswith(CHUNKED) else 0
    wait_until("upstream was left", lambda: len(seen) == upstream.connections == expected)
    assert not any(LAST_CHUNK in each for each in seen)
    proxy.stop()
    # The default lets the very same through.
    plainly = serve(scripted(answer_plainly).url)
    wire = connect(plainly.port)
    wire.send(ask)
    assert wire.message().start.startswith(b"HTTP/1.1 200 ")


def descriptors(proxy) -> int:
    return len(list(pathlib.Path(f"/proc/{proxy.child.process.pid}/fd").iterdir()))


class Crowd:
    """An upstream that answers when it is told to, and knows how many it had at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.go = threading.Event()
        self.present = self.most = self.served = 0
        self.paths: list[bytes] = []

    def __call__(self, wire: Wire) -> None:
        while True:
            try:
                message = wire.message()
            except (EOFError, OSError):
                return
            with self.lock:
                self.present += 1
                self.most = max(self.most, self.present)
                self.paths.append(message.start.split()[1])
            assert self.go.wait(30)
            with self.lock:
                self.present -= 1
                self.served += 1
            wire.send(plain())


def test_clients_beyond_the_descriptors_are_told_and_harm_nobody(serve, scripted):
    """64 descriptors for the whole process: those inside stream on, of the others a few at a time get an answer and the rest are
    closed at once, all is free again."""
    going_on = threading.Event()

    def script(wire):
        try:
            message = wire.message()
        except EOFError:
            return
        if message.start.startswith(b"GET"):
            return wire.send(plain())
        wire.send(STREAM_HEAD, chunk(token("a")))
        assert going_on.wait(30)
        wire.send(chunk(finish()), chunk(DONE), LAST_CHUNK)

    proxy = serve(scripted(script).url, under=["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"])
    before = descriptors(proxy)
    wires = [connect(proxy.port) for _ in range(60)]
    statuses = [status_or_close(wire, request()) for wire in wires]
    inside = [wire for wire, status in zip(wires, statuses, strict=True) if status == 200]
    assert set(statuses) <= {200, 503, None} and len(inside) >= 8, statuses
    assert descriptors(proxy) <= 64
    going_on.set()
    for wire in inside:
        assert token("a") in wire.chunked()
    for wire in wires:
        wire.close()
    wait_until("all descriptors are back", lambda: descriptors(proxy) <= before + 8)
    fresh = connect(proxy.port)
    fresh.send(get())
    assert fresh.message().start.startswith(b"HTTP/1.1 200 ")
    fresh.close()
    refused = statuses.count(503)
    records = proxy.records(len(inside) + refused + 1)
    outcomes = [(record["outcome"], record["status"]) for record in records]
    assert outcomes.count(("ok", 200)) == len(inside) + 1
    assert outcomes.count(("rejected", 503)) == refused
    # The system's limit was never met: the own one lies below it.
    assert "accepted" not in proxy.child.output and "EMFILE" not in proxy.child.output


def test_a_client_that_only_connects_is_not_served_for_ever(serve, scripted):
    """Whoever has been silent for longest makes room for those who come, without having to wait for a timeout."""
    proxy = serve(scripted(answer_plainly).url, under=["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"])
    silent = [connect(proxy.port) for _ in range(40)]
    assert silent[0].ended(20) is not None
    for wire in silent:
        wire.close()
    wire = connect(proxy.port)
    wire.send(get())
    assert int(wire.message().start.split()[1]) in (200, 503)
    wait_until("served again", lambda: status_of(proxy) == 200)


def status_or_close(wire, data: bytes) -> int | None:
    """The status of the answer to `data`; none where the connection was closed without one."""
    try:
        wire.send(data)
        return int(wire.head().split()[1])
    except (EOFError, ConnectionError):
        return None


def status_of(proxy) -> int:
    wire = connect(proxy.port)
    wire.send(get())
    status = int(wire.message().start.split()[1])
    wire.close()
    return status


def test_no_more_exchanges_than_may_be_are_at_the_server(serve, scripted):
    """Three places, three workers, forty clients: never a fourth at the server, everybody served, nobody twice."""
    crowd = Crowd()
    crowd.go.set()
    proxy = serve(scripted(crowd).url, "--workers", "3", "--set", "limits.in_flight=3")
    wires = [connect(proxy.port) for _ in range(40)]
    for number, wire in enumerate(wires):
        wire.send(get(f"/{number}"))
    for wire in wires:
        assert wire.message().start.startswith(b"HTTP/1.1 200 ")
    assert crowd.most <= 3
    assert sorted(crowd.paths) == sorted(b"/%d" % number for number in range(40))
    records = proxy.records(40)
    assert all(record["outcome"] == "ok" and record["in_flight"] <= 3 for record in records)
    # Waiting for a place is waiting for a connection.
    assert max(record["connect_ms"] for record in records) > 0


def test_those_who_leave_while_they_wait_leave_no_hole(serve, scripted):
    """Half of those who wait go away, on two workers; the others are served, and all places are free again."""
    crowd = Crowd()
    proxy = serve(scripted(crowd).url, "--workers", "2", "--set", "limits.in_flight=1", "--set", "limits.queue=30")
    first = connect(proxy.port)
    first.send(get("/first"))
    wait_until("the first is at the server", lambda: crowd.present == 1)
    waiting = []
    for number in range(20):
        waiting.append(connect(proxy.port))
        waiting[-1].send(get(f"/{number}"))
    leaving, staying = waiting[::2], waiting[1::2]
    for wire in leaving:
        wire.reset()
    left = proxy.records(10)
    assert {(record["outcome"], record["stage"]) for record in left} == {("client_cancelled", "connecting")}
    crowd.go.set()
    for wire in [first, *staying]:
        assert wire.message().start.startswith(b"HTTP/1.1 200 ")
    assert crowd.most == 1
    assert sorted(crowd.paths[1:]) == sorted(b"/%d" % number for number in range(1, 20, 2))
    assert status_of(proxy) == 200
    proxy.records(22)


def test_beyond_the_queue_it_is_try_again_later(serve, scripted):
    crowd = Crowd()
    limits = ["--set", "limits.in_flight=1", "--set", "limits.queue=0", "--set", "timeouts.retry_after=7s"]
    proxy = serve(scripted(crowd).url, *limits)
    first = connect(proxy.port)
    first.send(get("/first"))
    wait_until("the first is at the server", lambda: crowd.present == 1)
    second = connect(proxy.port)
    second.send(get("/second"))
    message = second.message()
    assert message.start.startswith(b"HTTP/1.1 503 ")
    assert fields_of(message.head)[b"retry-after"] == b"7"
    crowd.go.set()
    assert first.message().start.startswith(b"HTTP/1.1 200 ")
    outcomes = [(record["outcome"], record["stage"], record["status"]) for record in proxy.records(2)]
    assert outcomes == [("rejected", "connecting", 503), ("ok", None, 200)]


def test_a_larger_limit_lets_those_in_who_wait(serve, scripted, tmp_path):
    crowd = Crowd()
    settings = tmp_path / "settings.yaml"
    settings.write_text("limits:\n  in_flight: 1\n")
    proxy = serve(scripted(crowd).url, "--config", str(settings))
    wires = [connect(proxy.port) for _ in range(5)]
    for wire in wires:
        wire.send(get())
    wait_until("one is at the server", lambda: crowd.present == 1)
    settings.write_text("limits:\n  in_flight: 3\n")
    proxy.child.signal(signal.SIGHUP)
    wait_until("three are at the server", lambda: crowd.present == 3)
    settings.write_text("limits:\n  in_flight: \"off\"\n")
    proxy.child.signal(signal.SIGHUP)
    wait_until("all are at the server", lambda: crowd.present == 5)
    crowd.go.set()
    for wire in wires:
        assert wire.message().start.startswith(b"HTTP/1.1 200 ")


def test_one_client_does_not_take_all_connections(serve, scripted):
    proxy = serve(scripted(answer_plainly).url, "--workers", "3", "--set", "limits.connections_per_client=4")
    wires = []
    for _ in range(4):
        wires.append(connect(proxy.port))
        wires[-1].send(get())
        assert wires[-1].message().start.startswith(b"HTTP/1.1 200 ")
    for _ in range(5):
        extra = connect(proxy.port)
        extra.send(get())
        message = extra.message()
        assert message.start.startswith(b"HTTP/1.1 429 ")
        assert re.fullmatch(rb"\d+", fields_of(message.head)[b"retry-after"])
        assert extra.ended(5) is not None
        extra.close()
    # The four are served on, and a place that is given back can be taken.
    for wire in wires:
        wire.send(get())
        assert wire.message().start.startswith(b"HTTP/1.1 200 ")
    wires.pop().close()
    wait_until("a fourth is served again", lambda: status_of(proxy) == 200)


def test_a_proxy_that_is_trusted_speaks_for_many(serve, scripted):
    limits = ["--set", "limits.connections_per_client=1", "--set", "identity.trusted_proxies=127.0.0.0/8"]
    proxy = serve(scripted(answer_plainly).url, *limits)
    wires = [connect(proxy.port) for _ in range(4)]
    for wire in wires:
        wire.send(get())
        assert wire.message().start.startswith(b"HTTP/1.1 200 ")
