"""Nothing is gathered, held back or held whole: events, connections and what is too big to be measured."""

import threading
import time

from harness.said import DONE, STREAM_HEAD, answer_plainly, get, request, token
from harness.story import GET, OK, asked, every
from harness.wire import LAST_CHUNK, chunk, connect


def test_each_event_arrives_before_the_next_is_sent(serve, scripted):
    """Nothing is gathered: the upstream sends an event only when the client has the one before."""
    arrived = threading.Semaphore(0)
    texts = [str(number) for number in range(20)]

    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD)
        for text in texts:
            wire.send(chunk(token(text)))
            assert arrived.acquire(timeout=10)
        wire.send(LAST_CHUNK)

    upstream = scripted(script)
    wire = connect(serve(upstream.url).port)
    wire.send(request())
    wire.head()
    for text in texts:
        assert wire.exactly(int(wire.until(b"\r\n"), 16)) == token(text)
        wire.exactly(2)
        arrived.release()
    assert wire.until(LAST_CHUNK) == LAST_CHUNK
    assert upstream.failures.empty()


CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


def test_both_bodies_flow_at_once(teller):
    """Each part of the answer is made of a part of the request, before the next is sent."""

    def story(client, upstream):
        server = asked(client, upstream, CHUNKED_POST)
        server.send(CHUNKED_OK + b"\r\n")
        # A client that has not sent all of its request is not believed about where the next one begins.
        client.expect(CHUNKED_OK + b"Connection: close\r\n\r\n")
        for part in (b"one", b"two"):
            client.send(chunk(part))
            received = b""
            while received != part:
                received += server.one_chunk()
            server.send(chunk(part.upper()))
            received = b""
            while received != part.upper():
                received += client.one_chunk()
        client.send(LAST_CHUNK)
        assert server.one_chunk() == b"" and server.until(b"\r\n") == b"\r\n"
        server.send(LAST_CHUNK)
        assert client.chunked() == b""
        assert client.closed() == "fin"

    assert every(teller.tell(story), "outcome", "request_bytes", "response_bytes") == ("ok", 6, 6)


def test_an_http_1_0_client_that_asks_for_it_keeps_its_connection(teller):
    sent = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n"

    def story(client, upstream):
        server = asked(client, upstream, sent, GET)
        for _ in range(2):
            server.send(OK)
            client.expect(OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"))
            client.send(sent)
            server.expect(GET)
        server.send(OK)
        client.expect(OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"))

    assert every(teller.tell(story, records=3), "outcome") == "ok"


def test_thousands_of_pipelined_requests_are_answered_one_after_the_other(teller):
    count = 3000
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(count))

    def story(client, upstream):
        with client.sending(requests):
            server = upstream.accept()
            for number in range(count):
                assert server.message().start == b"GET /%d HTTP/1.1" % number
                server.send(OK)
            for _ in range(count):
                client.expect(OK)

    assert every(teller.tell_each([story], records=count), "outcome") == "ok"


def test_connections_are_kept_on_both_sides(serve, scripted):
    upstream = scripted(answer_plainly)
    proxy = serve(upstream.url)
    wire = connect(proxy.port)
    for _ in range(3):
        wire.send(get())
        wire.message()
    records = proxy.records(3)
    assert upstream.connections == 1
    assert [record["upstream_reused"] for record in records] == [False, True, True]


def test_a_ten_megabyte_event_passes_and_what_comes_behind_it_is_read(serve, scripted):
    huge = b'data: {"choices": [{"index": 0, "delta": {"content": "' + b"z" * (10 << 20) + b'"}}]}\n\n'

    def script(wire):
        wire.message()
        wire.sock.settimeout(60)
        wire.send(STREAM_HEAD, chunk(token("a")), chunk(huge), chunk(token("b")), chunk(DONE), LAST_CHUNK)
        wire.ended(10)

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    wire.send(request())
    wire.head()
    assert wire.chunked() == token("a") + huge + token("b") + DONE
    record = proxy.record()
    assert record["response_bytes"] == len(token("a") + huge + token("b") + DONE)
    assert (record["error"], record["outcome"], record["events"]) == (None, "ok", 3), record
    assert record["output_chars"] is None
    assert "zzz" not in proxy.log.read_text()


def test_small_writes_are_not_held_back(serve, scripted):
    """Case 5 of the ten: forty-millisecond steps mean that Nagle is on somewhere."""

    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD)
        for _ in range(50):
            wire.send(b"9\r\n", b"data: x\n\n", b"\r\n")
        wire.send(LAST_CHUNK)
        wire.ended(10)

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    started = time.monotonic()
    wire.send(request())
    wire.head()
    assert wire.chunked() == b"data: x\n\n" * 50
    assert time.monotonic() - started < 1.0
