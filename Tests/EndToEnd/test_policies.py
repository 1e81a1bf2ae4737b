"""Case 5 with proxies that go round in circles, and policies that are wrong."""

import threading

import pytest
from harness.said import answer_plainly, get, plain
from harness.wire import connect


def test_case_05_via_is_added_both_ways_and_a_circle_is_refused(serve, scripted):
    """Two proxies that name each other as their upstream would pass a request round for ever."""
    heads = []

    def script(wire):
        heads.append(wire.message())
        wire.send(plain(b"{}", b"Via: 1.1 inner"))

    upstream = scripted(script)
    inner = serve(upstream.url, "--set", "forwarding.via=true", "--set", "forwarding.pseudonym=second")
    outer = serve(inner.url, "--set", "forwarding.via=true", "--set", "forwarding.pseudonym=first")
    wire = connect(outer.port)
    wire.send(get("/"))
    assert [line for line in wire.message().lines if line.startswith(b"Via")] == [
        b"Via: 1.1 inner",
        b"Via: 1.1 second",
        b"Via: 1.1 first",
    ]
    assert heads[0].lines[-2:] == [b"Via: 1.1 first", b"Via: 1.1 second"]
    wire.send(get("/round", b"Via: 1.1 first, 1.1 second"))
    assert wire.rest().startswith(b"HTTP/1.1 508 Loop Detected\r\n")
    record = outer.records(2)[1]
    assert (record["outcome"], record["status"], record["path"]) == ("rejected", 508, "/round")
    assert len(inner.records(1)) == 1


def test_case_05_a_proxy_that_is_its_own_upstream_stops_at_once(serve, scripted, tmp_path):
    """A port that forwards to the proxy's own: what comes back carries its name."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    proxy = serve(f"http://127.0.0.1:{listener.getsockname()[1]}", "--set", "forwarding.via=true")

    def relay():
        inbound, _ = listener.accept()
        outbound = socket.create_connection(("127.0.0.1", proxy.port))
        outbound.sendall(inbound.recv(65536))
        while data := outbound.recv(65536):
            inbound.sendall(data)
        inbound.close()

    thread = threading.Thread(target=relay)
    thread.start()
    wire = connect(proxy.port)
    wire.send(get("/"))
    assert wire.message().start == b"HTTP/1.1 508 Loop Detected"
    thread.join(10)
    listener.close()
    assert sorted(record["outcome"] for record in proxy.records(2)) == ["rejected", "upstream_status"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("forwarding.tunnels=h2c", "h2c cannot be tunnelled"),
        ("forwarding.tunnels=a b", "not a protocol name"),
        ("forwarding.x_forwarded_for=add", "pass or append or replace or drop"),
        ("forwarding.half_close=maybe", "abort or finish"),
    ],
)
def test_a_wrong_policy_is_refused_at_the_start(serve, scripted, setting, said):
    with pytest.raises(AssertionError, match=said):
        serve(scripted(answer_plainly).url, "--set", setting)
