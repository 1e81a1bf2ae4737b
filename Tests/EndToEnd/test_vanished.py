"""Peers that vanish without a word are found out: in network namespaces of the test's own, where packets are dropped."""

import contextlib
import ctypes
import os
import pathlib
import socket
import subprocess
import threading
import time

import pytest
from harness import figures
from harness.process import Child, eventually
from harness.tachograph import binary, clean_environment, read_records
from harness.wire import Wire

CLONE_NEWNET = 0x40000000
# Silence, probes and unacknowledged data: two seconds in all.
FAST = "tcp.keepalive_idle=1s", "tcp.keepalive_interval=1s", "tcp.keepalive_probes=1"
FOUND = 2.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\n" + b'{"stream":true}'

found_after: dict[str, float] = {}


def missing_for_networks() -> str | None:
    """Why no network can be made here, or None."""
    trial = "ip link add tg-trial type veth peer name tg-trial2 && ip link set tg-trial up"
    try:
        run = subprocess.run(["unshare", "--net", "sh", "-c", trial], capture_output=True, text=True)
    except FileNotFoundError as missing:
        return str(missing)
    return None if run.returncode == 0 else run.stderr.strip()


WHY_NOT = missing_for_networks()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=f"needs network namespaces with veth: {WHY_NOT}")


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


class Host:
    """A network namespace with one address, joined to another's by a cable."""

    def __init__(self, name: str, address: str):
        self.name = f"tg-{os.getpid()}-{name}"
        self.address = address
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments: str) -> None:
        run("ip", "-n", self.name, *arguments)

    def inside(self, action):
        """What `action` returns, called within this namespace: sockets that it makes belong there."""
        results = []

        def call():
            with open(f"/run/netns/{self.name}") as handle:
                if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), CLONE_NEWNET) != 0:
                    results.append(OSError(ctypes.get_errno(), "setns"))
                    return
            try:
                results.append(action())
            except Exception as error:
                results.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        if isinstance(results[0], Exception):
            raise results[0]
        return results[0]

    def vanish(self, peer: str, way: str) -> None:
        """From now on it sends nothing to `peer`, not even a reset."""
        if way == "blackhole":
            self.ip("route", "add", "blackhole", f"{peer}/32")
        else:
            self.ip("link", "set", "cable", "down")

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


class Network:
    """A client's host and a server's, each joined to the proxy's by a cable of its own."""

    def __init__(self):
        self.proxy = Host("proxy", "10.9.1.1")
        self.client = Host("client", "10.9.1.2")
        self.server = Host("server", "10.9.2.2")
        self._join(self.client, "c", "10.9.1.1")
        self._join(self.server, "s", "10.9.2.1")

    def _join(self, host: Host, cable: str, proxy: str) -> None:
        veth = ["link", "add", "cable", "netns", host.name, "type", "veth", "peer", "name", cable]
        run("ip", *veth, "netns", self.proxy.name)
        host.ip("addr", "add", f"{host.address}/24", "dev", "cable")
        host.ip("link", "set", "cable", "up")
        self.proxy.ip("addr", "add", f"{proxy}/24", "dev", cable)
        self.proxy.ip("link", "set", cable, "up")

    def remove(self) -> None:
        for host in (self.proxy, self.client, self.server):
            host.remove()


@pytest.fixture
def network():
    network = Network()
    try:
        yield network
    finally:
        network.remove()


class Proxy:
    """`tachograph serve` on the proxy's host, in front of a scripted server on the server's."""

    def __init__(self, network: Network, folder: pathlib.Path, script, *settings: str, listen="10.9.1.1:0", sockets=()):
        self.network = network
        self.listener = network.server.inside(lambda: socket.create_server(("10.9.2.2", 0)))
        self.wires: list[Wire] = []
        self._script = script
        threading.Thread(target=self._serve, daemon=True).start()
        self.log = folder / "records.jsonl"
        arguments = [part for setting in settings for part in ("--set", setting)]
        script = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&' + str(sockets[0]) if sockets else 'exec "$@"'
        self.child = Child(
            ["ip", "netns", "exec", network.proxy.name, "bash", "-c", script, "bash", binary(), "serve"]
            + ["--upstream", f"http://10.9.2.2:{self.listener.getsockname()[1]}", "--listen", listen]
            + ["--workers", "1", "--records", str(self.log), *arguments],
            cwd=folder,
            env=clean_environment(),
            pass_fds=sockets,
        )
        self.port = int(self.child.wait_for(r"listening on (?:http://)?10\.9\.1\.1:(\d+)")[1])

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire = Wire(self.listener.accept()[0])
                self.wires.append(wire)
                threading.Thread(target=self._run, args=(wire,), daemon=True).start()

    def _run(self, wire: Wire) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._script(wire)

    def connect(self, receive_buffer: int | None = None) -> Wire:
        def make():
            sock = socket.socket()
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.settimeout(10)
            sock.connect(("10.9.1.1", self.port))
            return Wire(sock)

        return self.network.client.inside(make)

    def records(self, count: int, timeout: float = 15) -> list[dict]:
        eventually(lambda: len(read_records(self.log)) >= count, timeout)
        return read_records(self.log)

    def stop(self) -> None:
        self.listener.close()
        self.child.kill()


@pytest.fixture
def proxy_with(network, tmp_path):
    started = []

    def start(script, *settings: str, **options) -> Proxy:
        started.append(Proxy(network, tmp_path, script, *settings, **options))
        return started[-1]

    yield start
    for proxy in started:
        proxy.stop()


def found(name: str, since: float) -> float:
    """Seconds from the last packet to now, which are shown as a figure."""
    seconds = time.monotonic() - since
    found_after[name] = seconds
    figures.show(
        "vanished",
        *(
            (f"a {each} that vanished was found out after (settings of 2 s)", f"{found_after[each]:.1f} s")
            for each in sorted(found_after)
        ),
    )
    return seconds


def until_released(release: threading.Event):
    def script(wire: Wire) -> None:
        wire.message()
        release.wait(30)

    return script


def tokens(wire: Wire) -> None:
    """A token each 50 ms for as long as anybody takes them."""
    wire.message()
    wire.send(HEAD)
    event = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
    while True:
        wire.send(b"%x\r\n%s\r\n" % (len(event), event))
        time.sleep(0.05)


@pytest.mark.parametrize("way", ["blackhole", "unplugged"])
def test_a_client_that_vanishes_while_it_waits_makes_room_for_others(network, proxy_with, way):
    release = threading.Event()
    proxy = proxy_with(until_released(release), *FAST, "limits.in_flight=1", "timeouts.queue=20s")
    client = proxy.connect()
    client.send(CHAT)
    eventually(lambda: proxy.wires)
    network.client.vanish("10.9.1.1", way)
    since = time.monotonic()
    record = proxy.records(1)[0]
    seconds = found("client without data on its way", since)
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "waiting")
    assert record["error"].startswith("client_vanished: ")
    assert FOUND - 1.2 < seconds < FOUND + 3
    # The server is told, and its place is free.
    assert proxy.wires[0].ended(5) in ("fin", "rst")
    release.set()
    client.sock.close()


def test_a_client_that_vanishes_within_its_stream_is_found_out(network, proxy_with):
    proxy = proxy_with(tokens, *FAST)
    client = proxy.connect()
    client.send(CHAT)
    client.until(b"content")
    network.client.vanish("10.9.1.1", "blackhole")
    since = time.monotonic()
    record = proxy.records(1)[0]
    seconds = found("client with data on its way", since)
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "streaming")
    assert record["error"].startswith("client_vanished: ")
    assert FOUND - 1.2 < seconds < FOUND + 3
    assert proxy.wires[0].ended(5) in ("fin", "rst")


def test_a_client_that_vanishes_within_its_upload_is_found_out(network, proxy_with):
    def script(wire):
        wire.rest()

    proxy = proxy_with(script, *FAST, "timeouts.request_body=off", "limits.request_body_rate=off")
    client = proxy.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
    eventually(lambda: proxy.wires)
    network.client.vanish("10.9.1.1", "blackhole")
    record = proxy.records(1)[0]
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "upload")
    assert record["error"].startswith("client_vanished: ")


@pytest.mark.parametrize("way", ["blackhole", "unplugged"])
def test_a_server_that_vanishes_before_its_answer_is_a_502(network, proxy_with, way):
    release = threading.Event()
    proxy = proxy_with(until_released(release), *FAST)
    client = proxy.connect()
    client.send(CHAT)
    eventually(lambda: proxy.wires)
    # The request is acknowledged before the server vanishes.
    time.sleep(0.3)
    network.server.vanish("10.9.2.1", way)
    since = time.monotonic()
    assert client.head().startswith(b"HTTP/1.1 502 ")
    seconds = found("server without data on its way", since)
    assert FOUND - 1.2 < seconds < FOUND + 3
    record = proxy.records(1)[0]
    assert (record["outcome"], record["stage"], record["status"]) == ("upstream_reset", "waiting", 502)
    assert record["error"].startswith("upstream_vanished: ")
    release.set()


def test_a_server_that_vanishes_within_its_stream_truncates_it(network, proxy_with):
    proxy = proxy_with(tokens, *FAST)
    client = proxy.connect()
    client.send(CHAT)
    client.until(b"content")
    network.server.vanish("10.9.2.1", "blackhole")
    assert not client.rest().endswith(b"0\r\n\r\n")
    record = proxy.records(1)[0]
    assert (record["outcome"], record["stage"]) == ("truncated", "streaming")
    assert record["error"].startswith("upstream_vanished: ")


def test_a_server_that_vanishes_within_an_upload_is_found_out(network, proxy_with):
    def script(wire):
        wire.head()
        time.sleep(20)

    proxy = proxy_with(script, *FAST, "timeouts.upstream_stalled=off")
    client = proxy.connect()
    body = b"x" * 300_000
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (2 * len(body)))
    client.send(body[:1000])
    eventually(lambda: proxy.wires)
    network.server.vanish("10.9.2.1", "blackhole")
    client.send(body[1000:])
    since = time.monotonic()
    assert client.head().startswith(b"HTTP/1.1 502 ")
    found("server with data on its way", since)
    assert proxy.records(1)[0]["error"].startswith("upstream_vanished: ")


def test_a_tunnels_client_that_vanishes_is_found_out(network, proxy_with):
    def script(wire):
        wire.head()
        wire.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        wire.rest()

    proxy = proxy_with(script, *FAST)
    client = proxy.connect()
    client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    client.head()
    network.client.vanish("10.9.1.1", "blackhole")
    record = proxy.records(1)[0]
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "streaming")
    assert record["error"].startswith("client_vanished: ")


def test_clients_of_an_inherited_socket_are_found_out_too(network, proxy_with):
    listener = network.proxy.inside(lambda: socket.create_server(("10.9.1.1", 0)))
    release = threading.Event()
    proxy = proxy_with(until_released(release), *FAST, sockets=(listener.fileno(),))
    client = proxy.connect()
    client.send(CHAT)
    eventually(lambda: proxy.wires)
    network.client.vanish("10.9.1.1", "blackhole")
    assert proxy.records(1)[0]["error"].startswith("client_vanished: ")
    release.set()
    listener.close()


def test_switched_off_nothing_is_asked_and_nobody_is_found_out(network, proxy_with):
    release = threading.Event()
    proxy = proxy_with(until_released(release), "tcp.keepalive_idle=off", "tcp.user_timeout=off")
    client = proxy.connect()
    client.send(CHAT)
    eventually(lambda: proxy.wires)
    network.client.vanish("10.9.1.1", "blackhole")
    time.sleep(FOUND + 3)
    assert not read_records(proxy.log)
    release.set()


@pytest.mark.parametrize("size", [60_000, 6_000_000])
def test_a_client_that_lives_and_takes_nothing_is_not_given_up(network, proxy_with, size):
    """TCP_USER_TIMEOUT by itself would: it counts the time for which the client's window is closed."""
    body = b"y" * size

    def script(wire):
        wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body)
        wire.message()

    proxy = proxy_with(script, *FAST)
    client = proxy.connect(receive_buffer=4096)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(2.5 * FOUND)
    client.head()
    assert client.exactly(size) == body
    assert proxy.records(1)[0]["outcome"] == "ok"


def test_a_server_that_lives_and_takes_nothing_is_not_given_up(network, proxy_with):
    body = b"z" * 3_000_000

    def script(wire):
        wire.head()
        time.sleep(2.5 * FOUND)
        assert wire.exactly(len(body)) == body
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    proxy = proxy_with(script, *FAST)
    proxy.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client = proxy.connect()
    client.sock.settimeout(30)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body))
    client.send(body)
    client.head()
    assert client.exactly(2) == b"ok"
    assert proxy.records(1)[0]["outcome"] == "ok"
