"""What servers and browsers accept goes through: methods, targets, Host, one form of framing, CORS; and a pool that learns."""

import http.client
import json
import re
import socket
import threading
import time

import pytest
from harness.wire import Wire, fields_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Seen:
    """A server that keeps what it was sent, answers each request by its script, and keeps its connections open."""

    def __init__(self, scripted, answer=OK):
        self.heads: list[bytes] = []
        self.connections = 0
        self.answer = answer
        self.upstream = scripted(self._serve)

    def _serve(self, wire: Wire) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append(wire.message().head)
                wire.send(self.answer)
        except (EOFError, OSError):
            pass

    @property
    def url(self) -> str:
        return self.upstream.url


def ask(proxy, request: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, fields and body of the answer to raw bytes."""
    with socket.create_connection(("127.0.0.1", proxy.port)) as sock:
        wire = Wire(sock)
        wire.send(request)
        head = wire.head()
        body = wire.exactly(int(fields_of(head)[b"content-length"]))
    return int(head.split()[1]), fields_of(head), body


METHODS = (
    "QUERY PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT ACL BIND REBIND UNBIND CHECKOUT MERGE "
    "MKACTIVITY MKCALENDAR LINK UNLINK PURGE NOTIFY SUBSCRIBE UNSUBSCRIBE M-SEARCH SOURCE"
).split()


def test_methods_of_others_are_forwarded_with_their_bodies(serve, scripted):
    server = Seen(scripted)
    proxy = serve(server.url)
    for method in METHODS:
        status, _, body = ask(proxy, f"{method} /dav/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody".encode())
        assert (status, body) == (200, b"ok"), method
    assert [head.split(b" ")[0].decode() for head in server.heads] == METHODS
    assert [record["method"] for record in proxy.records(len(METHODS))] == METHODS


@pytest.mark.parametrize(
    "method, named",
    [("BREW", "BREW"), ("post", "post"), ("A" * 60, "A" * 32 + "..."), ("X!#$%&'*+-.^_`|~0", "X!#$%&'*+-.^_`|~0")],
)
def test_a_method_that_is_not_known_is_named_to_its_client_and_to_nobody_else(serve, scripted, method, named):
    proxy = serve(Seen(scripted).url)
    status, _, body = ask(proxy, f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert status == 501
    assert json.loads(body)["error"]["message"] == f"tachograph: method not implemented: {named}"
    record = proxy.record()
    assert (record["method"], record["error"]) == (None, "request_not_implemented: method not implemented")


def test_what_is_no_token_is_not_named(serve, scripted):
    status, _, body = ask(serve(Seen(scripted).url), b'G"<ET / HTTP/1.1\r\nHost: a\r\n\r\n')
    assert status == 400 and b"<" not in body


TARGETS = [
    "/v1/models/qwen-größe".encode(),
    "/chat?q=你好&x=\"<y>\"".encode(),
    b"/a\xff\xfeb",
    b'/"quoted"',
    b"/<tag>",
    b"/a\\b",
    b"/page#part",
    b"/{a}|^`b",
]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_goes_on_as_it_came_and_strictly_it_is_refused(serve, scripted, target):
    server = Seen(scripted)
    proxy = serve(server.url)
    # The second one is like the first, which was kept.
    for _ in range(2):
        assert ask(proxy, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")[0] == 200
    assert [head.split(b"\r\n")[0] for head in server.heads] == [b"GET " + target + b" HTTP/1.1"] * 2
    records = proxy.records(2)
    assert records[0]["path"] == re.split(rb"[?#]", target)[0].decode(errors="replace")
    strict = serve(server.url, "--set", "forwarding.targets=strict")
    is_plain = target == b"/{a}|^`b"
    assert ask(strict, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")[0] == (200 if is_plain else 400)


def test_requests_behind_a_raw_target_on_the_same_connection(serve, scripted):
    server = Seen(scripted)
    proxy = serve(server.url)
    targets = ["/größe", "/plain", "/你好?é", "/", "/é"] * 3
    requests = [f"GET {target} HTTP/1.1\r\nHost: a\r\nX: é\r\n\r\n".encode() for target in targets]
    with socket.create_connection(("127.0.0.1", proxy.port)) as sock:
        wire = Wire(sock)
        for request in requests[:8]:
            wire.send(request)
            assert wire.message().body == b"ok"
        wire.send(b"".join(requests[8:]))
        assert [wire.message().body for _ in requests[8:]] == [b"ok"] * len(requests[8:])
    assert [head.split(b" ")[1].decode() for head in server.heads] == targets


@pytest.mark.parametrize("target", [b"/a b", b"/a\tb", b"/a\0b", b"/a\x7fb", b"/a\x1bb", b"/\xe9\x01", b"/\xe9 x", b"\xe9", b"*"])
def test_a_target_that_splits_a_message_is_refused_in_either_way(serve, scripted, target):
    server = Seen(scripted)
    for way in ("lenient", "strict"):
        proxy = serve(server.url, "--set", f"forwarding.targets={way}")
        assert ask(proxy, b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")[0] in (400, 505)
    assert not server.heads


def hosts_of(heads: list[bytes]) -> list[bytes]:
    return [fields_of(head)[b"host"] for head in heads]


@pytest.mark.parametrize(
    "host, sent",
    [
        ("pass", [b"mine:1", b"mine:1", b"other", None]),
        ("upstream", [None] * 4),
        ("llm.example", [b"llm.example"] * 4),
        ("llm.example:8080", [b"llm.example:8080"] * 4),
    ],
)
def test_host_is_what_the_settings_say(serve, scripted, host, sent):
    server = Seen(scripted)
    proxy = serve(server.url, "--set", f"forwarding.host={host}")
    own = server.url.removeprefix("http://").encode()
    for request in (
        b"GET / HTTP/1.1\r\nHost: mine:1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: mine:1\r\n\r\n",
        b"GET http://other/ HTTP/1.1\r\nHost: mine:1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ):
        assert ask(proxy, request)[0] == 200
    assert hosts_of(server.heads) == [each or own for each in sent]


@pytest.mark.parametrize("host, sent", [("pass", b"mine"), ("upstream", None), ("llm.example", b"llm.example")])
def test_host_of_a_websocket_is_what_the_settings_say(serve, scripted, host, sent):
    seen = []

    def script(wire):
        seen.append(wire.head())
        wire.send(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
        wire.rest()

    upstream = scripted(script)
    proxy = serve(upstream.url, "--set", f"forwarding.host={host}")
    with socket.create_connection(("127.0.0.1", proxy.port)) as sock:
        wire = Wire(sock)
        wire.send(b"GET /ws HTTP/1.1\r\nHost: mine\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        wire.head()
        assert wire.exactly(5) == b"hello"
    assert hosts_of(seen) == [sent or upstream.url.removeprefix("http://").encode()]


def test_a_host_that_is_none_is_refused_at_the_start(tmp_path):
    import subprocess

    from harness.tachograph import binary, clean_environment

    for host in ("a b", "a/b", "http://a", "a@b", "a:x", ""):
        run = subprocess.run(
            [binary(), "serve", "--upstream", "http://127.0.0.1:1", "--set", f"forwarding.host={host}"],
            cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert run.returncode != 0 and "forwarding.host" in run.stderr, host


@pytest.mark.parametrize("spelt", [b"010", b"0000000010", b"10"])
def test_a_length_has_one_form_on_both_sides(serve, scripted, spelt):
    server = Seen(scripted, b"HTTP/1.1 200 OK\r\nContent-Length: " + spelt + b"\r\n\r\n0123456789")
    proxy = serve(server.url)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", proxy.port)) as sock:
            wire = Wire(sock)
            wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + spelt + b"\r\n\r\n0123456789")
            head = wire.head()
            assert wire.exactly(10) == b"0123456789"
        assert b"\r\nContent-Length: 10\r\n" in head
        assert b"\r\nContent-Length: 10\r\n" in server.heads[-1]


@pytest.mark.parametrize(
    "fields",
    [
        b"Content_Length: 5",
        b"Content-Length: 5\r\nContent_length: 6",
        b"Transfer_Encoding: chunked\r\nContent-Length: 5",
        b"Content-Length: 5,",
        b"Content-Length: 5, 5",
        b"Content-Length: +5",
        b"Content-Length: 5_0",
        b"Content-Length: 0x5",
        b"Content-Length: 5\x0b",
        b"Transfer-Encoding: chunked,",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding:\x0bchunked",
        b"Transfer-Encoding: x, chunked",
    ],
)
def test_other_spellings_of_a_length_or_a_coding_are_refused(serve, scripted, fields):
    server = Seen(scripted)
    proxy = serve(server.url)
    assert ask(proxy, b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\nhello")[0] in (400, 501)
    assert not server.heads


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2,2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked,\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(1100)) + b"\r\n",
        b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 103 E\r\nX: y\r\n\r\nHTTP/1.1 9 OK\r\n\r\n",
    ],
)
def test_an_invalid_response_has_an_outcome_of_its_own(serve, scripted, answer):
    proxy = serve(Seen(scripted, answer).url, "--admin", "127.0.0.1:0")
    with socket.create_connection(("127.0.0.1", proxy.port)) as sock:
        wire = Wire(sock)
        wire.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        head = wire.head()
        if head.startswith(b"HTTP/1.1 103"):
            head = wire.head()
    assert head.startswith(b"HTTP/1.1 502 ")
    record = proxy.record()
    assert (record["outcome"], record["stage"], record["status"]) == ("upstream_invalid", "waiting", 502)
    assert record["error"].split(":")[0] in ("response_malformed", "response_head_too_large")
    admin = re.search(r"admin[^\n]*127\.0\.0\.1:(\d+)", proxy.child.output)
    connection = http.client.HTTPConnection("127.0.0.1", int(admin[1]))
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    assert 'tachograph_exchanges_total{outcome="upstream_invalid",stage="waiting"} 1\n' in page
    assert 'outcome="upstream_reset",stage="waiting"} 0\n' in page


ORIGIN = b"https://chat.example:8443"


def allowed(fields: dict[bytes, bytes]) -> tuple[bytes | None, bytes | None]:
    return fields.get(b"access-control-allow-origin"), fields.get(b"vary")


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


OWN_ANSWERS = {
    "unreachable": (b"POST / HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\nContent-Length: 2\r\n\r\nhi", 502),
    "bad framing": (b"POST / HTTP/1.1\r\nOrigin: %s\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\nOrigin: %s\r\n\r\n", 400),
    "unknown method": (b"BREW / HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\n\r\n", 501),
    "head too large": (b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    "body too large": (b"POST / HTTP/1.1\r\nHost: a\r\norigin:%s\r\nContent-Length: 999\r\n\r\n", 413),
    "expectation": (b"POST / HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", 417),
    "version": (b"GET / HTTP/1.2\r\nHost: a\r\nOrigin: %s\r\n\r\n", 505),
}


@pytest.mark.parametrize("name", OWN_ANSWERS)
def test_an_answer_of_the_proxys_own_may_be_read_by_the_page_that_asked(serve, name):
    request, status = OWN_ANSWERS[name]
    proxy = serve(f"http://127.0.0.1:{closed_port()}", "--set", "limits.request_body_bytes=100")
    got, fields, _ = ask(proxy, request % ORIGIN)
    assert (got, *allowed(fields)) == (status, ORIGIN, b"Origin") or name == "version" and got == status
    for other in (b"https://a https://b", b"*", b"https://a/b", b"javascript:alert", b"http://a<b", b"http://\xc3\xa9"):
        assert allowed(ask(proxy, request % other)[1]) == (None, None), other
    assert allowed(ask(proxy, request % b"null")[1])[0] in (b"null", None if name == "version" else b"null")
    quiet = serve(f"http://127.0.0.1:{closed_port()}", "--set", "limits.request_body_bytes=100", "--set", "forwarding.cors_errors=false")
    got, fields, _ = ask(quiet, request % ORIGIN)
    assert (got, *allowed(fields)) == (status, None, None)


def test_a_page_reads_why_it_waited_in_vain(serve, scripted):
    release = threading.Event()

    def script(wire):
        wire.head()
        release.wait(10)

    proxy = serve(scripted(script).url, "--set", "limits.in_flight=1", "--set", "limits.queue=0")
    first = socket.create_connection(("127.0.0.1", proxy.port))
    first.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(0.2)
    status, fields, _ = ask(proxy, b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\n\r\n" % ORIGIN)
    assert (status, *allowed(fields)) == (503, ORIGIN, b"Origin")
    release.set()
    first.close()


def test_an_answer_of_the_servers_own_is_never_changed(serve, scripted):
    answer = b"HTTP/1.1 503 Busy\r\nVary: Accept\r\nContent-Length: 2\r\n\r\nno"
    server = Seen(scripted, answer)
    status, fields, _ = ask(serve(server.url), b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\n\r\n" % ORIGIN)
    assert (status, *allowed(fields)) == (503, None, b"Accept")


class Closing:
    """A server that closes a connection which was idle for `seconds`, and says so where it is to."""

    def __init__(self, scripted, seconds: float, field: bytes = b""):
        self.seconds = seconds
        self.answer = b"HTTP/1.1 200 OK\r\n" + field + b"Content-Length: 2\r\n\r\nok"
        self.served: list[int] = []
        self.ended: list[str] = []
        self.upstream = scripted(self._serve)

    def _serve(self, wire: Wire) -> None:
        self.served.append(0)
        place = len(self.served) - 1
        try:
            while True:
                wire.sock.settimeout(self.seconds if self.served[place] else 10)
                wire.message()
                self.served[place] += 1
                wire.send(self.answer)
        except TimeoutError:
            self.ended.append("server")
        except (EOFError, OSError):
            self.ended.append("proxy")


POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"


def test_an_announced_limit_is_kept_before_the_server_does(serve, scripted):
    server = Closing(scripted, 2, b"Keep-Alive: timeout=2\r\n")
    proxy = serve(server.upstream.url)
    assert ask(proxy, POST)[0] == 200
    time.sleep(0.5)
    assert ask(proxy, POST)[0] == 200
    assert server.served == [2]
    # At one second it is given up, by the proxy.
    time.sleep(1.5)
    assert server.ended == ["proxy"]
    assert ask(proxy, POST)[0] == 200
    assert server.served == [2, 1]


def test_a_server_that_closes_idle_connections_teaches_its_limit(serve, scripted):
    server = Closing(scripted, 0.8)
    proxy = serve(server.upstream.url)
    assert ask(proxy, POST)[0] == 200
    time.sleep(1.1)
    assert server.ended == ["server"]
    # From now on none is used that has been idle for more than half as long.
    assert ask(proxy, POST)[0] == 200
    time.sleep(0.15)
    assert ask(proxy, POST)[0] == 200
    assert server.served == [1, 2]
    time.sleep(0.6)
    assert ask(proxy, POST)[0] == 200
    assert server.served == [1, 2, 1]
    assert server.ended == ["server", "proxy"]


def test_a_server_that_restarts_teaches_nothing_of_idle_connections(serve, scripted):
    served = []

    def script(wire):
        served.append(0)
        while True:
            wire.message()
            served[-1] += 1
            wire.send(OK)
            # The first three end behind their answer and do not say so.
            if len(served) < 4:
                return

    proxy = serve(scripted(script).url)
    for _ in range(3):
        assert ask(proxy, POST)[0] == 200
        time.sleep(0.1)
    for _ in range(3):
        assert ask(proxy, POST)[0] == 200
        time.sleep(0.3)
    assert served == [1, 1, 1, 3]


def test_posts_at_every_age_of_a_connection_are_answered_and_sent_once(serve, scripted):
    """Without what the pool learns, requests at about the age at which the server closes are answered 502."""
    server = Closing(scripted, 0.7)
    proxy = serve(server.upstream.url)
    statuses = []
    for round in range(14):
        statuses.append(ask(proxy, POST)[0])
        time.sleep(0.64 + round * 0.01)
    assert statuses == [200] * 14
    assert sum(server.served) == 14


def test_a_post_that_meets_the_close_is_a_502_sent_once_and_teaches_too(serve, scripted):
    served = []

    def script(wire):
        served.append(0)
        while True:
            wire.message()
            served[-1] += 1
            if len(served) == 1 and served[0] == 2:
                return
            wire.send(OK)

    proxy = serve(scripted(script).url)
    assert ask(proxy, POST)[0] == 200
    time.sleep(0.7)
    assert ask(proxy, POST)[0] == 502
    assert served == [2]
    assert ask(proxy, POST)[0] == 200
    time.sleep(0.6)
    assert ask(proxy, POST)[0] == 200
    assert served == [2, 1, 1]
    assert [record["outcome"] for record in proxy.records(4)] == ["ok", "upstream_reset", "ok", "ok"]
