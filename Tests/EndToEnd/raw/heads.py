"""Request heads: those of one unambiguous message, and all the others."""

from raw import refused, served

HOST = b"Host: a\r\n"


def line(text: bytes) -> bytes:
    """A request with this request line."""
    return text + b"\r\n" + HOST + b"\r\n"


def field(text: bytes) -> bytes:
    """A GET with this field line behind Host."""
    return b"GET / HTTP/1.1\r\n" + HOST + text + b"\r\n\r\n"


def host(text: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET / " + version + b"\r\n" + text + b"\r\n"


CONTROLS = [byte for byte in range(0x20) if byte not in (0x09, 0x0A, 0x0D)] + [0x7F]
NOT_TOKEN = b'"(),/:;<=>?@[\\]{}'

REQUEST_LINES = [
    served("a plain GET", line(b"GET / HTTP/1.1")),
    served("an OPTIONS of *", line(b"OPTIONS * HTTP/1.1"), (b"OPTIONS", b"*", b"")),
    served("a target of two slashes", line(b"GET //x//y HTTP/1.1"), (b"GET", b"//x//y", b"")),
    served(
        "a target with escapes and brackets",
        line(b"GET /%zz/%00?a[]=1&b=%0d HTTP/1.1"),
        (b"GET", b"/%zz/%00?a[]=1&b=%0d", b""),
    ),
    *(
        served(f"method {m.decode()}", line(m + b" /m HTTP/1.1"), (m, b"/m", b""))
        for m in (b"PUT", b"DELETE", b"PATCH", b"POST", b"OPTIONS", b"PROPFIND", b"M-SEARCH", b"QUERY", b"SOURCE")
    ),
    *(refused(f"control byte 0x{byte:02x} in the target", line(b"GET /a%cb HTTP/1.1" % byte)) for byte in CONTROLS),
    *(
        served(f"byte 0x{byte:02x} in the target", line(b"GET /a%cb HTTP/1.1" % byte), (b"GET", b"/a%cb" % byte, b""))
        for byte in (0x80, 0xA0, 0xC3, 0xFF)
    ),
    *(
        served(f"{chr(byte)} in the target", line(b"GET /a%cb HTTP/1.1" % byte), (b"GET", b"/a%cb" % byte, b""))
        for byte in b'"<>#'
    ),
    served("a backslash in the path", line(rb"GET /a\..\b HTTP/1.1"), (b"GET", rb"/a\..\b", b"")),
    *(
        refused(f"control byte 0x{byte:02x} behind raw UTF-8 in the target", line(b"GET /\xc3\xa9%cb HTTP/1.1" % byte))
        for byte in CONTROLS
    ),
    refused("a space behind raw UTF-8 in the target", line(b"GET /\xc3\xa9 b HTTP/1.1")),
    refused("raw UTF-8 in an authority", line(b"GET http://\xc3\xa9/ HTTP/1.1")),
    refused("a space in the target", line(b"GET /a b HTTP/1.1")),
    refused("a tab in the target", line(b"GET /a\tb HTTP/1.1")),
    refused("tab after the method", line(b"GET\t/ HTTP/1.1"), 400, 501),
    refused("tab before the version", line(b"GET /\tHTTP/1.1")),
    refused("two spaces after the method", line(b"GET  / HTTP/1.1")),
    refused("two spaces before the version", line(b"GET /  HTTP/1.1"), 400, 505),
    refused("a space before the method", line(b" GET / HTTP/1.1")),
    refused("a tab before the method", line(b"\tGET / HTTP/1.1")),
    refused("a space behind the version", line(b"GET / HTTP/1.1 ")),
    refused("a tab behind the version", line(b"GET / HTTP/1.1\t")),
    refused("junk behind the version", line(b"GET / HTTP/1.1 HTTP/1.1")),
    refused("a letter behind the version", line(b"GET / HTTP/1.1x")),
    refused("no version", line(b"GET /"), 400, 505),
    refused("no version but a space", line(b"GET / "), 400, 505),
    refused("no target", line(b"GET HTTP/1.1"), 400, 505),
    refused("an empty target", line(b"GET  HTTP/1.1"), 400, 505),
    refused("a method alone", b"GET\r\n\r\n"),
    refused("a colon alone", b":\r\n\r\n"),
    *(
        refused(f"version {v.decode()}", line(b"GET / " + v), 505)
        for v in (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.2", b"HTTP/3.0", b"HTTP/1.9", b"HTTP/0.0", b"HTTP/9.9")
    ),
    *(
        refused(f"version {v.decode()}", line(b"GET / " + v), 400, 505)
        for v in (
            b"HTTP/1.10",
            b"HTTP/01.1",
            b"HTTP/1.01",
            b"HTTP/11.1",
            b"HTTP/1,1",
            b"HTTP/1",
            b"HTTP/1.",
            b"HTTP/.1",
            b"HTTP/",
            b"HTTP /1.1",
            b"HTTP/+1.1",
            b"HTTP/1. 1",
            b"HTTP/0x1.1",
            b"http/1.1",
            b"Http/1.1",
            b"HTTPS/1.1",
            b"HTP/1.1",
            b"HTTP1.1",
            b"XHTTP/1.1",
        )
    ),
    *(
        refused(f"{m.decode()} {v.decode()}", line(m + b" / " + v), 400, 501, 505)
        for m, v in (
            (b"GET", b"RTSP/1.0"),
            (b"OPTIONS", b"RTSP/1.1"),
            (b"DESCRIBE", b"RTSP/1.0"),
            (b"DESCRIBE", b"HTTP/1.1"),
            (b"SOURCE", b"ICE/1.0"),
            (b"GET", b"ICE/1.0"),
            (b"ANNOUNCE", b"HTTP/1.1"),
        )
    ),
    *(
        refused(f"method {m.decode()}", line(m + b" / HTTP/1.1"), 501)
        for m in (
            b"get",
            b"Get",
            b"post",
            b"FOO",
            b"GETT",
            b"GE",
            b"X",
            b"PROPFINDS",
            b"M-SEARC",
            b"BREW",
            b"A!#$%&'*+-.^_`|~9",
        )
    ),
    *(
        refused(f"byte 0x{byte:02x} in the method", line(b"G%cT / HTTP/1.1" % byte))
        for byte in (0x00, 0x01, 0x1B, 0x7F, 0x80, 0xFF, *NOT_TOKEN)
    ),
    refused("a method of 1 KB", line(b"A" * 1024 + b" / HTTP/1.1"), 501, 400),
    refused("a method of 100 KB", line(b"A" * 100_000 + b" / HTTP/1.1"), 501, 400, 431, split=False),
    refused("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    refused("HTTP/2's preface and frames", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505),
    refused("a TLS ClientHello", bytes.fromhex("1603010200010001fc0303") + bytes(range(64)) + b"\r\n\r\n"),
    refused("an SSLv2 hello", b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10\r\n\r\n"),
    refused("SSH's greeting", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400, 501),
    refused("a PROXY line", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + line(b"GET / HTTP/1.1"), 400, 501, 505),
    refused("a response", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    refused("NULs", b"\x00" * 40),
    refused("CONNECT of an authority", line(b"CONNECT a:80 HTTP/1.1"), 405),
    refused("CONNECT without a port", line(b"CONNECT a HTTP/1.1"), 405, 400),
    refused("CONNECT of a path", line(b"CONNECT / HTTP/1.1"), 405, 400),
    refused("CONNECT of a URL", line(b"CONNECT http://a/ HTTP/1.1"), 405, 400),
    refused("CONNECT with a body", b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 405),
    *(refused(f"{m.decode()} of *", line(m + b" * HTTP/1.1")) for m in (b"GET", b"POST", b"HEAD", b"DELETE")),
    refused("OPTIONS of **", line(b"OPTIONS ** HTTP/1.1")),
    refused("OPTIONS of */", line(b"OPTIONS */ HTTP/1.1")),
    refused("a target without a slash", line(b"GET a HTTP/1.1")),
    refused("a query alone", line(b"GET ?a HTTP/1.1")),
    refused("an authority as target", line(b"GET a:80 HTTP/1.1")),
    served("an absolute form", line(b"GET http://b:81/x?y HTTP/1.1"), (b"GET", b"/x?y", b""), host=b"b:81"),
    served("an absolute form in capitals", line(b"GET HTTP://b/x HTTP/1.1"), (b"GET", b"/x", b""), host=b"b"),
    served(
        "an absolute form of an IPv6 host",
        line(b"GET http://[::1]:80/x HTTP/1.1"),
        (b"GET", b"/x", b""),
        host=b"[::1]:80",
    ),
    refused("an absolute form without Host", b"GET http://b/ HTTP/1.1\r\n\r\n"),
    *(
        refused(f"target {t.decode()}", line(b"GET " + t + b" HTTP/1.1"))
        for t in (
            b"http://",
            b"http:///x",
            b"http:/b/x",
            b"http:b/x",
            b"http//b/x",
            b"https://b/x",
            b"ftp://b/x",
            b"file:///etc",
            b"javascript:x",
            b"http://u@b/x",
            b"http://u:p@b/x",
            b"http://b:x/x",
            b"http://b:65536/x",
            b"http://b:-1/x",
            b"http://[::1/x",
            b"http://[]/x",
            b"http://::1/x",
            b"http://b%2f/x",
            b"http://b\\@c/x",
            b"http://a,b/x",
        )
    ),
]

HOSTS = [
    *(
        served(f"Host {value.decode()}", host(b"Host: " + value + b"\r\n"), host=value)
        for value in (
            b"a",
            b"a.b.",
            b"a:80",
            b"a:",
            b"a:0",
            b"A-b_c~d",
            b"127.0.0.1:8080",
            b"[::1]",
            b"[::1]:8080",
            b"[2001:db8::1]",
            b"[1:2:3:4:5:6:7:8]",
            b"[::ffff:1.2.3.4]",
            b"[::]",
        )
    ),
    served("Host with white space around it", host(b"Host: \t a \t \r\n"), host=b"a"),
    served("Host in other letters", host(b"hOST:a\r\n"), host=b"a"),
    served("HTTP/1.0 with Host", host(b"Host: a\r\n", b"HTTP/1.0"), host=b"a", closes=True),
    served("HTTP/1.0 without Host", host(b"", b"HTTP/1.0"), closes=True),
    refused("no Host", host(b"")),
    refused("no Host, but one much like it", host(b"X-Host: a\r\nHosts: a\r\nHos: a\r\n")),
    refused("Host twice", host(b"Host: a\r\nHost: a\r\n")),
    refused("Host twice, differing", host(b"Host: a\r\nX: y\r\nhost: b\r\n")),
    refused("Host twice in HTTP/1.0", host(b"Host: a\r\nHost: b\r\n", b"HTTP/1.0")),
    refused("an empty Host", host(b"Host:\r\n")),
    refused("a blank Host", host(b"Host: \t \r\n")),
    *(
        refused(f"Host {value!r}", host(b"Host: " + value + b"\r\n"))
        for value in (
            b"a@b",
            b"u:p@b",
            b"a/b",
            b"a,b",
            b"a, b",
            b"a b",
            b"a\tb",
            b"a:b",
            b"a:80:80",
            b"a:-1",
            b"a:+80",
            b"a:65536",
            b"a:99999",
            b"a:0x50",
            b"a:8 0",
            b"a:000080",
            b":80",
            b":",
            b"?",
            b"a?b",
            b"a#b",
            b"a;b",
            b"a\\b",
            b"a%62",
            b"a%00",
            b"a%",
            b"http://a",
            b"a\x80",
            b"\xc3\xa9",
            b"a\x00b",
            b"a\x0bb",
            b"[",
            b"]",
            b"[]",
            b"[::1",
            b"::1]",
            b"::1",
            b"[::1]x",
            b"[::1]:x",
            b"[:::1]",
            b"[1::2::3]",
            b"[1:2:3]",
            b"[1:2:3:4:5:6:7:8:9]",
            b"[12345::]",
            b"[g::]",
            b"[::1%25eth0]",
            b"[::1.2.3]",
            b"[::1.2.3.256]",
            b"[v1.a]",
            b"[127.0.0.1]",
            b"[::1]]",
            b"[[::1]]",
            b"{a}",
            b"a|b",
            b"a'b",
            b'"a"',
            b"<a>",
            b"(a)",
            b"*",
            b"a!b",
            b"$a",
        )
    ),
    served("Host [::1] with an empty port", host(b"Host: [::1]:\r\n"), host=b"[::1]:"),
]

FIELDS = [
    served("an empty value", field(b"X-A:"), line=b"X-A: "),
    served("bytes beyond ASCII in a value", field(b"X-A: \x80\xff \xc3\xa9"), line=b"X-A: \x80\xff \xc3\xa9"),
    served("tabs in a value", field(b"X-A: a\tb"), line=b"X-A: a\tb"),
    served("all of a token's bytes in a name", field(b"!#$%&'*+-.^_`|~aZ09: x"), line=b"!#$%&'*+-.^_`|~aZ09: x"),
    served("colons in a value", field(b"X-A::a:b:"), line=b"X-A: :a:b:"),
    # Servers behind CGI or WSGI read them as the real ones.
    refused("underscores make no framing: Content_Length", field(b"Content_Length: 5")),
    refused("underscores make no framing: Transfer_Encoding", field(b"Transfer_Encoding: chunked")),
    served("underscores in another name", field(b"Content_Lengths: 5"), line=b"Content_Lengths: 5"),
    served("other letters' likeness: \u017f", field(b"X-A: tran\xc5\xbffer"), line=b"X-A: tran\xc5\xbffer"),
    *(refused(f"control byte 0x{byte:02x} in a value", field(b"X-A: a%cb" % byte)) for byte in CONTROLS),
    *(
        refused(f"control byte 0x{byte:02x} ends a value", field(b"X-A: a%c" % byte))
        for byte in (0x00, 0x0B, 0x0C, 0x1F, 0x7F)
    ),
    *(refused(f"control byte 0x{byte:02x} in a name", field(b"X%cA: a" % byte)) for byte in CONTROLS),
    *(refused(f"{chr(byte)} in a name", field(b"X%cA: a" % byte)) for byte in NOT_TOKEN if byte != ord(":")),
    *(refused(f"byte 0x{byte:02x} in a name", field(b"X%cA: a" % byte)) for byte in (0x80, 0xA0, 0xFF)),
    refused("a space in a name", field(b"X A: a")),
    refused("a tab in a name", field(b"X\tA: a")),
    refused("a space before the colon", field(b"X-A : a")),
    refused("a tab before the colon", field(b"X-A\t: a")),
    refused("a space before Content-Length's colon", field(b"Content-Length : 5")),
    refused("a tab before Transfer-Encoding's colon", field(b"Transfer-Encoding\t: chunked")),
    refused("a vertical tab before Transfer-Encoding's colon", field(b"Transfer-Encoding\x0b: chunked")),
    refused("a NUL in Content-Length's name", field(b"Content-Length\x00: 5")),
    refused("a space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    refused("a tab before the first field", b"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"),
    refused("a blank line of spaces first", b"GET / HTTP/1.1\r\n  \r\nHost: a\r\n\r\n"),
    refused("a space before a field", field(b" X-A: a")),
    refused("a folded value", field(b"X-A: a\r\n b")),
    refused("a folded value, with a tab", field(b"X-A: a\r\n\tb")),
    refused("a folded value, empty at first", field(b"X-A:\r\n b")),
    refused("a folded Host", b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n"),
    refused("a folded Transfer-Encoding", field(b"Transfer-Encoding:\r\n chunked")),
    refused("a folded Content-Length", field(b"Content-Length: 1\r\n 0")),
    refused("a folded line of spaces alone", field(b"X-A: a\r\n  ")),
    refused("a name without a colon", field(b"X-A")),
    refused("a name without a colon, then more", field(b"X-A\r\nX-B: b")),
    refused("a nameless field", field(b": a")),
    refused("a colon alone as field", field(b":")),
    refused("a byte order mark before a name", field(b"\xef\xbb\xbfX-A: a")),
    refused("a request line among the fields", field(b"GET /b HTTP/1.1")),
    refused("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n"),
    refused("bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    refused("bare LF behind a field", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    refused("bare LF at the head's end", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    refused("bare LF in a value", field(b"X-A: a\nX-B: b")),
    refused("bare LF in a name", field(b"X\nA: a")),
    refused("bare LF in the target", line(b"GET /a\nb HTTP/1.1")),
    refused("bare CR behind the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
    refused("bare CR behind a field", b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"),
    refused("bare CR in a value", field(b"X-A: a\rb")),
    refused("bare CR at a value's begin", field(b"X-A: \rb")),
    refused("bare CR in a name", field(b"X\rA: a")),
    refused("bare CR in the target", line(b"GET /a\rb HTTP/1.1")),
    refused("bare CR in the method", line(b"G\rET / HTTP/1.1")),
    refused("bare CR at the head's end", b"GET / HTTP/1.1\r\nHost: a\r\n\rX"),
    refused("CR CR LF behind the request line", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
    refused("CR CR LF behind a field", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    refused("CR CR LF at the head's end", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n"),
    refused("LF CR behind the request line", b"GET / HTTP/1.1\n\rHost: a\r\n\r\n"),
    served("an empty line first", b"\r\n" + line(b"GET / HTTP/1.1")),
    served("four empty lines first", b"\r\n" * 4 + line(b"GET / HTTP/1.1")),
    refused("an empty line of LF first", b"\n" + line(b"GET / HTTP/1.1")),
    refused("an empty line of CR first", b"\r" + line(b"GET / HTTP/1.1")),
    refused("an empty line of CR CR LF first", b"\r\r\n" + line(b"GET / HTTP/1.1")),
    refused("a hundred empty lines first", b"\r\n" * 100 + line(b"GET / HTTP/1.1")),
    refused("empty lines without end", b"\r\n" * 60_000, split=False),
    refused("a head of 100 KB", field(b"X-A: " + b"a" * 100_000), 431, split=False),
    refused("a name of 100 KB", field(b"a" * 100_000 + b": a"), 431, split=False),
    refused(
        "a head of many fields, 100 KB", field(b"\r\n".join(b"X-%d: a" % n for n in range(12_000))), 431, split=False
    ),
    refused("a value without end", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 300_000, 431, split=False),
    refused("a target of 64 KB", line(b"GET /" + b"a" * 65_536 + b" HTTP/1.1"), 414, split=False),
    refused("a target without end", b"GET /" + b"a" * 300_000, 414, split=False),
    refused("connection options without end", field(b"Connection: " + b"a," * 20_000), 400, 431, split=False),
    refused("an unknown expectation", field(b"Expect: 200-ok"), 417),
    refused("an expectation among others", field(b"Expect: 100-continue, x"), 417),
    served("an expectation without a body", field(b"Expect: 100-continue")),
]

ROWS = REQUEST_LINES + HOSTS + FIELDS
