"""Exchanges as stories: a function plays both the client and the upstream, in one thread, step by step.

A story runs once with every message sent in one piece, once with each byte sent alone, and once for every place at which
a message can be cut in two. A piece is sent only when the kernel says that the proxy has read the one before. After each
run nothing may be left over: no byte, no connection, no record.
"""

import contextlib
import dataclasses
import json
import pathlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from harness.tachograph import Tachograph, check_record
from harness.wire import PATIENCE, Wire

CLIENT, UPSTREAM = "the client", "the upstream"
Cuts = tuple[int, ...]


@dataclasses.dataclass
class Split:
    """Where one side's bytes are cut, and how many of them it has sent."""

    side: str
    each: bool = False
    at: Cuts = ()
    sent: int = 0

    def cut(self, part: bytes) -> Iterator[bytes]:
        start, self.sent = self.sent, self.sent + len(part)
        cuts = range(1, len(part)) if self.each else (at - start for at in self.at if start < at < start + len(part))
        last = 0
        for cut in (*cuts, len(part)):
            if last < cut:
                yield part[last:cut]
            last = cut

    def __str__(self):
        if self.each:
            return f"each byte of {self.side} sent alone"
        return f"{self.side} cut at {self.at}" if self.at else f"{self.side} whole"


class Peer(Wire):
    """One side's socket, whose bytes are sent in the pieces that the telling wants."""

    def __init__(self, sock: socket.socket, split: Split, open_another: Callable[[], "Peer"] | None = None):
        super().__init__(sock)
        self.split = split
        # Nobody else reads where both sides of the socket are the story's own.
        self.paced = True
        self.another = open_another

    def send(self, *parts: bytes) -> None:
        for part in parts:
            for piece in self.split.cut(part):
                self.sock.sendall(piece)
                if self.paced and piece is not part:
                    self.wait_until_read()

    def send_as_it_can(self, data: bytes) -> None:
        """Sends to a peer that may have closed before it has read everything."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send(data)

    @contextlib.contextmanager
    def sending(self, data: bytes, then_finish: bool = False):
        """Sends `data` while the story goes on with the other side: what is long needs a reader to get through."""

        def send():
            self.send(data)
            if then_finish:
                self.finish()

        thread = threading.Thread(target=send)
        thread.start() if len(data) > 65536 else send()
        yield
        if thread.ident:
            thread.join()

    def expect(self, expected: bytes) -> None:
        """The next bytes are these and no others."""
        while len(self.buffer) < len(expected) and expected.startswith(self.buffer):
            if not self._more():
                raise AssertionError(f"closed where {expected[len(self.buffer) :]!r} was to come")
        taken, self.buffer = self.buffer[: len(expected)], self.buffer[len(expected) :]
        assert taken == expected

    def refused(self, *statuses: int) -> None:
        """The proxy's own answer, with one of these statuses, is the final one and closes the connection."""
        _, answer = self.response()
        status = int(answer.start.split()[1])
        assert status in statuses, answer
        assert answer.values(b"connection") == [b"close"]
        said = json.loads(answer.body)["error"]
        assert said["type"] == "proxy_error" and said["code"] == status
        assert self.closed() == "fin"

    def closed(self) -> str:
        """How the other side ended, which it has to do without another byte."""
        rest, ending = self.rest_and_ending()
        assert rest == b"", f"{rest!r} before the end"
        return ending

    def rest_and_ending(self) -> tuple[bytes, str]:
        """All that the other side still says before it ends, and how it ends."""
        ending = self.ended(PATIENCE)
        assert ending is not None, "still open"
        taken, self.buffer = self.buffer, b""
        return taken, ending

    def is_spoken_to(self) -> bool:
        """Whether something comes, rather than the end."""
        return bool(self.buffer) or self._more()

    def has_nothing(self) -> None:
        """Nothing has come that the story did not ask for."""
        assert self.buffer == b"", f"left over: {self.buffer!r}"
        if self.sock.fileno() < 0:
            return
        try:
            self.sock.setblocking(False)
            found = self.sock.recv(65536)
            assert found == b"", f"left over: {found!r}"
        except (BlockingIOError, ConnectionError):
            pass
        finally:
            self.sock.settimeout(PATIENCE)


class Upstream:
    """The server's part: connections as the proxy makes them."""

    def __init__(self, listener: socket.socket, split: Split):
        self.listener = listener
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._split = split
        self.peers: list[Peer] = []

    def accept(self) -> Peer:
        """The next connection; waits for it."""
        self.listener.settimeout(PATIENCE)
        sock, _ = self.listener.accept()
        self.peers.append(Peer(sock, self._split))
        return self.peers[-1]

    def is_left_alone(self) -> None:
        """Nobody has connected who was not accepted."""
        self.listener.setblocking(False)
        try:
            sock, _ = self.listener.accept()
        except BlockingIOError:
            return
        sock.close()
        raise AssertionError("a connection to upstream that the story does not know of")


Story = Callable[[Peer, Upstream], object]


# MARK: the stories that are told most often

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def asked(client: Peer, upstream: Upstream, sent: bytes, received: bytes | None = None) -> Peer:
    """A request that reaches upstream on a new connection, which is given."""
    client.send(sent)
    server = upstream.accept()
    server.expect(received or sent)
    return server


def answered(sent: bytes, received: bytes | None = None, answer: bytes = OK, delivered: bytes | None = None):
    """The story of a request and its answer, said in full as each side sent it and, where it differs, received it."""

    def story(client, upstream):
        server = asked(client, upstream, sent, received)
        server.send(answer)
        client.expect(delivered or answer)

    return story


def refused(sent: bytes, *statuses: int):
    """The story of a request of which upstream never learns."""

    def story(client, upstream):
        client.send_as_it_can(sent)
        client.refused(*statuses)
        upstream.is_left_alone()

    return story


# MARK: telling


# What is longer than this is not cut at every byte, but at so many places.
EVERY_BYTE_UP_TO, PLACES = 2000, 100


class Teller:
    """A proxy with a listener behind it, through which stories are told one after the other."""

    # How many tellings went as they should, by all tellers.
    told = 0

    def __init__(self, folder: pathlib.Path, *arguments: str, host: str = "127.0.0.1", **options):
        """`host` is the name of 127.0.0.1 by which the proxy knows the server; `options` are Tachograph's."""
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.upstream_port = self.listener.getsockname()[1]
        self.upstream_name = b"127.0.0.1:%d" % self.upstream_port
        self.proxy = Tachograph(f"http://{host}:{self.upstream_port}", folder, *arguments, **options)
        self._read_records = 0
        # After a failure nobody knows what is still under way.
        self.is_spoiled = False
        self._has_log = "records" not in options

    def tell(self, story: Story, records: int = 1) -> list[dict]:
        """Tells `story` whole and at every split; gives the records of all tellings, `records` from each."""
        self.is_spoiled = True
        told = self._once(story, Split(CLIENT), Split(UPSTREAM))
        tellings = 1
        for client, upstream in self._splits(*told):
            self._once(story, client, upstream)
            tellings += 1
        return self._told(tellings, records)

    def tell_each(self, stories: Iterable[Story], records: int = 1) -> list[dict]:
        """Tells each of `stories` once: they differ in what is split, or cut off, themselves."""
        return self.tell_cut(((story, (), ()) for story in stories), records)

    def tell_cut(self, tellings: Iterable[tuple[Story, Cuts, Cuts]], records: int = 1) -> list[dict]:
        """Tells each story once, the client's bytes and upstream's cut at the places given with it."""
        self.is_spoiled = True
        count = 0
        for story, client, upstream in tellings:
            self._once(story, Split(CLIENT, at=client), Split(UPSTREAM, at=upstream))
            count += 1
        return self._told(count, records)

    def tell_directly(self, story: Story):
        """What `story` gives where the client is connected to upstream, and no proxy is between them."""
        with socket.create_connection(self.listener.getsockname(), timeout=PATIENCE) as sock:
            client, upstream = Peer(sock, Split(CLIENT)), Upstream(self.listener, Split(UPSTREAM))
            client.paced = False
            try:
                return story(client, upstream)
            finally:
                for peer in upstream.peers:
                    peer.close()

    def _told(self, tellings: int, records: int) -> list[dict]:
        found = self.records(records * tellings)
        Teller.told += tellings
        self.is_spoiled = False
        return found

    def _splits(self, client: Split, upstream: Split) -> Iterator[tuple[Split, Split]]:
        yield tuple(Split(side.side, each=side.sent <= EVERY_BYTE_UP_TO) for side in (client, upstream))
        for side in (client, upstream):
            step = 1 if side.sent <= EVERY_BYTE_UP_TO else side.sent // PLACES
            for at in range(1, side.sent, step):
                cut = Split(side.side, at=(at,))
                yield (cut, Split(UPSTREAM)) if side is client else (Split(CLIENT), cut)

    def _once(self, story: Story, client_split: Split, upstream_split: Split):
        clients: list[Peer] = []

        def open_client() -> Peer:
            sock = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=PATIENCE)
            clients.append(Peer(sock, client_split, open_client))
            return clients[-1]

        upstream = Upstream(self.listener, upstream_split)
        try:
            story(open_client(), upstream)
            for peer in (*clients, *upstream.peers):
                peer.has_nothing()
            upstream.is_left_alone()
        except Exception as error:
            error.add_note(f"told with {client_split}, {upstream_split}")
            error.add_note(f"the client had read {[peer.seen for peer in clients]!r}")
            error.add_note(f"the upstream had read {[peer.seen for peer in upstream.peers]!r}")
            raise
        finally:
            for peer in (*clients, *upstream.peers):
                peer.close()
        # The next telling finds the proxy as the first one did.
        for peer in (*clients, *upstream.peers):
            peer.wait_until_closed()
        return client_split, upstream_split

    def records(self, count: int) -> list[dict]:
        """The next `count` records, as soon as they are there; fails if more come, or fewer in time.

        There are none where the test has put the log somewhere of its own.
        """
        if not self._has_log:
            return []
        deadline = time.monotonic() + PATIENCE
        found: list[dict] = []
        with self.proxy.log.open("rb") as log:
            log.seek(self._read_records)
            while len(found) < count:
                line = log.readline()
                if line.endswith(b"\n"):
                    self._read_records = log.tell()
                    found.append(check_record(json.loads(line)))
                    continue
                log.seek(self._read_records)
                assert time.monotonic() < deadline, f"{len(found)} of {count} records"
                time.sleep(0.005)
            assert log.read() == b"", f"more records than {count}"
        return found

    def close(self) -> None:
        """Ends the proxy as an operator would; every record was asked for by then."""
        try:
            self.proxy.stop()
            if not self.is_spoiled:
                self.records(0)
        finally:
            self.proxy.child.kill()
            self.listener.close()


def every(records: list[dict], *keys: str):
    """What all records say under `keys`: the one value, or tuple of values, that they agree on."""
    values = {tuple(record[key] for key in keys) for record in records}
    assert len(values) == 1, f"the records differ: {values}"
    only = values.pop()
    return only[0] if len(keys) == 1 else only
