"""A strict reader of HTTP/1.1 (RFC 9112), which shares no code with the proxy's parser.

It never guesses: bytes are one message, the beginning of one, or `Malformed`.
"""

import dataclasses
import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/1\.1")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t \x21-\x7e\x80-\xff]*)")
FIELD_LINE = re.compile(
    rb"(" + TOKEN + rb"):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*"
)
HOST = re.compile(rb"(?:[A-Za-z0-9\-._~]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
SIZE_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}")


class Malformed(Exception):
    """These bytes are no message."""


@dataclasses.dataclass
class Read:
    """One whole message."""

    start: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]]
    framing: str

    @property
    def method(self) -> bytes:
        return self.start.split(b" ")[0]

    @property
    def target(self) -> bytes:
        return self.start.split(b" ")[1]

    @property
    def status(self) -> int:
        return int(self.start.split(b" ")[1])

    def values(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.fields if found.lower() == name]


class Incomplete(Exception):
    """These bytes begin a message and do not end it."""


class Cursor:
    """Takes bytes from the front of a buffer."""

    def __init__(self, data: bytes, start: int = 0):
        self.data, self.at = data, start

    def line(self) -> bytes:
        end = self.data.find(b"\r\n", self.at)
        found = self.data[self.at : end if end >= 0 else len(self.data)]
        if b"\n" in found or b"\r" in found[: None if end >= 0 else -1]:
            raise Malformed(f"a bare CR or LF in {found[:80]!r}")
        if end < 0:
            raise Incomplete
        self.at = end + 2
        return found

    def exactly(self, count: int) -> bytes:
        if len(self.data) - self.at < count:
            raise Incomplete
        self.at += count
        return self.data[self.at - count : self.at]

    def rest(self) -> bytes:
        taken, self.at = self.data[self.at :], len(self.data)
        return taken

    def section(self) -> list[tuple[bytes, bytes]]:
        fields = []
        while line := self.line():
            found = FIELD_LINE.fullmatch(line)
            if not found:
                raise Malformed(f"not a field line: {line[:80]!r}")
            fields.append((found[1], found[2]))
        return fields

    def chunked(self) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        body = b""
        while True:
            line = self.line()
            if not SIZE_LINE.fullmatch(line):
                raise Malformed(f"not a size line: {line[:80]!r}")
            size = int(line, 16)
            if size == 0:
                return body, self.section()
            body += self.exactly(size)
            if self.exactly(2) != b"\r\n":
                raise Malformed("a chunk's data does not end with CRLF")


def framing_of(fields: list[tuple[bytes, bytes]]) -> str | int:
    """`chunked`, a length, or `none` where no field says."""
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    codings = [value for name, value in fields if name.lower() == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise Malformed(f"{len(lengths)} Content-Length and {len(codings)} Transfer-Encoding")
    if codings:
        if codings[0].lower() != b"chunked":
            raise Malformed(f"Transfer-Encoding {codings[0]!r}")
        return "chunked"
    if lengths:
        if not re.fullmatch(rb"[0-9]{1,19}", lengths[0]):
            raise Malformed(f"Content-Length {lengths[0]!r}")
        return int(lengths[0])
    return "none"


def read_request(data: bytes, start: int = 0) -> tuple[Read, int]:
    """The request at `start`, and where it ends."""
    cursor = Cursor(data, start)
    line = cursor.line()
    if not REQUEST_LINE.fullmatch(line):
        raise Malformed(f"not a request line: {line[:80]!r}")
    fields = cursor.section()
    hosts = [value for name, value in fields if name.lower() == b"host"]
    if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
        raise Malformed(f"Host {hosts!r}")
    framing = framing_of(fields)
    body, trailers = b"", []
    if framing == "chunked":
        body, trailers = cursor.chunked()
    elif framing != "none":
        body = cursor.exactly(framing)
    return Read(line, fields, body, trailers, str(framing)), cursor.at


def read_response(
    data: bytes, start: int = 0, answers_head: bool = False, ended: str | None = None
) -> tuple[Read, int]:
    """The response at `start`, and where it ends; `ended` says how the connection did (`fin`, `rst`) if it did."""
    cursor = Cursor(data, start)
    line = cursor.line()
    found = STATUS_LINE.fullmatch(line)
    if not found:
        raise Malformed(f"not a status line: {line[:80]!r}")
    fields = cursor.section()
    framing = framing_of(fields)
    status = int(found[1])
    body, trailers = b"", []
    if status < 200 or status == 204:
        if framing not in ("none", 0):
            raise Malformed(f"a {status} with a body")
    elif answers_head or status == 304:
        pass
    elif framing == "chunked":
        body, trailers = cursor.chunked()
    elif framing == "none":
        framing = "close"
        # The close ends the body; a reset breaks it off.
        if ended != "fin":
            raise Incomplete
        body = cursor.rest()
    else:
        body = cursor.exactly(framing)
    return Read(line, fields, body, trailers, str(framing)), cursor.at
