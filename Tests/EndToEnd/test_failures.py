"""Whoever fails, the other side learns it at once and the record says who: clients that leave, upstreams that break."""

import threading

import pytest

from harness.llama import free_port
from harness.said import DONE, STREAM_HEAD, finish, plain, request, token
from harness.wire import LAST_CHUNK, chunk, connect, fields_of

LEAVING = {"fin": lambda wire: wire.finish(), "close": lambda wire: wire.close(), "rst": lambda wire: wire.reset()}


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
