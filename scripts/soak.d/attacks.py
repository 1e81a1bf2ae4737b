"""Clients that want to harm others: what another client's short requests take without and with them."""

import contextlib
import gzip
import socket
import statistics
import threading
import time

import heads
from ground import Ground, Sizes
from harness.said import get
from harness.tachograph import Tachograph
from harness.wire import Wire

ATTACKER = "127.0.0.2"
VICTIM = "127.0.0.3"


def connect(port: int, source: str) -> Wire:
    return Wire(socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0)))


def silent_connections(port: int, over: threading.Event) -> None:
    """Connects 200 times a second, and says nothing."""
    held: list[Wire] = []
    while not over.wait(0.005):
        with contextlib.suppress(OSError):
            held.append(connect(port, ATTACKER))
        while len(held) > 2000:
            held.pop(0).sock.close()
    for wire in held:
        wire.sock.close()


def long_lists(port: int, over: threading.Event) -> None:
    """Heads of 60 KB, 1.4 MB a second."""
    sender = heads.Sender(port)
    head = heads.get(heads.field(b"X-Forwarded-For", b"a", b","))
    while not over.wait(len(head) / 1.4e6):
        sender.send(head, 1)
    sender.close()


def stalled_uploads(port: int, over: threading.Event) -> None:
    """200 requests that send 200 KB of a body, and then a byte a second."""
    wires = [connect(port, ATTACKER) for _ in range(200)]
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    for wire in wires:
        wire.send(head + b" " * 200_000)
    while not over.wait(1):
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.sock.send(b" ")
    for wire in wires:
        wire.sock.close()


def inflating_bodies(port: int, over: threading.Event) -> None:
    """Bodies of some KB that inflate to 30 MB of what is dearest to read, one behind the other."""
    body = gzip.compress(b"{" + b"}," * 15_000_000)
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    ) + body
    while not over.is_set():
        wire = connect(port, ATTACKER)
        with contextlib.suppress(EOFError, OSError):
            while not over.is_set():
                wire.send(request)
                wire.response(b"POST")
        wire.sock.close()


# What each does, and with which settings.
ATTACKS = {
    "200 silent connections a second of one address, of which 8 may be open": (
        silent_connections, ("--set", "limits.connections_per_client=8"),
    ),
    "X-Forwarded-For of 60 KB, 1.4 MB a second": (long_lists, ()),
    "200 stalled uploads, where 4 exchanges may be in flight": (stalled_uploads, ("--set", "limits.in_flight=4")),
    "requests of 30 KB that inflate to 30 MB, the dearest to read": (inflating_bodies, ()),
}


def victims(ground: Ground, sizes: Sizes) -> None:
    simulator = ground.simulator()
    for what, (attack, settings) in ATTACKS.items():
        proxy = ground.serve(simulator.url, *settings)
        times_of(proxy, 20)
        # By turns, for what else the machine has to do comes and goes.
        without: list[tuple[float, float]] = []
        beside: list[tuple[float, float]] = []
        for _ in range(3):
            without.append(times_of(proxy, sizes.victim_requests))
            over = threading.Event()
            attacker = threading.Thread(target=attack, args=(proxy.port, over))
            attacker.start()
            time.sleep(0.5)
            beside.append(times_of(proxy, sizes.victim_requests))
            over.set()
            attacker.join()
        ground.row(
            f"a victim's short request, median and p99: {what}",
            f"{shown(min(without))} without, {shown(min(beside))} with",
        )
        (usual, _), (median, late) = min(without), min(beside)
        holds = median < 3 * usual + 0.005 and (late < 0.05 or not sizes.judges_tails)
        ground.check(holds, f"{what}: {without} s without, {beside} s with")
        proxy.stop()


def shown(times: tuple[float, float]) -> str:
    return f"{times[0] * 1e3:.2f} and {times[1] * 1e3:.1f} ms"


def times_of(proxy: Tachograph, count: int) -> tuple[float, float]:
    """The median and the 99th percentile of what some requests took, each on a connection of its own, in seconds."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        wire = connect(proxy.port, VICTIM)
        wire.send(get("/sim/state"))
        answer = wire.response()[1]
        times.append(time.perf_counter() - began)
        wire.sock.close()
        assert answer.start.split(b" ")[1] == b"200", answer.start
    return statistics.median(times), statistics.quantiles(times, n=100)[98]
