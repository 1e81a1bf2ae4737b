"""Raw inputs, judged by a strict reader on the far side: each is held, or it is not, or it is unsafe.

Unsafe is what smuggles: the far side reads other messages than the proxy understood, or gets bytes that can be read in
two ways. The inputs are tables in `raw/`; each is sent in one piece, then byte by byte.
"""

import collections
import contextlib
import itertools
import pathlib
import socket

import pytest
from harness.figures import show
from harness.recorder import ANSWER, Recorder
from harness.strict import Incomplete, Malformed, read_response
from harness.tachograph import Tachograph
from raw import Broken, Refused, Served, bodies, heads, responses
from raw.responses import MARK, BadGateway, Passed

PATIENCE = 10
tally: collections.Counter[str] = collections.Counter()


class NotHeld(AssertionError):
    """Something else came than had to, and nobody can be misled by it."""


class Unsafe(AssertionError):
    """Somebody can be misled."""


def hold(condition: object, what: str) -> None:
    if not condition:
        raise NotHeld(f"not held: {what}")


def safe(condition: object, what: str) -> None:
    if not condition:
        raise Unsafe(f"UNSAFE: {what}")


class Bench:
    """One proxy in front of one recorder, for all rows."""

    def __init__(self, folder: pathlib.Path):
        self.script: list[bytes | None] = [ANSWER]
        self.recorder = Recorder(lambda request, _: [ANSWER] if b"canary" in request.target else self.script)
        self.proxy = Tachograph(self.recorder.url, folder)
        self.numbers = itertools.count()

    def close(self) -> None:
        self.proxy.stop()
        self.recorder.close()

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def canary(self) -> None:
        """A request of its own: once it is answered, all that the proxy had sent before has come."""
        name = b"/canary-%d" % next(self.numbers)
        with self.connect() as sock:
            sock.sendall(b"GET " + name + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            seen, ended = read_until(sock, lambda _: False)
        hold(ended == "fin" and read_response(seen)[0].body == b"ok", f"the next client got {seen[:200]!r}")
        hold(self.recorder.log[-1][1].target == name, "the next client's request did not come last")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("raw"))
    yield bench
    bench.close()
    count = sum(tally.values())
    show("raw", ("raw inputs, whole and byte by byte: held / unsafe", f"{tally['held']} of {count} / {tally['unsafe']}"))


@contextlib.contextmanager
def judged():
    """Counts how a row ended."""
    try:
        yield
    except Unsafe:
        tally["unsafe"] += 1
        raise
    except BaseException:
        tally["not held"] += 1
        raise
    tally["held"] += 1


def send(sock: socket.socket, data: bytes, split: bool) -> None:
    """All of it, however early the proxy has enough of it."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        if split:
            for byte in data:
                sock.sendall(bytes((byte,)))
        else:
            sock.sendall(data)


def read_until(sock: socket.socket, is_enough) -> tuple[bytes, str | None]:
    """What came until it was enough or the connection ended, and how it ended."""
    seen = bytearray()
    try:
        while not is_enough(bytes(seen)):
            data = sock.recv(1 << 18)
            if not data:
                return bytes(seen), "fin"
            seen += data
    except ConnectionResetError:
        return bytes(seen), "rst"
    except TimeoutError:
        raise NotHeld(f"not held: nothing came for {PATIENCE} s behind {bytes(seen[-200:])!r}") from None
    return bytes(seen), None


def final_responses(data: bytes, ended: str | None, heads_only: bool = False):
    """The whole final responses, the bytes behind them, and whether an interim one was among them."""
    found, at, has_interim = [], 0, False
    while at < len(data):
        try:
            response, at = read_response(data, at, heads_only, ended)
        except Incomplete:
            break
        except Malformed as error:
            raise Unsafe(f"UNSAFE: the client got what is no response: {error}") from None
        if response.status < 200:
            has_interim = True
        else:
            found.append(response)
    return found, data[at:], has_interim


ROWS = [(row, False) for row in heads.ROWS + bodies.ROWS] + [
    (row, True) for row in heads.ROWS + bodies.ROWS if row.split
]


def name_of(row, split: bool) -> str:
    return row.name.encode("unicode_escape").decode() + (", byte by byte" if split else "")


@pytest.mark.parametrize("row, split", ROWS, ids=[name_of(*each) for each in ROWS])
def test_requests(bench, row, split):
    with judged():
        recorder = bench.recorder
        bench.script = [ANSWER]
        old = {id(line): len(line.seen) for line in recorder.lines if line.leftover}
        since = len(recorder.log)
        expected = len(row.must.messages) if isinstance(row.must, Served) else 0
        waits = not isinstance(row.must, Served) or row.must.closes or row.must.then
        with bench.connect() as sock:
            send(sock, row.sent, split)
            seen, ended = read_until(sock, lambda data: not waits and len(final_responses(data, None)[0]) >= expected)
        bench.canary()
        messages = [request for _, request in recorder.log[since:-1]]
        pieces = [line for line in recorder.lines if line.leftover and old.get(id(line)) != len(line.seen)]
        for line in recorder.lines:
            safe(line.malformed is None, f"upstream got {line.malformed}: {line.leftover[:300]!r}")
        answers, behind, _ = final_responses(seen, ended)
        safe(not behind, f"the client got half a response: {behind[:200]!r}")
        judge_request(row.must, messages, pieces, answers, ended, recorder)


def judge_request(must, messages, pieces, answers, ended, recorder):
    got = [(request.method, request.target, request.body) for request in messages]
    statuses = [answer.status for answer in answers]
    if isinstance(must, Served):
        safe(got == list(must.messages) and not pieces, f"upstream read {got}, and pieces of {len(pieces)}")
        hold(statuses[: len(got)] == [200] * len(got), f"the client got {statuses}")
        hold(len(answers) == len(got) + bool(must.then), f"the client got {statuses}")
        if must.host is not None:
            safe(messages[0].values(b"host") == [must.host], f"Host became {messages[0].values(b'host')}")
        if must.line is not None:
            name, _, value = must.line.partition(b": ")
            hold((name, value) in messages[0].fields, f"{must.line!r} is not among {messages[0].fields}")
        if must.closes:
            hold(ended == "fin", f"the connection ended with {ended}")
        if must.then:
            judge_refusal(must.then, answers[-1:], ended)
    elif isinstance(must, Refused):
        safe(not got, f"upstream read {got}")
        safe(not pieces, f"upstream got {[line.leftover[:200] for line in pieces]}")
        judge_refusal(must.statuses, answers, ended)
    else:
        assert isinstance(must, Broken)
        safe(not got, f"upstream read {got}")
        safe(recorder.wait(lambda: all(line.is_closed for line in pieces)), "upstream's connection was left open")
        judge_refusal(must.statuses, answers, ended)


def judge_refusal(statuses, answers, ended):
    got = [answer.status for answer in answers]
    hold(len(got) == 1 and got[0] in statuses, f"the client got {got}, not one of {statuses}")
    hold(answers[0].values(b"connection") == [b"close"], "the answer does not say that the connection closes")
    hold(ended == "fin", f"the connection ended with {ended}")
    hold(b"HPE_" not in answers[0].body, f"the parser's own word: {answers[0].body!r}")


ANSWERS = [
    (row, version, split)
    for row in responses.ROWS
    for version in ("1.1", "1.0")
    for split in ((False, True) if row.split else (False,))
]


@pytest.mark.parametrize(
    "row, version, split", ANSWERS, ids=[f"{name_of(row, split)}, to HTTP/{version}" for row, version, split in ANSWERS]
)
def test_responses(bench, row, version, split):
    with judged():
        recorder = bench.recorder
        parts = [bytes((byte,)) for byte in row.sent] if split else [row.sent]
        bench.script = parts + [None] * row.ends
        since = len(recorder.log)
        is_head = row.request == b"HEAD"
        waits = version == "1.0" or not isinstance(row.must, Passed)
        with bench.connect() as sock:
            sock.sendall(b"%s /r HTTP/%s\r\nHost: a\r\n\r\n" % (row.request, version.encode()))
            seen, ended = read_until(sock, lambda data: not waits and bool(final_responses(data, None, is_head)[0]))
        lines = [line for line, request in recorder.log[since:] if request.target == b"/r"]
        judge_response(row, version, seen, ended, recorder, lines)
        bench.canary()
        if isinstance(row.must, Passed) and row.must.closes is False:
            hold(recorder.log[-1][0] is lines[-1], "upstream's connection was not used again")
        for line in recorder.lines:
            safe(line.malformed is None, f"upstream got {line.malformed}")


def judge_response(row, version, seen, ended, recorder, lines):
    answers, behind, has_interim = final_responses(seen, ended, row.request == b"HEAD")
    hold(not (has_interim and version == "1.0"), "an HTTP/1.0 client got an interim response")
    statuses = [answer.status for answer in answers]
    if isinstance(row.must, Passed):
        safe(not behind and len(answers) == 1, f"the client read {statuses}, and behind them {behind[:200]!r}")
        hold(statuses == [row.must.status], f"the client got {statuses}")
        safe(answers[0].body == row.must.body, f"the body became {answers[0].body[:200]!r}")
        if row.must.without:
            safe(row.must.without not in seen, f"{row.must.without!r} reached the client")
        if row.must.line:
            hold(row.must.line + b"\r\n" in seen, f"{row.must.line!r} did not reach the client")
        if row.must.closes:
            hold(recorder.wait(lambda: lines[-1].is_closed), "upstream's connection was kept")
        return
    if isinstance(row.must, BadGateway):
        safe(MARK not in seen, f"some of it reached the client: {seen[:300]!r}")
        hold(statuses == [502] and not behind, f"the client got {statuses}, and behind them {behind[:200]!r}")
    else:
        safe(statuses in ([], [502]), f"the client took it for whole: {statuses}")
    if statuses:
        judge_refusal((502,), answers, ended)
    safe(recorder.wait(lambda: all(line.is_closed for line in lines)), "upstream's connection was left open")
