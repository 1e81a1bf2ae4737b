"""Tunnels beyond cases 40 to 43: a real WebSocket conversation, their deadline, their drain, switching them off."""

import base64
import hashlib
import os
import struct

from harness.said import answer_plainly, get
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


def test_a_websocket_conversation_passes_whole(serve, scripted):
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
