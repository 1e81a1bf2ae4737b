"""Caches show in no exchange: a proxy that has seen hundreds of similar exchanges forwards and records each like a fresh one.

What a fresh proxy does with an exchange is what is expected of it.
"""

import random
import threading

import pytest

from harness.process import eventually
from harness.said import DONE, STREAM_HEAD, finish, plain, token, usage
from harness.tachograph import KEYS
from harness.wire import LAST_CHUNK, Message, Wire, chunk, connect, fields_of

POST = b"POST /v1/chat/completions HTTP/1.1"
BODY = b'{"model":"asked","stream":true,"messages":[{"role":"user","content":"hi"}]}'
BASE = [
    b"Host: proxied",
    b"X-User-Id: ann",
    b"Authorization: Bearer one",
    b"X-Session-Id: first",
    b"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"Accept: */*",
    b"Content-Length: %d" % len(BODY),
]

# By the clock, or by what an exchange shares with its neighbours.
LOOSE = {"id", "ts", "request_id", "upstream_reused", "in_flight", "coalesced_events", "reads", "clock"}
LOOSE |= {"tps", "tps_e2e", "cps"} | {key for key in KEYS if key.endswith(("_ms", "_us"))}
FIRM = [key for key in KEYS if key not in LOOSE]


def ask(*changes: bytes, start: bytes = POST, body: bytes = BODY, less: tuple[bytes, ...] = ()) -> bytes:
    """The base's head but for some lines: each takes the place of its namesake, or comes on top."""
    lines = [line for line in BASE if not line.startswith(less)] if less else list(BASE)
    if body is not BODY:
        changes += (b"Content-Length: %d" % len(body),)
    for change in changes:
        name = change.partition(b":")[0] + b":"
        places = [place for place, line in enumerate(lines) if line.startswith(name)]
        if places:
            lines[places[0]] = change
        else:
            lines.insert(2, change)
    return b"\r\n".join([start, b"X-Request-Id: NUMBER", *lines]) + b"\r\n\r\n" + body


def bodied(text: bytes) -> bytes:
    return ask(body=b'{"model":"asked",' + text + b"}", less=(b"X-User-Id",))


def in_chunks(*parts: bytes) -> bytes:
    head = ask(b"Transfer-Encoding: chunked", less=(b"Content-Length",)).partition(b"\r\n\r\n")[0]
    return head + b"\r\n\r\n" + b"".join(parts)


REQUESTS = [
    ask(),
    *(ask(b"X-User-Id: " + user) for user in (b"bob", b"ann ", b"", b"ann\r\nX-User-Id: bob", b"x" * 300)),
    *(ask(b"Authorization: " + key, less=(b"X-User-Id",)) for key in (b"Bearer one", b"Bearer two", b"Basic one", b"")),
    ask(b"X-Api-Key: three", less=(b"X-User-Id", b"Authorization")),
    ask(less=(b"X-User-Id", b"Authorization", b"X-Session-Id")),
    ask(b"X-Session-Id: second"),
    *(ask(b"Traceparent: " + trace) for trace in (b"00-%s-%s-00" % (b"1" * 32, b"2" * 16), b"wrong", b"")),
    *map(bodied, (b'"user":"cleo"', b'"metadata":{"user_id":"dora"}', b'"x":1e3', b'"model":"twice"', b'"stream":1')),
    *(ask(b"Connection: " + options) for options in (b"close", b"keep-alive", b"X-User-Id", b"accept, close")),
    *(ask(extra) for extra in (b"Expect: 100-continue", b"Content-Encoding: gzip", b"TE: trailers", b"Upgrade: h2c")),
    *(ask(extra) for extra in (b"X-Forwarded-For: 192.0.2.1", b"Via: 1.1 other", b"Host: another", b"Host: proxied:1")),
    *(ask(start=b"POST %s HTTP/1.1" % path) for path in (b"/v1/completions", b"/api/chat", b"/v1/completions?a=b")),
    ask(start=b"POST http://absolute/v1/chat/completions HTTP/1.1"),
    ask(start=b"POST /v1/chat/completions HTTP/1.0"),
    ask(start=b"GET /v1/models HTTP/1.1", body=b""),
    ask(start=b"HEAD /v1/models HTTP/1.1", body=b""),
    in_chunks(chunk(BODY), LAST_CHUNK),
    in_chunks(chunk(BODY[:20]), chunk(BODY[20:]), LAST_CHUNK),
    in_chunks(b"04B\r\n", BODY, b"\r\n0\r\n\r\n"),
    in_chunks(b"4b;a=b\r\n", BODY, b"\r\n00\r\nX-Trailer: 1\r\n\r\n"),
    # Refused, though they begin like the others.
    *(ask(b"Content-Length: " + said) for said in (b"+75", b"075x", b"75, 75", b"75\r\nContent-Length: 75", b"0x4b")),
    *(ask(b"X-User-Id: " + user) for user in (b"ann\r\n folded", b"a\x00b", b"a\x7fb", b"a\nb", b"a\rb")),
    *(ask(extra) for extra in (b"Host: a, b", b"Host: a\r\nHost: b", b"Transfer-Encoding: chunked")),
    ask(b"X-User-Id : ann"),
]


def stream(*events: bytes) -> bytes:
    return STREAM_HEAD + b"".join(map(chunk, events)) + LAST_CHUNK


def dated(second: int, *fields: bytes, body: bytes = b"{}", status: bytes = b"200 OK") -> bytes:
    return plain(body, b"Date: Sat, 21 Nov 2026 10:00:%02d GMT" % second, *fields, status=status)


WHOLE = b'{"model":"m","choices":[{"message":{"content":"ab"}}],"usage":{"completion_tokens":%d}}'
ANSWERS = [
    stream(token("a"), token("bcd"), finish(), usage(5, 2), DONE),
    stream(token("a"), token("é\n\"\\"), token("😀"), finish("length"), usage(1234, 56), DONE),
    stream(token("a"), token(""), token("x" * 3000), finish(), DONE),
    stream(token("a"), usage(5, 1), token("b")),
    stream(token("a").replace(b"data: ", b"data:"), token("b").replace(b"\n\n", b"\r\n\r\n"), finish(), DONE),
    stream(token("a"), token("b").replace(b'"index": 0', b'"index": 1'), token("c"), finish(), DONE),
    stream(token("a"), token("b").replace(b'"scripted"', b'"another"'), b'data: {"error":{"type":"x"}}\n\n', DONE),
    STREAM_HEAD + (chunk(token("ab")) + chunk(DONE)).upper().replace(b"DATA", b"data") + LAST_CHUNK,
    STREAM_HEAD + chunk(token("ab") + DONE) + b"0\r\nX-Trailer: 1\r\n\r\n",
    *(dated(n, body=WHOLE % 10**n) for n in range(4)),
    dated(5, b"Content-Encoding: gzip"),
    dated(6, b"Connection: close"),
    dated(7, b"Connection: date"),
    dated(8, b"Via: 1.0 another", status=b"429 Too Many Requests"),
    dated(9, status=b"304 Not Modified").removesuffix(b"{}"),
    dated(10, body=b"", status=b"204 No Content").replace(b"Content-Length: 0\r\n", b""),
    dated(11).replace(b"application/json", b"text/plain"),
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + dated(12),
    b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + token("ab") + DONE,
]

PAIRS = [(request, place % len(ANSWERS)) for place, request in enumerate(REQUESTS)]
PAIRS += [(ask(), answer) for answer in range(len(ANSWERS))]
PAIRS += [(REQUESTS[place], answer) for place in (1, 3) for answer in (0, 9, 10, 16)]


class Server:
    """Answers each request as its query asks, and keeps what came, by its number."""

    def __init__(self):
        self.came: dict[bytes, Message] = {}
        self.answers: dict[bytes, int] = {}

    def __call__(self, wire: Wire) -> None:
        while True:
            try:
                message = wire.message()
            except EOFError:
                return
            number = fields_of(message.head)[b"x-request-id"]
            self.came[number] = message
            answer = ANSWERS[self.answers[number]]
            if message.start.startswith(b"HEAD"):
                answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            middle = int(number) % len(answer)
            wire.send(answer[:middle], answer[middle:])
            if answer.startswith(b"HTTP/1.0"):
                return


def exchange(server: Server, wire: Wire, number: int, pair: tuple[bytes, int]):
    """What came to the server, and what to the client."""
    name, (request, answer) = b"%06d" % number, pair
    server.answers[name] = answer
    request = request.replace(b"NUMBER", name)
    middle = number * 7 % len(request) if number % 3 == 0 else 0
    wire.send(request[:middle], request[middle:])
    interim, message = wire.response(request.partition(b" ")[0])
    came = server.came.pop(name, None)
    if came:
        came.head = came.head.replace(name, b"NUMBER")
    return came, interim, message


def firm(record: dict) -> dict:
    return {key: record[key] for key in FIRM}


@pytest.fixture
def fresh(serve, scripted, tmp_path):
    """What proxies say of one exchange each: the first that they see."""
    folder = tmp_path / "records"
    folder.mkdir()
    server = Server()
    upstream = scripted(server)
    said = []
    for number, pair in enumerate(PAIRS):
        # One folder, and so one secret for the keys' fingerprints.
        proxy = serve(upstream.url, records=str(folder / f"{number}.jsonl"))
        wire = connect(proxy.port)
        seen = exchange(server, wire, number, pair)
        said.append((seen, firm(proxy.record())))
        wire.close()
        proxy.stop()
    return server, upstream, str(folder / "warm.jsonl"), said


def test_a_warm_proxy_says_what_a_fresh_one_says(serve, fresh):
    server, upstream, log, said = fresh
    proxy = serve(upstream.url, records=log)
    wrong: list[str] = []
    asked: dict[str, int] = {}

    def client(seed: int) -> None:
        chosen = random.Random(seed)
        wire = None
        for number in range(seed * 1000, seed * 1000 + 300):
            place = chosen.randrange(len(PAIRS))
            wire = wire or connect(proxy.port)
            seen = exchange(server, wire, number, PAIRS[place])
            if seen != said[place][0]:
                wrong.append(f"{PAIRS[place]}: {seen} where a fresh one gave {said[place][0]}")
            asked[f"{number:06d}"] = place
            if seen[2].values(b"connection") or b"HTTP/1.0" in PAIRS[place][0]:
                wire.close()
                wire = None

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, f"{len(wrong)} differ, the first: {wrong[0]}"
    assert len(asked) == 1200
    recorded = {record["request_id"]: firm(record) for record in proxy.records(len(asked)) if record["request_id"]}
    for name, place in asked.items():
        expected = said[place][1]
        assert recorded.get(name, expected) == expected, PAIRS[place]
    refused = sum(said[place][0][0] is None for place in asked.values())
    assert len(recorded) == len(asked) - refused > 600


def occurrences(pid: int, what: bytes) -> int:
    """How often bytes stand in a process's memory."""
    count = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            place, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            start, end = (int(text, 16) for text in place.split("-"))
            try:
                memory.seek(start)
                count += memory.read(end - start).count(what)
            except (OSError, ValueError):
                continue
    return count


def test_no_key_stays_in_memory_for_as_long_as_its_stream(serve, scripted):
    """Heads that are alike are known by their bytes; who asks no more is forgotten, though its answer still streams."""
    key = b"sk-" + b"Zq7" * 21
    served = threading.Event()

    def answer(wire: Wire) -> None:
        while True:
            try:
                message = wire.message()
            except EOFError:
                return
            if b"hold" not in message.body:
                wire.send(plain(b"{}"))
                continue
            wire.send(STREAM_HEAD)
            served.wait(60)
            wire.send(chunk(DONE), LAST_CHUNK)

    proxy = serve(scripted(answer).url)
    held = connect(proxy.port)
    for body in (b'{"a":1111}', b'{"a":1112}', b'{"a":1113}', b'{"hold":1}'):
        held.send(ask(b"Authorization: Bearer " + key, body=body))
        held.head() if b"hold" in body else held.message()
    assert occurrences(proxy.child.process.pid, key) > 0, "the key is not where this test looks for it"
    await_forgotten(proxy, key)
    served.set()
    held.chunked()


def test_no_key_stays_in_memory_for_as_long_as_its_tunnel(serve, scripted):
    """The head of a GET is kept in case it must be sent again; behind a 101 it never is."""
    key = b"sk-" + b"Tu5" * 21
    served = threading.Event()

    def answer(wire: Wire) -> None:
        while True:
            try:
                message = wire.message()
            except EOFError:
                return
            if b"Upgrade: websocket" in message.lines:
                wire.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                served.wait(60)
                return
            wire.send(plain(b"{}"))

    proxy = serve(scripted(answer).url)
    held = connect(proxy.port)
    offer = b"Connection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer " + key
    # As long as the heads of the others, so that these take its memory.
    held.send(b"GET /ws HTTP/1.1\r\nHost: proxied\r\nX-Filler: " + b"z" * 200 + b"\r\n" + offer + b"\r\n\r\n")
    assert held.head().startswith(b"HTTP/1.1 101 ")
    await_forgotten(proxy, key)
    served.set()
    assert held.rest() == b""


def await_forgotten(proxy, key: bytes) -> None:
    """Waits until bytes stand nowhere in the proxy's memory, while other clients overwrite what nobody owns."""
    other = connect(proxy.port)

    def is_forgotten() -> bool:
        for number in range(60):
            filler = b"y" * (number * 7 % 200)
            other.send(ask(b"Authorization: Bearer other-%03d-" % number + filler, body=b"{}" + b" " * number))
            other.message()
            # Kinds of their own, which are kept for a moment and so take further blocks of memory.
            other.send(ask(b"X-Kind-%03d: %s" % (number, filler), body=b"{}" + b" " * number))
            other.message()
        return occurrences(proxy.child.process.pid, key) == 0

    eventually(is_forgotten)
