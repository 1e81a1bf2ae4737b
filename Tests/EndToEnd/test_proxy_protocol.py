"""Case 58 beyond what is told in cases/: a PROXY header that does not come, and peers that may not send one."""

from harness.said import answer_plainly, get
from harness.wire import connect

ON = ("--set", "proxy_protocol.mode=required")
HEADER = b"PROXY TCP4 192.0.2.7 10.0.0.1 56308 80\r\n"


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
    wire.send(HEADER + get("/"))
    wire.message()
    assert upstream.connections == 1


def test_case_58_what_is_closed_is_said_once_and_without_a_byte_of_it(serve, scripted):
    proxy = serve(scripted(answer_plainly).url, *ON)
    for _ in range(2):
        wire = connect(proxy.port)
        wire.send(b"NO HEADER\r\n")
        assert wire.ended(10) in ("fin", "rst")
    proxy.stop()
    assert proxy.child.output.count("closed a connection from 127.0.0.1") == 1
    assert "NO HEADER" not in proxy.child.output
    assert proxy.records(0) == []
