"""What goes in comes out: heads, bodies and framings, byte by byte where HTTP lets them stay."""

import hashlib
import socket
import threading
import time

import pytest
from harness.said import (
    DONE,
    STREAM_HEAD,
    answer_plainly,
    finish,
    get,
    plain,
    request,
    stream_of,
    token,
    usage,
)
from harness.wire import LAST_CHUNK, chunk, connect, fields_of


def field_lines(head: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values in their order; the blanks around a value are not part of it (RFC 9110 §5.5)."""
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:-2])
    return [(name, value.strip(b" \t")) for name, _, value in lines]


def keep_heads(answer: bytes, heads: list[bytes]):
    """A script that keeps each request's head and body and gives the same answer."""

    def script(wire):
        while True:
            try:
                message = wire.message()
            except EOFError:
                return
            heads.append(message)
            wire.send(answer)

    return script


AWKWARD = (
    b"hOsT: proxied",
    b"X-Repeated: one",
    b"x-lower: \xe9\xff obs-text",
    b"X-Repeated: two",
    b"X-Empty:",
    b"Accept-Encoding: gzip, br",
    b"Authorization: Bearer some-key",
    b"Cookie: a=b; c=d",
    b"X-Spaces: a  b\tc",
)


def test_a_requests_head_keeps_order_case_and_bytes(serve, scripted):
    heads = []
    upstream = scripted(keep_heads(plain(), heads))
    wire = connect(serve(upstream.url).port)
    sent = b"PUT /a/%7Eb?c=d%20e&f HTTP/1.1\r\n" + b"\r\n".join(AWKWARD) + b"\r\nContent-Length: 3\r\n\r\n"
    wire.send(sent, b"abc")
    wire.message()
    assert heads[0].start == b"PUT /a/%7Eb?c=d%20e&f HTTP/1.1"
    assert field_lines(heads[0].head) == field_lines(sent)
    assert heads[0].body == b"abc"


def test_a_responses_head_keeps_order_case_and_bytes(serve, scripted):
    lines = [b"HTTP/1.1 299 Quite \xe9 Fine", b"seRver: x", *AWKWARD[1:], b"Content-Length: 2"]
    answer = b"\r\n".join(lines) + b"\r\n\r\nok"
    upstream = scripted(keep_heads(answer, []))
    wire = connect(serve(upstream.url).port)
    wire.send(get())
    message = wire.message()
    assert message.start.startswith(b"HTTP/1.1 299 ")
    assert field_lines(message.head) == field_lines(answer.split(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert message.body == b"ok"


def test_hop_by_hop_fields_stay_on_their_hop(serve, scripted):
    heads = []
    answer = plain(b"{}", b"Connection: X-S", b"X-S: gone", b"Keep-Alive: timeout=5", b"X-Stays: here")
    upstream = scripted(keep_heads(answer, heads))
    wire = connect(serve(upstream.url).port)
    hop = (b"Connection: keep-alive, X-A", b"X-A: 1", b"Keep-Alive: 5", b"Proxy-Connection: x", b"TE: trailers")
    wire.send(get("/", *hop, b"X-B: 2"))
    message = wire.message()
    upstream_saw = fields_of(heads[0].head)
    assert not {b"x-a", b"keep-alive", b"proxy-connection"} & set(upstream_saw)
    assert upstream_saw[b"x-b"] == b"2"
    client_saw = fields_of(message.head)
    assert not {b"x-s", b"keep-alive"} & set(client_saw)
    assert client_saw[b"x-stays"] == b"here"


def test_connection_cannot_name_fields_that_matter(serve, scripted):
    heads = []
    upstream = scripted(keep_heads(plain(), heads))
    wire = connect(serve(upstream.url).port)
    named = b"Connection: Host, Content-Length, X-Forwarded-For"
    wire.send(request("POST", "/", b"abc", named, b"X-Forwarded-For: 1.2.3.4"))
    wire.message()
    fields = fields_of(heads[0].head)
    assert fields[b"host"] == b"proxied"
    assert fields[b"x-forwarded-for"] == b"1.2.3.4"
    assert heads[0].body == b"abc"


def test_nothing_is_added_to_a_request(serve, scripted):
    heads = []
    upstream = scripted(keep_heads(plain(), heads))
    wire = connect(serve(upstream.url).port)
    wire.send(get())
    wire.message()
    assert {name.lower() for name, _ in field_lines(heads[0].head)} <= {b"host", b"connection"}


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_a_status_without_a_body_ends_with_its_head(serve, scripted, status):
    answer = b"HTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n"
    upstream = scripted(keep_heads(answer, []))
    proxy = serve(upstream.url)
    wire = connect(proxy.port)
    for _ in range(2):
        wire.send(get())
        head = wire.head()
        assert head.startswith(b"HTTP/1.1 " + status[:3])
        assert fields_of(head)[b"etag"] == b"x"
    assert [record["status"] for record in proxy.records(2)] == [int(status[:3])] * 2


def test_head_gets_the_head_of_get(serve, scripted):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    upstream = scripted(keep_heads(answer, []))
    wire = connect(serve(upstream.url).port)
    for _ in range(2):
        wire.send(request("HEAD", "/", b""))
        assert fields_of(wire.head())[b"content-length"] == b"1000"
    assert wire.buffer == b""


def test_interim_responses_reach_the_client_before_the_final_one(serve, scripted):
    gate = threading.Event()

    def script(wire):
        wire.message()
        wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        assert gate.wait(10)
        wire.send(plain(b"done"))

    wire = connect(serve(scripted(script).url).port)
    wire.send(get())
    assert wire.head().startswith(b"HTTP/1.1 103 ")
    gate.set()
    assert wire.message().body == b"done"


def test_expect_100_is_answered_by_the_upstream(serve, scripted):
    def script(wire):
        head = wire.head()
        assert fields_of(head)[b"expect"] == b"100-continue"
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert wire.exactly(5) == b"hello"
        wire.send(plain(b"done"))

    upstream = scripted(script)
    wire = connect(serve(upstream.url).port)
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert wire.head().startswith(b"HTTP/1.1 100 ")
    wire.send(b"hello")
    assert wire.message().body == b"done"
    assert upstream.failures.empty()


def close_delimited(wire):
    wire.message()
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", b"all ", b"of it")


def test_a_close_delimited_body_is_chunked_for_http_1_1(serve, scripted):
    proxy = serve(scripted(close_delimited).url)
    wire = connect(proxy.port)
    for _ in range(2):
        wire.send(get())
        assert b"chunked" in fields_of(wire.head())[b"transfer-encoding"]
        assert wire.chunked() == b"all of it"
    assert [record["outcome"] for record in proxy.records(2)] == ["ok", "ok"]


def test_a_close_delimited_body_ends_by_closing_for_http_1_0(serve, scripted):
    wire = connect(serve(scripted(close_delimited).url).port)
    wire.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    head = wire.head()
    assert b"transfer-encoding" not in fields_of(head)
    assert wire.rest() == b"all of it"


def test_a_chunked_body_is_laid_bare_for_http_1_0(serve, scripted):
    wire = connect(serve(scripted(stream_of(["a", "b"])).url).port)
    wire.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    head = wire.head()
    assert b"transfer-encoding" not in fields_of(head)
    assert wire.rest() == token("a") + token("b") + finish() + usage(5, 2) + DONE


def test_a_chunked_upload_arrives_whole(serve, scripted):
    heads = []
    wire = connect(serve(scripted(keep_heads(plain(), heads)).url).port)
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for part in (b"one ", b"two ", b"three"):
        wire.send(chunk(part))
    wire.send(LAST_CHUNK)
    wire.message()
    assert heads[0].body == b"one two three"


def test_the_head_arrives_before_the_body_does(serve, scripted):
    gate = threading.Event()

    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD)
        assert gate.wait(10)
        wire.send(chunk(DONE), LAST_CHUNK)

    wire = connect(serve(scripted(script).url).port)
    wire.send(request())
    assert wire.head().startswith(b"HTTP/1.1 200 ")
    gate.set()
    assert wire.chunked() == DONE


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


def test_pipelined_requests_are_answered_in_order(serve, scripted):
    def script(wire):
        while True:
            try:
                message = wire.message()
            except EOFError:
                return
            wire.send(plain(message.start.split()[1]))

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    wire.send(get("/1") + get("/2") + get("/3"))
    assert [wire.message().body for _ in range(3)] == [b"/1", b"/2", b"/3"]
    assert [record["path"] for record in proxy.records(3)] == ["/1", "/2", "/3"]


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    ],
    ids=[
        "length-and-chunked",
        "two-lengths",
        "gzip-chunked",
        "no-host",
        "two-hosts",
        "space-colon",
        "bare-lf",
        "http-2.0",
    ],
)
def test_an_ambiguous_request_is_refused_and_never_forwarded(serve, scripted, sent):
    upstream = scripted(answer_plainly)
    proxy = serve(upstream.url)
    wire = connect(proxy.port)
    wire.send(sent)
    assert wire.head().split()[1] in (b"400", b"501", b"505")
    assert wire.ended(5) is not None
    assert upstream.connections == 0
    assert proxy.record()["outcome"] == "rejected"


def test_a_fifty_megabyte_upload_streams_through(serve, scripted):
    size = 50 << 20
    body = b'{"messages": [{"role": "user", "content": "' + b"x" * (size - 100)
    body += b'"}], "stream": true, "model": "asked"}'
    reading = threading.Event()
    seen = {}

    def script(wire):
        head = wire.head()
        assert reading.wait(20)
        left = int(fields_of(head)[b"content-length"])
        digest = hashlib.sha256(wire.buffer)
        left -= len(wire.buffer)
        while left:
            data = wire.sock.recv(min(left, 1 << 20))
            digest.update(data)
            left -= len(data)
        seen["digest"] = digest.digest()
        wire.send(STREAM_HEAD, chunk(token("a")), chunk(finish()), chunk(DONE), LAST_CHUNK)

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    before = proxy.resident_kib()
    wire.sock.settimeout(60)
    sending = threading.Thread(target=wire.send, args=(request("POST", "/v1/chat/completions", body),))
    sending.start()
    # While the upstream reads nothing the client's socket must stop taking bytes: what the proxy holds stays small.
    time.sleep(0.5)
    held = proxy.resident_kib() - before
    reading.set()
    sending.join()
    wire.head()
    assert wire.chunked().endswith(DONE)
    assert seen["digest"] == hashlib.sha256(body).digest()
    assert held < 16 << 10, f"{held} KiB held of an upload nobody reads"
    record = proxy.record()
    assert record["outcome"] == "ok"
    assert record["request_bytes"] == len(body)
    assert record["response_model"] == "scripted"


def test_a_reader_that_stops_pauses_the_upstream(serve, scripted):
    size = 50 << 20
    sent = threading.Event()

    def script(wire):
        wire.message()
        wire.sock.settimeout(60)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, b"y" * size)
        sent.set()
        wire.ended(10)

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    before = proxy.resident_kib()
    wire.send(get())
    wire.head()
    assert not sent.wait(0.7), "50 MB went out with nobody reading"
    held = proxy.resident_kib() - before
    assert wire.exactly(size).count(b"y") == size
    assert held < 16 << 10, f"{held} KiB held for a client that does not read"
    record = proxy.record()
    assert record["outcome"] == "ok"
    assert record["response_bytes"] == size
    assert record["client_stalled_ms"] > 300


def test_a_ten_megabyte_event_passes_and_measuring_stops(serve, scripted):
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
    assert "measuring" in (record["error"] or ""), record
    assert record["tpot_ms"] is None
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
    wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    started = time.monotonic()
    wire.send(request())
    wire.head()
    assert wire.chunked() == b"data: x\n\n" * 50
    assert time.monotonic() - started < 1.0
