"""Cases 44 to 47: whoever leaves, at whatever byte, the other side learns it at once and the record says who."""

import contextlib
import socket
import threading
import time

import pytest
from harness.said import STREAM_HEAD, token
from harness.story import GET, OK, asked, every
from harness.underway import CHAT
from harness.wire import chunk, connect

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
