"""Well-formed exchanges made up at random: the same ones for the same seed."""

import random
import string

from comparison import Exchange
from exchanges import IN_CHUNKS, METHODS, head_of
from harness.said import DONE, token


class Author:
    """Writes well-formed exchanges: the same ones for the same seed."""

    TOKEN = (string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode()
    VALUE = bytes(byte for byte in range(0x21, 0x100) if byte != 0x7F)
    PATH = (string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@/?").encode()

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def text(self, alphabet: bytes, shortest: int, longest: int) -> bytes:
        return bytes(self.random.choices(alphabet, k=self.random.randint(shortest, longest)))

    def field(self) -> bytes:
        words = [self.text(self.VALUE, 1, 12) for _ in range(self.random.randint(0, 4))]
        blank = self.random.choice([b"", b" ", b"\t", b"  "])
        value = self.random.choice([b" ", b"\t"]).join(words)
        return b"X-" + self.text(self.TOKEN, 1, 20) + b":" + blank + value + blank

    def framed(self, start: bytes, fields: list[bytes], body: bytes | None, is_chunked: bool) -> bytes:
        if body is None:
            framing, sent = [], b""
        elif is_chunked:
            framing, sent = [self.random.choice([IN_CHUNKS, b"transfer-encoding:chunked"])], self.chunks(body)
        else:
            framing, sent = [self.random.choice([b"Content-Length: %d", b"content-length:%d  "]) % len(body)], body
        lines = fields + framing
        self.random.shuffle(lines)
        return head_of(start, *lines) + sent

    def chunks(self, body: bytes) -> bytes:
        written = b""
        while body:
            size = self.random.randint(1, len(body))
            extension = self.random.choice([b"", b"", b";a", b";a=b", b';a="b;c"'])
            written += b"%s%x%s\r\n%s\r\n" % (b"0" * self.random.randint(0, 3), size, extension, body[:size])
            body = body[size:]
        trailers = b"".join(self.field() + b"\r\n" for _ in range(self.random.choice([0, 0, 1, 3])))
        return written + b"0\r\n" + trailers + b"\r\n"

    def body(self) -> bytes:
        events = b"".join(self.random.choices([token("x"), b": ping\n\n", DONE, b"data: {}\n\n", b"\r\n"], k=5))
        return self.random.choice([b"", events, self.random.randbytes(self.random.randint(1, 400))])

    def exchange(self) -> Exchange:
        client11 = self.random.random() < 0.8
        method = self.random.choice(METHODS)
        path = self.random.choice([b"/v1/chat/completions", b"/api/chat", b"/" + self.text(self.PATH, 0, 60)])
        fields = [self.field() for _ in range(self.random.randint(0, 12))]
        if client11 or self.random.random() < 0.5:
            fields.append(self.random.choice([b"Host: a", b"host:\tA.b-c:80 ", b"HOST: [::1]:1"]))
        body = self.body() if self.random.random() < 0.6 else None
        start = b"%s %s HTTP/%s" % (method, path, b"1.1" if client11 else b"1.0")
        request = self.framed(start, fields, body, client11 and self.random.random() < 0.5)
        return Exchange(request, *self.answer(method))

    def answer(self, method: bytes) -> tuple[bytes, bool]:
        status = self.random.choice([b"200 OK", b"204 ", b"304 x", b"404 \xff", b"500 a b"])
        version = b"1.1" if self.random.random() < 0.8 else b"1.0"
        start = b"HTTP/%s %s" % (version, status)
        types = [b"Content-Type: text/event-stream", b"Content-Type: application/json", b"Content-Encoding: x"]
        fields = [self.field() for _ in range(self.random.randint(0, 12))]
        fields += self.random.sample(types, self.random.randint(0, 2))
        if method == b"HEAD" or status[:1] in b"23" and not status.startswith(b"200"):
            return self.framed(start, fields, None, False), False
        if self.random.random() < 0.2:
            return head_of(start, *fields) + self.body(), True
        return self.framed(start, fields, self.body(), version == b"1.1" and self.random.random() < 0.6), False

    def cuts(self, length: int) -> tuple[int, ...]:
        return tuple(sorted({self.random.randrange(length) for _ in range(self.random.randint(0, 8))}))
