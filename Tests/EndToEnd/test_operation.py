"""What an operator does: settings that are wrong, signals, rotation, and logs that cannot be written."""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import termios
import threading
import time

import pytest
from harness.process import Child
from harness.said import DONE, STREAM_HEAD, answer_plainly, finish, get, request, token
from harness.tachograph import binary, clean_environment
from harness.wire import LAST_CHUNK, chunk, connect


def run(*arguments: str, environment: dict[str, str] | None = None, cwd=None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [binary(), *arguments],
        env=clean_environment(environment),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )


def test_version_and_help_of_every_subcommand():
    assert run("--version").stdout.strip()
    overview = run("--help").stdout
    for name in ("serve", "tail", "report", "simulate", "demo"):
        assert name in overview
        text = run(name, "--help")
        assert text.returncode == 0 and len(text.stdout) > 200


def test_a_wrong_file_is_refused_with_line_and_nearest_key(tmp_path):
    (tmp_path / "t.yaml").write_text("upstream: http://127.0.0.1:1\nrecords:\n  queu: 5\n  timeline: perhaps\n")
    done = run("serve", "--config", "t.yaml", cwd=tmp_path)
    assert done.returncode != 0
    assert "t.yaml:3: " in done.stderr and "records.queue" in done.stderr
    assert "t.yaml:4: " in done.stderr


def test_wrong_flags_and_variables_are_refused_together(tmp_path):
    done = run(
        "serve",
        "--upstream",
        "https://127.0.0.1:1",
        "--set",
        "nonsense=1",
        cwd=tmp_path,
        environment={"TACHOGRAPH_WORKERS": "many"},
    )
    assert done.returncode != 0
    for part in ("--upstream: ", "nonsense", "TACHOGRAPH_WORKERS: "):
        assert part in done.stderr


def test_without_an_upstream_it_says_how_to_name_one(tmp_path):
    done = run("serve", cwd=tmp_path)
    assert done.returncode != 0
    assert "TACHOGRAPH_UPSTREAM" in done.stderr


def test_a_file_that_is_not_there_is_refused(tmp_path):
    done = run("serve", "--config", "absent.yaml", cwd=tmp_path)
    assert done.returncode != 0
    assert "absent.yaml" in done.stderr


def test_an_address_in_use_is_refused(serve, scripted):
    proxy = serve(scripted(answer_plainly).url)
    done = run("serve", "--upstream", "http://127.0.0.1:1", "--listen", f"127.0.0.1:{proxy.port}", cwd=proxy.log.parent)
    assert done.returncode != 0
    assert str(proxy.port) in done.stderr


def test_a_file_can_set_what_flags_can(serve, scripted, tmp_path):
    upstream = scripted(answer_plainly)
    (tmp_path / "t.yaml").write_text("instance: from-file\nrecords:\n  timeline: true\n")
    proxy = serve(upstream.url, "--config", str(tmp_path / "t.yaml"))
    wire = connect(proxy.port)
    wire.send(get())
    wire.message()
    assert proxy.record()["instance"] == "from-file"


class Stream:
    """A scripted stream that goes on until a test lets it end."""

    def __init__(self):
        self.may_end = threading.Event()

    def __call__(self, wire):
        wire.message()
        wire.send(STREAM_HEAD, chunk(token("a")))
        if self.may_end.wait(30):
            wire.send(chunk(token("b")), chunk(finish()), chunk(DONE), LAST_CHUNK)
        wire.ended(10)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_streams_end_and_takes_no_new_ones(serve, scripted, number):
    stream = Stream()
    proxy = serve(scripted(stream).url)
    wire = connect(proxy.port)
    idle = connect(proxy.port)
    wire.send(request())
    wire.head()
    wire.until(token("a"))
    proxy.child.signal(number)
    assert idle.ended(5) is not None, "an idle client was not told to go"
    with pytest.raises(OSError):
        connect(proxy.port).exactly(1)
    stream.may_end.set()
    wire.until(DONE)
    assert wire.until(LAST_CHUNK).endswith(LAST_CHUNK)
    assert proxy.child.wait(10) == 0
    assert proxy.record()["outcome"] == "ok"


def test_a_signal_is_obeyed_from_the_moment_the_address_is_told(serve):
    for _ in range(8):
        serve("http://127.0.0.1:1").stop()


def test_a_second_signal_ends_it_now(serve, scripted):
    proxy = serve(scripted(Stream()).url)
    wire = connect(proxy.port)
    wire.send(request())
    wire.until(token("a"))
    proxy.child.signal(signal.SIGTERM)
    time.sleep(0.2)
    assert proxy.child.process.poll() is None
    proxy.child.signal(signal.SIGTERM)
    proxy.child.wait(3)


def test_records_can_go_to_standard_output(serve, scripted):
    proxy = serve(scripted(answer_plainly).url, records="-")
    wire = connect(proxy.port)
    wire.send(get("/to-stdout"))
    wire.message()
    proxy.child.wait_for(r'"path": ?"/to-stdout"')
    lines = [line for line in proxy.child.lines if line.startswith("{")]
    assert [json.loads(line)["status"] for line in lines] == [200]


@pytest.mark.parametrize("command", [["report"], ["tail", "--no-follow"]])
def test_what_cannot_be_written_is_a_failure_and_who_reads_no_more_is_none(serve, scripted, command):
    proxy = serve(scripted(answer_plainly).url)
    wire = connect(proxy.port)
    wire.send(get())
    wire.message()
    proxy.record()
    line = [binary(), *command, str(proxy.log)]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1 and "No space left" in done.stderr
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(line, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=20)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_truth_that_cannot_be_written_is_said_once_and_fails_the_simulator_in_the_end():
    child = Child([binary(), "simulate", "--truth", "/dev/full", "--ttft", "1ms", "--interval", "0", "--tokens", "2"])
    try:
        port = int(child.wait_for(r"listening on 127\.0\.0\.1:(\d+)")[1])
        for _ in range(3):
            wire = connect(port)
            wire.send(request())
            assert wire.message().head.startswith(b"HTTP/1.1 200 ")
        said = child.wait_for("cannot write the truth")
        child.signal(signal.SIGTERM)
        assert child.wait(10) == 1
    finally:
        child.kill()
    assert "No space left on device" in said.string and child.output.count("cannot write the truth") == 1


@pytest.mark.parametrize("columns", [80, 20])
def test_ctrl_c_takes_the_progress_line_off_the_terminal(columns):
    """A terminal of its own, whose Ctrl-C it is; standard input is a log that takes long."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [binary(), "report", "-"],
        stdin=reading,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=at_a_terminal,
    )
    os.close(reading)
    os.close(theirs)
    try:
        shown = b""
        deadline = time.monotonic() + 20
        os.set_blocking(ours, False)
        while b"reading" not in shown and time.monotonic() < deadline:
            os.write(writing, b"{}\n" * 10_000)
            time.sleep(0.05)
            shown += some_of(ours)
        assert b"reading" in shown
        os.write(ours, b"\x03")
        assert child.wait(10) == -signal.SIGINT
        shown += some_of(ours)
    finally:
        child.kill()
        child.wait()
        os.close(writing)
        os.close(ours)
    drawn, _, left = shown.rpartition(b"\r\x1b[K")
    assert left == b""
    # One line is taken away: what had been drawn, and the terminal's own ^C behind it, must not have needed two.
    line = drawn.rpartition(b"\r")[2].replace(b"\x1b[K", b"").decode()
    assert line.endswith("^C") and len(line) <= columns


def at_a_terminal() -> None:
    """What a shell's foreground job begins with; tests may run in the background, where Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(2, termios.TIOCSCTTY, 0)


def some_of(terminal: int) -> bytes:
    """What has been written to a terminal, as far as it has come; the end of its last writer is no error here."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


def test_a_standard_error_that_nobody_reads_stops_no_worker(scripted, tmp_path):
    """The operator's log is written by a thread of its own: what it cannot write is dropped, and the worker goes on."""
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [binary(), "serve", "--upstream", scripted(answer_plainly).url, "--listen", "127.0.0.1:0", "--workers", "1"]
        + ["--records", str(tmp_path / "records.jsonl"), "--set", "proxy_protocol.mode=required"],
        env=clean_environment(),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stderr=writing,
    )
    try:
        said = b""
        while b"forwarding to" not in said:
            said += os.read(reading, 4096)
        port = int(re.search(rb"listening on 127\.0\.0\.1:(\d+)", said)[1])
        # Another description of the same pipe: the child's own stays blocking.
        filling = os.open(f"/proc/self/fd/{writing}", os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(filling, b" " * 4096)
        os.close(filling)
        refused = connect(port)
        refused.send(b"NO HEADER\r\n")
        assert refused.ended(10) in ("fin", "rst")
        wire = connect(port)
        wire.send(b"PROXY TCP4 192.0.2.7 10.0.0.1 56308 80\r\n" + get())
        assert wire.message().body == b"{}"
        child.terminate()
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        os.close(reading)
        os.close(writing)
