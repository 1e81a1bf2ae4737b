"""Cases 33 to 43: whose bytes are whose, on connections that carry more than one exchange or stop carrying HTTP."""

import pytest
from harness.story import GET, OK, answered, asked, every

CLOSING_OK = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


def get(path: bytes) -> bytes:
    return b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("close", [b"close\t", b"close ,", b"X-A,close", b"Close", b"keep-alive, close"])
def test_case_33_what_comes_behind_a_closing_request_is_ignored(teller, close):
    def story(client, upstream):
        server = asked(
            client,
            upstream,
            b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: " + close + b"\r\n\r\n" + get(b"/2"),
            get(b"/1"),
        )
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
    server = asked(client, upstream, get(b"/first"))
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
        another = asked(client, upstream, post)
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
        answered(GET)(other, upstream)
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story, records=2), "outcome") == "ok"


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"])
def test_case_38_what_follows_a_response_reaches_nobody(teller, answer):
    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send_as_it_can(answer + UNASKED)
        assert client.message().body == b"ok"
        assert server.closed() in ("fin", "rst")
        answered(GET)(client, upstream)

    assert every(teller.tell(story, records=2), "outcome", "response_bytes") == ("ok", 2)


@pytest.mark.parametrize("framing", [b"Content-Length: 60", b"Transfer-Encoding: chunked"])
def test_case_39_an_answer_before_the_upload_ends_is_relayed_and_the_upload_thrown_away(teller, framing):
    head = b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n"
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"

    def story(client, upstream):
        server = asked(client, upstream, head)
        server.send(answer)
        client.expect(answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        client.send_as_it_can(b"3c\r\n" + GET + GET)
        assert client.closed() == "fin"
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome", "status") == ("upstream_status", 413)


OFFER = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: %s\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n"
# What looks like HTTP, or like the end of something, is nothing but bytes in a tunnel.
UP, DOWN = GET + b"\0\xff\r\n0\r\n\r\n", OK + b"\0\xff\r\n"


def test_case_40_a_websocket_is_tunnelled_and_early_bytes_of_both_sides_are_kept(teller):
    def story(client, upstream):
        server = asked(client, upstream, OFFER % b"keep-alive, Upgrade" + UP, OFFER % b"Upgrade")
        server.has_nothing()
        server.send(SWITCHED + DOWN)
        client.expect(SWITCHED + DOWN)
        server.expect(UP)
        client.send(b"more")
        server.expect(b"more")
        server.send(b"and more")
        client.expect(b"and more")
        # One side may go on when the other has ended.
        client.finish()
        assert server.closed() == "fin"
        server.send(b"the rest")
        client.expect(b"the rest")
        server.close()
        assert client.closed() == "fin"

    records = teller.tell(story)
    assert every(records, "outcome", "stage", "status") == ("tunnelled", None, 101)
    assert every(records, "request_bytes", "response_bytes") == (len(UP) + 4, len(DOWN) + 16)


def test_case_40_a_tunnel_is_never_made_of_a_pooled_connection_nor_pooled(teller):
    def story(client, upstream):
        idle = pooled(client, upstream)
        server = asked(client, upstream, OFFER % b"Upgrade")
        server.send(SWITCHED)
        client.expect(SWITCHED)
        client.reset()
        assert server.closed() in ("fin", "rst")
        other = client.another()
        other.send(GET)
        idle.expect(GET)
        idle.send(OK)
        other.expect(OK)

    outcomes = [record["outcome"] for record in teller.tell(story, records=3)]
    assert outcomes == ["ok", "client_cancelled", "ok"] * (len(outcomes) // 3)


@pytest.mark.parametrize("leaving", LEAVING)
def test_case_40_a_connection_that_is_lost_behind_the_offer_is_a_502(teller, leaving):
    def story(client, upstream):
        server = asked(client, upstream, OFFER % b"Upgrade" + UP, OFFER % b"Upgrade")
        LEAVING[leaving](server)
        client.refused(502)

    assert every(teller.tell(story), "outcome") == "upstream_reset"


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nok"])
def test_case_41_an_offer_that_is_not_taken_up_tunnels_nothing(teller, answer):
    """What is pipelined behind it is a request, judged like any other (CVE-2026-2833)."""

    def story(client, upstream):
        server = asked(
            client, upstream, OFFER % b"Upgrade" + get(b"/next") + b"GET / HTTP/1.1\r\n\r\n", OFFER % b"Upgrade"
        )
        server.has_nothing()
        server.send(answer)
        client.expect(answer)
        # The offer's connection may have been kept for it, or not.
        with_next = server if server.is_spoken_to() else upstream.accept()
        with_next.expect(get(b"/next"))
        with_next.send(OK)
        client.expect(OK)
        client.refused(400)

    records = teller.tell(story, records=3)
    assert [record["status"] for record in records] == [int(answer.split()[1]), 200, 400] * (len(records) // 3)


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_case_41_an_offer_with_a_body_stays_framed(teller, method):
    """The body is what its length says, and what is behind it a request of its own (CVE-2026-58055)."""
    head = (OFFER % b"Upgrade").replace(b"GET", method)
    offer = head.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(GET)) + GET
    framed = offer.replace(b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"")

    def story(client, upstream):
        client.send(offer + get(b"/next"))
        server = upstream.accept()
        for request in (framed, get(b"/next")):
            server.expect(request)
            server.has_nothing()
            server.send(OK)
            client.expect(OK)

    assert every(teller.tell(story, records=2), "outcome") == "ok"


JDK_POST = (
    b"POST /v1/completions HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 15\r\nHost: a\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\nUser-Agent: Java-http-client/21\r\n"
    b'Content-Type: application/json\r\n\r\n{"prompt":"hi"}'
)
SERVED_POST = (
    b"POST /v1/completions HTTP/1.1\r\nContent-Length: 15\r\nHost: a\r\nUser-Agent: Java-http-client/21\r\n"
    b'Content-Type: application/json\r\n\r\n{"prompt":"hi"}'
)


def test_case_42_the_jdks_offer_of_h2c_is_served_as_http_1_1(teller):
    """Its bytes, sent by hand; the JDK itself does so in test_tunnels.py."""

    def story(client, upstream):
        client.send(JDK_POST + GET)
        server = upstream.accept()
        for request in (SERVED_POST, GET):
            server.expect(request)
            server.send(OK)
            client.expect(OK)

    assert every(teller.tell(story, records=2), "outcome") == "ok"


@pytest.mark.parametrize("request_head", [GET, OFFER.replace(b"websocket", b"h2c") % b"Upgrade", OFFER % b"Upgrade"])
def test_case_43_a_101_that_nobody_asked_for_is_a_502(teller, request_head):
    """Neither without an offer, nor for another protocol than was offered."""
    switched = SWITCHED.replace(b"websocket", b"h2c") + UNASKED

    def story(client, upstream):
        client.send(request_head)
        server = upstream.accept()
        server.head()
        server.send_as_it_can(switched)
        client.refused(502)
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome", "status") == ("upstream_invalid", 502)
