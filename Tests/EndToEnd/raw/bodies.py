"""Framing: which bodies are a message's, which are doubtful from the head on, and which go bad on their way."""

from raw import broken, refused, served

HEAD = b"POST /b HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HELLO = (b"POST", b"/b", b"hello")
WHOLE = b"5\r\nhello\r\n0\r\n\r\n"


def framed(fields: bytes, body: bytes = b"hello", head: bytes = HEAD) -> bytes:
    return head + fields + b"\r\n\r\n" + body


def method(name: bytes, fields: bytes, body: bytes) -> bytes:
    return name + b" /b HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n" + body


FRAMING = [
    served("a length", framed(b"Content-Length: 5"), HELLO),
    served("a length with leading zeros", framed(b"Content-Length: 0005"), HELLO),
    served("a length of none", framed(b"Content-Length: 0", b""), (b"POST", b"/b", b"")),
    served("chunks", CHUNKED + WHOLE, HELLO),
    served("Chunked in capitals", framed(b"Transfer-Encoding: Chunked", WHOLE), HELLO),
    served("CHUNKED in capitals, the name, too", framed(b"TRANSFER-ENCODING:CHUNKED", WHOLE), HELLO),
    served("chunked with spaces around it", framed(b"Transfer-Encoding:   chunked  ", WHOLE), HELLO),
    served("a POST without a body", framed(b"X: y", b""), (b"POST", b"/b", b"")),
    *(
        served(f"{m.decode()} with a length", method(m, b"Content-Length: 5", b"hello"), (m, b"/b", b"hello"))
        for m in (b"GET", b"OPTIONS", b"DELETE", b"PUT", b"PATCH", b"TRACE")
    ),
    *(
        served(f"{m.decode()} with chunks", method(m, b"Transfer-Encoding: chunked", WHOLE), (m, b"/b", b"hello"))
        for m in (b"GET", b"OPTIONS", b"DELETE", b"PUT")
    ),
    served(
        "Upgrade beside a length",
        framed(b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 5"),
        HELLO,
    ),
    served(
        "Upgrade beside chunks",
        framed(b"Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked", WHOLE),
        HELLO,
    ),
    served("Connection names Content-Length", framed(b"Connection: Content-Length\r\nContent-Length: 5"), HELLO),
    served(
        "Connection names Transfer-Encoding",
        framed(b"Connection: close, Transfer-Encoding\r\nTransfer-Encoding: chunked", WHOLE),
        HELLO,
    ),
    served("Expect beside a length", framed(b"Expect: 100-continue\r\nContent-Length: 5"), HELLO),
    served("Expect in capitals", framed(b"Expect: 100-Continue\r\nContent-Length: 5"), HELLO),
    served(
        "HTTP/1.0 with a length", framed(b"Content-Length: 5", head=HEAD.replace(b"1.1", b"1.0")), HELLO, closes=True
    ),
    refused("length, then chunked", framed(b"Content-Length: 5\r\nTransfer-Encoding: chunked", WHOLE)),
    refused("chunked, then length", framed(b"Transfer-Encoding: chunked\r\nContent-Length: 5", WHOLE)),
    refused("a length of none beside chunked", framed(b"Transfer-Encoding: chunked\r\nContent-Length: 0", WHOLE)),
    refused("a length beside an empty coding", framed(b"Content-Length: 5\r\nTransfer-Encoding:")),
    refused("a length beside identity", framed(b"Content-Length: 5\r\nTransfer-Encoding: identity"), 400, 501),
    refused("an empty length beside chunked", framed(b"Content-Length:\r\nTransfer-Encoding: chunked", WHOLE)),
    refused("chunked in HTTP/1.0", framed(b"Transfer-Encoding: chunked", WHOLE, HEAD.replace(b"1.1", b"1.0"))),
    refused(
        "chunked twice, two lines", framed(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", WHOLE), 400, 501
    ),
    refused(
        "identity, then chunked, two lines",
        framed(b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", WHOLE),
        400,
        501,
    ),
    refused(
        "chunked, then identity, two lines",
        framed(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", WHOLE),
        400,
        501,
    ),
    *(
        refused(f"Transfer-Encoding {value!r}", framed(b"Transfer-Encoding: " + value, WHOLE), 400, 501)
        for value in (
            b"",
            b" ",
            b",",
            b",chunked",
            b"chunked,",
            b", chunked",
            b"chunked, chunked",
            b"gzip",
            b"gzip, chunked",
            b"chunked, gzip",
            b"identity",
            b"identity, chunked",
            b"chunked, identity",
            b"compress",
            b"x",
            b"xchunked",
            b"chunkedx",
            b"chunke",
            b"chunked;q=1",
            b"chunked; x",
            b"chunked x",
            b"chunked\tx",
            b'"chunked"',
            b"'chunked'",
            b"chunked\x0b",
            b"\x0bchunked",
            b"chunked\xa0",
            b"\xa0chunked",
            b"chunked\x0c",
            b"chunked\x00",
            b"chun\x00ked",
            b"chunked\x85",
            b"\xef\xbb\xbfchunked",
            b"chun ked",
            b"cow, chunked",
            b"chunked\xff",
            b"tchunked",
            b"chunked,,",
            b"chunked;",
            b"-chunked",
            b"chunked\r\n ",
            b"\r\n chunked",
            b"chun\xc4\xb7ed",
        )
    ),
    *(
        refused(f"Content-Length {value!r}", framed(b"Content-Length: " + value))
        for value in (
            b"",
            b" ",
            b"+5",
            b"-5",
            b"-0",
            b"5, 5",
            b"5,5",
            b"5,6",
            b"5,",
            b",5",
            b"5 5",
            b"5\t5",
            b"5;",
            b"0x5",
            b"5h",
            b"5.0",
            b"5e0",
            b"1_0",
            b"5_",
            b"\xb2",
            b"\xd9\xa5",
            b"'5'",
            b'"5"',
            b"five",
            b"5\x00",
            b"5\x0b",
            b"\x0b5",
            b"5\xa0",
            b"18446744073709551615",
            b"18446744073709551616",
            b"9223372036854775808",
            b"99999999999999999999999",
            b"00000000000000000000000000000000000005",
            b"1" * 300,
        )
    ),
    refused("a length twice, alike", framed(b"Content-Length: 5\r\nContent-Length: 5")),
    refused("a length twice, differing", framed(b"Content-Length: 5\r\nX: y\r\ncontent-length: 6")),
    refused("a length twice, one empty", framed(b"Content-Length: 5\r\nContent-Length:")),
    refused("a length three times", framed(b"Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 5")),
    refused("a bad length of a GET", method(b"GET", b"Content-Length: x", b"")),
    refused("chunked and a length of a GET", method(b"GET", b"Content-Length: 5\r\nTransfer-Encoding: chunked", WHOLE)),
    refused(
        "a length with chunked smuggled behind LF", framed(b"Content-Length: 5\nTransfer-Encoding: chunked", WHOLE)
    ),
    refused(
        "a length with chunked smuggled behind CR", framed(b"Content-Length: 5\rTransfer-Encoding: chunked", WHOLE)
    ),
    refused(
        "chunked smuggled into a value by LF", framed(b"Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked", WHOLE)
    ),
    refused(
        "chunked in a field whose name ends in a NUL",
        framed(b"Content-Length: 5\r\nTransfer-Encoding\x00: chunked", WHOLE),
    ),
]

CHUNKS = [
    served("two chunks", CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", HELLO),
    served(
        "sizes in capitals and small letters",
        CHUNKED + b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
        (b"POST", b"/b", b"0123456789" * 2),
    ),
    served("sizes with leading zeros", CHUNKED + b"0000000000000005\r\nhello\r\n00\r\n\r\n", HELLO),
    served("extensions", CHUNKED + b'5;a;b=c;d="e;\\"f"\r\nhello\r\n0;z\r\n\r\n', HELLO),
    served(
        "data that looks like framing",
        CHUNKED + b"9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n",
        (b"POST", b"/b", b"\r\n0\r\n\r\n\r\n"),
    ),
    served("a trailer", CHUNKED + b"5\r\nhello\r\n0\r\nX-T: v\r\n\r\n", HELLO),
    served(
        "a trailer that belongs into the head is left out",
        CHUNKED + b"5\r\nhello\r\n0\r\nAuthorization: v\r\n\r\n",
        HELLO,
    ),
    served("a trailer that routes is left out", CHUNKED + b"5\r\nhello\r\n0\r\nHost: b\r\n\r\n", HELLO),
    served("no chunk but the last", CHUNKED + b"0\r\n\r\n", (b"POST", b"/b", b"")),
    *(
        broken(f"chunks {body!r}", CHUNKED + body)
        for body in (
            # The size.
            b"\r\n",
            b"x\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"\t5\r\nhello\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"5\t\r\nhello\r\n0\r\n\r\n",
            b"5 5\r\nhello\r\n0\r\n\r\n",
            b"5h\r\nhello\r\n0\r\n\r\n",
            b"5_0\r\nhello\r\n0\r\n\r\n",
            b"5\x00\r\nhello\r\n0\r\n\r\n",
            b"5\x0b\r\nhello\r\n0\r\n\r\n",
            b"5\xa0\r\nhello\r\n0\r\n\r\n",
            b"'5'\r\nhello\r\n0\r\n\r\n",
            b"5,5\r\nhello\r\n0\r\n\r\n",
            b"5.\r\nhello\r\n0\r\n\r\n",
            b"00000000000000005\r\nhello\r\n0\r\n\r\n",
            b"12345678901234567\r\nhello\r\n0\r\n\r\n",
            b"10000000000000005\r\nhello\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            b"8000000000000005\r\nhello\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
            b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
            b"\r\n5\r\nhello\r\n0\r\n\r\n",
            # The size line's end.
            b"5\nhello\r\n0\r\n\r\n",
            b"5\rhello\r\n0\r\n\r\n",
            b"5\r\r\nhello\r\n0\r\n\r\n",
            b"5\n\rhello\r\n0\r\n\r\n",
            b"5\n\nhello\r\n0\r\n\r\n",
            b"5\rXhello\r\n0\r\n\r\n",
            # TERM.EXT, EXT.TERM, SPILL and their kin.
            b"5;\nhello\r\n0\r\n\r\n",
            b"5;a\nhello\r\n0\r\n\r\n",
            b"5\n;a\r\nhello\r\n0\r\n\r\n",
            b"5\r;a\r\nhello\r\n0\r\n\r\n",
            b"5;a\n\r\nhello\r\n0\r\n\r\n",
            b"5;a\rb\r\nhello\r\n0\r\n\r\n",
            b"5;a\r\r\nhello\r\n0\r\n\r\n",
            b"2;\nxx\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"5\r\nhelloXX0\r\n\r\n",
            b"5\r\nhello  \r\n0\r\n\r\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"5\r\nhell\r\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello\r0\r\n\r\n",
            b"5\r\nhello\r\r\n0\r\n\r\n",
            b"5\r\nhello\n\r0\r\n\r\n",
            # Extensions.
            b"5;\r\nhello\r\n0\r\n\r\n",
            b"5 ;a\r\nhello\r\n0\r\n\r\n",
            b"5; a\r\nhello\r\n0\r\n\r\n",
            b"5;a \r\nhello\r\n0\r\n\r\n",
            b"5;a =b\r\nhello\r\n0\r\n\r\n",
            b"5;a= b\r\nhello\r\n0\r\n\r\n",
            b"5;a=\r\nhello\r\n0\r\n\r\n",
            b"5;=b\r\nhello\r\n0\r\n\r\n",
            b'5;a="b\r\nhello\r\n0\r\n\r\n',
            b'5;a="b\r\n"\r\nhello\r\n0\r\n\r\n',
            b'5;a="b\n"\r\nhello\r\n0\r\n\r\n',
            b'5;a="b\\\r\n"\r\nhello\r\n0\r\n\r\n',
            b'5;a="b"c\r\nhello\r\n0\r\n\r\n',
            b"5;a\x00\r\nhello\r\n0\r\n\r\n",
            b"5;a\x7f\r\nhello\r\n0\r\n\r\n",
            b"5;\x80\r\nhello\r\n0\r\n\r\n",
            b"5;;a\r\nhello\r\n0\r\n\r\n",
            # The last chunk and its trailers.
            b"5\r\nhello\r\n0\n\r\n",
            b"5\r\nhello\r\n0\r\n\n",
            b"5\r\nhello\r\n0\r\n\rX",
            b"5\r\nhello\r\n0\r\n\r\r\n",
            b"5\r\nhello\r\n0\r\r\n\r\n",
            b"5\r\nhello\r\n0 \r\n\r\n",
            b"5\r\nhello\r\n-0\r\n\r\n",
            b"5\r\nhello\r\n0x0\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX\r\n\r\n",
            b"5\r\nhello\r\n0\r\n: v\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX : v\r\n\r\n",
            b"5\r\nhello\r\n0\r\n X: v\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX: v\r\n w\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX: v\nY: w\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX: v\rY: w\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX: \x7f\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX\x80: v\r\n\r\n",
            b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
            b"5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX: v\r\nContent-Length: 0\r\n\r\n",
            b"5\r\nhello\r\n0\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
            b"0\r\nX\nY: z\r\n\r\n",
        )
    ),
    broken("an extension of 64 KB", CHUNKED + b"5;" + b"a" * 65_536 + b"\r\nhello\r\n0\r\n\r\n", split=False),
    broken(
        "an extension of 64 KB of semicolons", CHUNKED + b"5" + b";a" * 32_768 + b"\r\nhello\r\n0\r\n\r\n", split=False
    ),
    broken("a quoted extension of 64 KB", CHUNKED + b'5;a="' + b"b" * 65_536 + b'"\r\nhello\r\n0\r\n\r\n', split=False),
    broken("many small extensions, 64 KB", CHUNKED + b"1;ab=cdefghijk\r\nx\r\n" * 6_000 + b"0\r\n\r\n", split=False),
    broken("a size of 64 KB of zeros", CHUNKED + b"0" * 65_536 + b"5\r\nhello\r\n0\r\n\r\n", split=False),
    broken(
        "a trailer of 64 KB", CHUNKED + b"5\r\nhello\r\n0\r\nX: " + b"v" * 65_536 + b"\r\n\r\n", 431, 400, split=False
    ),
    broken("trailers without end", CHUNKED + b"5\r\nhello\r\n0\r\n" + b"X: v\r\n" * 20_000, 431, 400, split=False),
    broken("a trailer's name without end", CHUNKED + b"5\r\nhello\r\n0\r\n" + b"X" * 100_000, 431, 400, split=False),
]

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
PLAIN = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GET = (b"GET", b"/", b"")
SECOND = (b"GET", b"/next", b"")

PIPELINES = [
    served("two requests", PLAIN + NEXT, GET, SECOND),
    served("a body, then a request", framed(b"Content-Length: 5") + NEXT, HELLO, SECOND),
    served("chunks, then a request", CHUNKED + WHOLE + NEXT, HELLO, SECOND),
    served(
        "a request inside a body", framed(b"Content-Length: %d" % len(NEXT), NEXT) + PLAIN, (b"POST", b"/b", NEXT), GET
    ),
    served(
        "a request inside a chunk",
        CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(NEXT), NEXT) + PLAIN,
        (b"POST", b"/b", NEXT),
        GET,
    ),
    served(
        "a length of none, then what looks like a body",
        framed(b"Content-Length: 0", b"") + NEXT,
        (b"POST", b"/b", b""),
        SECOND,
    ),
    served(
        "a body whose method has none, then a request",
        method(b"GET", b"Content-Length: 5", b"hello") + NEXT,
        (b"GET", b"/b", b"hello"),
        SECOND,
    ),
    served("an empty line between two requests", PLAIN + b"\r\n" + NEXT, GET, SECOND),
    served("a request, then garbage", PLAIN + b"garbage\r\n\r\n", GET, then=(400, 501)),
    served("a request, then one without Host", PLAIN + b"GET / HTTP/1.1\r\n\r\n", GET, then=(400,)),
    served(
        "a request, then one of both framings",
        PLAIN + framed(b"Content-Length: 5\r\nTransfer-Encoding: chunked", WHOLE),
        GET,
        then=(400,),
    ),
    served(
        "a body longer than its length",
        framed(b"Content-Length: 4", b"hello\r\n"),
        (b"POST", b"/b", b"hell"),
        then=(400,),
    ),
    served("Connection: close, then a request", PLAIN[:-2] + b"Connection: close\r\n\r\n" + NEXT, GET, closes=True),
    served(
        "Connection: close and a tab, then a request",
        PLAIN[:-2] + b"Connection: close\t\r\n\r\n" + NEXT,
        GET,
        closes=True,
    ),
    served(
        "Connection: Close among others, then a request",
        PLAIN[:-2] + b"Connection: x , Close\t,\r\n\r\n" + NEXT,
        GET,
        closes=True,
    ),
    served(
        "Connection: close in a second line, then a request",
        PLAIN[:-2] + b"Connection: keep-alive\r\nConnection: close\r\n\r\n" + NEXT,
        GET,
        closes=True,
    ),
    served("HTTP/1.0, then a request", PLAIN.replace(b"1.1", b"1.0") + NEXT, GET, closes=True),
    served(
        "HTTP/1.0 kept alive, then a request",
        PLAIN.replace(b"1.1", b"1.0")[:-2] + b"Connection: keep-alive\r\n\r\n" + NEXT,
        GET,
        SECOND,
    ),
    refused("a refused request, then a good one", b"GET / HTTP/1.1\r\n\r\n" + NEXT),
    refused("an unknown method, then a good one", b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n" + NEXT, 501),
    refused("CONNECT, then a request", b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n" + NEXT, 405),
    refused(
        "both framings, then a request in the body",
        framed(b"Content-Length: 40\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + NEXT),
    ),
    refused("version 0.9, then a request", b"GET /\r\n" + NEXT, 400, 505),
    refused("an unknown expectation, then a request", PLAIN[:-2] + b"Expect: x\r\n\r\n" + NEXT, 417),
    broken("bad chunks, then a request", CHUNKED + b"5\r\nhelloX\r\n0\r\n\r\n" + NEXT),
    broken(
        "a chunk size of which two readings end in a request",
        CHUNKED + b"5;\nhello\r\n" + b"26\r\n" + NEXT + b"\r\n0\r\n\r\n",
    ),
]

ROWS = FRAMING + CHUNKS + PIPELINES
