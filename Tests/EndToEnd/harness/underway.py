"""Many open exchanges, each stopped at another byte of its request or of its response."""

import socket

from harness.said import DONE, STREAM_HEAD, finish, request, token
from harness.story import CLIENT, Peer, Split, Upstream
from harness.wire import LAST_CHUNK, chunk

CHAT = request("POST", "/v1/chat/completions", b'{"stream":true}')
ANSWER = STREAM_HEAD + chunk(token("a")) + chunk(finish()) + chunk(DONE) + LAST_CHUNK
WHOLE = token("a") + finish() + DONE


class Underway:
    """A chat for each byte of a request that is yet to come, and one for each byte of an answer."""

    def __init__(self, port: int, upstream: Upstream):
        self.upstream = upstream
        self.streams, self.uploads = [], []
        for at in range(len(ANSWER)):
            client = self._client(port)
            client.send(CHAT)
            server = upstream.accept()
            server.expect(CHAT)
            server.send(ANSWER[:at])
            self.streams.append((client, server, at))
        for at in range(1, len(CHAT)):
            client = self._client(port)
            client.send(CHAT[:at])
            client.wait_until_read()
            has_head = b"\r\n\r\n" in CHAT[:at]
            self.uploads.append((client, upstream.accept() if has_head else None, at))

    @staticmethod
    def _client(port: int) -> Peer:
        return Peer(socket.create_connection(("127.0.0.1", port)), Split(CLIENT))

    @property
    def clients(self) -> list[Peer]:
        return [client for client, _, _ in self.streams + self.uploads]

    @property
    def count(self) -> int:
        return len(self.clients)

    def go_on(self) -> None:
        """Each goes on from where it was, and comes to its end whole."""
        for client, server, at in self.streams:
            server.send(ANSWER[at:])
            assert client.response()[1].body == WHOLE
            # Nobody else's exchange comes to it.
            server.close()
        for client, server, at in self.uploads:
            client.send(CHAT[at:])
            server = server or self.upstream.accept()
            server.expect(CHAT)
            server.send(ANSWER)
            assert client.response()[1].body == WHOLE
            server.close()
