"""The well-formed exchanges that are compared, each by a name that says what it is."""

import gzip
import random
from collections.abc import Iterator

from comparison import GET, Exchange
from harness.said import DONE, chat_chunk, finish, plain, token, usage
from harness.story import OK
from harness.wire import LAST_CHUNK, chunk

Named = Iterator[tuple[str, Exchange]]

# MARK: writing messages

BINARY = bytes(range(256)) * 3 + b"\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
CHAT = b'{"model":"asked","stream":true,"messages":[{"role":"user","content":"h\xc3\xa9"}]}'
CHAT_PATH = b"/v1/chat/completions"
IN_CHUNKS = b"Transfer-Encoding: chunked"


def head_of(start: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([start, *fields]) + b"\r\n\r\n"


def message(start: bytes, *fields: bytes, body: bytes | None = None, chunks: int = 0) -> bytes:
    """A message: its body, if any, with a length or in chunks of so many bytes."""
    if body is None:
        return head_of(start, *fields)
    if not chunks:
        return head_of(start, *fields, b"Content-Length: %d" % len(body)) + body
    parts = (chunk(body[at : at + chunks]) for at in range(0, len(body), chunks))
    return head_of(start, *fields, IN_CHUNKS) + b"".join(parts) + LAST_CHUNK


def asking(method: bytes, *fields: bytes, path: bytes = b"/", **body) -> bytes:
    return message(b"%s %s HTTP/1.1" % (method, path), b"Host: a", *fields, **body)


def answering(status: bytes, *fields: bytes, **body) -> bytes:
    return message(b"HTTP/1.1 " + status, *fields, **body)


def from_http_1_0(request: bytes) -> bytes:
    return request.replace(b"HTTP/1.1", b"HTTP/1.0", 1)


def chat(answer: bytes, closes: bool = False, body: bytes = CHAT) -> Exchange:
    return Exchange(asking(b"POST", b"Content-Type: application/json", body=body, path=CHAT_PATH), answer, closes)


def stream(*pieces: bytes, content_type: bytes = b"text/event-stream") -> Exchange:
    """A chat whose answer is these pieces, each a chunk."""
    return chat(
        answering(b"200 OK", b"Content-Type: " + content_type, IN_CHUNKS) + b"".join(map(chunk, pieces)) + LAST_CHUNK
    )


# MARK: what they are made of

METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE")

STATUSES = b"""\
200 OK
201 Created
202 Accepted
203 Non-Authoritative Information
205 Reset Content
206 Partial Content
299 Quite \xe9 Fine\tindeed
300 Multiple Choices
301 Moved Permanently
302 Found
307 Temporary Redirect
400 Bad Request
401 Unauthorized
402 Payment Required
403 Forbidden
404 Not Found
405 Method Not Allowed
408 Request Timeout
409 Conflict
413 Content Too Large
417 Expectation Failed
418 I'm a teapot
421 Misdirected Request
422 Unprocessable Content
429 Too Many Requests
451 Unavailable For Legal Reasons
500 Internal Server Error
502 Bad Gateway
503 Service Unavailable
504 Gateway Timeout
529 Overloaded
599\x20
""".splitlines()

TARGETS = (
    b"/a/%7Eb?c=d%20e&f",
    b"//double//slash",
    b"/..;/x/./y/../z",
    b"/?",
    b"/a?b?c",
    b"/%00%ff%zz",
    b"/a:b@c,d;e=f!g$h'i(j)*k+l",
    b"/" + b"long/" * 1600,
)

AWKWARD = (
    b"""\
x-lower: \xe9\x80\xff obs
X-Repeated: one
X-Empty:
X-REPEATED: two
X-No-Space:x
X-Tab:\tx\t
X-Blanks:   a  b\tc\x20\x20
!#$%&'*+-.^_`|~09aZ: every character of a token
X-Quoted: "a, b\\"", c
X-Empty:
X-Commas: ,,a,, b,
X-Colons: a:b: :c
X-Repeated: one
Date: never
""".splitlines()
    + [b"X-Long: " + b"x" * 8000, b"X-Name-" + b"n" * 500 + b": v"]
)

IDENTIFYING = b"""\
Authorization: Bearer sk-some-key
Cookie: a=b; c=d
Cookie: e=f
X-Api-Key: some
X-User-Id: ann
Accept-Encoding: gzip, br;q=0.5, *;q=0
Accept: text/event-stream
User-Agent: x/1 (y; z) w
Origin: null
Range: bytes=0-1
If-None-Match: W/"x"
Cache-Control: no-cache
Pragma: no-cache
Referer: http://a/?b#
Via: 1.1 other
X-Forwarded-For: 1.2.3.4
Forwarded: for="[::1]:2"
X-Request-Id: r
Traceparent: 00-1-2-3
Max-Forwards: 3
Priority: u=1
Trailer: X-T
""".splitlines()

DESCRIBING = b"""\
Server: x
Date: Thu, 01 Jan 1970 00:00:00 GMT
Set-Cookie: a=b; Path=/
Set-Cookie: c=d
ETag: "x"
Location: http://elsewhere/?a=b
Retry-After: 7
WWW-Authenticate: Basic realm="x", Bearer
Vary: *
Content-Range: bytes 0-1/2
X-Accel-Buffering: no
Access-Control-Allow-Origin: *
Alt-Svc: h3=":443"; ma=1
Strict-Transport-Security: max-age=1
Warning: 199 - "x"
x-ratelimit-remaining-tokens: 5
Via: 1.1 other
Content-Type: application/json; charset=utf-8
Content-Language: de, en
Link: <a>; rel=b, <c>; rel=d
""".splitlines()

STREAMS = {
    "events of one line": [b"data: a\n\n", b"data: b\n\n"],
    "events with CRLF": [b"data: a\r\n\r\n", b"data: b\r\n\r\n"],
    "events with CR": [b"data: a\r\r", b"data: b\r\r"],
    "events with every kind of line end": [b"data: a\r\ndata: b\ndata: c\r\n\r\n"],
    "events of several lines": [b"data: {\ndata: }\n\n"],
    "events with names, numbers and times": [b"event: x\nid: 1\nretry: 10\ndata: y\n\n"],
    "events without a space": [b"data:{}\n\ndata:\n\ndata\n\n"],
    "comments and empty lines": [b": ping\n\n", b":\n\n\n\n", b": \n", b"data: x\n\n"],
    "a byte order mark": [b"\xef\xbb\xbfdata: {}\n\n"],
    "what is no event": [b"nonsense\n\n", b"da", b"ta", b"\xff\xfe\n"],
    "an event that never ends": [b'data: {"choices":'],
    "no event at all": [],
    "a chat": [token("a"), token("b\u00e9\u4e2d\U0001f600"), finish(), usage(3, 2), DONE],
    "a chat whose events share a chunk": [token("a") + token("b") + finish() + DONE],
    "a chat whose events are torn": [bytes([byte]) for byte in token("a") + token("b") + DONE],
    "a chat that fails": [token("a"), b'data: {"error":{"message":"no","code":500}}\n\n', DONE],
    "a chat with events of other kinds": [
        chat_chunk(),
        chat_chunk(choices=[{"index": 1, "delta": None}]),
        b"data: 5\n\n",
        DONE,
    ],
    "a chat with escapes": [
        b'data: {"choices":[{"index":0,"delta":{"content":"\\u00e9\\ud83d\\ude00\\n\\"\\\\"}}]}\n\n',
        DONE,
    ],
    "a chat without its terminator": [token("a"), finish()],
    "a chat with more behind its terminator": [token("a"), DONE, token("b"), DONE],
    "lines of JSON": [b'{"response":"a","done":false}\n', b'{"response":"","done":true}\n'],
}


# MARK: the exchanges


def of_methods() -> Named:
    for method in METHODS:
        name = method.decode()
        # What answers HEAD says what GET would have got, and has no body.
        body = {"body": b"some body"} if method != b"HEAD" else {}
        answer = answering(b"200 OK", *([] if body else [b"Content-Length: 9"]), **body)
        yield f"{name} without a body", Exchange(asking(method), answer)
        yield f"{name} with an empty body", Exchange(asking(method, body=b""), answer)
        yield f"{name} with a body", Exchange(asking(method, b"Content-Type: x/y", body=BINARY), answer)
        yield f"{name} with chunks", Exchange(asking(method, body=b"in three chunks", chunks=6), answer)
        yield f"{name} with no chunk but the last", Exchange(asking(method, IN_CHUNKS) + LAST_CHUNK, answer)
    yield "OPTIONS of the server itself", Exchange(asking(b"OPTIONS", path=b"*"))
    yield "HEAD of what GET would get in chunks", Exchange(asking(b"HEAD"), answering(b"200 OK", IN_CHUNKS))
    for target in TARGETS:
        yield f"target {target[:30].decode()}", Exchange(asking(b"GET", path=target))


def of_statuses() -> Named:
    for status in STATUSES:
        yield f"status {status.decode('latin-1')}", Exchange(answer=answering(status, b"X: y", body=b"why"))
    for status in (b"204 No Content", b"304 Not Modified"):
        yield f"status {status.decode()}", Exchange(answer=answering(status, b"ETag: x"))
    yield "status 304 with 200's length", Exchange(answer=answering(b"304 Not Modified", b"Content-Length: 9"))
    yield "a reason that is not given", Exchange(answer=answering(b"200 ", body=b"x"))
    interim = head_of(b"HTTP/1.1 100 Continue") + head_of(b"HTTP/1.1 102 Processing", b"X: y")
    hints = head_of(b"HTTP/1.1 103 Early Hints", b"Link: </a>", b"Link: </b>; c=\xe9")
    yield "interim responses", Exchange(answer=interim + hints + hints + OK)
    yield "interim responses to HTTP/1.0", Exchange(from_http_1_0(GET), hints + OK)


def of_versions() -> Named:
    for client in (b"1.0", b"1.1"):
        for server in (b"1.0", b"1.1"):
            request, start = GET.replace(b"1.1", client), b"HTTP/%s 200 OK" % server
            name = f"HTTP/{client.decode()} asks, HTTP/{server.decode()} answers"
            yield f"{name} with a length", Exchange(request, message(start, b"X: y", body=b"five!"))
            yield f"{name} until it closes", Exchange(request, head_of(start, b"X: y") + b"five!", closes=True)
    yield "HTTP/1.1 asks and answers in chunks", Exchange(answer=answering(b"200 OK", body=b"five!", chunks=2))
    yield "HTTP/1.0 is answered in chunks", Exchange(from_http_1_0(GET), answering(b"200 OK", body=b"five!", chunks=2))
    yield "HTTP/1.0 without a Host", Exchange(b"GET /x HTTP/1.0\r\nA: b\r\n\r\n")
    yield "HTTP/1.0 posts", Exchange(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")


def of_chunks() -> Named:
    trailers = b"0\r\nX-Sum: 1a\r\nx-OBS:\xe9\xff\r\nX-Sum:2b \r\nX-Empty:\r\n\r\n"
    answer = answering(b"200 OK", b"Trailer: X-Sum", IN_CHUNKS) + chunk(b"down") + trailers
    yield "trailers", Exchange(asking(b"PUT", IN_CHUNKS, b"Trailer: X-Sum") + chunk(b"up") + trailers, answer)
    yield "trailers to HTTP/1.0", Exchange(from_http_1_0(GET), answer)
    extended = b'2;a\r\nhi\r\n003;b=c;d="e;\\"f"\r\nyou\r\n00;last\r\n\r\n'
    yield (
        "chunk extensions",
        Exchange(asking(b"POST", IN_CHUNKS) + extended, answering(b"200 OK", IN_CHUNKS) + extended),
    )
    yield "chunks by another spelling", Exchange(answer=answering(b"200 OK", b"transfer-encoding:chunked") + LAST_CHUNK)


def of_fields() -> Named:
    for name, fields in (("awkward", AWKWARD), ("identifying", IDENTIFYING), ("describing", DESCRIBING)):
        yield f"{name} fields", Exchange(asking(b"GET", *fields), answering(b"200 OK", *fields, body=b"x"))
        for field in fields:
            title = field[:24].decode("latin-1")
            yield f"the field {title!r}", Exchange(asking(b"GET", field), answering(b"200 OK", field, body=b"x"))
    yield "a length before the host", Exchange(b"POST / HTTP/1.1\r\ncontent-LENGTH:2\r\nA: b\r\nhOST:a\r\n\r\nhi")
    yield (
        "hop-by-hop fields",
        Exchange(
            asking(
                b"GET", b"A: 1", b"Connection: X-A, keep-alive", b"X-A: 1", b"Keep-Alive: 5", b"TE: trailers", b"B: 2"
            ),
            answering(b"200 OK", b"A: 1", b"Connection: X-S", b"X-S: 1", b"Keep-Alive: timeout=5", b"B: 2", body=b"x"),
        ),
    )
    many = [b"X-%d: %d" % (number, number) for number in range(400)]
    yield "four hundred fields", Exchange(asking(b"GET", *many), answering(b"200 OK", *many, body=b"x"))


def of_chats() -> Named:
    for name, pieces in STREAMS.items():
        yield f"a stream of {name}", stream(*pieces)
    odd_type = b'Text/Event-Stream;charset="utf-8"'
    yield "a stream whose type is written oddly", stream(token("a"), DONE, content_type=odd_type)
    yield "a stream that calls itself octets", stream(token("a"), DONE, content_type=b"application/octet-stream")
    events, body = b"Content-Type: text/event-stream", token("a") + DONE
    yield "a stream that the close ends", chat(head_of(b"HTTP/1.1 200 OK", events) + body, closes=True)
    yield "a stream with a length", chat(answering(b"200 OK", events, body=body))
    zipped = gzip.compress(body, mtime=0)
    yield "a stream that is gzip", chat(answering(b"200 OK", events, b"Content-Encoding: gzip", body=zipped, chunks=7))
    whole = b'{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"completion_tokens":1}}'
    yield "a chat that is no stream", chat(plain(whole), body=CHAT.replace(b"true", b"false"))
    refusal = plain(b'{"error":{"message":"no"}}', b"Retry-After: 1", status=b"429 Too Many Requests")
    yield "a chat that is refused", chat(refusal)
    yield "a chat that is no JSON", chat(plain(b'{"choices": [{]'), body=b'{"model": "\xff", "stream": tru')
    zipped = gzip.compress(CHAT * 20, mtime=0)
    coding = b"Content-Encoding: gzip"
    yield (
        "gzip on both sides",
        Exchange(asking(b"POST", coding, body=zipped, path=CHAT_PATH), answering(b"200 OK", coding, body=zipped)),
    )


def exchanges() -> dict[str, Exchange]:
    """All that are short enough to be cut at every byte."""
    return {
        name: exchange
        for of in (of_methods, of_statuses, of_versions, of_chunks, of_fields, of_chats)
        for name, exchange in of()
    }


def big_exchanges() -> dict[str, Exchange]:
    """Bodies of many reads, and chunks of 1 byte to 1 MB."""
    body = random.Random(1).randbytes(3 << 20)
    found = {
        "3 MB with a length": Exchange(asking(b"POST", body=body), answering(b"200 OK", body=body)),
        "3 MB until it closes": Exchange(answer=head_of(b"HTTP/1.1 200 OK") + body, closes=True),
        "3 MB in chunks to HTTP/1.0": Exchange(from_http_1_0(GET), answering(b"200 OK", body=body, chunks=10_000)),
    }
    for size in (1, 2, 15, 16, 17, 255, 4095, 4096, 65535, 65536, 65537, 1 << 20):
        part = body[: size * 5000]
        found[f"chunks of {size:,} bytes"] = Exchange(
            asking(b"POST", body=part, chunks=size), answering(b"200 OK", body=part, chunks=size)
        )
    return found
