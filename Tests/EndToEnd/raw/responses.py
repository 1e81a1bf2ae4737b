"""Responses: what reaches the client, what becomes a 502, and what is cut so that nobody takes it for whole."""

import dataclasses

MARK = b"SECRET"
OK = b"HTTP/1.1 200 OK\r\n"


@dataclasses.dataclass(frozen=True)
class Passed:
    """The client reads one whole response with this status and body."""

    status: int
    body: bytes
    #: Whether upstream's connection is closed behind it; None where the case is not about it.
    closes: bool | None = None
    #: A field that must not reach the client.
    without: bytes | None = None
    #: A line that has to.
    line: bytes | None = None


@dataclasses.dataclass(frozen=True)
class BadGateway:
    """The client reads a 502 of the proxy's own and not a byte of this; upstream's connection is closed."""


@dataclasses.dataclass(frozen=True)
class Cut:
    """The client reads a 502, or a response that it cannot take for whole; upstream's connection is closed."""


@dataclasses.dataclass(frozen=True)
class Answer:
    name: str
    sent: bytes
    must: object
    #: Whether upstream closes behind it.
    ends: bool = False
    request: bytes = b"GET"
    split: bool = True


def passed(
    name: str, sent: bytes, status: int = 200, body: bytes = b"hello", *, ends=False, request=b"GET", split=True, **more
) -> Answer:
    return Answer(name, sent, Passed(status, body, **more), ends, request, split)


def bad(name: str, sent: bytes, *, ends=False, request=b"GET", split=True) -> Answer:
    return Answer(name, sent, BadGateway(), ends, request, split)


def cut(name: str, sent: bytes, *, ends=False, request=b"GET", split=True) -> Answer:
    return Answer(name, sent, Cut(), ends, request, split)


def status(line: bytes) -> bytes:
    return line + b"\r\nContent-Length: 6\r\n\r\n" + MARK


def fields(lines: bytes, body: bytes = MARK) -> bytes:
    return OK + lines + b"\r\n\r\n" + body


CHUNKS = b"6\r\nSECRET\r\n0\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = OK + b"Content-Length: 5\r\n\r\nhello"
CONTROLS = [byte for byte in range(0x20) if byte not in (0x09, 0x0A, 0x0D)] + [0x7F]

GOOD = [
    passed("a length", LENGTH, closes=False),
    passed("chunks", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", closes=False),
    passed("Chunked in capitals", OK + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", closes=False),
    passed(
        "chunks with extensions and a trailer",
        CHUNKED + b"2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: v\r\n\r\n",
        closes=False,
    ),
    passed("until the close", OK + b"\r\nhello", ends=True, closes=True),
    passed("HTTP/1.0 until the close", b"HTTP/1.0 200 OK\r\n\r\nhello", ends=True, closes=True),
    passed("HTTP/1.0 with a length", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", closes=True),
    passed("no reason", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"),
    passed("no reason and no space", b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"),
    passed("a reason beyond ASCII", b"HTTP/1.1 200 \xe4\x80\xff\tO K\r\nContent-Length: 5\r\n\r\nhello"),
    passed("a status nobody knows", b"HTTP/1.1 299 X\r\nContent-Length: 5\r\n\r\nhello", 299),
    passed("599", b"HTTP/1.1 599 X\r\nContent-Length: 5\r\n\r\nhello", 599),
    passed(
        "bytes beyond ASCII in a value", OK + b"X-A: \x80\xff\r\nContent-Length: 5\r\n\r\nhello", line=b"X-A: \x80\xff"
    ),
    passed("an empty body", OK + b"Content-Length: 0\r\n\r\n", body=b"", closes=False),
    passed("204", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", closes=False),
    passed(
        "204 with a length",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
        204,
        b"",
        closes=True,
        without=b"Content-Length",
    ),
    passed(
        "204 with chunked",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        204,
        b"",
        closes=True,
        without=b"Transfer-Encoding",
    ),
    passed(
        "204 with a body",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nSECRET",
        204,
        b"",
        closes=True,
        without=MARK,
    ),
    passed(
        "304 with a body",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nSECRET",
        304,
        b"",
        closes=True,
        without=MARK,
        split=False,
    ),
    passed(
        "304 with a length and no body",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n",
        304,
        b"",
        closes=False,
    ),
    passed(
        "304 with chunks",
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        304,
        b"",
        closes=True,
        without=MARK,
    ),
    passed("a HEAD's answer", OK + b"Content-Length: 5\r\n\r\n", body=b"", request=b"HEAD", closes=False),
    passed(
        "a HEAD's answer with chunked",
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        body=b"",
        request=b"HEAD",
        closes=False,
    ),
    passed(
        "a HEAD's answer with a body",
        OK + b"Content-Length: 6\r\n\r\nSECRET",
        body=b"",
        request=b"HEAD",
        closes=True,
        without=MARK,
        split=False,
    ),
    passed("103, then the answer", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + LENGTH),
    passed("100 unasked, then the answer", b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH),
    passed("102 thrice, then the answer", b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + LENGTH),
    passed("100 with close, then the answer", b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + LENGTH),
    passed("100 with a length, then the answer", b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + LENGTH),
    passed(
        "103 with chunked, then the answer", b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + LENGTH
    ),
    passed("more bytes than the length", LENGTH + MARK, closes=True, without=MARK, split=False),
    passed(
        "a second response behind the first",
        LENGTH + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSECRET",
        closes=True,
        without=MARK,
        split=False,
    ),
    passed(
        "bytes behind the last chunk",
        CHUNKED + b"5\r\nhello\r\n0\r\n\r\nSECRET",
        closes=True,
        without=MARK,
        split=False,
    ),
    passed("Connection: close", OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", closes=True),
    passed("Connection: close and a tab", OK + b"Connection: close\t\r\nContent-Length: 5\r\n\r\nhello", closes=True),
    passed("Connection names Content-Length", OK + b"Connection: Content-Length\r\nContent-Length: 5\r\n\r\nhello"),
    passed(
        "Connection names Transfer-Encoding",
        OK + b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    passed(
        "underscores make no framing",
        OK + b"Content_Length: 1\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
    ),
]

STATUS_LINES = [
    *(
        bad(f"status line {line!r}", status(line))
        for line in (
            b"HTTP/1.1 000 X",
            b"HTTP/1.1 099 X",
            b"HTTP/1.1 600 X",
            b"HTTP/1.1 999 X",
            b"HTTP/1.1 1000 X",
            b"HTTP/1.1 99 X",
            b"HTTP/1.1 2 X",
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 -200 OK",
            b"HTTP/1.1 +200 OK",
            b"HTTP/1.1 2OO OK",
            b"HTTP/1.1 0x2 OK",
            b"HTTP/1.1 200OK",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.1\t200 OK",
            b"HTTP/1.1 200\tOK",
            b"HTTP/1.1200 OK",
            b"HTTP/1.1 OK",
            b"HTTP/1.1",
            b"HTTP/1.1 ",
            b"HTTP/2.0 200 OK",
            b"HTTP/2 200 OK",
            b"HTTP/0.9 200 OK",
            b"HTTP/1.2 200 OK",
            b"HTTP/1.10 200 OK",
            b"HTTP/01.1 200 OK",
            b"HTTP/3.0 200 OK",
            b"http/1.1 200 OK",
            b"HTTPS/1.1 200 OK",
            b"RTSP/1.0 200 OK",
            b"ICE/1.0 200 OK",
            b"ICY 200 OK",
            b"HTP/1.1 200 OK",
            b"SIP/2.0 200 OK",
            b" HTTP/1.1 200 OK",
            b"\tHTTP/1.1 200 OK",
            b"\x00HTTP/1.1 200 OK",
            b"\xef\xbb\xbfHTTP/1.1 200 OK",
            b"200 OK",
            b"garbage",
            b"GET / HTTP/1.1",
            b"",
            b"\r\nHTTP/1.1 200 OK",
            b"\nHTTP/1.1 200 OK",
            b"HTTP/1.1 200 OK\r",
            b"HTTP/1.1 200 OK\rX",
            b"HTTP/1.1 200\r\r\nX: y",
            b"HTTP/1.1 200 \r",
            b"HTTP/1.1 200 O\x80\x00K",
            b"SSH-2.0-x",
            b"220 mail ESMTP",
            b"\x16\x03\x01\x02\x00",
        )
    ),
    *(bad(f"control byte 0x{byte:02x} in the reason", status(b"HTTP/1.1 200 O%cK" % byte)) for byte in CONTROLS),
    bad("101 unasked", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nSECRET"),
    bad("101 unasked, with a length", b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 6\r\n\r\nSECRET"),
    bad("HTTP/0.9", b"<html>SECRET</html>", ends=True),
    bad("nothing", b"", ends=True),
    bad("an empty line", b"\r\n", ends=True),
    bad("a status line alone", b"HTTP/1.1 200 OK\r\n", ends=True),
    bad("half a status line", b"HTTP/1.1 2", ends=True),
    bad("a head that is cut", b"HTTP/1.1 200 OK\r\nX: SECRET", ends=True),
    bad("a head without its end", b"HTTP/1.1 200 OK\r\nX: SECRET\r\n", ends=True),
    bad("a head but for its last byte", b"HTTP/1.1 200 OK\r\nX: SECRET\r\n\r", ends=True),
    bad("103, then nothing", b"HTTP/1.1 103 Early Hints\r\n\r\n", ends=True),
    bad("100, then nothing", b"HTTP/1.1 100 Continue\r\n\r\n", ends=True),
    bad("103, then garbage", b"HTTP/1.1 103 Early Hints\r\n\r\nSECRET\r\n\r\n"),
    bad("interim responses without end", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20_000, split=False),
]

FIELDS = [
    *(
        bad(f"fields {lines!r}", fields(lines))
        for lines in (
            b"Content-Length: 6\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nContent-Length: 6",
            b"Content-Length: 6\r\nContent-Length: 6",
            b"Content-Length: 6\r\ncontent-length: 7",
            b"Content-Length: 6, 6",
            b"Content-Length: 6,7",
            b"Content-Length: +6",
            b"Content-Length: -6",
            b"Content-Length:",
            b"Content-Length: x",
            b"Content-Length: 0x6",
            b"Content-Length: 6 6",
            b"Content-Length: 6_0",
            b"Content-Length: 18446744073709551616",
            b"Content-Length: 18446744073709551615",
            b"Content-Length: 99999999999999999999999999",
            b"Content-Length: 6\x0b",
            b"Content-Length: 6\r\nTransfer-Encoding:",
            b"Transfer-Encoding:",
            b"Transfer-Encoding: identity",
            b"Transfer-Encoding: gzip",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: chunked, gzip",
            b"Transfer-Encoding: ,chunked",
            b"Transfer-Encoding: chunked,",
            b"Transfer-Encoding: chunked, chunked",
            b"Transfer-Encoding: chunked;q=1",
            b"Transfer-Encoding: chunked\t",
            b"Transfer-Encoding: chunked\x0b",
            b"Transfer-Encoding: \x0bchunked",
            b"Transfer-Encoding: chunked\xa0",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunkedx",
            b'Transfer-Encoding: "chunked"',
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding : chunked",
            b"Transfer-Encoding\t: chunked",
            b"Content-Length : 6",
            b" Content-Length: 6",
            b"X: y\r\n Content-Length: 6",
            b"X: y\r\n\tz",
            b"X:\r\n y",
            b"Content-Length: 6\nTransfer-Encoding: chunked",
            b"Content-Length: 6\rTransfer-Encoding: chunked",
            b"X: y\nContent-Length: 6",
            b"X: y\rContent-Length: 6",
            b"X: y\r\r",
            b"X",
            b": y",
            b":",
            b"X Y: z",
            b"X\x00: y",
            b"X: \x00",
            b"X: a\x00b",
            b"X\x80: y",
            b"X(: y",
            b"X: \x7f",
            b"X: \x01",
            b"X: \x1b[31m",
        )
    ),
    *(
        bad(f"control byte 0x{byte:02x} in a value", fields(b"Content-Length: 6\r\nX: a%cb" % byte))
        for byte in CONTROLS
    ),
    bad("chunked in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS),
    bad("bare LF everywhere", b"HTTP/1.1 200 OK\nContent-Length: 6\n\nSECRET"),
    bad("bare LF behind the status line", b"HTTP/1.1 200 OK\nContent-Length: 6\r\n\r\nSECRET"),
    bad("bare LF at the head's end", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\nSECRET"),
    bad("bare CR at the head's end", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\rSECRET"),
    bad("CR CR LF at the head's end", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\r\nSECRET"),
    bad(
        "both framings of a 304",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    bad(
        "both framings of a HEAD's answer",
        OK + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n",
        request=b"HEAD",
    ),
    bad("a head of 1 MB", fields(b"X: " + b"a" * 1_000_000), split=False),
    bad("a head of many fields, 1 MB", fields(b"\r\n".join(b"X-%d: a" % n for n in range(100_000))), split=False),
    bad("a status line of 1 MB", b"HTTP/1.1 200 " + b"a" * 1_000_000 + b"\r\n\r\n", split=False),
]

BODIES = [
    *(
        cut(f"chunks {body!r}", CHUNKED + body)
        for body in (
            b"x\r\n",
            b"\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\rhello\r\n0\r\n\r\n",
            b"5\r\nhelloXX0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5;\nhello\r\n0\r\n\r\n",
            b"5;a\nhello\r\n0\r\n\r\n",
            b'5;a="b\r\nhello\r\n0\r\n\r\n',
            b"00000000000000005\r\nhello\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\nhello",
            b"12345678901234567\r\nhello",
            b"5\r\nhello\r\n0\r\n\rX",
            b"5\r\nhello\r\n0\r\n\n",
            b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n",
            b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
            b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX\r\n\r\n",
            b"5\r\nhello\r\n-1\r\n\r\n",
        )
    ),
    cut("an extension of 64 KB", CHUNKED + b"5;" + b"a" * 65_536 + b"\r\nhello\r\n0\r\n\r\n", split=False),
    cut("trailers of 64 KB", CHUNKED + b"5\r\nhello\r\n0\r\nX: " + b"a" * 65_536 + b"\r\n\r\n", split=False),
    cut("a length, one byte short", OK + b"Content-Length: 6\r\n\r\nhello", ends=True),
    cut("a length, and no body", OK + b"Content-Length: 6\r\n\r\n", ends=True),
    cut("chunked, and no body", CHUNKED, ends=True),
    cut("a chunk's size, cut", CHUNKED + b"5", ends=True),
    cut("a chunk's size line, then the end", CHUNKED + b"5\r\n", ends=True),
    cut("a chunk, cut", CHUNKED + b"5\r\nhel", ends=True),
    cut("a chunk without its CRLF", CHUNKED + b"5\r\nhello", ends=True),
    cut("a chunk, and no last one", CHUNKED + b"5\r\nhello\r\n", ends=True),
    cut("the last chunk's size, cut", CHUNKED + b"5\r\nhello\r\n0", ends=True),
    cut("the last chunk without its empty line", CHUNKED + b"5\r\nhello\r\n0\r\n", ends=True),
    cut("the last chunk but for its last byte", CHUNKED + b"5\r\nhello\r\n0\r\n\r", ends=True),
    cut("trailers, cut", CHUNKED + b"5\r\nhello\r\n0\r\nX: y\r\n", ends=True),
]

ROWS = GOOD + STATUS_LINES + FIELDS + BODIES
