"""That a request's model and user are found whatever its length, order and coding, and that damage is said and not guessed over."""

import ctypes
import gzip
import zlib

import pytest

from harness.said import plain, request
from harness.wire import Wire, connect

IMAGE = b'"image":"' + b"QUJD" * (700 << 10) + b'"'
NAMES = b'"model":"m","user":"ann"'
MESSAGES = b'"messages":[{"role":"user","content":"hi \\" } ] \\\\"}]'
KEY = b"Authorization: Bearer sk-1"


def deflated(body: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(wbits=bits)
    return packer.compress(body) + packer.flush()


def zstd(body: bytes) -> bytes:
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    room = ctypes.create_string_buffer(library.ZSTD_compressBound(ctypes.c_size_t(len(body))))
    size = library.ZSTD_compress(room, ctypes.c_size_t(len(room)), body, ctypes.c_size_t(len(body)), 3)
    return room.raw[:size]


def brotli(body: bytes) -> bytes:
    library = ctypes.CDLL("libbrotlienc.so.1")
    room = ctypes.create_string_buffer(len(body) + 1024)
    size = ctypes.c_size_t(len(room))
    assert library.BrotliEncoderCompress(5, 22, 0, ctypes.c_size_t(len(body)), body, ctypes.byref(size), room) == 1
    return room.raw[: size.value]


def of(*members: bytes) -> bytes:
    return b"{" + b",".join(members) + b"}"


def ask(proxy, seen: list[bytes], body: bytes, *fields: bytes) -> dict:
    """The record of one request, whose body upstream must have received as it is."""
    before = len(proxy.records(len(seen)))
    wire = connect(proxy.port)
    wire.send(request("POST", "/v1/chat/completions", body, *fields))
    wire.message()
    wire.close()
    assert seen[-1] == body
    return proxy.records(before + 1)[-1]


@pytest.fixture
def read(serve, scripted):
    """Asks a proxy, and gives what the record says of the request."""
    seen: list[bytes] = []

    def upstream(wire: Wire) -> None:
        while True:
            try:
                seen.append(wire.message().body)
            except EOFError:
                return
            wire.send(plain())

    proxy = serve(scripted(upstream).url)
    return lambda body, *fields: ask(proxy, seen, body, *fields)


def facts(record: dict) -> tuple:
    return record["model"], record["user"], record["user_from"], record["request_read"]


@pytest.mark.parametrize(
    "body",
    [of(NAMES, MESSAGES, IMAGE), of(MESSAGES, IMAGE, NAMES), of(b'"user":"ann"', IMAGE, MESSAGES, b'"model":"m"')],
    ids=["first", "last", "around"],
)
def test_a_long_request_keeps_its_model_and_user(read, body):
    record = read(body)
    assert facts(record) == ("m", "ann", "body:user", "whole") and record["error"] is None
    assert record["request_bytes"] == len(body)


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"gzip", gzip.compress),
        (b"x-gzip", gzip.compress),
        (b"deflate", zlib.compress),
        (b"deflate", lambda body: deflated(body, -15)),
        (b"br", brotli),
        (b"zstd", zstd),
    ],
    ids=["gzip", "x-gzip", "deflate", "raw deflate", "br", "zstd"],
)
def test_a_compressed_request_is_read_and_forwarded_as_it_is(read, coding, packed):
    for body in (of(NAMES, MESSAGES), of(IMAGE, MESSAGES, NAMES)):
        record = read(packed(body), b"Content-Encoding: " + coding)
        assert facts(record) == ("m", "ann", "body:user", "whole") and record["error"] is None


@pytest.mark.parametrize(
    "damage",
    [b'"a":"\\ud83d"', b'"a":"\xf0\x9f"', b'"a":NaN', b'"a":-Infinity', b'"a":"line\nbreak"', b'"a":"tab\there"'],
    ids=["half a surrogate", "torn UTF-8", "NaN", "infinity", "raw newline", "raw tab"],
)
def test_what_servers_accept_beyond_json_hides_nothing(read, damage):
    for body in (of(damage, NAMES, MESSAGES), of(NAMES, damage, MESSAGES), b"\xef\xbb\xbf" + of(MESSAGES, damage, NAMES)):
        assert facts(read(body, KEY))[:3] == ("m", "ann", "body:user"), body


@pytest.mark.parametrize(
    ("body", "fields", "expected", "kind"),
    [
        (b'{"model":"m","messages":[', (KEY,), ("m", None, "unread", "partly"), "request_not_json"),
        (b"[1,2]", (KEY,), (None, None, "unread", "no"), "request_not_json"),
        (b"xyz", (KEY, b"Content-Encoding: compress"), (None, None, "unread", "no"), "request_encoding_unknown"),
        (
            gzip.compress(of(NAMES, MESSAGES, IMAGE))[:200],
            (KEY, b"Content-Encoding: gzip"),
            ("m", "ann", "body:user", "partly"),
            "request_encoding_damaged",
        ),
        (b"xyz", (b"X-User-Id: eve",), (None, "eve", "header:x-user-id", "no"), "request_not_json"),
    ],
    ids=["cut off", "no object", "unknown coding", "damaged coding", "named by a header"],
)
def test_what_could_not_be_read_is_said_and_nobody_else_is_named(read, body, fields, expected, kind):
    record = read(body, *fields)
    assert facts(record) == expected
    assert record["error"].startswith(f"{kind}: ")


def test_unread_requests_are_counted_by_model_and_reason(serve, scripted):
    proxy = serve(scripted(lambda wire: wire.message() and wire.send(plain())).url, "--admin", "127.0.0.1:0")
    wire = connect(proxy.port)
    wire.send(request("POST", "/v1/chat/completions", b'{"model":"m","messages":['))
    wire.message()
    assert proxy.record()["request_read"] == "partly"
    found = proxy.child.wait_for(r"(?:admin|metrics)\D*127\.0\.0\.1:(\d+)", timeout=20)
    admin = connect(int(found[1]))
    admin.send(b"GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n")
    lines = admin.message().body.decode().splitlines()
    counted = [line for line in lines if line.startswith("tachograph_requests_unread_total{") and line.endswith(" 1")]
    assert len(counted) == 1 and 'gen_ai_request_model="m"' in counted[0] and 'reason="request_not_json"' in counted[0]
