"""An upstream that keeps every byte it was sent and reads it strictly, in one thread of its own.

Its reader is strict: what is not a whole message is kept, and the test judges it.
"""

import contextlib
import dataclasses
import selectors
import socket
import threading
from collections.abc import Callable

from harness.strict import Incomplete, Malformed, Read, read_request

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclasses.dataclass
class Line:
    """One connection from the proxy: what came, what was read of it, how it ended."""

    sock: socket.socket
    seen: bytearray = dataclasses.field(default_factory=bytearray)
    at: int = 0
    malformed: str | None = None
    is_closed: bool = False

    @property
    def leftover(self) -> bytes:
        return bytes(self.seen[self.at :])


class Recorder:
    """Answers each whole request with `answer(request)`; a list is sent piece by piece, None closes the connection."""

    def __init__(self, answer: Callable[[Read, Line], list[bytes | None]] | None = None):
        self.answer = answer or (lambda request, line: [ANSWER])
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lines: list[Line] = []
        #: Every whole request, in the order in which they came.
        self.log: list[tuple[Line, Read]] = []
        self.news = threading.Condition()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.wake, woken = socket.socketpair()
        self.selector.register(woken, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            fresh: list[Line] = []
            ready = self.selector.select()
            # Everything that has come is read before anything is answered: who has his answer knows what came before.
            while ready:
                if any(key.data is None and key.fileobj is not self.listener for key, _ in ready):
                    return
                fresh += [line for key, _ in ready if (line := self._take(key)) is not None]
                ready = self.selector.select(0)
            for line in fresh:
                self._reply(line)
            with self.news:
                self.news.notify_all()

    def _take(self, key) -> Line | None:
        if key.fileobj is self.listener:
            sock, _ = self.listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = Line(sock)
            self.lines.append(line)
            self.selector.register(sock, selectors.EVENT_READ, line)
            return None
        line = key.data
        if line is None:
            return None
        try:
            data = line.sock.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self._close(line)
            return None
        line.seen += data
        return line

    def _reply(self, line: Line):
        while line.malformed is None and line.at < len(line.seen) and not line.is_closed:
            try:
                request, line.at = read_request(bytes(line.seen), line.at)
            except Incomplete:
                return
            except Malformed as error:
                line.malformed = str(error)
                return
            self.log.append((line, request))
            for part in self.answer(request, line):
                if part is None:
                    return self._close(line)
                try:
                    line.sock.settimeout(10)
                    line.sock.sendall(part)
                except OSError:
                    return self._close(line)

    def _close(self, line: Line):
        if line.is_closed:
            return
        line.is_closed = True
        self.selector.unregister(line.sock)
        line.sock.close()

    def wait(self, condition: Callable[[], bool], timeout: float = 10) -> bool:
        """Whether `condition` came true in time."""
        with self.news:
            return self.news.wait_for(condition, timeout)

    def close(self) -> None:
        self.wake.send(b"x")
        self.thread.join(5)
        self.listener.close()
        for line in self.lines:
            with contextlib.suppress(OSError):
                line.sock.close()
