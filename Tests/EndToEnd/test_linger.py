"""A client that is answered before it has sent all: what it still sends is dropped while it comes, and it gets its answer."""

import concurrent.futures
import http.client
import socket
import threading
import time

import pytest
from harness import figures
from harness.process import eventually
from harness.wire import Wire

SIZE = 5_000_000
PIECES = 50


def answers_early(status: bytes, closes: bool):
    """A server that answers once it has seen a request's head, and reads no more of it."""

    def script(wire: Wire) -> None:
        wire.head()
        wire.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\nX-Answer: early\r\n\r\nno: 5")
        if not closes:
            time.sleep(20)

    return script


def upload(port: int, seconds: float) -> str:
    """What Python's own client makes of it: it sends all of its body before it reads."""

    def body():
        for _ in range(PIECES):
            yield b"x" * (SIZE // PIECES)
            time.sleep(seconds / PIECES)

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/v1/x", body=body(), headers={"Content-Length": str(SIZE)})
        answer = connection.getresponse()
        return f"{answer.status} {answer.read().decode()}"
    except OSError as error:
        return repr(error)
    finally:
        connection.close()


def test_uploads_that_a_server_refuses_get_its_answer_however_long_they_take(serve, scripted):
    """1, 5 and 12 seconds, of servers that close behind their answer and of those that stay, all at the same time."""
    kinds = [(status, closes) for status in ("401 U", "413 T") for closes in (True, False)]
    wanted = [(seconds, *kind) for seconds in (1, 5, 12) for kind in kinds]
    proxies = {kind: serve(scripted(answers_early(kind[0].encode(), kind[1])).url) for kind in kinds}
    with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
        got = list(pool.map(lambda each: upload(proxies[each[1:]].port, each[0]), wanted))
    delivered = dict.fromkeys((1, 5, 12), 0)
    for answer, (seconds, status, _) in zip(got, wanted, strict=True):
        delivered[seconds] += answer == f"{status[:3]} no: 5"
    figures.show(
        "linger",
        *(
            (f"uploads of 5 MB over {seconds} s, refused at their head: answers delivered", f"{count} of 4")
            for seconds, count in delivered.items()
        ),
    )
    assert delivered == {1: 4, 5: 4, 12: 4}, got
    for (status, _), proxy in proxies.items():
        ends = [(record["outcome"], record["status"]) for record in proxy.records(3)]
        assert ends == [("upstream_status", int(status[:3]))] * 3


def test_an_upload_that_the_proxy_refuses_gets_its_answer_too(serve, scripted):
    proxy = serve(scripted(lambda wire: wire.rest()).url, "--set", f"limits.request_body_bytes={SIZE - 1}")
    assert upload(proxy.port, 4).startswith('413 {"error":')


def refused(port: int) -> Wire:
    """A client that has its answer and has not sent all of its body."""
    wire = Wire(socket.create_connection(("127.0.0.1", port)))
    wire.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome")
    assert wire.head().startswith(b"HTTP/1.1 413 ")
    wire.exactly(5)
    return wire


def last(wire: Wire, pause: float, most: float) -> float:
    """For how long what it sends, a byte at a time, is still taken."""
    since = time.monotonic()
    while time.monotonic() - since < most:
        try:
            wire.send(b"x")
        except ConnectionError:
            break
        time.sleep(pause)
    return time.monotonic() - since


def test_silence_ends_it_and_any_byte_ends_the_silence(serve, scripted):
    server = scripted(answers_early(b"413 T", True))
    proxy = serve(server.url, "--set", "timeouts.linger_idle=1s", "--set", "timeouts.linger=20s")
    before = proxy.descriptors()
    silent = refused(proxy.port)
    since = time.monotonic()
    eventually(lambda: proxy.descriptors() <= before, 5)
    assert 0.9 < time.monotonic() - since < 2.5
    silent.sock.close()
    talking = refused(proxy.port)
    assert last(talking, 0.4, 4) >= 4


def test_it_has_an_end_however_much_comes(serve, scripted):
    server = scripted(answers_early(b"413 T", True))
    proxy = serve(server.url, "--set", "timeouts.linger_idle=5s", "--set", "timeouts.linger=2s")
    assert 1.5 < last(refused(proxy.port), 0.05, 8) < 4


def test_those_who_linger_take_no_place_from_those_who_come(serve, scripted):
    """Neither of `limits.connections` nor of descriptors: 40 uploads that never end, and a victim."""

    def script(wire):
        while True:
            if wire.head().startswith(b"POST"):
                return wire.send(b"HTTP/1.1 413 T\r\nContent-Length: 5\r\n\r\nno: 5")
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    server = scripted(script)
    for setting in ("limits.connections=4", "limits.descriptors=24"):
        proxy = serve(server.url, "--set", setting)
        lingering = [refused(proxy.port) for _ in range(40)]
        waited = []
        for _ in range(10):
            since = time.monotonic()
            with socket.create_connection(("127.0.0.1", proxy.port)) as sock:
                wire = Wire(sock)
                wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert wire.head().startswith(b"HTTP/1.1 200 "), setting
            waited.append(time.monotonic() - since)
        assert sorted(waited)[5] < 0.25, (setting, waited)
        for wire in lingering:
            wire.sock.close()


@pytest.mark.parametrize("is_silent", [True, False])
def test_a_drain_does_not_wait_for_those_who_linger(serve, scripted, is_silent):
    proxy = serve(scripted(answers_early(b"413 T", True)).url, "--set", "timeouts.drain=3s")
    wire = refused(proxy.port)
    stop = threading.Event()

    def talk():
        while not stop.wait(0.1) and not is_silent:
            try:
                wire.send(b"x")
            except OSError:
                return

    thread = threading.Thread(target=talk)
    thread.start()
    since = time.monotonic()
    proxy.stop()
    assert time.monotonic() - since < (2.5 if is_silent else 5)
    stop.set()
    thread.join()
