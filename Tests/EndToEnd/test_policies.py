"""What operators may want otherwise: what a proxy writes about itself, half-closing clients, loops."""

import threading

import pytest
from harness.said import answer_plainly, get, plain
from harness.wire import connect

FORGED = (b"X-Forwarded-For: 6.6.6.6", b"A: b", b'Forwarded: for="[2001:db8::6]";proto=https', b"X-Forwarded-For: 7.7.7.7")


def lines_upstream(serve, scripted, *arguments: str, fields: tuple[bytes, ...] = FORGED) -> list[bytes]:
    """The field lines, but for Host, that upstream gets of a request with `fields`."""
    heads = []

    def script(wire):
        heads.append(wire.message())
        wire.send(plain())

    wire = connect(serve(scripted(script).url, *arguments).port)
    wire.send(get("/", *fields))
    wire.message()
    return [line for line in heads[0].lines if not line.startswith(b"Host:")]


def test_case_04_what_names_the_client_is_passed_on_by_default(serve, scripted):
    assert lines_upstream(serve, scripted) == list(FORGED)
    assert lines_upstream(serve, scripted, fields=()) == []


@pytest.mark.parametrize(
    ("policy", "expected", "alone"),
    [
        (
            "append",
            [*FORGED[:2], FORGED[2] + b", for=127.0.0.1", FORGED[3] + b", 127.0.0.1"],
            [b"X-Forwarded-For: 127.0.0.1", b"Forwarded: for=127.0.0.1"],
        ),
        (
            "replace",
            [b"X-Forwarded-For: 127.0.0.1", b"A: b", b"Forwarded: for=127.0.0.1"],
            [b"X-Forwarded-For: 127.0.0.1", b"Forwarded: for=127.0.0.1"],
        ),
        ("drop", [b"A: b"], []),
    ],
)
def test_case_04_both_fields_follow_their_policy(serve, scripted, policy, expected, alone):
    settings = ("--set", f"forwarding.x_forwarded_for={policy}", "--set", f"forwarding.forwarded={policy}")
    assert lines_upstream(serve, scripted, *settings) == expected
    assert lines_upstream(serve, scripted, *settings, fields=()) == alone


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


def test_case_45_a_half_closing_client_is_answered_where_that_is_set(serve, scripted):
    gate = threading.Event()

    def script(wire):
        wire.message()
        assert gate.wait(10)
        wire.send(plain(b"answered"))

    upstream = scripted(script)
    proxy = serve(upstream.url, "--set", "forwarding.half_close=finish")
    wire = connect(proxy.port)
    wire.send(get("/"))
    wire.finish()
    assert wire.ended(0.2) is None
    gate.set()
    assert wire.rest().endswith(b"\r\n\r\nanswered")
    assert proxy.record()["outcome"] == "ok"
    assert upstream.failures.empty()


def test_case_45_a_half_closing_client_has_left_by_default(serve, scripted):
    def script(wire):
        wire.message()
        assert wire.ended(10) is not None

    upstream = scripted(script)
    proxy = serve(upstream.url)
    wire = connect(proxy.port)
    wire.send(get("/"))
    wire.finish()
    assert wire.rest() == b""
    assert (proxy.record()["outcome"], proxy.record()["status"]) == ("client_cancelled", None)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("forwarding.tunnels=h2c", "h2c is never tunnelled"),
        ("forwarding.tunnels=a b", "no protocol's name"),
        ("forwarding.x_forwarded_for=add", "pass or append or replace or drop"),
        ("forwarding.half_close=maybe", "abort or finish"),
    ],
)
def test_a_wrong_policy_is_refused_at_the_start(serve, scripted, setting, said):
    with pytest.raises(AssertionError, match=said):
        serve(scripted(answer_plainly).url, "--set", setting)
