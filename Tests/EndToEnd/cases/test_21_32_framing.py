"""Cases 21 to 32: what is not one unambiguous message never looks like one to the other side."""

import pytest
from harness.story import GET, OK, answered, asked, every, refused
from harness.wire import LAST_CHUNK

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED_POST = POST + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"


BOTH = "Content-Length beside Transfer-Encoding"


def is_refused(teller, sent: bytes, *statuses: int) -> list[dict]:
    """Answered with one of `statuses`, closed, recorded, and not a byte of it reached upstream."""
    records = teller.tell(refused(sent, *statuses))
    assert every(records, "outcome", "stage") == ("rejected", "upload")
    assert {record["status"] for record in records} <= set(statuses)
    return records


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nX: y\r\ntransfer-encoding:\tchunked\r\n",
    ],
)
def test_case_21_both_framings_are_refused(teller, fields):
    assert every(is_refused(teller, POST + fields + b"\r\n" + CHUNKED + GET, 400), "error") == f"request_malformed: {BOTH}"


@pytest.mark.parametrize(
    "values",
    [
        [b"5", b"5"],
        [b"5", b"6"],
        [b"5, 5"],
        [b"+5"],
        [b"-5"],
        [b"0x5"],
        [b"5 5"],
        [b"5;"],
        [b"\x0b5"],
        [b""],
        [b"18446744073709551616"],
        [b"99999999999999999999999"],
    ],
)
def test_case_22_a_length_that_is_no_plain_number_is_refused(teller, values):
    fields = b"".join(b"Content-Length: " + value + b"\r\n" for value in values)
    is_refused(teller, POST + fields + b"\r\nhello" + GET, 400)


@pytest.mark.parametrize(
    "values",
    [
        [b",chunked"],
        [b"chunked,"],
        [b"gzip, chunked"],
        [b"chunked, gzip"],
        [b"identity"],
        [b""],
        [b"chunked", b"chunked"],
        [b"chunked", b"identity"],
        [b"chunked;q=1"],
        [b"\x0bchunked"],
        [b"\xa0chunked"],
        [b"chunked\x0b"],
        [b"xchunked"],
        [b'"chunked"'],
    ],
)
def test_case_23_a_coding_other_than_chunked_is_refused(teller, values):
    fields = b"".join(b"Transfer-Encoding: " + value + b"\r\n" for value in values)
    is_refused(teller, POST + fields + b"\r\n" + CHUNKED + GET, 400, 501)


def test_case_24_chunks_in_http_1_0_are_refused(teller):
    is_refused(teller, CHUNKED_POST.replace(b"1.1", b"1.0") + CHUNKED, 400)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /",
        b"GET / ",
        b"GET / HTTP/0.9",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.2",
        b"GET / HTTP/1",
        b"GET / HTTP/11.1",
        b"GET / http/1.1",
        b"GET / RTSP/1.1",
        b"OPTIONS / RTSP/1.0",
        b"SOURCE / ICE/1.0",
        b"PRI * HTTP/2.0",
    ],
)
def test_case_25_other_protocols_and_versions_are_refused(teller, line):
    is_refused(teller, line + b"\r\nHost: a\r\n\r\n", 400, 501, 505)


def test_case_25_http_2_by_prior_knowledge_is_told_that_it_is_not_served(teller):
    records = is_refused(teller, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", 505)
    assert every(records, "method", "path", "error") == ("PRI", "*", "http_version_not_supported: HTTP/2 is not served")


def test_case_25_tls_is_told_that_the_port_serves_plain_http(teller):
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64))
    records = is_refused(teller, hello, 400)
    assert every(records, "method", "path") == (None, None)
    assert every(records, "error").startswith("request_is_tls: this port serves plain HTTP, and TLS came: ")


@pytest.mark.parametrize(
    "fields",
    [
        b"X : y\r\nHost: a\r\n",
        b"X\t: y\r\nHost: a\r\n",
        b" X: y\r\nHost: a\r\n",
        b"Host: a\r\n X: y\r\n",
        b"Host: a\r\nX: y\r\n\tfolded\r\n",
        b"Host: a\r\nX:\r\n folded\r\n",
        b"Host: a\r\n: y\r\n",
        b"Host: a\r\nnocolon\r\n",
        b"Host: a\r\nX(: y\r\n",
        b"Host: a\r\nX\xe9: y\r\n",
    ],
)
def test_case_26_a_field_line_that_is_none_is_refused(teller, fields):
    is_refused(teller, b"GET / HTTP/1.1\r\n" + fields + b"\r\n", 400)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: a\r\n\r\n",
        b"GET / HTTP/1.1\rHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x7fz\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x01\r\n\r\n",
        b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n",
    ],
)
def test_case_27_stray_control_bytes_are_refused(teller, sent):
    is_refused(teller, sent, 400)


@pytest.mark.parametrize(
    "body",
    [
        b"5;\nx\r\nhello\r\n0\r\n\r\n",
        b"5;a=\n1\r\nhello\r\n0\r\n\r\n",
        b"5;a\rX\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\rhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 ;a\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\n",
        b"5\r\nhello\r\n0\r\nX: y\n\r\n",
        b"5\r\nhello\r\n0\n\r\n",
    ],
)
def test_case_28_chunks_with_a_trick_are_never_a_whole_message(teller, body):
    """Upstream may have the head and some body, but neither an end nor an open connection to wait on."""

    def story(client, upstream):
        client.send_as_it_can(CHUNKED_POST + body)
        client.refused(400)
        received, _ = upstream.accept().rest_and_ending()
        assert received == b"" or received.startswith(CHUNKED_POST)
        assert not received.endswith(LAST_CHUNK) and b"\r\n0\r\n" not in received

    records = teller.tell(story)
    assert every(records, "outcome", "stage", "status") == ("rejected", "upload", 400)


def test_case_29_messages_split_at_any_byte_arrive_the_same(teller):
    with_length = b"PUT /l?q HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nX:  y  \r\n\r\n\r\n0\r\n\r\nGE"
    answer = b"HTTP/1.1 200 OK\r\nX: z\r\nContent-Length: 11\r\n\r\nHTTP/1.1 2\r"

    def story(client, upstream):
        server = asked(client, upstream, GET + with_length, GET)
        server.send(answer)
        client.expect(answer)
        server.expect(with_length.replace(b"  y  ", b" y"))
        server.send(CHUNKED_OK + b"B\r\n0\r\n\r\nHTTP/1\r\n0\r\n\r\n")
        response = client.message()
        assert (response.head, response.body) == (CHUNKED_OK, b"0\r\n\r\nHTTP/1")
        client.send(b"\r\n" + CHUNKED_POST + b"00005;x=y\r\n0\r\n\r\n\r\n" + b"a\r\nGET / HTTP\r\n0\r\nX: y\r\n\r\n")
        request = server.message()
        assert (request.head, request.body) == (CHUNKED_POST, b"0\r\n\r\nGET / HTTP")
        assert request.trailers == [b"X: y"]
        server.send(OK)
        client.expect(OK)

    records = teller.tell(story, records=3)
    assert every(records, "outcome", "status") == ("ok", 200)
    assert {record["request_bytes"] for record in records} == {0, 9, 15}


CHUNKED_OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("extension", [b";" + b"x" * 65536, b';a="' + b"x" * 65536 + b'"', b";a=b" * 16384])
def test_case_30_chunk_extensions_are_capped(teller, extension):
    def story(client, upstream):
        client.send_as_it_can(CHUNKED_POST + b"5" + extension + b"\r\nhello\r\n0\r\n\r\n")
        client.refused(400, 413, 431)
        received, _ = upstream.accept().rest_and_ending()
        assert received in (b"", CHUNKED_POST)

    assert every(teller.tell(story), "outcome") == "rejected"


def test_case_30_many_small_chunk_extensions_are_capped_together(teller):
    def story(client, upstream):
        client.send_as_it_can(CHUNKED_POST + b"1;xxxxxxxxxxxxxxx\r\nh\r\n" * 4096 + LAST_CHUNK)
        client.refused(400, 413, 431)
        received, _ = upstream.accept().rest_and_ending()
        assert not received.endswith(LAST_CHUNK)

    assert every(teller.tell(story), "outcome") == "rejected"


def test_case_30_endless_trailers_are_capped(teller):
    def story(client, upstream):
        client.send_as_it_can(CHUNKED_POST + b"0\r\n" + b"X-Trailer: more of them\r\n" * 8192)
        client.refused(400, 413, 431)
        received, _ = upstream.accept().rest_and_ending()
        assert received in (b"", CHUNKED_POST)

    assert every(teller.tell(story), "outcome") == "rejected"


def test_case_30_endless_empty_lines_are_capped(teller):
    records = teller.tell(refused(b"\r\n" * 65536, 400, 431))
    assert every(records, "outcome", "method") == ("rejected", None)


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"OPTIONS"])
def test_case_31_a_body_stays_with_any_method(teller, method):
    start = method + b" / HTTP/1.1\r\nHost: a\r\n"
    teller.tell(answered(start + b"Content-Length: 5\r\n\r\nhello"))
    teller.tell(answered(start + b"Content-Length: 0\r\n\r\n"))

    def chunked(client, upstream):
        client.send(start + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED)
        server = upstream.accept()
        request = server.message()
        assert (request.head, request.body) == (start + b"Transfer-Encoding: chunked\r\n\r\n", b"hello")
        server.send(OK)
        client.expect(OK)

    assert every(teller.tell(chunked), "request_bytes") == 5


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + CHUNKED,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\x0b\r\n\r\n" + CHUNKED,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKED,
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
        b"HTTP/1.1 000 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 600 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 O\0K\r\nContent-Length: 5\r\n\r\nhello",
        b"<html>an error page of something that is no server</html>\r\n\r\n",
    ],
)
def test_case_32_an_ambiguous_response_is_a_502(teller, answer):
    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send_as_it_can(answer)
        client.refused(502)
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome", "status") == ("upstream_invalid", 502)


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ],
)
def test_case_32_both_framings_are_said_to_have_been_there(teller, fields):
    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send_as_it_can(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n" + CHUNKED)
        client.refused(502)
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome", "error") == ("upstream_invalid", f"response_malformed: {BOTH}")


def test_case_32_chunked_with_a_tab_behind_it_is_no_body_that_the_close_ends(teller):
    """llhttp takes it for one. A tab behind a value is none of it (RFC 9110 §5.5), but nobody sends one there."""

    def story(client, upstream):
        server = asked(client, upstream, GET)
        server.send_as_it_can(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n" + CHUNKED)
        client.refused(502)
        assert server.closed() in ("fin", "rst")

    assert every(teller.tell(story), "outcome", "status") == ("upstream_invalid", 502)
