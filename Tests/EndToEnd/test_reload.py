"""SIGHUP: settings read again while exchanges run; SIGUSR1: the log opened anew, and nothing else."""

import signal
import threading

from harness.process import eventually
from harness.said import (
    DONE,
    STREAM_HEAD,
    answer_plainly,
    finish,
    get,
    plain,
    request,
    token,
)
from harness.tachograph import Tachograph
from harness.wire import LAST_CHUNK, Wire, chunk, connect


def saying(text: bytes):
    """A script: answers every request of its connection with `text`."""

    def script(wire: Wire) -> None:
        while True:
            try:
                wire.message()
            except EOFError:
                return
            wire.send(plain(text))

    return script


class Configured:
    """A proxy whose settings stand in a file."""

    def __init__(self, serve, folder, contents: str, *arguments: str):
        self.file = folder / "t.yaml"
        self.file.write_text(contents)
        self.proxy: Tachograph = serve(None, "--config", str(self.file), *arguments)
        self.reloads = 0

    def reload(self, contents: str | None, answer: str = r"settings read again, (\w+) changed") -> None:
        """Writes the file anew (or takes it away) and waits until the proxy has said what came of it."""
        if contents is None:
            self.file.unlink()
        else:
            self.file.write_text(contents)
        self.proxy.child.lines.clear()
        self.proxy.child.signal(signal.SIGHUP)
        self.proxy.child.wait_for(answer)


def ask(port: int) -> bytes:
    """The body of one answer, on a connection of its own."""
    wire = connect(port)
    wire.send(get())
    body = wire.message().body
    wire.close()
    return body


def test_a_new_upstream_serves_what_begins_and_the_old_one_what_has_begun(serve, scripted, tmp_path):
    may_end = threading.Event()

    def old(wire: Wire) -> None:
        wire.message()
        wire.send(STREAM_HEAD, chunk(token("a")))
        may_end.wait(30)
        wire.send(chunk(token("b")), chunk(finish()), chunk(DONE), LAST_CHUNK)
        wire.ended(30)

    first, second = scripted(old), scripted(saying(b'"second"'))
    configured = Configured(serve, tmp_path, f"upstream: {first.url}\n")
    proxy = configured.proxy
    running = connect(proxy.port)
    running.send(request())
    running.until(token("a"))
    configured.reload(f"upstream: {second.url}\n")
    assert ask(proxy.port) == b'"second"'
    may_end.set()
    running.until(DONE)
    assert running.until(LAST_CHUNK).endswith(LAST_CHUNK)
    # The same client's next request is a new exchange.
    running.send(get())
    assert running.message().body == b'"second"'
    upstreams = [(record["outcome"], record["upstream"]) for record in proxy.records(3)]
    assert sorted(upstreams) == sorted(
        [("ok", f"127.0.0.1:{second.port}"), ("ok", f"127.0.0.1:{first.port}"), ("ok", f"127.0.0.1:{second.port}")]
    )
    assert first.connections == 1


def test_a_request_that_waited_for_its_place_is_recorded_with_the_upstream_that_served_it(serve, scripted, tmp_path):
    may_answer = threading.Event()

    def hang(wire: Wire) -> None:
        wire.message()
        may_answer.wait(30)
        wire.send(plain(b'"first"'))
        wire.ended(30)

    first, second = scripted(hang), scripted(saying(b'"second"'))
    one_at_a_time = "limits:\n  in_flight: 1\n"
    configured = Configured(serve, tmp_path, f"upstream: {first.url}\n{one_at_a_time}")
    served, waiting = connect(configured.proxy.port), connect(configured.proxy.port)
    served.send(get())
    eventually(lambda: first.connections == 1)
    waiting.send(get())
    waiting.wait_until_read()
    configured.reload(f"upstream: {second.url}\n{one_at_a_time}")
    may_answer.set()
    assert served.message().body == b'"first"'
    assert waiting.message().body == b'"second"'
    upstreams = [record["upstream"] for record in configured.proxy.records(2)]
    assert upstreams == [f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}"]


def test_pooled_connections_to_the_old_upstream_are_closed(serve, scripted, tmp_path):
    first, second = scripted(saying(b'"first"')), scripted(saying(b'"second"'))
    configured = Configured(serve, tmp_path, f"upstream: {first.url}\n")
    assert ask(configured.proxy.port) == b'"first"'
    configured.reload(f"upstream: {second.url}\n")
    # Its script closes when the proxy has.
    eventually(lambda: first.wires[0].sock.fileno() == -1)
    assert ask(configured.proxy.port) == b'"second"'


def test_every_worker_goes_over(serve, scripted, tmp_path):
    first, second = scripted(saying(b'"first"')), scripted(saying(b'"second"'))
    configured = Configured(serve, tmp_path, f"upstream: {first.url}\n", "--workers", "4")
    kept = [connect(configured.proxy.port) for _ in range(40)]
    for wire in kept:
        wire.send(get())
        assert wire.message().body == b'"first"'
    configured.reload(f"upstream: {second.url}\n")
    # Each mailbox is emptied in its worker's own time; what is said means that it has been posted.
    for wire in kept:
        body = b""
        for _ in range(200):
            wire.send(get())
            if (body := wire.message().body) == b'"second"':
                break
        assert body == b'"second"'


def test_waits_that_have_begun_keep_their_limit_and_new_ones_have_the_new(serve, scripted, tmp_path):
    may_answer = threading.Event()

    def hang(wire: Wire) -> None:
        wire.message()
        if may_answer.wait(30):
            wire.send(plain(b'"late"'))
        wire.ended(30)

    upstream = scripted(hang)
    configured = Configured(serve, tmp_path, f"upstream: {upstream.url}\n")
    before = connect(configured.proxy.port)
    before.send(get())
    eventually(lambda: upstream.connections == 1)
    configured.reload(f"upstream: {upstream.url}\ntimeouts:\n  response: 300ms\n")
    after = connect(configured.proxy.port)
    after.send(get())
    assert after.message().start.startswith(b"HTTP/1.1 504 ")
    may_answer.set()
    assert before.message().body == b'"late"'


def test_identity_and_forwarding_follow_the_file(serve, scripted, tmp_path):
    upstream = scripted(answer_plainly)
    configured = Configured(serve, tmp_path, f"upstream: {upstream.url}\n")
    configured.reload(
        f"upstream: {upstream.url}\nidentity:\n  headers: [x-team]\nforwarding:\n  via: true\nrecords:\n  timeline: true\n"
    )
    wire = connect(configured.proxy.port)
    wire.send(get("/", b"X-Team: red", b"X-User-Id: ann"))
    wire.message()
    assert configured.proxy.record()["user"] == "red"
    assert b"via: 1.1 tachograph" in upstream.wires[-1].seen.lower()


def test_a_head_that_came_before_is_read_by_the_new_settings(serve, scripted, tmp_path):
    upstream = scripted(answer_plainly)
    configured = Configured(serve, tmp_path, f"upstream: {upstream.url}\n")
    head = get("/", b"X-Team: red", b"X-User-Id: ann")

    def ask(wire, times=3):
        for _ in range(times):
            wire.send(head)
            wire.message()

    old = connect(configured.proxy.port)
    ask(old)
    assert b"via:" not in upstream.wires[-1].seen.lower()
    configured.reload(f"upstream: {upstream.url}\nidentity:\n  headers: [x-team]\nforwarding:\n  via: true\n")
    # On the connection that knows it, and on a new one.
    ask(old)
    ask(connect(configured.proxy.port))
    assert [record["user"] for record in configured.proxy.records(9)] == ["ann"] * 3 + ["red"] * 6
    assert upstream.wires[-1].seen.lower().count(b"via: 1.1 tachograph") == 6


def test_a_wrong_file_changes_nothing_and_says_line_and_nearest_name(serve, scripted, tmp_path):
    upstream = scripted(saying(b'"first"'))
    configured = Configured(serve, tmp_path, f"upstream: {upstream.url}\n")
    wire = connect(configured.proxy.port)
    configured.reload(
        "upstream: http://127.0.0.1:1\ntimeouts:\n  idel: 1s\n  drain: perhaps\n", r"the settings were not changed"
    )
    said = configured.proxy.child.output
    assert f"{configured.file}:3: " in said and "did you mean timeouts.idle?" in said
    assert f"{configured.file}:4: " in said
    wire.send(get())
    assert wire.message().body == b'"first"'
    # And what was mended is taken.
    configured.reload(f"upstream: {upstream.url}\ntimeouts:\n  idle: 10s\n")
    assert "timeouts.idle: 10s (was 75s)" in configured.proxy.child.output


def test_a_file_that_is_gone_changes_nothing(serve, scripted, tmp_path):
    upstream = scripted(saying(b'"first"'))
    configured = Configured(serve, tmp_path, f"upstream: {upstream.url}\n")
    configured.reload(None, r"the settings were not changed")
    assert f"cannot read {configured.file}: No such file" in configured.proxy.child.output
    assert ask(configured.proxy.port) == b'"first"'


def test_what_only_a_restart_changes_is_said(serve, scripted, tmp_path):
    upstream = scripted(saying(b'"first"'))
    configured = Configured(serve, tmp_path, f"upstream: {upstream.url}\n")
    configured.reload(f"upstream: {upstream.url}\ninstance: other\nrecords:\n  queue: 9\n")
    said = configured.proxy.child.output
    assert "instance needs a restart: auto stays in force" in said
    assert "records.queue needs a restart: 8192 stays in force" in said
    assert ask(configured.proxy.port) == b'"first"'
    assert configured.proxy.record()["instance"] != "other"


def test_flags_win_over_the_file_that_is_read_again(serve, scripted, tmp_path):
    upstream = scripted(saying(b'"first"'))
    configured = Configured(
        serve, tmp_path, f"upstream: {upstream.url}\n", "--set", "timeouts.idle=9s"
    )
    configured.reload(f"upstream: {upstream.url}\ntimeouts:\n  idle: 10s\n")
    assert "none changed" in configured.proxy.child.output


def test_a_lower_limit_on_connections_holds_at_once_and_a_higher_one_lets_the_waiting_in(serve, scripted, tmp_path):
    upstream = scripted(saying(b'"first"'))
    configured = Configured(serve, tmp_path, f"upstream: {upstream.url}\nlimits:\n  connections: 2\n")
    held = [connect(configured.proxy.port) for _ in range(2)]
    for wire in held:
        wire.send(get())
        wire.message()
    waiting = connect(configured.proxy.port)
    waiting.send(get())
    configured.reload(f"upstream: {upstream.url}\nlimits:\n  connections: 3\n")
    assert waiting.message().body == b'"first"'


def test_sigusr1_opens_the_log_anew_and_reads_no_settings(serve, scripted, tmp_path):
    upstream = scripted(saying(b'"first"'))
    configured = Configured(serve, tmp_path, f"upstream: {upstream.url}\n")
    proxy = configured.proxy
    ask(proxy.port)
    proxy.record()
    old = proxy.log.with_name("old")
    proxy.log.rename(old)
    configured.file.write_text("upstream: http://127.0.0.1:1\n")
    proxy.child.signal(signal.SIGUSR1)
    eventually(proxy.log.exists)
    assert ask(proxy.port) == b'"first"'
    assert len(proxy.records(1)) == len(proxy.records(1, log=old)) == 1
    assert "settings" not in proxy.child.output
