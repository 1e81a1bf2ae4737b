"""Cases 54 to 60: what operators, name servers, neighbours and disks do meanwhile, at a size fit for every day.

Thousands of streams, gigabytes and hours are scripts/soak's.
"""

import collections
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import struct
import threading
import time

import pytest
from harness.names import NAME, NameServer
from harness.process import eventually
from harness.said import answer_plainly, get
from harness.story import GET, OK, UPSTREAM, Split, Teller, Upstream, answered, asked, every
from harness.tachograph import read_records
from harness.underway import Underway
from harness.wire import LAST_CHUNK, connect


@pytest.fixture
def upstream():
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield Upstream(listener, Split(UPSTREAM))


def test_case_54_a_signal_lets_exchanges_end_from_whatever_byte_they_had_come_to(serve, upstream):
    proxy = serve(upstream.url)
    underway = Underway(proxy.port, upstream)
    idle = connect(proxy.port)
    proxy.child.signal(signal.SIGTERM)
    assert idle.ended(10) is not None, "an idle client was not told to go"
    with pytest.raises(OSError):
        connect(proxy.port).exactly(1)
    underway.go_on()
    # A client who could not be told any more that its connection ends has a moment to ask for something else.
    assert {client.closed() for client in underway.clients} == {"fin"}
    assert proxy.child.wait(20) == 0
    assert every(proxy.records(underway.count), "outcome", "status") == ("ok", 200)


def test_case_54_draining_is_bounded_and_what_is_cut_is_recorded(serve, upstream):
    proxy = serve(upstream.url, "--set", "timeouts.drain=500ms")
    underway = Underway(proxy.port, upstream)
    proxy.child.signal(signal.SIGTERM)
    assert proxy.child.wait(20) == 0
    for client in underway.clients:
        received, _ = client.rest_and_ending()
        assert not received.endswith(LAST_CHUNK) or received.startswith(b"HTTP/1.1 503 ")
    assert every(proxy.records(underway.count), "outcome") == "timeout"


def test_case_55_a_restart_lets_exchanges_end_from_whatever_byte_they_had_come_to(serve, upstream):
    """The successor has the same socket, and serves whoever comes meanwhile."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as held:
        old = serve(upstream.url, sockets=(held,))
        underway = Underway(held.getsockname()[1], upstream)
        new = serve(upstream.url, sockets=(held,))
        old.child.signal(signal.SIGTERM)
        old.child.wait_for("draining")
        for _ in range(5):
            client = connect(held.getsockname()[1])
            server = asked(client, upstream, GET)
            server.send(OK)
            assert client.message().body == b"ok"
            client.close()
            server.close()
        underway.go_on()
        assert {client.closed() for client in underway.clients} == {"fin"}
        assert old.child.wait(20) == 0
    # The old one may still have served some of those who came.
    new.stop()
    records = read_records(old.log) + read_records(new.log)
    assert len(records) == underway.count + 5
    assert every(records, "outcome", "status") == ("ok", 200)


CLOSED = b"closed"


def test_case_56_clients_beyond_the_descriptors_are_told_so_and_the_others_served(serve, scripted):
    """The process has 96 descriptors: without a budget of its own, libuv closes clients whom nobody counts."""
    may_answer = threading.Event()

    def script(wire):
        with contextlib.suppress(EOFError):
            while wire.message():
                assert may_answer.wait(30)
                wire.send(OK)

    upstream = scripted(script)
    proxy = serve(upstream.url, under=["prlimit", "--nofile=96:96"])
    clients, statuses = 120, collections.Counter()

    def ask():
        wire = connect(proxy.port)
        wire.sock.settimeout(60)
        try:
            wire.send(GET)
            statuses[wire.response()[1].start.split()[1]] += 1
        except (EOFError, ConnectionError):
            statuses[CLOSED] += 1
        wire.close()

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    eventually(lambda: upstream.connections + statuses[b"503"] + statuses[CLOSED] == clients)
    may_answer.set()
    for thread in threads:
        thread.join()
    # A few are told at a time; who comes while they are, is closed at once.
    assert set(statuses) <= {b"200", b"503", CLOSED} and statuses[b"503"] > 0 and statuses[b"200"] >= 16, statuses
    outcomes = collections.Counter(record["outcome"] for record in proxy.records(statuses[b"200"] + statuses[b"503"]))
    assert outcomes == {"ok": statuses[b"200"], "rejected": statuses[b"503"]}
    # There is room again.
    ask()
    assert statuses[b"200"] == outcomes["ok"] + 1


def test_case_56_whoever_is_told_so_is_told_at_every_byte(teller_with):
    def story(client, upstream):
        inside = [client] + [client.another() for _ in range(5)]
        servers = []
        for each in inside:
            each.send(GET)
            servers.append(upstream.accept())
            servers[-1].expect(GET)
        outside = client.another()
        outside.send_as_it_can(GET)
        outside.refused(503)
        for each, server in zip(inside, servers, strict=True):
            server.send(OK)
            each.expect(OK)

    records = teller_with("--set", "limits.descriptors=16").tell(story, records=7)
    statuses = collections.Counter(record["status"] for record in records)
    assert statuses == {200: len(records) // 7 * 6, 503: len(records) // 7}


def test_case_57_while_the_resolver_hangs_what_is_known_serves_at_every_byte(tmp_path):
    """The rest of this case is test_resolving.py."""
    names = NameServer("127.0.0.1")
    command = names.command(tmp_path)
    teller = Teller(tmp_path, "--set", "resolver.fresh=100ms", host=NAME, under=command)
    assert every(teller.tell(answered(GET)), "outcome") == "ok"
    names.addresses = None
    questions = names.questions
    eventually(lambda: (teller.tell_each([answered(GET)]), names.questions > questions)[1])
    assert every(teller.tell(answered(GET)), "outcome") == "ok"
    teller.close()
    names.close()


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version_2(client: str, extension: bytes = b"") -> bytes:
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    here = "::1" if ":" in client else "127.0.0.1"
    ends = socket.inet_pton(family, client) + socket.inet_pton(family, here) + struct.pack("!HH", 56308, 80)
    block = ends + extension
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x21 if ":" in client else 0x11, len(block)) + block


PROXY_ON = ("--set", "proxy_protocol.mode=required", "--set", "forwarding.x_forwarded_for=append")


@pytest.mark.parametrize(
    ("header", "named_client"),
    [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 56308 80\r\n", "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 56308 80\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (version_2("192.0.2.7"), "192.0.2.7"),
        (version_2("2001:db8::7", extension=b"\x01\0\x08http/1.1\xe0\0\x00"), "2001:db8::7"),
        (SIGNATURE + b"\x20\0\0\0", "127.0.0.1"),
    ],
)
def test_case_58_a_proxy_header_names_the_client_of_all_that_follows(teller_with, header, named_client):
    passed_on = GET[:-2] + b"X-Forwarded-For: " + named_client.encode() + b"\r\n\r\n"

    def story(client, upstream):
        client.send(header + GET + GET)
        server = upstream.accept()
        for _ in range(2):
            server.expect(passed_on)
            server.send(OK)
            client.expect(OK)

    assert every(teller_with(*PROXY_ON).tell(story, records=2), "client", "outcome") == (named_client, "ok")


@pytest.mark.parametrize(
    "sent",
    [
        GET,
        b"PROXY TCP4 192.0.2.7 10.0.0.1 56308\r\n" + GET,
        b"PROXY TCP4 192.0.2.777 10.0.0.1 56308 80\r\n" + GET,
        b"PROXY TCP4 192.0.2.7 10.0.0.1 56308 80\n" + GET,
        b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n" + GET,
        SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 100,
        SIGNATURE + b"\x31\x11\0\x0c" + b"x" * 12 + GET,
        version_2("192.0.2.7", extension=b"\x03\0\x04\0\0\0\0") + GET,
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_case_58_anything_else_is_closed_unanswered(teller_with, sent):
    def story(client, upstream):
        client.send_as_it_can(sent)
        assert client.closed() in ("fin", "rst")

    teller_with(*PROXY_ON).tell(story, records=0)


def answered_until(port: int, done: threading.Event, counts: list[int]) -> None:
    """One exchange after the other, on one connection; adds how many there were."""
    wire, count = connect(port), 0
    while not done.is_set():
        wire.send(get(f"/{count}"))
        wire.message()
        count += 1
    counts.append(count)


def test_case_59_rotation_under_load_loses_and_splits_no_line(serve, scripted):
    proxy = serve(scripted(answer_plainly).url)
    done, counts = threading.Event(), []
    clients = [threading.Thread(target=answered_until, args=(proxy.port, done, counts)) for _ in range(3)]
    for client in clients:
        client.start()
    rotated = []
    for number in range(20):
        eventually(lambda: proxy.log.exists() and proxy.log.stat().st_size > 0)
        rotated.append(proxy.log.with_suffix(f".{number}"))
        proxy.log.rename(rotated[-1])
        proxy.child.signal(signal.SIGHUP if number % 2 else signal.SIGUSR1)
    done.set()
    for client in clients:
        client.join()
    proxy.stop()
    logs = [log.read_bytes() for log in [*rotated, proxy.log] if log.exists()]
    assert all(log.endswith(b"\n") for log in logs if log)
    assert sum(len(log.splitlines()) for log in logs) == sum(counts)
    assert all(json.loads(line)["outcome"] == "ok" for log in logs for line in log.splitlines())


def test_case_59_a_log_that_is_copied_and_truncated_has_no_holes(serve, scripted):
    proxy = serve(scripted(answer_plainly).url)
    done, counts = threading.Event(), []
    client = threading.Thread(target=answered_until, args=(proxy.port, done, counts))
    client.start()
    copies = []
    for number in range(20):
        eventually(lambda: proxy.log.stat().st_size > 1000)
        copies.append(proxy.log.with_suffix(f".{number}"))
        shutil.copy(proxy.log, copies[-1])
        os.truncate(proxy.log, 0)
    done.set()
    client.join()
    proxy.stop()
    assert b"\0" not in proxy.log.read_bytes()
    for copy in copies:
        read_records(copy)
    assert read_records(proxy.log)


def test_case_59_a_signal_at_any_byte_loses_no_record(teller_with):
    teller = teller_with("--set", "instance=signalled")
    signals = itertools.cycle([signal.SIGHUP, signal.SIGUSR1])

    def story(client, upstream):
        client.send(GET)
        teller.proxy.child.signal(next(signals))
        server = upstream.accept()
        server.expect(GET)
        server.send(OK)
        client.expect(OK)

    assert every(teller.tell(story), "outcome") == "ok"


def slowest_of(proxy, count: int) -> float:
    """The slowest of many small exchanges on one connection, in seconds."""
    wire = connect(proxy.port)
    slowest = 0.0
    for _ in range(count):
        started = time.monotonic()
        wire.send(get())
        wire.message()
        slowest = max(slowest, time.monotonic() - started)
    return slowest


def test_case_60_a_full_disk_slows_nothing(serve, scripted):
    proxy = serve(scripted(answer_plainly).url, records="/dev/full")
    assert slowest_of(proxy, 300) < 1.0
    proxy.stop()


def test_case_60_a_full_disk_changes_nothing_at_any_byte(tmp_path):
    teller = Teller(tmp_path, records="/dev/full")
    teller.tell(answered(GET))
    teller.close()


@pytest.fixture
def fifo(tmp_path):
    """A FIFO that is open for reading, and from which nobody reads."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def test_case_60_a_fifo_that_nobody_reads_slows_nothing(serve, scripted, fifo):
    proxy = serve(scripted(answer_plainly).url, "--set", "timeouts.drain=1s", records=str(fifo[0]))
    assert slowest_of(proxy, 400) < 1.0
    proxy.stop(timeout=20)


def test_case_60_a_fifo_without_a_reader_does_not_keep_it_from_starting(serve, scripted, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    proxy = serve(scripted(answer_plainly).url, "--set", "timeouts.drain=1s", records=str(tmp_path / "fifo"))
    assert slowest_of(proxy, 50) < 1.0
    proxy.stop(timeout=20)


def is_whole(line: bytes) -> bool:
    """Whether a reader of the log would take the line: a torn one is skipped, and written again whole."""
    return line.startswith(b"{") and line.endswith(b"}")


def test_case_60_dropped_records_are_counted_and_recorded(serve, scripted, fifo):
    """A tiny queue behind a FIFO that is full: what was dropped is said once the reader reads again."""
    path, reader = fifo
    settings = ("--set", "records.queue=4", "--set", "timeouts.drain=5s")
    proxy = serve(scripted(answer_plainly).url, *settings, records=str(path))
    slowest_of(proxy, 400)
    os.set_blocking(reader, True)
    read = bytearray()

    def drain():
        while data := os.read(reader, 65536):
            read.extend(data)

    thread = threading.Thread(target=drain)
    thread.start()
    # One more exchange, so that the writer has a reason to speak.
    slowest_of(proxy, 1)
    proxy.stop(timeout=20)
    thread.join(10)
    rows = [json.loads(line) for line in bytes(read).splitlines() if is_whole(line)]
    exchanges = [row for row in rows if row.get("outcome")]
    others = [row for row in rows if not row.get("outcome")]
    assert len(exchanges) < 401
    dropped = sum(value for row in others for key, value in row.items() if "drop" in key and isinstance(value, int))
    assert len(exchanges) + dropped == 401, others
