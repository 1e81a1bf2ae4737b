"""Tunnels beyond cases 40 to 43: real WebSockets, their deadline, their drain, their ends, switching them off."""

import base64
import contextlib
import hashlib
import os
import pathlib
import shutil
import struct
import subprocess
import threading
import time

import pytest
from harness.said import answer_plainly, get, plain
from harness.wire import Wire, connect, fields_of

OFFER = (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def accept_key(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def frame(opcode: int, payload: bytes, masked: bool) -> bytes:
    """A whole frame (RFC 6455 §5.2)."""
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        head = struct.pack("!BB", 0x80 | opcode, mask_bit | len(payload))
    else:
        head = struct.pack("!BBH", 0x80 | opcode, mask_bit | 126, len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def read_frame(wire: Wire) -> tuple[int, bytes]:
    first, second = wire.exactly(2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", wire.exactly(2))
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
    for size in (1, 125, 126, 65535):
        message = frame(2, os.urandom(size), masked=True)
        wire.send(message)
        opcode, payload = read_frame(wire)
        assert (opcode, len(payload)) == (2, size)
        sent += len(message)
        got += len(frame(2, payload, masked=False))
    wire.send(frame(8, b"\x03\xe8", masked=True))
    assert read_frame(wire) == (8, b"\x03\xe8")
    assert wire.ended(10) == "fin"
    wire.close()
    record = proxy.record()
    assert (record["outcome"], record["stage"], record["status"]) == ("tunnelled", None, 101)
    assert (record["request_bytes"], record["response_bytes"]) == (sent + 8, got + 4)
    assert record["dialect"] is None
    assert upstream.failures.empty()


@pytest.mark.skipif(not shutil.which("java"), reason="the JDK is not installed")
def test_case_42_the_jdks_client_is_served_its_post_and_its_websocket(serve, scripted):
    heads = []

    def script(wire):
        while True:
            try:
                head = wire.head()
            except EOFError:
                return
            heads.append(head)
            wire.buffer = head + wire.buffer
            if b"websocket" in head:
                with contextlib.suppress(EOFError, ConnectionError):
                    websocket_echo(wire)
                return
            wire.send(plain(wire.message().body))

    upstream = scripted(script)
    proxy = serve(upstream.url)
    program = pathlib.Path(__file__).parent / "harness" / "Jdk.java"
    said = subprocess.run(["java", program, str(proxy.port)], capture_output=True, text=True, timeout=100)
    assert said.stdout.splitlines() == [
        'HTTP_1_1 200 {"prompt": "0"}',
        'HTTP_1_1 200 {"prompt": "1"}',
        "over the tunnel",
    ], said.stderr
    assert [b"upgrade" in head.lower() for head in heads] == [False, False, True]
    records = proxy.records(3)
    assert [record["status"] for record in records] == [200, 200, 101]
    assert records[2]["request_bytes"] == len(frame(1, b"over the tunnel", masked=True))
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


def end_of_server(wire: Wire, way: str) -> None:
    wire.head()
    if way == "gone before the 101":
        wire.ended(20)
        return
    wire.send(SWITCHED)
    if way == "gone under a flood":
        with contextlib.suppress(ConnectionError):
            wire.send(b"x" * (8 << 20))
    elif way == "reset by the server":
        wire.exactly(1000)
        wire.reset()
    elif way == "ended by the client":
        assert wire.rest() == b"all"
        wire.send(b"answer")
    elif way == "ended by the server":
        wire.finish()
        assert wire.rest() == b"all"
    else:
        sending = threading.Thread(target=wire.send, args=(b"d" * (1 << 20),))
        sending.start()
        assert wire.exactly(1 << 20) == b"u" * (1 << 20)
        sending.join()


def end_of_client(wire: Wire, way: str) -> None:
    wire.send(get("/" + way.replace(" ", "-"), *OFFER))
    if way == "gone before the 101":
        wire.reset()
        return
    wire.head()
    if way == "gone under a flood":
        wire.exactly(1000)
        wire.reset()
    elif way == "reset by the server":
        with contextlib.suppress(ConnectionError):
            wire.send(b"y" * (8 << 20))
    elif way == "ended by the client":
        wire.send(b"all")
        wire.finish()
        assert wire.rest() == b"answer"
    elif way == "ended by the server":
        assert wire.rest() == b""
        wire.send(b"all")
    else:
        sending = threading.Thread(target=wire.send, args=(b"u" * (1 << 20),))
        sending.start()
        assert wire.exactly(1 << 20) == b"d" * (1 << 20)
        sending.join()
    wire.close()


def test_tunnels_that_end_in_any_way_leave_nothing_behind(serve, scripted):
    ways = {
        "gone before the 101": ("client_cancelled", "upload connecting waiting"),
        "gone under a flood": ("client_cancelled", "streaming"),
        "reset by the server": ("upstream_reset", "streaming"),
        "ended by the client": ("tunnelled", "None"),
        "ended by the server": ("tunnelled", "None"),
        "flooded both ways": ("tunnelled", "None"),
    }
    rounds = 15

    def script(wire):
        # The one that will be asked for is known by its path, which is read again.
        try:
            head = wire.head()
        except EOFError:
            # Its client was gone before the connection stood.
            return
        wire.buffer = head + wire.buffer
        end_of_server(wire, head.split()[1][1:].decode().replace("-", " "))

    upstream = scripted(script)
    proxy = serve(upstream.url)
    before = len(os.listdir(f"/proc/{proxy.child.process.pid}/fd"))
    failures = []

    def run(way):
        try:
            for _ in range(rounds):
                end_of_client(connect(proxy.port), way)
        except Exception as error:
            failures.append((way, error))

    threads = [threading.Thread(target=run, args=(way,)) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [upstream.failures.get() for _ in range(upstream.failures.qsize())] == []
    records = proxy.records(rounds * len(ways), timeout=30)
    for record in records:
        outcome, stages = ways[record["path"][1:].replace("-", " ")]
        assert record["outcome"] == outcome, record
        assert str(record["stage"]) in stages, record
    deadline = time.monotonic() + 10
    while len(os.listdir(f"/proc/{proxy.child.process.pid}/fd")) > before:
        assert time.monotonic() < deadline, "descriptors are left behind"
        time.sleep(0.05)
