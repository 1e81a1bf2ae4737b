"""Lines of several writers on one pipe or FIFO: none is torn, long ones and standard error's among them."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time

from harness.figures import show
from harness.load import Load, failures
from harness.simulator import Simulator
from harness.tachograph import binary, clean_environment

SHORT, LONG = 6_000, 800
rows: list[tuple[str, str]] = []


class Reader:
    """Reads a descriptor to its end, beside the test."""

    def __init__(self, descriptor: int):
        self.bytes = bytearray()
        self.descriptor = descriptor
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while data := os.read(self.descriptor, 65536):
            self.bytes.extend(data)

    def lines(self) -> list[bytes]:
        self.thread.join(20)
        assert not self.thread.is_alive(), "somebody holds the pipe open"
        os.close(self.descriptor)
        assert self.bytes.endswith(b"\n")
        return bytes(self.bytes).splitlines()


def proxies(upstream: str, folder, records: str, **output) -> list[subprocess.Popen]:
    """Two processes: the second writes lines that are longer than one write can be."""
    started = []
    for number, more in enumerate([[], ["--set", "records.timeline=true"]]):
        (folder / f"{number}").mkdir()
        arguments = ["--upstream", upstream, "--listen", "127.0.0.1:0", "--admin", "0", "--workers", "1"]
        process = subprocess.Popen(
            [binary(), "serve", *arguments, "--records", records, "--set", f"instance=p{number}", *more],
            cwd=folder / f"{number}", env=clean_environment(), stdin=subprocess.DEVNULL, **output,
        )
        started.append(process)
    return started


def ports(processes) -> list[list[int]]:
    """The ports that they listen on, as the kernel says: their output is what is tested."""
    found = []
    for process in processes:
        for _ in range(2_000):
            listed = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout
            mine = [line for line in listed.splitlines() if f"pid={process.pid}," in line]
            if len(mine) >= 2:
                break
            time.sleep(0.01)
        found.append([int(re.search(r":(\d+)\s", line)[1]) for line in mine])
    return found


def answers(port: int) -> bool:
    """Whether it is the admin listener's port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/-/healthy")
        return connection.getresponse().read() == b"ok\n"
    finally:
        connection.close()


def load(processes, beside=lambda: None) -> None:
    """Short answers through the first, long ones through the second, at once."""
    clients = [next(port for port in listened if not answers(port)) for listened in ports(processes)]
    asked = [(SHORT, 1), (LONG, 500)]
    running = [
        Load(port, "--requests", str(count), "--connections", "16", sim={"tokens": tokens, "ttft": "0ms", "interval": "0ms"})
        for port, (count, tokens) in zip(clients, asked, strict=True)
    ]
    while any(one.process.poll() is None for one in running):
        beside()
        time.sleep(0.002)
    assert [failures(one.result()) for one in running] == [0, 0]
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        assert process.wait(30) == 0


def held(what: str, lines: list[bytes]) -> int:
    """Every line is a record or a message, whole, and no record is missing.

    Returns how many messages there are.
    """
    records, messages, torn = [], 0, []
    for line in lines:
        if line.startswith(b"tachograph: ") and b"{" not in line:
            messages += 1
            continue
        try:
            records.append(json.loads(line))
        except ValueError:
            torn.append(line)
    rows.append((f"{what}: torn lines", f"{len(torn)} of {len(lines):,}"))
    show("torn", *rows)
    assert not torn, torn[:3]
    by_instance = {name: sum(record.get("instance") == name and "id" in record for record in records) for name in ("p0", "p1")}
    assert by_instance["p0"] >= SHORT and by_instance["p1"] >= LONG
    assert max(len(line) for line in lines) > 4_096
    return messages


def test_lines_of_two_processes_on_one_fifo_are_whole(tmp_path):
    simulator = Simulator(tmp_path)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # Held open for writing, too, so that it does not end before both processes have opened it.
    opened = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(fifo, os.O_WRONLY)
    os.set_blocking(opened, True)
    reader = Reader(opened)
    processes = proxies(simulator.url, tmp_path, str(fifo), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        load(processes)
        os.close(writing)
        held("two processes on one FIFO", reader.lines())
    finally:
        simulator.child.kill()
        for process in processes:
            process.kill()


def test_lines_of_two_processes_on_one_pipe_with_their_messages_are_whole(tmp_path):
    simulator = Simulator(tmp_path)
    reading, writing = os.pipe()
    reader = Reader(reading)
    processes = proxies(simulator.url, tmp_path, "-", stdout=writing, stderr=writing)
    os.close(writing)

    def reload():
        for process in processes:
            process.send_signal(signal.SIGHUP)

    try:
        load(processes, reload)
        messages = held("two processes with `--records - 2>&1` on one pipe", reader.lines())
        assert messages > 100, "the operator's log was quiet"
    finally:
        simulator.child.kill()
        for process in processes:
            process.kill()
