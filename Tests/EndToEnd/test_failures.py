"""Whoever fails, the other side learns it at once and the record says who: clients that leave, upstreams that break."""

import contextlib
import socket
import threading
import time

import pytest
from harness.llama import free_port
from harness.said import DONE, STREAM_HEAD, finish, get, plain, request, token
from harness.wire import LAST_CHUNK, chunk, connect, fields_of

LEAVING = {"fin": lambda wire: wire.finish(), "close": lambda wire: wire.close(), "rst": lambda wire: wire.reset()}


class Watch:
    """A script's wire as it went: told that the proxy is connected, then how and when it left."""

    def __init__(self, say):
        self.ready = threading.Event()
        self.ended = None
        self.left = threading.Event()
        self.say = say

    def __call__(self, wire):
        self.say(wire)
        self.ready.set()
        self.ended = wire.ended(10)
        self.left.set()


def leave_and_expect(serve, scripted, say, sent: bytes, leaving: str, before_leaving=lambda wire: None):
    """Sends, waits for the upstream's part, leaves; gives the record once the upstream was closed within a second."""
    watch = Watch(say)
    proxy = serve(scripted(watch).url)
    wire = connect(proxy.port)
    wire.send(sent)
    assert watch.ready.wait(10)
    before_leaving(wire)
    left_at = time.monotonic()
    LEAVING[leaving](wire)
    assert watch.left.wait(1.0), "the upstream was not told within a second"
    assert watch.ended is not None
    assert time.monotonic() - left_at < 1.0
    return proxy.record()


@pytest.mark.parametrize("leaving", LEAVING)
def test_a_client_that_leaves_while_uploading(serve, scripted, leaving):
    sent = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"x" * 100
    record = leave_and_expect(serve, scripted, lambda wire: wire.head(), sent, leaving)
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "upload")
    assert record["status"] is None


@pytest.mark.parametrize("leaving", LEAVING)
def test_a_client_that_leaves_while_waiting(serve, scripted, leaving):
    record = leave_and_expect(serve, scripted, lambda wire: wire.message(), request(), leaving)
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "waiting")
    assert record["waited_ms"] is not None and record["ttft_ms"] is None


def three_tokens(wire):
    wire.message()
    wire.send(STREAM_HEAD)
    for text in "abc":
        wire.send(chunk(token(text)))


@pytest.mark.parametrize("leaving", LEAVING)
def test_a_client_that_leaves_while_streaming(serve, scripted, leaving):
    def read_three(wire):
        wire.head()
        for _ in range(3):
            wire.exactly(int(wire.until(b"\r\n"), 16) + 2)

    record = leave_and_expect(serve, scripted, three_tokens, request(), leaving, read_three)
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "streaming")
    assert (record["events"], record["output_tokens"], record["tokens_from"]) == (3, 3, "events")
    assert record["ttft_ms"] is not None


def test_a_client_that_leaves_while_it_does_not_read(serve, scripted):
    """Backpressure has paused the upstream: the client's reset must be seen all the same."""
    flooding = threading.Event()

    def flood(wire):
        wire.message()
        wire.send(STREAM_HEAD)
        wire.sock.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                wire.send(chunk(token("x" * 4000)))
        flooding.set()

    record = leave_and_expect(serve, scripted, flood, request(), "rst", lambda wire: flooding.wait(10))
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "streaming")


def test_a_client_that_leaves_while_connecting(serve):
    """A listener whose queue is full leaves the proxy's connect hanging."""
    with socket.socket() as listener, contextlib.ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        time.sleep(0.1)
        proxy = serve(f"http://127.0.0.1:{listener.getsockname()[1]}")
        wire = connect(proxy.port)
        wire.send(request())
        time.sleep(0.3)
        wire.reset()
        record = proxy.record()
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "connecting")


def test_an_upstream_that_refuses_is_a_502(serve):
    port = free_port()
    proxy = serve(f"http://127.0.0.1:{port}")
    wire = connect(proxy.port)
    wire.send(request())
    message = wire.message()
    assert message.start.startswith(b"HTTP/1.1 502 ")
    # Whoever is about to close says so.
    assert fields_of(message.head).get(b"connection") == b"close"
    assert wire.ended(5) == "fin"
    record = proxy.record()
    assert (record["outcome"], record["status"]) == ("upstream_unreachable", 502)
    assert record["upstream"] == f"127.0.0.1:{port}"
    assert record["error"]


def test_an_upstream_that_closes_without_an_answer_is_a_502(serve, scripted):
    proxy = serve(scripted(lambda wire: wire.message()).url)
    wire = connect(proxy.port)
    wire.send(request())
    assert wire.message().start.startswith(b"HTTP/1.1 502 ")
    assert proxy.record()["outcome"] in ("upstream_reset", "truncated")


@pytest.mark.parametrize("ending", ["fin", "rst"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_cut_response_never_looks_whole(serve, scripted, framing, ending):
    with_length = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n"
    head = STREAM_HEAD if framing == "chunked" else with_length
    seen = threading.Event()

    def script(wire):
        wire.message()
        events = token("a") + token("b")
        wire.send(head, chunk(events) if framing == "chunked" else events)
        assert seen.wait(10)
        wire.reset() if ending == "rst" else wire.close()

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    wire.send(request())
    wire.head()
    wire.until(token("b"))
    seen.set()
    ended = wire.ended(5)
    assert ended is not None, "the client is left hanging"
    assert LAST_CHUNK not in wire.seen.partition(b"\r\n\r\n")[2]
    record = proxy.record()
    assert record["outcome"] in (("truncated",) if ending == "fin" else ("truncated", "upstream_reset"))
    assert record["output_tokens"] == 2 and record["tokens_from"] == "events"


def test_a_stream_without_its_terminator_is_truncated_though_http_is_whole(serve, scripted):
    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD, chunk(token("a")), LAST_CHUNK)
        wire.ended(10)

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    wire.send(request())
    wire.head()
    assert wire.chunked() == token("a")
    assert proxy.record()["outcome"] == "truncated"


def test_an_error_inside_a_stream_is_a_stream_error(serve, scripted):
    error = b'data: {"error": {"message": "SECRET-DETAIL", "type": "server_error", "code": 500}}\n\n'

    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD, chunk(token("a")), chunk(error), LAST_CHUNK)
        wire.ended(10)

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    wire.send(request())
    wire.head()
    assert wire.chunked() == token("a") + error
    assert proxy.record()["outcome"] == "stream_error"
    assert "SECRET-DETAIL" not in proxy.log.read_text()


def test_an_upstream_status_is_the_clients_status(serve, scripted):
    def script(wire):
        wire.message()
        wire.send(plain(b'{"error": {"message": "busy"}}', status=b"429 Too Many Requests"))
        wire.ended(10)

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    wire.send(request())
    assert wire.message().body == b'{"error": {"message": "busy"}}'
    record = proxy.record()
    assert (record["outcome"], record["status"]) == ("upstream_status", 429)
    assert record["ttft_ms"] is None and record["tpot_ms"] is None


def test_a_stale_pooled_connection_is_retried_for_get(serve, scripted):
    """The upstream closes its idle connection just as the next request comes: a GET goes to a new one."""

    def script(wire):
        wire.message()
        wire.send(plain())

    upstream = scripted(script)
    proxy = serve(upstream.url)
    wire = connect(proxy.port)
    for _ in range(5):
        wire.send(get())
        assert wire.message().start.startswith(b"HTTP/1.1 200 ")
    assert all(record["outcome"] == "ok" for record in proxy.records(5))


def test_a_post_is_never_sent_twice(serve, scripted):
    """A pooled connection that dies with the request on it: 502, and no second try."""
    posts = []

    def script(wire):
        wire.message()
        wire.send(plain())
        with contextlib.suppress(EOFError):
            posts.append(wire.message().start)

    upstream = scripted(script)
    proxy = serve(upstream.url)
    wire = connect(proxy.port)
    wire.send(get())
    wire.message()
    wire.send(request())
    assert wire.message().start.startswith(b"HTTP/1.1 502 ")
    assert len(posts) == 1
    assert upstream.connections == 1
    proxy.records(2)


def test_a_finished_stream_is_ok_even_if_the_client_leaves_right_after(serve, scripted):
    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD, chunk(token("a")), chunk(finish()), chunk(DONE), LAST_CHUNK)
        wire.ended(10)

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    wire.send(request())
    wire.head()
    wire.chunked()
    wire.reset()
    assert proxy.record()["outcome"] == "ok"
