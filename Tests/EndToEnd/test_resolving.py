"""The server's name: it changes, it is not there, nobody answers, or its first address is dead. Streams never mind.

Case 57. Each test has a DNS server of its own, which only its proxy sees.
"""

import contextlib
import socket
import threading
import time

import pytest
from harness.names import NAME, NameServer, dead_address
from harness.process import eventually
from harness.said import DONE, STREAM_HEAD, answer_plainly, finish, get, plain, request, token
from harness.wire import LAST_CHUNK, chunk, connect


@pytest.fixture
def named(serve, tmp_path):
    """Starts a proxy in front of the name, with a DNS server that says these addresses (none: no such name)."""
    servers = []

    def start(port: int, addresses: tuple[str, ...] | None, *arguments: str, options: str = "timeout:30 attempts:1"):
        names = NameServer()
        names.addresses = addresses
        servers.append(names)
        proxy = serve(f"http://{NAME}:{port}", *arguments, under=names.command(tmp_path, options))
        return proxy, names

    yield start
    for names in servers:
        names.close()


def status(proxy, ask: bytes = get()) -> int:
    """What a new client is answered."""
    wire = connect(proxy.port)
    try:
        wire.send(ask)
        return int(wire.message().start.split()[1])
    finally:
        wire.close()


def until_status(proxy, wanted: int, seconds: float = 20) -> int:
    """Asks until it is answered so; gives how often that took."""
    deadline = time.monotonic() + seconds
    asked = 1
    while (found := status(proxy)) != wanted:
        assert time.monotonic() < deadline, f"still {found} after {seconds} s\n{proxy.child.output}"
        asked += 1
        time.sleep(0.05)
    return asked


def test_case_57_connections_follow_a_change_and_old_streams_stay(named, scripted):
    going_on = threading.Event()

    def old(wire):
        while True:
            try:
                message = wire.message()
            except EOFError:
                return
            if message.start.startswith(b"POST"):
                wire.send(STREAM_HEAD, chunk(token("a")))
                assert going_on.wait(30)
                wire.send(chunk(token("b")), chunk(finish()), chunk(DONE), LAST_CHUNK)
            else:
                wire.send(plain(b'"old"'))

    before = scripted(old)
    after = scripted(answer_plainly, host="127.0.0.2", port=before.port)
    proxy, names = named(before.port, ("127.0.0.1",), "--set", "resolver.fresh=200ms")
    stream = connect(proxy.port)
    stream.send(request())
    stream.until(token("a"))
    client = connect(proxy.port)
    client.send(get())
    assert client.message().body == b'"old"'

    names.addresses = ("127.0.0.2",)
    # The same client's connection goes over, though the one to the old address is kept and well.
    deadline = time.monotonic() + 20
    while True:
        client.send(get())
        if client.message().body == b"{}":
            break
        assert time.monotonic() < deadline, "still the old address"
        time.sleep(0.05)
    for _ in range(5):
        client.send(get())
        assert client.message().body == b"{}", "the old address again"
    assert after.connections >= 1
    going_on.set()
    assert token("b") in stream.until(DONE)
    client.close()
    proxy.stop()
    assert {record["outcome"] for record in proxy.records(len(proxy.log.read_bytes().splitlines()))} == {"ok"}


def test_case_57_while_the_resolver_hangs_the_last_answer_serves(named, scripted):
    upstream = scripted(lambda wire: (wire.message(), wire.send(plain())))
    proxy, names = named(upstream.port, ("127.0.0.1",), "--set", "resolver.fresh=100ms")
    assert status(proxy) == 200
    asked = names.questions
    names.addresses = None
    time.sleep(0.2)
    for _ in range(10):
        assert status(proxy) == 200
    # The one who asks is a thread of its own, which a busy machine may keep waiting.
    eventually(lambda: names.questions > asked)
    # The question is still open, and its thread is stuck: the process ends all the same.
    proxy.stop(timeout=10)
    assert all(record["outcome"] == "ok" for record in proxy.records(11))


def test_case_57_a_name_that_goes_away_is_remembered_for_as_long_as_it_may_be(named, scripted):
    upstream = scripted(lambda wire: (wire.message(), wire.send(plain())))
    proxy, names = named(
        upstream.port, ("127.0.0.1",), "--set", "resolver.fresh=50ms", "--set", "resolver.stale=2s"
    )
    assert status(proxy) == 200
    names.addresses = ()
    time.sleep(0.1)
    assert status(proxy) == 200
    until_status(proxy, 502)
    names.addresses = ("127.0.0.1",)
    until_status(proxy, 200)


def test_case_57_a_resolver_that_hangs_from_the_start_is_a_504_and_recovers(named, scripted):
    upstream = scripted(lambda wire: (wire.message(), wire.send(plain())))
    proxy, names = named(upstream.port, None, "--set", "timeouts.connect=1s", options="timeout:2 attempts:1")
    assert status(proxy) == 504
    record = proxy.record()
    assert (record["outcome"], record["stage"]) == ("timeout", "connecting")
    names.addresses = ("127.0.0.1",)
    until_status(proxy, 200)


def test_case_57_a_resolver_that_hangs_does_not_hold_up_the_end(named, scripted):
    upstream = scripted(answer_plainly)
    proxy, names = named(upstream.port, None, "--set", "timeouts.connect=1s")
    wires = [connect(proxy.port) for _ in range(5)]
    for wire in wires:
        wire.send(get())
    for wire in wires:
        assert wire.message().start.startswith(b"HTTP/1.1 504 ")
    assert names.questions >= 1
    proxy.stop(timeout=10)
    assert len(proxy.records(5)) == 5


def test_case_57_a_name_that_is_not_there_is_a_502_and_recovers(named, scripted):
    upstream = scripted(lambda wire: (wire.message(), wire.send(plain())))
    proxy, names = named(upstream.port, ())
    assert status(proxy) == 502
    record = proxy.record()
    assert (record["outcome"], record["stage"]) == ("upstream_unreachable", "connecting")
    names.addresses = ("127.0.0.1",)
    until_status(proxy, 200)


def test_case_57_a_dead_ipv6_address_first_costs_one_head_start(named, scripted):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    upstream = scripted(lambda wire: (wire.message(), wire.send(plain())))
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(dead_address(socket.AF_INET6, "::1", upstream.port))
        except OSError as error:
            pytest.skip(f"no IPv6 loopback here: {error}")
        patience = ["--set", "timeouts.connect_attempt=30s", "--set", "timeouts.connect=30s"]
        proxy, _ = named(upstream.port, ("::1", "127.0.0.1"), *patience)
        assert status(proxy) == 200
        first = proxy.record()
        # It waited for the head start of the dead one, and nowhere near for its death.
        assert 245 <= first["connect_ms"] < 10_000
        # What answered is asked first from then on.
        assert status(proxy) == 200
        assert proxy.records(2)[1]["connect_ms"] < 245


@contextlib.contextmanager
def refusing(port: int, *hosts: str):
    """Addresses that refuse whoever connects: bound, and so nobody else's, but nobody listens."""
    with contextlib.ExitStack() as stack:
        for host in hosts:
            stack.enter_context(socket.socket()).bind((host, port))
        yield


def test_case_57_an_address_that_refuses_is_followed_by_the_next_at_once(named, scripted):
    patience = ["--set", "timeouts.connect_stagger=20s", "--set", "timeouts.connect=60s"]
    with contextlib.ExitStack() as stack:
        # The same port has to be free on all three.
        for _ in range(100):
            upstream = scripted(lambda wire: (wire.message(), wire.send(plain())), host="127.0.0.3")
            with contextlib.suppress(OSError):
                stack.enter_context(refusing(upstream.port, "127.0.0.1", "127.0.0.2"))
                break
        proxy, _ = named(upstream.port, ("127.0.0.1", "127.0.0.2", "127.0.0.3"), *patience)
        assert status(proxy) == 200
    assert proxy.record()["connect_ms"] < 10_000
