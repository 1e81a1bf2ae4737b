"""An exchange as its senders write it, what a proxy may change of it, and the comparison of both ways.

Bodies and trailers are identical. Heads are identical in order, case and bytes, but for the fields that RFC 9110 §7.6.1
makes one hop's, and for the framing where the receiver's version needs another.
"""

import dataclasses

from harness.story import OK, Teller
from harness.wire import Message

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclasses.dataclass
class Exchange:
    """A request and its response as their senders write them."""

    request: bytes = GET
    answer: bytes = OK
    # Whether the response's body ends with its connection.
    closes: bool = False

    @property
    def method(self) -> bytes:
        return self.request.split(b" ", 1)[0]

    @property
    def client11(self) -> bool:
        return self.request.split(b"\r\n", 1)[0].endswith(b"1.1")

    def story(self, client, upstream) -> tuple[Message, list[bytes], Message]:
        """The exchange as a story; gives what upstream saw, then the interim heads and the response."""
        with client.sending(self.request):
            server = upstream.accept()
            request = server.message()
        with server.sending(self.answer, then_finish=self.closes):
            return request, *client.response(self.method)


# MARK: what a proxy changes

HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"}
Head = tuple[bytes, list[tuple[bytes, bytes]]]


def parsed(head: bytes) -> Head:
    """The start line, and the names and values in their order; blanks around a value are none of it (RFC 9110 §5.5)."""
    start, *lines = head[:-4].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return start, [(name, value.strip(b" \t")) for name, _, value in pairs]


def without_hops(head: bytes) -> Head:
    """A head without what its sender meant for its neighbour only."""
    start, fields = parsed(head)
    named = {
        name.strip().lower() for field, value in fields if field.lower() == b"connection" for name in value.split(b",")
    }
    return start, [(name, value) for name, value in fields if name.lower() not in HOP_BY_HOP | named]


def as_passed_on(request: Message, default_host: bytes) -> tuple[Head, bytes, list]:
    """A request as upstream sees it behind a proxy that speaks HTTP/1.1."""
    start, fields = without_hops(request.head)
    if not any(name.lower() == b"host" for name, _ in fields):
        fields.append((b"Host", default_host))
    return (start[:-1] + b"1", fields), request.body, parsed(b"\r\n".join([b"", *request.trailers]) + b"\r\n" * 2)[1]


def as_delivered(response: Message, exchange: Exchange) -> tuple[Head, bytes, list]:
    """A response as the client sees it behind a proxy that speaks HTTP/1.1."""
    start, fields = without_hops(response.head)
    trailers = parsed(b"\r\n".join([b"", *response.trailers]) + b"\r\n" * 2)[1]
    if not exchange.client11:
        fields = [field for field in fields if field[0].lower() != b"transfer-encoding"]
        trailers = []
    elif exchange.closes:
        fields.append((b"Transfer-Encoding", b"chunked"))
    return (b"HTTP/1.1" + start[8:], fields), response.body, trailers


def compared(teller: Teller, exchange: Exchange):
    """The story of an exchange through the proxy, held against the same exchange without it."""
    request, interim, response = teller.tell_directly(exchange.story)
    expected = (
        as_passed_on(request, teller.upstream_name),
        [without_hops(head) for head in interim] if exchange.client11 else [],
        as_delivered(response, exchange),
    )

    def story(client, upstream):
        request, interim, response = exchange.story(client, upstream)
        seen = (
            (parsed(request.head), request.body, parsed_trailers(request)),
            [parsed(head) for head in interim],
            (without_hops(response.head), response.body, parsed_trailers(response)),
        )
        assert seen == expected

    return story


def parsed_trailers(message: Message) -> list[tuple[bytes, bytes]]:
    return parsed(b"\r\n".join([b"", *message.trailers]) + b"\r\n" * 2)[1]
