"""Case 58: who a proxy in front says that it connects for, in either version of the PROXY protocol."""

import socket
import struct

import pytest
from harness.said import answer_plainly, get, plain
from harness.wire import connect

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ON = ("--set", "proxy_protocol.mode=required")


def version_2(client: str, port: int = 56308, extension: bytes = b"") -> bytes:
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    here = "::1" if ":" in client else "127.0.0.1"
    block = socket.inet_pton(family, client) + socket.inet_pton(family, here) + struct.pack("!HH", port, 80) + extension
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x21 if ":" in client else 0x11, len(block)) + block


VALID = [
    (b"PROXY TCP4 192.0.2.7 10.0.0.1 56308 80\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 ::1 56308 80\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (version_2("192.0.2.7"), "192.0.2.7"),
    (version_2("2001:db8::7", extension=b"\x01\0\x08http/1.1\xe0\0\x00"), "2001:db8::7"),
    (SIGNATURE + b"\x20\0\0\0", "127.0.0.1"),
]


def test_case_58_a_valid_header_names_the_client_however_it_is_cut(serve, scripted):
    heads = []

    def script(wire):
        heads.append(wire.message())
        wire.send(plain())

    proxy = serve(scripted(script).url, *ON, "--set", "forwarding.x_forwarded_for=append")
    expected = []
    for header, client in VALID:
        sent = header + get("/")
        for cut in [*range(1, len(header) + 2), len(sent)]:
            wire = connect(proxy.port)
            wire.send(sent[:cut])
            wire.send(sent[cut:])
            assert wire.message().start == b"HTTP/1.1 200 OK"
            wire.close()
            assert heads.pop().lines[-1] == b"X-Forwarded-For: " + client.encode()
            expected.append(client)
    assert [record["client"] for record in proxy.records(len(expected), timeout=20)] == expected


@pytest.mark.parametrize(
    "sent",
    [
        get("/"),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 56308\r\n" + get("/"),
        b"PROXY TCP4 192.0.2.777 10.0.0.1 56308 80\r\n" + get("/"),
        b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n" + get("/"),
        SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 100,
        version_2("192.0.2.7", extension=b"\x03\0\x04\0\0\0\0") + get("/"),
        b"\x16\x03\x01\x02\x00",
    ],
    ids=["none", "short", "no-address", "long-line", "long-binary", "checksum", "tls"],
)
def test_case_58_anything_else_is_closed_unanswered(serve, scripted, sent):
    upstream = scripted(answer_plainly)
    proxy = serve(upstream.url, *ON)
    for _ in range(2):
        wire = connect(proxy.port)
        wire.send(sent)
        assert wire.ended(10) in ("fin", "rst")
        assert wire.seen == b""
    assert upstream.connections == 0
    # It is said once, without any of the bytes; the log of exchanges has nothing to say of it.
    proxy.stop()
    assert proxy.child.output.count("closed a connection from 127.0.0.1") == 1
    assert proxy.records(0) == []


def test_case_58_a_header_that_does_not_come_closes_the_connection(serve, scripted):
    proxy = serve(scripted(answer_plainly).url, *ON, "--set", "timeouts.request_head=300ms")
    for sent in (b"", b"PROXY TCP4 192."):
        wire = connect(proxy.port)
        wire.send(sent)
        assert wire.ended(10) == "fin"


def test_case_58_peers_that_may_not_send_one_are_closed(serve, scripted):
    upstream = scripted(answer_plainly)
    proxy = serve(upstream.url, *ON, "--set", "proxy_protocol.peers=10.0.0.0/8, ::1")
    assert connect(proxy.port).ended(10) in ("fin", "rst")
    trusting = serve(upstream.url, *ON, "--set", "proxy_protocol.peers=127.0.0.0/8")
    wire = connect(trusting.port)
    wire.send(VALID[0][0] + get("/"))
    wire.message()
    assert upstream.connections == 1
