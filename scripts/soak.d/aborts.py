"""Clients that leave at random stages, round after round, until a round adds nothing: no stream, descriptor or memory stays."""

import asyncio
import collections
import contextlib
import dataclasses
import json
import random
import socket
import statistics
import struct
import time

from ground import Ground, Sizes, mib
from harness.process import eventually
from harness.tachograph import Tachograph

STAGES = ("connecting", "head", "upload", "waiting", "streaming", "paused", "at the end")
# What the middles of rounds differ by that leave nothing behind: pages that the allocator touches in another order.
NOISE_KIB = 256
MOST_ROUNDS = 200
BODY = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}).encode()


@dataclasses.dataclass
class Client:
    """One client that will leave in `stage`."""

    name: str
    stage: str
    random: random.Random
    answered: bool = False

    async def run(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        if self.stage == "paused":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.closing(sock), contextlib.suppress(ConnectionError):
            await loop.sock_connect(sock, ("127.0.0.1", port))
            await self._until_leaving(loop, sock)
            if self.random.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def _until_leaving(self, loop, sock) -> None:
        if self.stage == "connecting":
            return
        if self.stage == "head":
            await loop.sock_sendall(sock, self._head(len(BODY))[: self.random.randrange(1, 60)])
            return await asyncio.sleep(self.random.uniform(0, 0.1))
        if self.stage == "upload":
            await loop.sock_sendall(sock, self._head(400_000) + b"x" * self.random.randrange(0, 300_000))
            return await asyncio.sleep(self.random.uniform(0, 0.2))
        await loop.sock_sendall(sock, self._head(len(BODY)) + BODY)
        if self.stage == "waiting":
            return await asyncio.sleep(self.random.uniform(0, 0.4))
        data = seen = await loop.sock_recv(sock, 4096)
        self.answered = bool(data)
        if self.stage == "paused":
            return await asyncio.sleep(self.random.uniform(0.2, 0.6))
        reads = self.random.randrange(1, 60)
        while data and (b"[DONE]" not in seen if self.stage == "at the end" else reads > 0):
            data = await loop.sock_recv(sock, 65536)
            seen = (seen + data)[-200:]
            reads -= 1

    def _head(self, length: int) -> bytes:
        sim = {
            "waiting": "x-sim-ttft: 10s",
            "streaming": "x-sim-ttft: 5ms\r\nx-sim-interval: 3ms\r\nx-sim-tokens: 2000",
            "paused": "x-sim-ttft: 0\r\nx-sim-interval: 0\r\nx-sim-tokens: 100000",
        }.get(self.stage, "x-sim-ttft: 5ms\r\nx-sim-interval: 1ms\r\nx-sim-tokens: 5")
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: soak\r\nX-Request-Id: {self.name}\r\n{sim}\r\n"
            f"X-Sim-Truth: no\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        ).encode()


async def leave(port: int, clients: list[Client]) -> None:
    await asyncio.gather(*(client.run(port) for client in clients))


def is_flat(memory: list[int], rounds: int) -> bool:
    """Whether the last so many rounds had no more memory than as many before them: in the median, for what a round leaves is
    now and then given back to the system only by the next one, and what leaks is there in every one."""
    last, before = memory[-rounds:], memory[-2 * rounds : -rounds]
    return len(before) == rounds and statistics.median(last) <= statistics.median(before) + NOISE_KIB


class Log:
    """The records that have come since the last look."""

    def __init__(self, proxy: Tachograph):
        self.path, self.offset = proxy.log, 0

    def more(self) -> list[dict]:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            whole = file.read().rpartition(b"\n")[0]
        self.offset += len(whole) + bool(whole)
        return [json.loads(line) for line in whole.splitlines()]


def until_flat(ground: Ground, sizes: Sizes) -> None:
    simulator = ground.simulator()
    proxy = ground.serve(
        simulator.url, "--set", "timeouts.upstream_idle=500ms", "--set", "pool.idle_connections=16"
    )
    descriptors = proxy.descriptors()
    log, seed = Log(proxy), random.randrange(1 << 32)
    began = time.monotonic()
    memory = [proxy.resident_kib()]
    rounds, wrong = 0, 0
    outcomes: collections.Counter = collections.Counter()
    while rounds < MOST_ROUNDS and not (
        is_flat(memory[1:], sizes.flat_rounds) and time.monotonic() - began > sizes.minutes * 60
    ):
        rounds += 1
        source = random.Random(f"{seed}-{rounds}")
        clients = [
            Client(f"{rounds}-{number}", STAGES[number % len(STAGES)], source)
            for number in range(sizes.aborting_clients)
        ]
        asyncio.run(leave(proxy.port, clients))
        if not ground.settle(proxy, simulator, descriptors):
            return
        found, repeated = records(log, clients)
        wrong += repeated + sum(client.name not in found for client in clients if client.answered)
        outcomes.update(found.values())
        memory.append(proxy.resident_kib())
    total = rounds * sizes.aborting_clients
    ground.row("aborts survived", f"{total:,} in {rounds} rounds at {len(STAGES)} stages (seed {seed})")
    ground.row("their records", f"{sum(outcomes.values()):,}: {said(outcomes)}; {wrong} lost or twice")
    ground.row("descriptors before, after", f"{descriptors}, {proxy.descriptors()}")
    ground.row(
        "memory before, after the first round, at most, after the last",
        f"{mib(memory[0])}, {mib(memory[1])}, {mib(max(memory))}, {mib(memory[-1])}",
    )
    ground.check(
        is_flat(memory[1:], sizes.flat_rounds), f"memory still grows after {rounds} rounds: {memory[-20:]} KiB"
    )
    ground.check(wrong == 0, f"{wrong} records are lost or there twice")
    proxy.stop()


def records(log: Log, clients: list[Client]) -> tuple[dict[str, str], int]:
    """Outcome by request id of one round, and how many ids came more than once."""
    wanted = {client.name for client in clients if client.answered}
    found: list[dict] = []

    def are_there() -> bool:
        found.extend(log.more())
        return wanted <= {record["request_id"] for record in found}

    with contextlib.suppress(AssertionError):
        eventually(are_there, timeout=10)
    named = [record for record in found if record["request_id"]]
    by_name = {record["request_id"]: record["outcome"] for record in named}
    return by_name, len(named) - len(by_name)


def said(outcomes: collections.Counter) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())
