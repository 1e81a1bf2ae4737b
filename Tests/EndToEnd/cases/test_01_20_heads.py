"""Cases 1 to 20: heads, interim responses and bodies as both sides see them, byte by byte."""

import pytest
from harness.story import GET, OK, answered, asked, every, refused
from harness.wire import LAST_CHUNK


def test_case_01_what_connection_names_stays_on_its_hop(teller):
    sent = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-A\r\nKeep-Alive: timeout=5\r\nX-A: 1\r\n"
        b"Proxy-Connection: keep-alive\r\nTE: trailers\r\nX-B: 2\r\nx-a: 3\r\n\r\n"
    )
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    story = answered(sent, b"GET / HTTP/1.1\r\nHost: a\r\nX-B: 2\r\n\r\n", OK, closing)

    def and_closes(client, upstream):
        story(client, upstream)
        assert client.closed() == "fin"

    assert every(teller.tell(and_closes), "outcome") == "ok"


def test_case_02_connection_cannot_name_what_frames_routes_or_identifies(teller):
    fields = b"Host: a\r\nContent-Length: 3\r\nX-Forwarded-For: 1.2.3.4\r\n\r\nabc"
    named = b"Connection: Host, Content-Length, X-Forwarded-For\r\n"
    teller.tell(answered(b"POST / HTTP/1.1\r\n" + named + fields, b"POST / HTTP/1.1\r\n" + fields))


def test_case_03_what_a_response_names_in_connection_does_not_reach_the_client(teller):
    answer = OK.replace(b"\r\n\r\n", b"\r\nX-S: 1\r\nConnection: X-S\r\nKeep-Alive: 5\r\nX-T: 2\r\n\r\n")
    teller.tell(answered(GET, GET, answer, OK.replace(b"\r\n\r\n", b"\r\nX-T: 2\r\n\r\n")))


HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
FORGED = b"X-Forwarded-For: 6.6.6.6\r\nA: 1\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nB: 2\r\n"


def test_case_04_who_is_forwarded_for_passes_as_it_came(teller):
    for fields in (b"", FORGED):
        request = HEAD + fields + b"\r\n"
        assert every(teller.tell(answered(request)), "client") == "127.0.0.1"


@pytest.mark.parametrize(
    ("policy", "added", "passed_on"),
    [
        ("append", b"X-Forwarded-For: 127.0.0.1\r\n", FORGED.replace(b"7.7.7.7", b"7.7.7.7, 127.0.0.1")),
        (
            "replace",
            b"X-Forwarded-For: 127.0.0.1\r\n",
            b"X-Forwarded-For: 127.0.0.1\r\nA: 1\r\nForwarded: for=6.6.6.6\r\nB: 2\r\n",
        ),
        ("drop", b"", b"A: 1\r\nForwarded: for=6.6.6.6\r\nB: 2\r\n"),
    ],
)
def test_case_04_x_forwarded_for_goes_by_its_policy(teller_with, policy, added, passed_on):
    teller = teller_with("--set", f"forwarding.x_forwarded_for={policy}")
    teller.tell(answered(HEAD + b"\r\n", HEAD + added + b"\r\n"))
    teller.tell(answered(HEAD + FORGED + b"\r\n", HEAD + passed_on + b"\r\n"))


@pytest.mark.parametrize(
    ("policy", "added", "passed_on"),
    [
        ("append", b"Forwarded: for=127.0.0.1\r\n", FORGED.replace(b"for=6.6.6.6", b"for=6.6.6.6, for=127.0.0.1")),
        ("replace", b"Forwarded: for=127.0.0.1\r\n", FORGED.replace(b"for=6.6.6.6", b"for=127.0.0.1")),
        ("drop", b"", FORGED.replace(b"Forwarded: for=6.6.6.6\r\n", b"")),
    ],
)
def test_case_04_forwarded_goes_by_its_policy(teller_with, policy, added, passed_on):
    teller = teller_with("--set", f"forwarding.forwarded={policy}")
    teller.tell(answered(HEAD + b"\r\n", HEAD + added + b"\r\n"))
    teller.tell(answered(HEAD + FORGED + b"\r\n", HEAD + passed_on + b"\r\n"))


def test_case_05_via_is_passed_on_and_not_added_to(teller):
    via = HEAD + b"Via: 1.0 first, 1.1 tachograph\r\n\r\n"
    teller.tell(answered(via))


def test_case_05_via_is_added_where_that_is_set(teller_with):
    teller = teller_with("--set", "forwarding.via=true", "--set", "forwarding.pseudonym=ours")
    answer = b"HTTP/1.1 200 OK\r\nVia: 1.0 origin\r\nContent-Length: 2\r\n%s\r\nok"
    for came in (b"", b"Via: 1.0 first, 1.1 not-ours (1.1 ours)\r\n"):
        teller.tell(
            answered(
                HEAD + came + b"\r\n",
                HEAD + came + b"Via: 1.1 ours\r\n\r\n",
                answer % b"",
                answer % b"Via: 1.1 ours\r\n",
            )
        )


@pytest.mark.parametrize("via", [b"1.1 ours", b"1.0 first, 1.1 OURS (tachograph), 1.1 third", b"HTTP/1.1\tours"])
def test_case_05_a_request_that_went_through_this_proxy_is_a_loop(teller_with, via):
    teller = teller_with("--set", "forwarding.via=true", "--set", "forwarding.pseudonym=ours")
    records = teller.tell(refused(HEAD + b"Via: " + via + b"\r\n\r\n", 508))
    assert every(records, "outcome", "status") == ("rejected", 508)


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"\r\nHost: a\r\nHost: a",
        b"\r\nHost:",
        b"\r\nHost: a@b",
        b"\r\nHost: a/b",
        b"\r\nHost: a,b",
        b"\r\nHost: a b",
    ],
)
def test_case_06_a_wrong_host_is_refused(teller, fields):
    records = teller.tell(refused(b"GET /p?q HTTP/1.1\r\nX: y" + fields + b"\r\n\r\n", 400))
    assert every(records, "outcome", "stage", "status") == ("rejected", "upload", 400)
    assert every(records, "method", "path") == ("GET", "/p")


@pytest.mark.parametrize(
    ("line", "passed_on"),
    [
        (b"GET http://b/x", b"GET /x"),
        (b"GET HTTP://b:80/x?y#"[:-1], b"GET /x?y"),
        (b"GET http://b", b"GET /"),
        (b"GET http://b?x=1", b"GET /?x=1"),
        (b"OPTIONS http://b", b"OPTIONS *"),
    ],
)
def test_case_07_an_absolute_form_target_decides_the_host(teller, line, passed_on):
    authority = line.split(b"//")[1].split(b"/")[0].split(b"?")[0]
    rest = b" HTTP/1.1\r\nA: 1\r\nHost: %s\r\nB: 2\r\n\r\n"
    teller.tell(answered(line + rest % b"a", passed_on + rest % authority))


def test_case_08_options_may_ask_for_the_server_itself(teller):
    request = b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
    assert every(teller.tell(answered(request)), "method", "path") == ("OPTIONS", "*")


def test_case_08_nothing_else_may(teller):
    teller.tell(refused(b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400))


def test_case_09_connect_is_not_served(teller):
    records = teller.tell(refused(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405, 501))
    assert every(records, "outcome", "method") == ("rejected", "CONNECT")


EXPECTING = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_case_10_upstreams_100_is_relayed_before_the_body(teller):
    def story(client, upstream):
        server = asked(client, upstream, EXPECTING)
        server.send(CONTINUE)
        client.expect(CONTINUE)
        client.send(b"hello")
        server.expect(b"hello")
        server.send(OK)
        client.expect(OK)

    assert every(teller.tell(story), "outcome", "request_bytes") == ("ok", 5)


def test_case_11_a_final_answer_in_place_of_100_ends_both_connections(teller):
    answer = b"HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno"

    def story(client, upstream):
        server = asked(client, upstream, EXPECTING)
        server.send(answer)
        client.expect(answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert client.closed() == "fin"
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome", "status") == ("upstream_status", 417)


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def test_case_12_early_hints_reach_an_http_1_1_client(teller):
    teller.tell(answered(GET, answer=HINTS + HINTS + OK))


def test_case_12_early_hints_do_not_reach_an_http_1_0_client(teller):
    def story(client, upstream):
        server = asked(client, upstream, GET.replace(b"1.1", b"1.0"), GET)
        server.send(HINTS + OK)
        client.expect(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert client.closed() == "fin"

    teller.tell(story)


def test_case_13_early_hints_and_then_the_end_are_a_502(teller):
    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send(HINTS)
        client.expect(HINTS)
        server.finish()
        client.refused(502)
        assert server.closed() == "fin"

    assert every(teller.tell(story), "outcome", "status") == ("upstream_reset", 502)


def test_case_13_nor_is_the_request_sent_again_on_a_pooled_connection(teller):
    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send(OK)
        client.expect(OK)
        client.send(GET)
        server.expect(GET)
        server.send(HINTS)
        client.expect(HINTS)
        server.finish()
        client.refused(502)

    teller.tell(story, records=2)


def test_case_14_connection_close_on_a_100_does_not_end_the_exchange(teller):
    def story(client, upstream):
        server = asked(client, upstream, EXPECTING)
        server.send(CONTINUE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        client.expect(CONTINUE)
        client.send(b"hello")
        server.expect(b"hello")
        server.send(OK)
        client.expect(OK)

    assert every(teller.tell(story), "outcome") == "ok"


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X: y"])
def test_case_15_bytes_behind_the_answer_to_head_go_nowhere(teller, framing):
    head = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n"

    def story(client, upstream):
        server = asked(client, upstream, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        server.send_as_it_can(head + b"hello")
        client.expect(head)
        assert server.closed() in ("fin", "rst")
        answered(GET)(client, upstream)

    assert every(teller.tell(story, records=2), "outcome") == "ok"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_case_16_a_status_without_a_body_is_its_head_only(teller, status, framing):
    start = b"HTTP/1.1 " + status + b"\r\n"
    # 304 says what 200 would have had; 204 has no framing fields (RFC 9110 §8.6, RFC 9112 §6.1).
    kept = framing + b"\r\n" if status.startswith(b"304") and framing.startswith(b"Content") else b""

    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send_as_it_can(start + framing + b"\r\nE: 1\r\n\r\nhello")
        client.expect(start + kept + b"E: 1\r\n\r\n")
        assert server.closed() in ("fin", "rst")
        answered(GET)(client, upstream)

    assert every(teller.tell(story, records=2), "outcome") == "ok"


CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TRAILERS = [b"X-Checksum: 1a", b"x-obs: \xe9\xff", b"X-Checksum: 2b", b"X-Empty: "]
ROUTING = [b"Host: evil", b"Authorization: Bearer b", b"Trailer: x", b"Connection: X-Checksum"]


def test_case_17_trailers_arrive_and_those_that_route_do_not(teller):
    mixed = [line for pair in zip(TRAILERS, ROUTING, strict=True) for line in pair]
    body = b"2\r\nhi\r\n0\r\n" + b"".join(line + b"\r\n" for line in mixed) + b"\r\n"

    def story(client, upstream):
        client.send(CHUNKED_POST + body)
        server = upstream.accept()
        request = server.message()
        assert (request.head, request.body, request.trailers) == (CHUNKED_POST, b"hi", TRAILERS)
        server.send(CHUNKED_OK + body)
        response = client.message()
        assert (response.head, response.body, response.trailers) == (CHUNKED_OK, b"hi", TRAILERS)

    assert every(teller.tell(story), "outcome", "request_bytes", "response_bytes") == ("ok", 2, 2)


FRAMING = [b"Content-Length: 9", b"Transfer-Encoding: gzip"]


@pytest.mark.parametrize("field", FRAMING)
def test_case_17_trailers_that_frame_make_a_request_bad(teller, field):
    def story(client, upstream):
        client.send_as_it_can(CHUNKED_POST + b"2\r\nhi\r\n0\r\nX: 1\r\n" + field + b"\r\n\r\n")
        server = upstream.accept()
        client.refused(400)
        received = server.rest_and_ending()[0]
        assert not received.endswith(LAST_CHUNK) and b"\r\n0\r\n" not in received

    assert every(teller.tell(story), "outcome") == "rejected"


@pytest.mark.parametrize("field", FRAMING)
def test_case_17_trailers_that_frame_make_a_response_bad(teller, field):
    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send_as_it_can(CHUNKED_OK + b"2\r\nhi\r\n0\r\nX: 1\r\n" + field + b"\r\n\r\n")
        received = client.rest_and_ending()[0]
        assert b"\r\n0\r\n" not in received
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome") == "truncated"


CLOSE_DELIMITED = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nall of it"


def test_case_18_a_body_that_the_close_ends_is_chunked_for_http_1_1(teller):
    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send(CLOSE_DELIMITED)
        server.finish()
        response = client.message()
        assert response.head == b"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert response.body == b"all of it"
        assert server.closed() == "fin"

    assert every(teller.tell(story), "outcome", "response_bytes") == ("ok", 9)


def test_case_18_a_body_that_the_close_ends_ends_so_for_http_1_0(teller):
    def story(client, upstream):
        server = asked(client, upstream, GET.replace(b"1.1", b"1.0"), GET)
        server.send(CLOSE_DELIMITED)
        server.finish()
        client.expect(CLOSE_DELIMITED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert client.closed() == "fin"

    assert every(teller.tell(story), "outcome", "response_bytes") == ("ok", 9)


def test_case_19_chunks_are_laid_bare_for_http_1_0(teller):
    def story(client, upstream):
        server = asked(client, upstream, b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", GET)
        server.send(CHUNKED_OK + b"3;e=f\r\nall\r\n6\r\n of it\r\n0\r\nX-T: 1\r\n\r\n")
        client.expect(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
        assert client.closed() == "fin"

    assert every(teller.tell(story), "outcome", "response_bytes") == ("ok", 9)


ODD_FIELDS = (
    b"x-lower: \xe9\x80\xff obs\r\nX-Repeated: one\r\nX-Empty: \r\nX-REPEATED: two\r\nX-Blanks: a  b\tc\r\n"
    b"!#$%&'*+.^_`|~: every token\r\nX-Empty: \r\nX-Repeated: one\r\n"
)


def test_case_20_odd_values_arrive_byte_for_byte(teller):
    request = b"GET / HTTP/1.1\r\n" + ODD_FIELDS + b"hOST: a\r\n\r\n"
    answer = b"HTTP/1.1 299 Quite \xe9 Fine\r\n" + ODD_FIELDS + b"content-length: 0\r\n\r\n"
    teller.tell(answered(request, answer=answer))
