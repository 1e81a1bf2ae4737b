"""Faults, injected one by one: the right answer to the client, one right record, and the next exchange is served.

Upstreams break at every stage of their first exchange, by script and by `tachograph simulate`; the log's disk is full,
its reader stuck. What is counted here goes into the table of figures.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import socket
import threading
import time
from collections.abc import Callable

import pytest
from harness.figures import show
from harness.llama import free_port
from harness.names import dead_address, require_namespaces
from harness.said import DONE, STREAM_HEAD, answer_plainly, finish, get, plain, request, token
from harness.simulator import Simulator
from harness.wire import LAST_CHUNK, ScriptedUpstream, Wire, chunk, connect

LENGTH_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n"
CLOSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
held: set[str] = set()


@pytest.fixture(scope="module", autouse=True)
def figures(request):
    """Says how many faults were injected, and how many of them held to all three."""
    yield
    injected = [item for item in request.session.items if item.path == request.path]
    row = ("faults injected, each answered, recorded once, recovered from", f"{len(held)} of {len(injected)}")
    show("faults", row)


@pytest.fixture
def holds(request):
    """To be called when a test has seen all that it should."""
    return lambda: held.add(request.node.nodeid)


def recover(proxy, after: int) -> dict:
    """The next exchange on the same proxy is served; gives the record of the one before, which is the only other."""
    wire = connect(proxy.port)
    wire.send(get("/next"))
    assert wire.message().start.startswith(b"HTTP/1.1 200 ")
    wire.close()
    records = proxy.records(after + 1)
    assert (records[-1]["path"], records[-1]["outcome"]) == ("/next", "ok")
    return records[after - 1]


# MARK: Upstreams that break


@dataclasses.dataclass
class Fault:
    """What upstream does with its first exchange, and what is to come of it."""

    name: str
    script: Callable[[Wire], None]
    outcome: str
    stage: str | None
    # The proxy's own answer; None where a response had begun, which is cut, or was whole.
    status: int | None = None
    deadline: str | None = None
    ask: bytes = dataclasses.field(default_factory=request)
    is_whole: bool = False

    def __str__(self):
        return self.name.replace(" ", "-")


def said(*parts: bytes, ending: str, pause: bool = False) -> Callable[[Wire], None]:
    """Takes the request, says this, and ends: by a FIN, by a reset, or by saying no more."""

    def script(wire: Wire) -> None:
        wire.message()
        for part in parts:
            wire.send(part)
            if pause:
                time.sleep(0.05)
        if ending == "rst":
            # A reset drops what the other side has not read: it shall have all of it first.
            time.sleep(0.2)
            wire.reset()
        elif ending == "silence":
            wire.ended(30)

    return script


def trickled(data: bytes) -> Callable[[Wire], None]:
    """Takes the request, and says this a byte at a time, without end in sight."""

    def script(wire: Wire) -> None:
        wire.message()
        with contextlib.suppress(OSError):
            for byte in data:
                wire.send(bytes([byte]))
                time.sleep(0.1)

    return script


def pinging(wire: Wire) -> None:
    """Takes the request, says one token, and from then on only comments."""
    wire.message()
    wire.send(STREAM_HEAD, chunk(token("a")))
    with contextlib.suppress(OSError):
        while True:
            wire.send(chunk(b": ping\n\n"))
            time.sleep(0.05)


def taking_little(wire: Wire) -> None:
    """Takes a head and a little of the body, and resets."""
    wire.head()
    wire.exactly(1000)
    wire.reset()


EVENT = token("a")
CHUNK = chunk(EVENT)
BROKEN_HEADS = {
    "before the head": b"",
    "in the status line": b"HTTP/1.1 2",
    "in the head": b"HTTP/1.1 200 OK\r\nContent-",
    "at the head's last byte": STREAM_HEAD[:-1],
    "after an interim head": b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n",
}
BROKEN_BODIES = {
    "after the head": (STREAM_HEAD, "waiting"),
    "in a chunk's size": (STREAM_HEAD + CHUNK[:1], "waiting"),
    "after a chunk's size": (STREAM_HEAD + CHUNK.partition(b"\r\n")[0], "waiting"),
    "in the first chunk": (STREAM_HEAD + CHUNK[:40], "waiting"),
    "in a later chunk": (STREAM_HEAD + CHUNK + CHUNK[:40], "streaming"),
    "before a chunk's end": (STREAM_HEAD + CHUNK[:-2], "streaming"),
    "between events": (STREAM_HEAD + CHUNK, "streaming"),
    "before the last chunk": (STREAM_HEAD + CHUNK + chunk(DONE), "streaming"),
    "in the last chunk": (STREAM_HEAD + CHUNK + chunk(DONE) + LAST_CHUNK[:-1], "streaming"),
    "in a body of known length": (LENGTH_HEAD + EVENT, "streaming"),
}
BAD_HEADS = {
    "garbage for a head": b"\x16\x03\x01garbage\r\n\r\n",
    "a head of another protocol": b"SSH-2.0-x\r\n",
    "two lengths that differ": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a head without an end": b"HTTP/1.1 200 OK\r\n" + b"X-A: %s\r\n" % (b"a" * 1000) * 400,
    "a switch that nobody asked for": b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
}
BAD_CHUNKS = {
    "garbage for a chunk's size": b"zz\r\n",
    "a chunk that is longer than it says": b"1\r\nab\r\n",
}


def late(name: str, script: Callable[[Wire], None], stage: str, deadline: str, status: int | None = None) -> Fault:
    """A fault that a deadline ends."""
    return Fault(name, script, "timeout", stage, status, deadline)


FAULTS = [
    *(
        Fault(f"{ending} {where}", said(data, ending=ending), "upstream_reset", "waiting", status=502)
        for where, data in BROKEN_HEADS.items()
        for ending in ("fin", "rst")
    ),
    *(
        Fault(f"{ending} {where}", said(data, ending=ending), "truncated", stage)
        for where, (data, stage) in BROKEN_BODIES.items()
        for ending in ("fin", "rst")
    ),
    Fault("rst in a body that is chunked anew", said(CLOSE_HEAD + EVENT, ending="rst"), "truncated", "streaming"),
    Fault(
        "rst in a body that the close delimits",
        said(CLOSE_HEAD + EVENT, ending="rst"),
        "truncated",
        "streaming",
        ask=request().replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n"),
    ),
    Fault(
        "rst after the whole response",
        said(STREAM_HEAD + CHUNK + chunk(finish()) + chunk(DONE) + LAST_CHUNK, ending="rst"),
        "ok",
        None,
        is_whole=True,
    ),
    *(
        Fault(name, said(data, ending="silence"), "upstream_invalid", "waiting", status=502)
        for name, data in BAD_HEADS.items()
    ),
    *(
        Fault(name, said(STREAM_HEAD, CHUNK, data, ending="silence", pause=True), "truncated", "streaming")
        for name, data in BAD_CHUNKS.items()
    ),
    late("no answer", said(ending="silence"), "waiting", "timeouts.response=500ms", status=504),
    late("a head that trickles", trickled(STREAM_HEAD * 9), "waiting", "timeouts.response_head=500ms", status=504),
    late("a head that trickles on", trickled(STREAM_HEAD * 9), "waiting", "timeouts.response=500ms", status=504),
    late("silence after the head", said(STREAM_HEAD, ending="silence"), "waiting", "timeouts.between_reads=500ms"),
    late("silence in it", said(STREAM_HEAD, CHUNK, ending="silence"), "streaming", "timeouts.between_reads=500ms"),
    late("comments and no token", pinging, "streaming", "timeouts.between_tokens=500ms"),
    Fault(
        "rst within the upload",
        taking_little,
        "upstream_reset",
        "upload",
        status=502,
        ask=request("POST", "/v1/chat/completions", b"x" * 20_000_000),
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_upstream_breaks(serve, scripted, fault, holds):
    is_first = iter([True])
    upstream = scripted(lambda wire: fault.script(wire) if next(is_first, False) else answer_plainly(wire))
    proxy = serve(upstream.url, *(["--set", fault.deadline] if fault.deadline else []))
    wire = connect(proxy.port)
    # Who is answered while uploading may be told before all is sent.
    sender = threading.Thread(target=send_all, args=(wire, fault.ask))
    sender.start()
    if fault.status is None:
        check_begun(wire, fault)
    else:
        head = answer_head(wire)
        assert head.startswith(b"HTTP/1.1 %d " % fault.status), head
    wire.close()
    sender.join(10)
    record = recover(proxy, 1)
    assert (record["outcome"], record["stage"]) == (fault.outcome, fault.stage), record
    assert record["status"] == (fault.status or 200)
    assert (record["error"] is None) == fault.is_whole
    assert_tokens(record, fault)
    holds()


def send_all(wire: Wire, data: bytes) -> None:
    with contextlib.suppress(OSError):
        wire.send(data)


def answer_head(wire: Wire) -> bytes:
    """The head of the final answer, interim ones passed over."""
    while (head := wire.head()).startswith(b"HTTP/1.1 1"):
        pass
    return head


def check_begun(wire: Wire, fault: Fault) -> None:
    """The response that began came to an end that nobody takes for whole, unless it was."""
    assert answer_head(wire).startswith(b"HTTP/1.1 200 ")
    if fault.is_whole:
        return wire.until(LAST_CHUNK)
    ended = wire.ended(10)
    assert ended is not None, "the client is left hanging"
    body = wire.seen.partition(b"\r\n\r\n")[2]
    assert not body.endswith(LAST_CHUNK), "a cut response looks whole"
    # Only a reset tells a reader of a body that the close delimits that this was not its end.
    if "the close delimits" in fault.name:
        assert ended == "rst"


def assert_tokens(record: dict, fault: Fault) -> None:
    """A record never claims a token that did not come, nor times that nobody saw."""
    if fault.stage == "streaming" or fault.is_whole:
        assert record["events"] >= 1 and record["ttft_ms"] is not None
    else:
        assert not record["events"] and record["ttft_ms"] is None
        assert record["waited_ms"] is not None or fault.stage == "upload"


# MARK: Upstreams that are not there


def test_upstream_refuses(serve, holds):
    port = free_port()
    proxy = serve(f"http://127.0.0.1:{port}")
    wire = connect(proxy.port)
    wire.send(request())
    assert wire.message().start.startswith(b"HTTP/1.1 502 ")
    upstream = ScriptedUpstream(answer_plainly, port=port)
    record = recover(proxy, 1)
    upstream.close()
    assert (record["outcome"], record["stage"]) == ("upstream_unreachable", "connecting")
    holds()


def test_upstream_never_accepts(serve, holds):
    with contextlib.ExitStack() as dead:
        port = dead.enter_context(dead_address(socket.AF_INET, "127.0.0.1", 0))
        proxy = serve(f"http://127.0.0.1:{port}", "--set", "timeouts.connect=500ms")
        wire = connect(proxy.port)
        wire.send(request())
        assert wire.message().start.startswith(b"HTTP/1.1 504 ")
        proxy.records(1)
    upstream = ScriptedUpstream(answer_plainly, port=port)
    record = recover(proxy, 1)
    upstream.close()
    assert (record["outcome"], record["stage"]) == ("timeout", "connecting")
    holds()


def test_upstream_accepts_and_never_reads(serve, holds):
    """A body that it takes nothing of, beyond what the kernel keeps for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        proxy = serve(f"http://127.0.0.1:{port}", "--set", "timeouts.upstream_stalled=500ms")
        wire = connect(proxy.port)
        sender = threading.Thread(target=send_all, args=(wire, request("POST", "/up", b"x" * 50_000_000)))
        sender.start()
        assert wire.head().startswith(b"HTTP/1.1 504 ")
        wire.close()
        sender.join(10)
        proxy.records(1)
    upstream = ScriptedUpstream(answer_plainly, port=port)
    record = recover(proxy, 1)
    upstream.close()
    assert (record["outcome"], record["stage"]) == ("timeout", "upload")
    holds()


# MARK: A simulated server's faults

SIMULATED = {
    "error-after: 3": ("stream_error", "streaming"),
    "cut-after: 3": ("truncated", "streaming"),
    "cut-after: 0": ("truncated", "waiting"),
    "tear-after: 3": ("truncated", "streaming"),
    "tear-after: 0": ("truncated", "waiting"),
    "reset-after: 3": ("truncated", "streaming"),
    "garbage-after: 3": ("truncated", "streaming"),
    "status: 503": ("upstream_status", None),
    "hang: head": ("timeout", "waiting"),
    "hang: 3": ("timeout", "streaming"),
}


@pytest.mark.parametrize("field", SIMULATED, ids=lambda field: field.replace(": ", "-"))
def test_a_simulated_server_breaks(serve, tmp_path, field, holds):
    simulator = Simulator(tmp_path, "--ttft", "1ms", "--interval", "1ms")
    try:
        limits = ["--set", "timeouts.response=1s", "--set", "timeouts.between_reads=1s"]
        proxy = serve(simulator.url, *limits)
        wire = connect(proxy.port)
        wire.send(request("POST", "/v1/chat/completions", None, b"x-sim-tokens: 20", b"x-sim-" + field.encode()))
        wire.head()
        proxy.records(1)
        wire.close()
        after = connect(proxy.port)
        after.send(request("POST", "/v1/chat/completions", None, b"x-sim-tokens: 5"))
        after.head()
        assert DONE in after.chunked()
        after.close()
        broken, next_one = proxy.records(2)
        assert (broken["outcome"], broken["stage"]) == SIMULATED[field], broken
        assert (next_one["outcome"], next_one["output_tokens"]) == ("ok", 5)
        truth = simulator.truth(2)[0]
        if broken["tokens_from"] == "events":
            assert broken["output_tokens"] == truth["tokens"]
        holds()
    finally:
        simulator.stop()


# MARK: The log


def ask(proxy, count: int) -> None:
    """So many exchanges, each answered as if nothing were the matter."""
    wire = connect(proxy.port)
    for _ in range(count):
        wire.send(get("/asked"))
        assert wire.message().start.startswith(b"HTTP/1.1 200 ")
    wire.close()


def whole_rows(data: bytes) -> list[dict]:
    """What a reader of the log takes: a torn line is skipped, and was written again whole."""
    return [json.loads(line) for line in data.splitlines() if line.startswith(b"{") and line.endswith(b"}")]


def losses(rows: list[dict]) -> int:
    """What the log says it lost, all told."""
    others = [row for row in rows if "outcome" not in row]
    return sum(value for row in others for key, value in row.items() if "drop" in key and isinstance(value, int))


def test_the_logs_disk_is_full_and_has_room_again(serve, scripted, tmp_path, holds):
    """A disk of 64 KiB, of the proxy's own: full, then emptied. What was lost is counted, what is written is whole."""
    require_namespaces()
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f'mount -t tmpfs -o size=64k none {disk} && exec "$@"'
    under = ["unshare", "--mount", "sh", "-ec", script, "sh"]
    proxy = serve(scripted(answer_plainly).url, "--set", "records.queue=8", records=str(disk / "log"), under=under)
    # The disk is only seen from within.
    inside = pathlib.Path(f"/proc/{proxy.child.process.pid}/root{disk}/log")
    ask(proxy, 300)
    full = inside.stat().st_size
    assert full <= 65536
    os.truncate(inside, 0)
    deadline = time.monotonic() + 20
    while True:
        ask(proxy, 1)
        rows = whole_rows(inside.read_bytes().rpartition(b"\n")[0])
        if any("outcome" in row for row in rows) and losses(rows):
            break
        assert time.monotonic() < deadline, "nothing is written though there is room"
        time.sleep(0.05)
    before = inside.read_bytes().count(b'"/asked"')
    ask(proxy, 1)
    while inside.read_bytes().count(b'"/asked"') <= before:
        assert time.monotonic() < deadline + 10
        time.sleep(0.05)
    proxy.stop()
    holds()


def test_the_logs_reader_is_stuck_and_reads_again(serve, scripted, tmp_path, holds):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    proxy = serve(scripted(answer_plainly).url, "--set", "records.queue=16", records=str(fifo))
    ask(proxy, 400)
    read = bytearray()
    os.set_blocking(reader, True)

    def read_on():
        while data := os.read(reader, 65536):
            read.extend(data)

    thread = threading.Thread(target=read_on)
    thread.start()
    ask(proxy, 1)
    proxy.stop(timeout=20)
    thread.join(10)
    os.close(reader)
    rows = whole_rows(bytes(read))
    assert sum("outcome" in row for row in rows) + losses(rows) == 401
    assert losses(rows) > 0
    holds()
