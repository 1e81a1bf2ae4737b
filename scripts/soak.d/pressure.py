"""Peers that hardly take anything: memory stays bounded, and nobody else is the later for it."""

import contextlib
import hashlib
import socket
import threading
import time

from ground import Ground, Sizes, Watch, mib
from harness.load import Load, failures
from harness.process import eventually
from harness.said import plain, request
from harness.simulator import Simulator
from harness.tachograph import Tachograph, read_records
from harness.wire import ScriptedUpstream, Wire, fields_of

BLOCK = bytes(range(256)) * 256


def slow_readers(ground: Ground, sizes: Sizes) -> None:
    simulator = ground.simulator()
    proxy = ground.serve(simulator.url)
    probe(proxy, simulator, 20)
    without, beside = [], []
    with Watch(proxy) as watch:
        # By turns, for what else the machine has to do comes and goes.
        for _ in range(3):
            without.append(probe(proxy, simulator, sizes.probe_requests))
            with reading_slowly(proxy.port, sizes.slow_readers):
                beside.append(probe(proxy, simulator, sizes.probe_requests))
    before, during = quietest(without), quietest(beside)
    ground.row(
        f"{sizes.slow_readers} readers at 1 byte/s behind a flood, three times",
        f"memory +{watch.grown_mib:.1f} MiB at most ({mib(watch.before_kib)} before)",
    )
    ground.row(
        "delay of other streams' tokens without and with them",
        f"p50 {before['p50']:.0f} and {during['p50']:.0f} µs, p99 {before['p99']:.0f} and {during['p99']:.0f} µs",
    )
    ground.check(watch.grown_mib < 4 * sizes.slow_readers, f"memory grew by {watch.grown_mib:.1f} MiB")
    # Whoever else is at work on the machine moves the tail: it is judged where the soak has the machine for itself.
    holds = during["p50"] < 2 * before["p50"] + 100 and (
        not sizes.judges_tails or during["p99"] < 3 * before["p99"] + 2000
    )
    ground.check(holds, f"other streams' delays moved: {without} and {beside}")

    def pauses() -> list[float]:
        left = [record for record in read_records(proxy.log) if record["outcome"] == "client_cancelled"]
        return [record["client_stalled_ms"] for record in left]

    eventually(lambda: len(pauses()) >= 3 * sizes.slow_readers)
    ground.check(
        len(pauses()) == 3 * sizes.slow_readers and all(pause > 500 for pause in pauses()),
        f"the pauses are not in the records: {pauses()}",
    )
    proxy.stop()


@contextlib.contextmanager
def reading_slowly(port: int, count: int):
    """So many clients that take one byte a second of a stream without end, which has come to a halt behind them."""
    over = threading.Event()
    readers = [threading.Thread(target=read_slowly, args=(port, over)) for _ in range(count)]
    for reader in readers:
        reader.start()
    time.sleep(1)
    try:
        yield
    finally:
        over.set()
        for reader in readers:
            reader.join()


def quietest(probes: list[dict]) -> dict:
    """The least of some probes, for a machine that others use only ever adds to a delay."""
    return {name: min(each[name] for each in probes) for name in ("p50", "p99")}


def probe(proxy: Tachograph, simulator: Simulator, requests: int) -> dict:
    """The delays of some paced streams' tokens, from the server's write to the client's kernel, in µs."""
    result = Load(
        proxy.port, "--connections", "20", "--requests", str(requests), "--stagger", "0.4",
        "--truth", str(simulator.truth_file), "--id-prefix", f"probe-{time.monotonic_ns()}",
        sim={"ttft": "20ms", "interval": "20ms", "tokens": "40"},
    ).result(timeout=120)
    assert failures(result) == 0, f"streams failed: {result}"
    return result["delay_us"]


def read_slowly(port: int, over: threading.Event) -> None:
    """Asks for a stream without end and takes one byte of it a second."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    with contextlib.closing(sock):
        sock.connect(("127.0.0.1", port))
        fields = (b"X-Sim-TTFT: 0", b"X-Sim-Interval: 0", b"X-Sim-Tokens: 5000000", b"X-Sim-Truth: no")
        sock.sendall(request("POST", "/v1/chat/completions", None, *fields))
        while not over.wait(1):
            sock.recv(1)


def big_upload(ground: Ground, sizes: Sizes) -> None:
    received = hashlib.blake2b()
    count = 0

    def take_slowly(wire: Wire) -> None:
        """Reads about 100 MB/s, and stops for a second now and then."""
        nonlocal count
        length = int(fields_of(wire.head())[b"content-length"])
        received.update(wire.buffer)
        count, next_stop = len(wire.buffer), 0
        while count < length:
            data = wire.sock.recv(1 << 20)
            if not data:
                return
            received.update(data)
            count += len(data)
            time.sleep(len(data) / 100e6)
            if count >= next_stop:
                next_stop += length // 4
                time.sleep(1)
        wire.send(plain(b'{"taken":true}'))
        wire.ended(20)

    upstream = ScriptedUpstream(take_slowly)
    ground.callback(upstream.close)
    proxy = ground.serve(upstream.url)
    sent = hashlib.blake2b()
    began = time.monotonic()
    with Watch(proxy) as watch, contextlib.closing(Wire(socket.create_connection(("127.0.0.1", proxy.port)))) as wire:
        wire.sock.settimeout(60)
        head = b"POST /upload HTTP/1.1\r\nHost: soak\r\nContent-Length: %d\r\n\r\n" % sizes.upload_bytes
        wire.send(head)
        for _ in range(sizes.upload_bytes // len(BLOCK)):
            sent.update(BLOCK)
            wire.send(BLOCK)
        answer = wire.message()
    took = time.monotonic() - began
    ground.row(
        f"{sizes.upload_bytes >> 20:,} MiB uploaded into a slow server",
        f"memory +{watch.grown_mib:.1f} MiB at most ({mib(watch.before_kib)} before), {took:.0f} s, 0 bytes lost",
    )
    ground.check(answer.body == b'{"taken":true}', f"the answer was {answer.start!r}")
    ground.check(
        count == sizes.upload_bytes and sent.digest() == received.digest(), f"{count} bytes came, or other ones"
    )
    ground.check(watch.grown_mib < 8, f"memory grew by {watch.grown_mib:.1f} MiB")
    record = proxy.record()
    ground.check(
        record["outcome"] == "ok" and record["request_bytes"] == sizes.upload_bytes, f"the record says {record}"
    )
    proxy.stop()
