"""Cases 33 to 43: whose bytes are whose, on connections that carry more than one exchange or stop carrying HTTP."""

import pytest
from harness.story import GET, OK, every, refused

CLOSING_OK = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


def get(path: bytes) -> bytes:
    return b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("close", [b"close\t", b"close ,", b"X-A,close", b"Close", b"keep-alive, close"])
def test_case_33_what_comes_behind_a_closing_request_is_ignored(teller, close):
    def story(client, upstream):
        client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: " + close + b"\r\n\r\n" + get(b"/2"))
        server = upstream.accept()
        server.expect(get(b"/1"))
        server.send(OK)
        client.expect(CLOSING_OK)
        assert client.closed() == "fin"

    assert every(teller.tell(story), "path") == "/1"


def test_case_34_pipelined_requests_are_answered_in_their_order(teller):
    post = b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /"

    def story(client, upstream):
        client.send(get(b"/1") + post + b"\r\n" + get(b"/3"))
        server = upstream.accept()
        for request, answer in ((get(b"/1"), ok(b"one")), (post, ok(b"two")), (get(b"/3"), ok(b"three"))):
            server.expect(request)
            # The next one waits until this one has been answered.
            server.has_nothing()
            server.send(answer)
            client.expect(answer)

    records = teller.tell(story, records=3)
    assert [record["path"] for record in records] == ["/1", "/2", "/3"] * (len(records) // 3)
    assert every(records, "outcome") == "ok"


LEAVING = {"fin": lambda peer: peer.close(), "rst": lambda peer: peer.reset()}


def pooled(client, upstream):
    """An upstream connection that has carried an exchange, and waits for another."""
    client.send(get(b"/first"))
    server = upstream.accept()
    server.expect(get(b"/first"))
    server.send(OK)
    client.expect(OK)
    return server


@pytest.mark.parametrize("leaving", LEAVING)
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
def test_case_35_a_safe_request_on_a_stale_connection_is_sent_once_more(teller, method, leaving):
    request = method + b" / HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def story(client, upstream):
        server = pooled(client, upstream)
        client.send(request)
        server.expect(request)
        LEAVING[leaving](server)
        another = upstream.accept()
        another.expect(request)
        another.send(answer)
        client.expect(answer)

    assert every(teller.tell(story, records=2), "outcome", "status") == ("ok", 200)


def test_case_35_a_connection_known_to_be_stale_is_not_used(teller):
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"

    def story(client, upstream):
        pooled(client, upstream).close()
        client.send(post)
        another = upstream.accept()
        another.expect(post)
        another.send(OK)
        client.expect(OK)

    assert every(teller.tell(story, records=2), "outcome", "upstream_reused") == ("ok", False)


@pytest.mark.parametrize("leaving", LEAVING)
def test_case_35_there_is_no_third_time(teller, leaving):
    def story(client, upstream):
        server = pooled(client, upstream)
        client.send(GET)
        server.expect(GET)
        LEAVING[leaving](server)
        another = upstream.accept()
        another.expect(GET)
        LEAVING[leaving](another)
        client.refused(502)

    outcomes = [record["outcome"] for record in teller.tell(story, records=2)]
    assert outcomes == ["ok", "upstream_reset"] * (len(outcomes) // 2)


@pytest.mark.parametrize("leaving", LEAVING)
@pytest.mark.parametrize("start", [b"POST / HTTP/1.1", b"PUT / HTTP/1.1", b"DELETE / HTTP/1.1", b"GET / HTTP/1.1"])
def test_case_36_anything_else_is_sent_at_most_once(teller, start, leaving):
    """Methods that may change something, and any request with a body."""
    request = start + b"\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"

    def story(client, upstream):
        server = pooled(client, upstream)
        client.send(request)
        server.expect(request)
        LEAVING[leaving](server)
        client.refused(502)
        upstream.is_left_alone()

    outcomes = [record["outcome"] for record in teller.tell(story, records=2)]
    assert outcomes == ["ok", "upstream_reset"] * (len(outcomes) // 2)


UNASKED = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


@pytest.mark.parametrize("unasked", [UNASKED, b"\r\n", b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"])
def test_case_37_what_an_idle_upstream_says_reaches_nobody(teller, unasked):
    def story(client, upstream):
        server = pooled(client, upstream)
        server.send_as_it_can(unasked)
        other = client.another()
        other.send(GET)
        another = upstream.accept()
        another.expect(GET)
        another.send(OK)
        other.expect(OK)
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story, records=2), "outcome") == "ok"


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"])
def test_case_38_what_follows_a_response_reaches_nobody(teller, answer):
    def story(client, upstream):
        client.send(GET)
        server = upstream.accept()
        server.expect(GET)
        server.send_as_it_can(answer + UNASKED)
        assert client.message().body == b"ok"
        assert server.closed() in ("fin", "rst")
        client.send(GET)
        another = upstream.accept()
        another.expect(GET)
        another.send(OK)
        client.expect(OK)

    assert every(teller.tell(story, records=2), "outcome", "response_bytes") == ("ok", 2)


@pytest.mark.parametrize("framing", [b"Content-Length: 60", b"Transfer-Encoding: chunked"])
def test_case_39_an_answer_before_the_upload_ends_is_relayed_and_the_upload_thrown_away(teller, framing):
    head = b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n"
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"

    def story(client, upstream):
        client.send(head)
        server = upstream.accept()
        server.expect(head)
        server.send(answer)
        client.expect(answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        client.send_as_it_can(b"3c\r\n" + GET + GET)
        assert client.closed() == "fin"
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome", "status") == ("upstream_status", 413)


@pytest.mark.parametrize("asked", [b"", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"])
def test_case_43_a_101_that_nobody_asked_for_is_a_502(teller, asked):
    def story(client, upstream):
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + asked + b"\r\n")
        server = upstream.accept()
        server.expect(GET)
        server.send_as_it_can(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw")
        client.refused(502)
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome", "status") == ("upstream_reset", 502)
