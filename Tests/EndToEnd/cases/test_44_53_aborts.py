"""Cases 44 to 53: whoever leaves, stalls or overdoes it, the other side learns it at once and the record says who."""

import contextlib
import socket
import threading
import time

import pytest
from harness.process import eventually
from harness.said import DONE, STREAM_HEAD, finish, request, token
from harness.story import GET, OK, UPSTREAM, Split, Teller, Upstream, answered, asked, every, refused
from harness.underway import CHAT, Underway
from harness.wire import LAST_CHUNK, chunk, connect, fields_of

LEAVING = {"fin": lambda peer: peer.finish(), "close": lambda peer: peer.close(), "rst": lambda peer: peer.reset()}


@pytest.mark.parametrize("leaving", LEAVING)
def test_case_44_a_client_that_leaves_at_any_byte_of_its_request(teller, leaving):
    """Upstream may have got some of it, but never a whole request, and is closed."""
    head = CHAT.index(b"\r\n\r\n") + 4

    def leave_after(count: int):
        def story(client, upstream):
            client.send(CHAT[:count])
            client.wait_until_read()
            LEAVING[leaving](client)
            if count >= head:
                received, _ = upstream.accept().rest_and_ending()
                assert CHAT.startswith(received) and len(received) < len(CHAT)

        return story

    records = teller.tell_each(leave_after(count) for count in range(1, len(CHAT)))
    assert every(records, "outcome", "stage", "status") == ("client_cancelled", "upload", None)


@pytest.mark.parametrize("leaving", LEAVING)
def test_case_44_a_client_that_leaves_while_it_waits(teller, leaving):
    took = []

    def story(client, upstream):
        server = asked(client, upstream, CHAT)
        left_at = time.monotonic()
        LEAVING[leaving](client)
        assert server.closed() in ("fin", "rst")
        took.append(time.monotonic() - left_at)

    records = teller.tell(story)
    assert every(records, "outcome", "stage", "ttft_ms") == ("client_cancelled", "waiting", None)
    assert all(record["waited_ms"] is not None for record in records)
    assert sorted(took)[len(took) // 2] < 1.0


@pytest.mark.parametrize("leaving", LEAVING)
def test_case_44_a_client_that_leaves_in_mid_stream(teller, leaving):
    took = []

    def story(client, upstream):
        server = asked(client, upstream, CHAT)
        server.send(STREAM_HEAD + chunk(token("a")))
        server.send(chunk(token("b")))
        assert client.head() == STREAM_HEAD
        received = b""
        while not received.endswith(token("a") + token("b")):
            received += client.one_chunk()
        left_at = time.monotonic()
        LEAVING[leaving](client)
        assert server.closed() in ("fin", "rst")
        took.append(time.monotonic() - left_at)

    records = teller.tell(story)
    assert every(records, "outcome", "stage") == ("client_cancelled", "streaming")
    assert every(records, "events", "output_tokens", "tokens_from") == (2, 2, "events")
    assert sorted(took)[len(took) // 2] < 1.0


def test_case_44_a_client_that_leaves_while_upstream_is_paused(serve, scripted):
    """Backpressure has paused upstream: the client's reset must be seen all the same."""
    flooding, left, ended = threading.Event(), threading.Event(), []

    def flood(wire):
        wire.message()
        wire.send(STREAM_HEAD)
        wire.sock.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                wire.send(chunk(token("x" * 4000)))
        flooding.set()
        ended.append(wire.ended(10))
        left.set()

    proxy = serve(scripted(flood).url)
    wire = connect(proxy.port)
    wire.send(CHAT)
    assert flooding.wait(20)
    left_at = time.monotonic()
    wire.reset()
    assert left.wait(10) and ended != [None]
    assert time.monotonic() - left_at < 1.0, "the upstream was not told within a second"
    record = proxy.record()
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "streaming")
    assert record["client_stalled_ms"] > 0


def test_case_44_a_client_that_leaves_while_connecting(serve):
    """A listener whose queue is full leaves the proxy's connect hanging."""
    with socket.socket() as listener, contextlib.ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        proxy = serve(f"http://127.0.0.1:{listener.getsockname()[1]}")
        wire = connect(proxy.port)
        wire.send(CHAT)
        wire.wait_until_read()
        wire.reset()
        record = proxy.record()
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "connecting")


def test_case_44_a_client_that_leaves_the_queue(teller_with):
    """It gives up its place: upstream never hears of it, and whoever waits behind it moves up."""

    def story(client, upstream):
        server = asked(client, upstream, CHAT)
        leaving, staying = client.another(), client.another()
        for waiting in (leaving, staying):
            waiting.send(CHAT)
            waiting.wait_until_read()
        leaving.reset()
        server.send(OK)
        client.expect(OK)
        server.expect(CHAT)
        server.send(OK)
        staying.expect(OK)

    records = teller_with("--set", "limits.in_flight=1").tell(story, records=3)
    left = [record for record in records if record["outcome"] != "ok"]
    assert len(left) * 3 == len(records)
    assert every(left, "outcome", "stage", "status") == ("client_cancelled", "connecting", None)


def test_case_45_a_client_that_ends_its_side_has_left(teller):
    def story(client, upstream):
        client.send(CHAT)
        client.finish()
        server = upstream.accept()
        received, _ = server.rest_and_ending()
        assert CHAT.startswith(received)
        assert client.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome", "status") == ("client_cancelled", None)


def test_case_45_a_client_that_ends_its_side_is_answered_where_that_is_set(teller_with):
    def story(client, upstream):
        client.send(CHAT)
        client.finish()
        server = upstream.accept()
        server.expect(CHAT)
        server.send(OK)
        assert client.response()[1].body == b"ok"
        assert client.closed() == "fin"

    teller = teller_with("--set", "forwarding.half_close=finish")
    assert every(teller.tell(story), "outcome", "status") == ("ok", 200)


FRAMED = {
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
}


def cut_at_any_byte(teller, final: bytes, leaving: str, version: bytes = b"1.1", interim: bytes = b"") -> None:
    """The upstream leaves after each number of bytes of its answer: the client never takes what it got for whole."""
    answer = interim + final
    head = len(interim) + final.index(b"\r\n\r\n") + 4
    sent = GET.replace(b"1.1", version)

    def leave_after(count: int):
        def story(client, upstream):
            server = asked(client, upstream, sent, GET)
            server.send(answer[:count])
            server.wait_until_read()
            server.finish() if leaving == "fin" else server.reset()
            if count < head:
                return client.refused(502)
            received, ending = client.rest_and_ending()
            delivered_head, _, body = received.removeprefix(interim).partition(b"\r\n\r\n")
            assert b"\r\n0\r\n" not in received and len(body) < len(answer) - head
            # Only a reset tells a client whose body the close delimits that this was not its end.
            framed = b"Content-Length" in delivered_head or b"chunked" in delivered_head
            assert framed or ending == "rst"

        return story

    for count, record in enumerate(teller.tell_each(leave_after(count) for count in range(len(answer)))):
        expected = ("upstream_reset", 502) if count < head else ("truncated", 200)
        assert (record["outcome"], record["status"]) == expected, f"cut after {count} bytes"


@pytest.mark.parametrize("leaving", ["fin", "rst"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_case_46_a_response_cut_at_any_byte_of_its_chunks_never_looks_whole(teller, leaving, version):
    cut_at_any_byte(teller, FRAMED["chunked"], leaving, version)


@pytest.mark.parametrize("leaving", ["fin", "rst"])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_case_47_a_response_cut_at_any_byte_of_its_length_never_looks_whole(teller, leaving, version):
    cut_at_any_byte(teller, FRAMED["length"], leaving, version)


@pytest.mark.parametrize("leaving", ["fin", "rst"])
def test_case_13_interim_responses_and_a_final_one_cut_at_any_byte_never_look_whole(teller, leaving):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    cut_at_any_byte(teller, FRAMED["length"], leaving, interim=hints)


def test_case_47_a_body_that_the_close_ends_and_a_reset_cut_never_looks_whole(teller):
    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        server.wait_until_read()
        server.reset()
        received, _ = client.rest_and_ending()
        assert b"hello" in received.replace(b"\r\n1\r\n", b"") or b"chunked" in received
        assert b"0\r\n\r\n" not in received

    assert every(teller.tell(story), "outcome") == "truncated"


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

    assert every(teller.tell(story), "outcome", "status") == ("upstream_reset", 502)


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
