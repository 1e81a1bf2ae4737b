"""The CPU that the proxy spends on the dearest request heads that a client can make, beside a filler of the same length."""

import pathlib
import socket
import time

from ground import Ground, Sizes
from harness.tachograph import Tachograph
from harness.wire import Wire

LENGTH = 60_000
TARGET_LENGTH = 8_000
LIMIT = 5.0


def field(name: bytes, unit: bytes, between: bytes = b"") -> bytes:
    """One field line whose value is `unit`, repeated to the length of the head."""
    count = (LENGTH - len(name) - 4) // len(unit + between)
    return name + b": " + between.join([unit] * count)


def lines(make, length: int = LENGTH) -> bytes:
    """Field lines `make(0)`, `make(1)`, … up to the length and the number of fields of a head."""
    made, size = [], 0
    while size < length and len(made) < 95:
        made.append(make(len(made)))
        size += len(made[-1]) + 2
    return b"\r\n".join(made)


def numbered(name: bytes, form: bytes = b"n%05d", between: bytes = b",", most: int = 100_000) -> bytes:
    """One field line whose elements all differ."""
    elements, size = [], len(name)
    while size < LENGTH - 16 and len(elements) < most:
        elements.append(form % len(elements))
        size += len(elements[-1]) + len(between)
    return name + b": " + between.join(elements)


def long_lines(name: bytes, value: bytes = b"z") -> bytes:
    """95 lines of one name, each as long as fits."""
    return lines(lambda number: name + b": %02d" % number + value * (LENGTH // 95 - len(name) - 6))


def get(head_fields: bytes, target: bytes = b"/sim/state", host: bytes = b"Host: proxied") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + host + b"\r\n" + head_fields + b"\r\n\r\n"


def target(text: bytes) -> bytes:
    """A head whose target is `text` and as long as targets may be; the rest is filler."""
    return get(b"X-Filler: " + b"a" * (LENGTH - TARGET_LENGTH - 30), text[:TARGET_LENGTH])


FILLER = get(field(b"X-Filler", b"a"))

# By what they are about. Where each head of a kind differs, it is a function of the head's number.
KINDS = {
    "the way of a message": {
        "X-Forwarded-For: a,a,a": get(field(b"X-Forwarded-For", b"a", b",")),
        "X-Forwarded-For of addresses": get(field(b"X-Forwarded-For", b"192.0.2.1", b", ")),
        "X-Forwarded-For, 95 lines": get(long_lines(b"X-Forwarded-For", b",")),
        "X-Forwarded-For of white space": get(field(b"X-Forwarded-For", b" \t")+b"a"),
        "Forwarded of quotes": get(field(b"Forwarded", b'for="[2001:db8::1]"', b";")),
        "Forwarded of escapes": get(field(b"Forwarded", b'\\"')),
        "X-Real-IP": get(field(b"X-Real-IP", b"a")),
        "Via of names": get(field(b"Via", b"1.1 a", b",")),
        "Via of comments": get(field(b"Via", b"(")),
    },
    "the connection": {
        "Connection: close,close": get(field(b"Connection", b"keep-alive", b",")),
        "Connection of 64 names": get(numbered(b"Connection", b"n" * 900 + b"%05d", most=64)),
        "Connection of names, 95 lines named": get(
            numbered(b"Connection", b"x-%02d", most=64) + b"\r\n" + lines(lambda n: b"x-%02d: " % n + b"z" * 600, LENGTH - 500)),
        "Connection of commas": get(field(b"Connection", b",")),
        "Proxy-Connection of names": get(field(b"Proxy-Connection", b"a", b",")),
        "Keep-Alive of parameters": get(field(b"Keep-Alive", b"a=1", b",")),
        "Upgrade of protocols": get(b"Connection: upgrade\r\n" + field(b"Upgrade", b"a", b",")),
        "TE of codings": get(field(b"TE", b"a", b",")),
        "Trailer of names": get(field(b"Trailer", b"a", b",")),
        "Expect of values": get(field(b"Expect", b"a", b",")),
    },
    "framing and coding": {
        "Transfer-Encoding of codings": get(field(b"Transfer-Encoding", b"a", b",")),
        "Content-Encoding of codings": get(field(b"Content-Encoding", b"gzip", b",")),
        "Content-Encoding, 95 lines": get(long_lines(b"Content-Encoding")),
        "Content-Length of lengths": get(field(b"Content-Length", b"5", b",")),
        "Content-Length of zeros": get(field(b"Content-Length", b"0")),
        "Accept-Encoding of codings": get(field(b"Accept-Encoding", b"a", b",")),
    },
    "Host": {
        "Host": get(b"", host=field(b"Host", b"a")),
        "Host of dots": get(b"", host=field(b"Host", b"a.")),
        "Host of brackets": get(b"", host=b"Host: [" + b":" * (LENGTH - 8) + b"]"),
        "Host of percents": get(b"", host=field(b"Host", b"%41")),
    },
    "credentials": {
        "Authorization: Bearer": get(b"Authorization: Bearer " + b"k" * (LENGTH - 22)),
        "Authorization: Bearer, each another": lambda n: get(b"Authorization: Bearer %06d" % n + b"k" * (LENGTH - 28)),
        "Authorization: Bearer of raw bytes, each another": lambda n: get(
            b"Authorization: Bearer %06d" % n + b"\xe9\x80" * (LENGTH // 2 - 14)),
        "Authorization: Basic, each another": lambda n: get(b"Authorization: Basic %06d" % n + b"a" * (LENGTH - 28)),
        "Authorization of white space": get(b"Authorization:" + b" " * (LENGTH - 20) + b"Bearer k"),
        "Authorization, 95 lines": get(long_lines(b"Authorization", b"k")),
        "x-api-key, each another": lambda n: get(b"X-Api-Key: %06d" % n + b"k" * (LENGTH - 17)),
        "api-key, each another": lambda n: get(b"Api-Key: %06d" % n + b"k" * (LENGTH - 17)),
        "Cookie of pairs": get(field(b"Cookie", b"a=b", b"; ")),
        "Cookie, 95 lines": get(long_lines(b"Cookie")),
    },
    "names and ids": {
        "x-user-id, each another": lambda n: get(b"X-User-Id: %06d" % n + b"u" * (LENGTH - 17)),
        "x-user-id of combining marks, each another": lambda n: get(
            b"X-User-Id: %06d" % n + "e\u0301".encode() * ((LENGTH - 17) // 3)),
        "x-user-id of stacked marks, each another": lambda n: get(
            b"X-User-Id: %06de" % n + "\u0301\u0323".encode() * ((LENGTH - 18) // 4)),
        "x-user-id of invalid UTF-8, each another": lambda n: get(b"X-User-Id: %06d" % n + b"\xf0\x9f" * (LENGTH // 2 - 9)),
        "x-user-id of flags, each another": lambda n: get(
            b"X-User-Id: %06d" % n + "\U0001f1e6".encode() * ((LENGTH - 17) // 4)),
        "x-user-id of percents, each another": lambda n: get(b"X-User-Id: %06d" % n + b"%C3%A9" * (LENGTH // 6 - 3)),
        "x-user-id, 95 lines": get(long_lines(b"X-User-Id", b"u")),
        "x-session-id of combining marks, each another": lambda n: get(
            b"X-Session-Id: %06d" % n + "e\u0301".encode() * ((LENGTH - 20) // 3)),
        "x-request-id of combining marks, each another": lambda n: get(
            b"X-Request-Id: %06d" % n + "e\u0301".encode() * ((LENGTH - 20) // 3)),
        "x-request-id of control marks, each another": lambda n: get(
            b"X-Request-Id: %06d" % n + "\u202e".encode() * ((LENGTH - 20) // 3)),
        "traceparent of zeros, each another": lambda n: get(b"Traceparent: 00-%06d" % n + b"0-" * ((LENGTH - 24) // 2)),
    },
    "fields of any kind": {
        "User-Agent": get(field(b"User-Agent", b"a(")),
        "95 fields": get(lines(lambda n: b"X-%02d: " % n + b"z" * 615)),
        "95 fields of long names": get(lines(lambda n: b"x-%02d" % n + b"n" * 610 + b": z")),
        "a name": get(b"n" * (LENGTH - 10) + b": z"),
        "empty fields": get(lines(lambda n: b"a%02d:" % n)),
        "95 fields, each head other values": lambda n: get(lines(lambda m: b"X-%02d: %06d" % (m, n) + b"z" * 600)),
        "95 fields, each head others": lambda n: get(lines(lambda m: b"X-%06d-%02d: " % (n, m) + b"z" * 600)),
        "fields of white space": get(field(b"X-Filler", b" \t") + b"a"),
        "raw bytes": get(field(b"X-Filler", b"\xff")),
        "a field of two lengths in turn": lambda n: get(b"X-Filler: " + b"a" * (LENGTH - 17 - n % 1000)),
        "a field of another name each": lambda n: get(b"X-F%06d: " % n + b"a" * (LENGTH - 17)),
    },
    "the request line": {
        "target of slashes": target(b"/" * LENGTH),
        "target of dots": target(b"/.." * LENGTH),
        "target of percents, each another": lambda n: target(b"/%06d" % n + b"%2e" * LENGTH),
        "target of models": target(b"/v1beta/models" * LENGTH),
        "target of chats": target(b"/v1/chat/completions" * 399 + b"/v1/chat/completions"),
        "target of deployments": target(b"/openai/deployments" * LENGTH),
        "target with a query": target(b"/sim/state?" + b"a=b&" * LENGTH),
        "target of raw UTF-8": target(b"/" + "é".encode() * LENGTH),
        "target too long": get(b"", b"/" * LENGTH),
        "absolute target": target(b"http://" + b"a." * LENGTH),
        "absolute target with a user": target(b"http://" + b"a@" * LENGTH),
        "absolute target of colons": target(b"http://[" + b":" * LENGTH),
        "a method": b"A" * LENGTH + b" / HTTP/1.1\r\n\r\n",
    },
}


# With these, the fields of the way are read and rewritten, and protocols are switched.
READING_SETTINGS = """
identity:
  trusted_proxies: ["127.0.0.0/8"]
  headers: [x-user-id, x-filler]
forwarding: {x_forwarded_for: append, forwarded: append, via: true, tunnels: [websocket, a]}
limits: {target_bytes: 16KiB}
"""
PIECES = (1, 100)


class Sender:
    """Sends heads one after the other, in so many pieces each, and connects again where it was refused."""

    def __init__(self, port: int):
        self.port = port
        self.wire: Wire | None = None

    def send(self, head: bytes, pieces: int) -> None:
        if self.wire is None:
            self.wire = Wire(socket.create_connection(("127.0.0.1", self.port)))
        size = -(-len(head) // pieces)
        try:
            for start in range(0, len(head), size):
                self.wire.send(head[start : start + size])
            _, answer = self.wire.response()
        except (EOFError, ConnectionError):
            return self.close()
        if answer.start.split(b" ")[1] not in (b"200", b"404"):
            self.close()

    def close(self) -> None:
        if self.wire:
            self.wire.sock.close()
        self.wire = None


def cpu_seconds(proxy: Tachograph) -> float:
    """The CPU time of all threads of the proxy so far."""
    tasks = pathlib.Path(f"/proc/{proxy.child.process.pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


class Costs:
    """The CPU that one head of each kind costs, in µs: the least of several rounds, since other processes only add to it."""

    def __init__(self, proxy: Tachograph, count: int, pieces: int):
        self.proxy, self.count, self.pieces = proxy, count, pieces
        self.sender = Sender(proxy.port)
        self.number = 0
        self.least: dict[tuple[str, str], float] = {}

    def measure(self, family: str, kind: str, head) -> None:
        before = cpu_seconds(self.proxy)
        for _ in range(self.count):
            self.number += 1
            self.sender.send(head(self.number) if callable(head) else head, self.pieces)
        cost = (cpu_seconds(self.proxy) - before) / self.count * 1e6
        self.least[family, kind] = min(cost, self.least.get((family, kind), cost))

    def round(self) -> None:
        self.measure("", "filler", FILLER)
        for family, kinds in KINDS.items():
            for kind, head in kinds.items():
                self.measure(family, kind, head)


def dearest_heads(ground: Ground, sizes: Sizes) -> None:
    simulator = ground.simulator()
    reading = ground.folder / "reading.yaml"
    reading.write_text(READING_SETTINGS)
    worst: dict[str, tuple[float, str, float]] = {}
    for settings in ((), ("--config", str(reading))):
        for pieces in PIECES:
            proxy = ground.serve(simulator.url, *settings)
            costs = Costs(proxy, sizes.heads, pieces)
            for _ in range(3):
                costs.round()
            costs.sender.close()
            proxy.stop()
            filler = costs.least.pop(("", "filler"))
            for (family, kind), cost in costs.least.items():
                ratio = cost / filler
                ground.check(ratio <= LIMIT, f"{kind}: {ratio:.1f} times a filler ({cost:.0f} µs), in {pieces} pieces")
                if ratio > worst.get(family, (0.0, "", 0.0))[0]:
                    worst[family] = ratio, kind, cost
    for family, (ratio, kind, cost) in worst.items():
        ground.row(
            f"CPU of the dearest head about {family}, of {sum(map(len, KINDS.values()))} kinds of 60 KB in all",
            f"{ratio:.1f} times that of a filler ({cost:.0f} µs): {kind}",
        )
