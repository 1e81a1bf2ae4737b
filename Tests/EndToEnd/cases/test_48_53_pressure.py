"""Cases 48 to 53: slow peers, silent ones and big heads: memory stays, deadlines hold, nobody else is held up."""

import contextlib
import threading
import time

import pytest
from harness.process import eventually
from harness.said import DONE, STREAM_HEAD, finish, request, token
from harness.story import GET, UPSTREAM, Split, Teller, Upstream, answered, asked, every, refused
from harness.underway import CHAT, Underway
from harness.wire import LAST_CHUNK, chunk, connect, fields_of

BIG = 50 << 20


@pytest.fixture
def measured(tmp_path):
    """A teller whose proxy's memory is nobody else's, and its upstream's part outside of stories."""
    teller = Teller(tmp_path)
    yield teller, Upstream(teller.listener, Split(UPSTREAM))
    teller.close()


def test_case_48_a_reader_of_a_byte_at_a_time_holds_up_upstream_and_nobody_else(measured):
    """The big version, and its delays, are scripts/soak's."""
    teller, upstream = measured
    before = teller.proxy.resident_kib()
    reader = connect(teller.proxy.port)
    reader.send(request("GET", "/flood", b""))
    server = upstream.accept()
    server.head()
    server.sock.settimeout(60)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG
    flooding = threading.Thread(target=server.send, args=(head + b"y" * BIG,))
    flooding.start()
    assert reader.head() == head
    others = answered(GET)

    def story(client, upstream):
        reader.buffer += reader.sock.recv(1)
        others(client, upstream)

    assert every(teller.tell(story), "outcome") == "ok"
    time.sleep(0.5)
    held = teller.proxy.resident_kib() - before
    assert flooding.is_alive(), "50 MB went out with next to nobody reading"
    assert held < 16 << 10, f"{held} KiB held for a client that does not read"
    assert reader.exactly(BIG).count(b"y") == BIG
    flooding.join()
    flood = teller.records(1)[0]
    assert (flood["path"], flood["outcome"], flood["response_bytes"]) == ("/flood", "ok", BIG)
    assert flood["client_stalled_ms"] > 300
    reader.close()
    server.close()


def test_case_49_an_upload_that_upstream_does_not_take_is_not_held(measured):
    """The gigabyte is scripts/soak's."""
    teller, upstream = measured
    before = teller.proxy.resident_kib()
    body = b'{"messages": [{"role": "user", "content": "' + b"x" * (BIG - 100) + b'"}], "stream": true}'
    uploader = connect(teller.proxy.port)
    uploader.sock.settimeout(60)
    sending = threading.Thread(target=uploader.send, args=(request("POST", "/v1/chat/completions", body),))
    sending.start()
    server = upstream.accept()
    head = server.head()
    assert every(teller.tell(answered(GET)), "outcome") == "ok"
    time.sleep(0.5)
    held = teller.proxy.resident_kib() - before
    assert sending.is_alive(), "50 MB were taken with nobody to read them"
    assert held < 16 << 10, f"{held} KiB held of an upload nobody reads"
    assert server.exactly(int(fields_of(head)[b"content-length"])) == body
    sending.join()
    server.send(STREAM_HEAD, chunk(token("a")), chunk(finish()), chunk(DONE), LAST_CHUNK)
    assert uploader.response()[1].body.endswith(DONE)
    record = teller.records(1)[0]
    assert (record["outcome"], record["request_bytes"], record["response_model"]) == ("ok", len(body), "scripted")
    uploader.close()
    server.close()


def trickled(proxy, at_once: bytes, slowly: bytes) -> tuple[bytes, str]:
    """Sends a byte each 20 ms behind what it sends at once, until it is answered; gives that, and how it ended."""
    wire = connect(proxy.port)
    wire.send(at_once)
    wire.sock.settimeout(0.02)
    for byte in slowly:
        wire.send(bytes([byte]))
        with contextlib.suppress(TimeoutError):
            if wire._more():
                break
    return wire.seen, wire.ended(10)


def test_case_50_a_head_that_trickles_in_has_a_deadline(serve):
    proxy = serve("http://127.0.0.1:1", "--set", "timeouts.request_head=500ms")
    answer, ending = trickled(proxy, b"GET /x HTTP/1.1\r\n", b"X-Slow: loris\r\n" * 100)
    assert answer.startswith(b"HTTP/1.1 408 ") and ending == "fin"
    record = proxy.record()
    assert (record["outcome"], record["stage"], record["status"]) == ("timeout", "upload", 408)
    assert record["path"] == "/x"


POST_HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n"


def test_case_50_a_body_that_trickles_in_has_a_deadline(serve, scripted):
    """Each byte comes in time, and they are too slow together."""
    ended = []
    upstream = scripted(lambda wire: ended.append(wire.ended(30)))
    proxy = serve(upstream.url, "--set", "timeouts.request_body=1s", "--set", "limits.request_body_rate=10KiB")
    answer, ending = trickled(proxy, POST_HEAD, b"x" * 5000)
    assert answer.startswith(b"HTTP/1.1 408 ") and ending == "fin"
    record = proxy.record()
    assert (record["outcome"], record["stage"], record["status"]) == ("timeout", "upload", 408)
    eventually(lambda: ended)
    assert ended != [None]


def test_case_50_a_body_that_stops_coming_has_a_deadline(serve, scripted):
    ended = []
    upstream = scripted(lambda wire: ended.append(wire.ended(30)))
    proxy = serve(upstream.url, "--set", "timeouts.request_body=500ms")
    wire = connect(proxy.port)
    wire.send(POST_HEAD + b"hello")
    assert wire.head().startswith(b"HTTP/1.1 408 ")
    assert wire.ended(10) == "fin"
    assert proxy.record()["outcome"] == "timeout"
    eventually(lambda: ended)
    assert ended != [None]


def test_case_50_a_request_that_stops_at_any_byte_is_told_so(teller_with):
    def story(client, upstream):
        stopped = [client, *(client.another() for _ in range(len(CHAT) - 2))]
        for at, each in enumerate(stopped, start=1):
            each.send(CHAT[:at])
            each.wait_until_read()
            if b"\r\n\r\n" in CHAT[:at]:
                upstream.accept()
        for each in stopped:
            each.refused(408)
        for server in upstream.peers:
            received, _ = server.rest_and_ending()
            assert CHAT.startswith(received) and received != CHAT

    settings = ("--set", "timeouts.request_head=1s", "--set", "timeouts.request_body=1s")
    records = teller_with(*settings).tell_each([story], records=len(CHAT) - 1)
    assert every(records, "outcome", "stage", "status") == ("timeout", "upload", 408)


def pinging(tokens: int, pings: int):
    """A script: a stream of so many tokens, then so many comments and pings 100 ms apart, then silence."""

    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD, *[chunk(token("x"))] * tokens)
        for _ in range(pings):
            if wire.ended(0.1):
                return
            wire.send(chunk(b": still here\n\n"), chunk(b"event: ping\ndata: {}\n\n"))
        wire.ended(30)

    return script


def cut_stream(serve, scripted, script, *settings: str) -> tuple[bytes, dict]:
    """What a client gets of a stream that does not go on, and its record."""
    proxy = serve(scripted(script).url, *settings)
    wire = connect(proxy.port)
    wire.send(CHAT)
    assert wire.ended(60) is not None
    assert not wire.seen.endswith(LAST_CHUNK)
    return wire.seen, proxy.record()


def test_case_51_silence_between_reads_is_bounded_and_comments_are_no_silence(serve, scripted):
    pings = 25
    received, record = cut_stream(serve, scripted, pinging(2, pings), "--set", "timeouts.between_reads=1500ms")
    assert received.count(b": still here") == pings
    assert (record["outcome"], record["events"], record["output_tokens"]) == ("timeout", 2, 2)


def test_case_51_a_gap_between_tokens_is_bounded_and_comments_do_not_fill_it(serve, scripted):
    received, record = cut_stream(serve, scripted, pinging(2, 300), "--set", "timeouts.between_tokens=1s")
    assert 0 < received.count(b": still here") < 300
    assert (record["outcome"], record["stage"], record["events"]) == ("timeout", "streaming", 2)


def test_case_51_the_wait_for_the_first_token_is_bounded_and_comments_do_not_end_it(serve, scripted):
    received, record = cut_stream(serve, scripted, pinging(0, 300), "--set", "timeouts.first_token=1s")
    assert 0 < received.count(b": still here") < 300
    assert (record["outcome"], record["stage"], record["ttft_ms"]) == ("timeout", "waiting", None)


def test_case_51_by_default_a_gap_at_any_byte_may_be_as_long_as_it_likes(measured):
    """Prefill takes minutes, and so can a tool's call; only whoever runs the server knows how many."""
    teller, upstream = measured
    underway = Underway(teller.proxy.port, upstream)
    time.sleep(2)
    underway.go_on()
    for peer in underway.clients + upstream.peers:
        peer.close()
    records = teller.records(underway.count)
    assert every(records, "outcome") == "ok"


def head_limits(teller, statuses_by_request: list[tuple[bytes, int]]) -> None:
    for sent, status in statuses_by_request:
        records = teller.tell(refused(sent, status))
        assert every(records, "outcome", "status") == ("rejected", status)


def test_case_52_heads_and_targets_have_a_limit(teller):
    head_limits(
        teller,
        [
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: yyy\r\n" * 12_500 + b"\r\n", 431),
            (b"GET /" + b"x" * 65536 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        ],
    )


def test_case_52_a_smaller_limit_holds_at_every_byte(teller_with):
    head_limits(
        teller_with("--set", "limits.request_head_bytes=1KiB"),
        [(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1024 + b"\r\n\r\n", 431)],
    )


def test_case_52_a_responses_head_has_a_limit(teller):
    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send_as_it_can(b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20) + b"\r\nContent-Length: 0\r\n\r\n")
        client.refused(502)
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome", "status") == ("upstream_invalid", 502)


def test_case_53_a_streams_head_is_passed_on_before_its_body_comes(teller):
    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send(STREAM_HEAD)
        client.expect(STREAM_HEAD)
        server.send(chunk(DONE) + LAST_CHUNK)
        assert client.chunked() == DONE

    assert every(teller.tell(story), "outcome") == "ok"


def test_case_53_so_is_the_head_of_a_body_with_a_length(teller):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send(head)
        client.expect(head)
        for byte in b"hello":
            server.send(bytes([byte]))
            client.expect(bytes([byte]))

    assert every(teller.tell(story), "outcome") == "ok"
