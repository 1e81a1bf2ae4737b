"""Cases 40 to 43: WebSockets and other switches of protocol, through the built program."""

import base64
import hashlib
import os
import struct
import threading

import pytest
from harness.said import answer_plainly, get, plain
from harness.wire import Wire, connect, fields_of

OFFER = (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def accept_key(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def frame(opcode: int, payload: bytes, masked: bool) -> bytes:
    """A whole frame (RFC 6455 §5.2) with a 16-bit length."""
    head = struct.pack("!BBH", 0x80 | opcode, (0x80 if masked else 0) | 126, len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def read_frame(wire: Wire) -> tuple[int, bytes]:
    first, second, length = struct.unpack("!BBH", wire.exactly(4))
    mask = wire.exactly(4) if second & 0x80 else b"\0\0\0\0"
    return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(wire.exactly(length)))


def websocket_echo(wire: Wire) -> None:
    """A server that sends back each message, and answers a close."""
    key = fields_of(wire.head())[b"sec-websocket-key"]
    wire.send(SWITCHED[:-2] + b"Sec-WebSocket-Accept: " + accept_key(key) + b"\r\n\r\n")
    while True:
        opcode, payload = read_frame(wire)
        wire.send(frame(opcode, payload, masked=False))
        if opcode == 8:
            return


def test_case_40_a_websocket_conversation_passes_whole(serve, scripted):
    upstream = scripted(websocket_echo)
    proxy = serve(upstream.url)
    wire = connect(proxy.port)
    key = base64.b64encode(os.urandom(16))
    wire.send(get("/v1/realtime", *OFFER, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + key))
    head = wire.head()
    fields = fields_of(head)
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert fields[b"upgrade"] == b"websocket"
    assert fields[b"connection"].lower() == b"upgrade"
    assert fields[b"sec-websocket-accept"] == accept_key(key)
    sent = got = 0
    for size in (1, 125, 4000, 65535):
        payload = os.urandom(size)
        message = frame(2, payload, masked=True)
        wire.send(message)
        assert read_frame(wire) == (2, payload)
        sent += len(message)
        got += size + 4
    wire.send(frame(8, b"\x03\xe8", masked=True))
    assert read_frame(wire) == (8, b"\x03\xe8")
    assert wire.ended(10) == "fin"
    wire.close()
    record = proxy.record()
    assert (record["outcome"], record["stage"], record["status"]) == ("tunnelled", None, 101)
    assert (record["request_bytes"], record["response_bytes"]) == (sent + 10, got + 6)
    assert record["dialect"] is None
    assert upstream.failures.empty()


def test_case_40_early_bytes_of_both_sides_are_delivered_once(serve, scripted):
    gate = threading.Event()
    heard = []

    def script(wire):
        wire.head()
        assert gate.wait(10)
        assert wire.buffer == b"", "tunnelled before the 101"
        wire.send(SWITCHED + b"early down;")
        heard.append(wire.until(b"late up;"))
        wire.send(b"late down;")

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    wire.send(get("/", *OFFER) + b"early up;")
    gate.set()
    assert wire.head() == SWITCHED
    wire.send(b"late up;")
    assert wire.rest() == b"early down;late down;"
    wire.close()
    assert heard == [b"early up;late up;"]
    assert proxy.record()["outcome"] == "tunnelled"


@pytest.mark.parametrize("cut", [1, 12, 30, len(SWITCHED) - 1, len(SWITCHED), len(SWITCHED) + 1])
def test_case_40_a_101_cut_anywhere_is_followed_by_the_same_bytes(serve, scripted, cut):
    gate = threading.Event()

    def script(wire):
        wire.head()
        said = SWITCHED + b"behind"
        wire.send(said[:cut])
        gate.wait(0.2)
        wire.send(said[cut:])

    wire = connect(serve(scripted(script).url).port)
    wire.send(get("/", *OFFER))
    assert wire.rest() == SWITCHED + b"behind"
    wire.close()


def test_case_40_a_tunnels_connection_is_never_pooled(serve, scripted):
    def script(wire):
        while True:
            head = wire.head()
            if b"websocket" in head:
                wire.send(SWITCHED)
                wire.rest()
                return
            wire.send(plain(b"plain"))

    upstream = scripted(script)
    proxy = serve(upstream.url)
    other = connect(proxy.port)
    other.send(get())
    other.message()
    wire = connect(proxy.port)
    wire.send(get("/", *OFFER))
    assert wire.head() == SWITCHED
    wire.close()
    proxy.records(2)
    other.send(get())
    assert other.message().body == b"plain"
    assert [record["upstream_reused"] for record in proxy.records(3)] == [False, False, True]
    assert upstream.connections == 2


def test_case_41_an_upgrade_answered_with_200_tunnels_nothing(serve, scripted):
    upstream = scripted(answer_plainly)
    proxy = serve(upstream.url)
    wire = connect(proxy.port)
    wire.send(get("/ws", *OFFER) + get("/smuggled"))
    assert [wire.message().start for _ in range(2)] == [b"HTTP/1.1 200 OK"] * 2
    records = proxy.records(2)
    # The second request was read, judged and recorded like any other.
    assert [record["path"] for record in records] == ["/ws", "/smuggled"]
    assert [record["outcome"] for record in records] == ["ok", "ok"]
    assert upstream.connections == 2


@pytest.mark.parametrize("framing", [b"Content-Length: 38", b"Transfer-Encoding: chunked"])
def test_case_41_an_upgrade_with_a_body_stays_framed(serve, scripted, framing):
    inner = get("/admin")
    body = inner + b"." * (38 - len(inner))
    heads = []

    def script(wire):
        while True:
            try:
                heads.append(wire.message())
            except EOFError:
                return
            wire.send(plain())

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    sent = body if b"Length" in framing else b"26\r\n%s\r\n0\r\n\r\n" % body
    wire.send(b"GET /ws HTTP/1.1\r\nHost: a\r\n" + b"\r\n".join(OFFER) + b"\r\n" + framing + b"\r\n\r\n" + sent)
    assert wire.message().start == b"HTTP/1.1 200 OK"
    assert len(proxy.records(1)) == 1
    assert [(head.start, head.body) for head in heads] == [(b"GET /ws HTTP/1.1", body)]
    assert b"upgrade" not in heads[0].head.lower()


def test_case_42_an_h2c_offer_of_the_jdk_is_served_as_http_1_1(serve, scripted):
    heads = []

    def script(wire):
        heads.append(wire.message())
        wire.send(plain(b"served"))

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    wire.send(
        b"POST /v1/completions HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 15\r\nHost: a\r\n"
        b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\nUser-Agent: Java-http-client/21\r\n"
        b'Content-Type: application/json\r\n\r\n{"prompt":"hi"}'
    )
    assert wire.message().body == b"served"
    assert heads[0].body == b'{"prompt":"hi"}'
    assert heads[0].lines == [
        b"Content-Length: 15",
        b"Host: a",
        b"User-Agent: Java-http-client/21",
        b"Content-Type: application/json",
    ]
    assert proxy.record()["request_bytes"] == 15


@pytest.mark.parametrize("offer", [(), OFFER], ids=["unasked", "another-protocol"])
def test_case_43_a_101_that_was_not_asked_for_is_a_502(serve, scripted, offer):
    def script(wire):
        wire.head()
        wire.send(SWITCHED.replace(b"websocket", b"h2c") + b"secret")
        assert wire.ended(10) is not None

    upstream = scripted(script)
    proxy = serve(upstream.url)
    wire = connect(proxy.port)
    wire.send(get("/", *offer))
    answer = wire.rest()
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"secret" not in answer
    assert proxy.record()["outcome"] == "upstream_reset"
    assert upstream.failures.empty()


def test_a_tunnel_in_which_nothing_passes_ends(serve, scripted):
    def script(wire):
        wire.head()
        wire.send(SWITCHED)
        assert wire.ended(10) is not None

    upstream = scripted(script)
    proxy = serve(upstream.url, "--set", "timeouts.tunnel=300ms")
    wire = connect(proxy.port)
    wire.send(get("/", *OFFER))
    wire.head()
    assert wire.ended(10) is not None
    assert (proxy.record()["outcome"], proxy.record()["stage"]) == ("timeout", "streaming")


def test_tunnels_can_be_switched_off(serve, scripted):
    upstream = scripted(answer_plainly)
    proxy = serve(upstream.url, "--set", "forwarding.tunnels=")
    wire = connect(proxy.port)
    wire.send(get("/", *OFFER))
    wire.message()
    assert b"upgrade" not in upstream.wires[0].seen.lower()


def test_a_drain_bounds_tunnels(serve, scripted):
    def script(wire):
        wire.head()
        wire.send(SWITCHED)
        wire.rest()

    proxy = serve(scripted(script).url, "--set", "timeouts.drain=500ms")
    wire = connect(proxy.port)
    wire.send(get("/", *OFFER))
    wire.head()
    proxy.stop()
    assert wire.ended(10) is not None
    assert proxy.record()["outcome"] == "timeout"
