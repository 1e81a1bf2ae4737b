"""Raw sockets: an upstream that follows a script, and a client that sends and reads bytes.

Nothing here knows HTTP beyond heads and the two framings: what a test wants on the wire, it writes itself.
"""

import contextlib
import dataclasses
import queue
import re
import socket
import struct
import threading
import time
from collections.abc import Callable

from harness.kernel import wait_until_closed, wait_until_read

PATIENCE = 10.0


class Wire:
    """One connected socket, with what was read and not yet taken."""

    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self._seen: list[bytes] = []
        self._ends = sock.getpeername(), sock.getsockname()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.sock.sendall(part)

    @property
    def seen(self) -> bytes:
        """All that was ever read."""
        return b"".join(self._seen)

    def _receive(self, most: int) -> bytes:
        data = self.sock.recv(most)
        self._seen.append(data)
        return data

    def _more(self) -> bool:
        data = self._receive(65536)
        self.buffer += data
        return bool(data)

    def until(self, end: bytes) -> bytes:
        """All bytes up to and with `end`."""
        while end not in self.buffer:
            if not self._more():
                raise EOFError(f"closed before {end!r}; had {self.buffer[-200:]!r}")
        taken, _, self.buffer = self.buffer.partition(end)
        return taken + end

    def exactly(self, count: int) -> bytes:
        parts, self.buffer = [self.buffer[:count]], self.buffer[count:]
        missing = count - len(parts[0])
        while missing:
            data = self._receive(min(missing, 1 << 20))
            if not data:
                raise EOFError(f"closed {missing} bytes early")
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def rest(self) -> bytes:
        """All bytes until the other side closes."""
        while self._more():
            pass
        taken, self.buffer = self.buffer, b""
        return taken

    def head(self) -> bytes:
        return self.until(b"\r\n\r\n")

    def chunked(self) -> bytes:
        """A chunked body's payload, its last chunk read too."""
        return self.chunked_with_trailers()[0]

    def chunked_with_trailers(self) -> tuple[bytes, list[bytes]]:
        """A chunked body's payload, and the trailer lines behind its last chunk."""
        body, trailers = b"", []
        while part := self.one_chunk():
            body += part
        while (line := self.until(b"\r\n")) != b"\r\n":
            trailers.append(line[:-2])
        return body, trailers

    def one_chunk(self) -> bytes:
        """What the next chunk holds; of the last chunk, nothing."""
        line = self.until(b"\r\n")
        assert re.fullmatch(rb"[0-9A-Fa-f]{1,16}(;[^\r\n]*)?\r\n", line), f"no chunk size: {line!r}"
        size = int(line.partition(b";")[0], 16)
        data = self.exactly(size)
        assert not size or self.exactly(2) == b"\r\n", "a chunk goes on behind its end"
        return data

    def message(self) -> "Message":
        """A whole message by its framing; without one the body is empty (a request's rule)."""
        head = self.head()
        fields = fields_of(head)
        if b"chunked" in fields.get(b"transfer-encoding", b""):
            return Message(head, *self.chunked_with_trailers())
        return Message(head, self.exactly(int(fields.get(b"content-length", b"0"))))

    def response(self, method: bytes = b"GET") -> tuple[list[bytes], "Message"]:
        """The heads of interim responses, and the final one to a request of `method` by RFC 9112 §6.3."""
        interim = []
        while (status := int((head := self.head()).split(b" ", 2)[1][:3])) < 200:
            interim.append(head)
        fields = fields_of(head)
        if method == b"HEAD" or status in (204, 304):
            return interim, Message(head, b"")
        if b"transfer-encoding" in fields:
            return interim, Message(head, *self.chunked_with_trailers())
        if b"content-length" in fields:
            return interim, Message(head, self.exactly(int(fields[b"content-length"])))
        return interim, Message(head, self.rest())

    def wait_until_read(self) -> None:
        """Waits until the other side has read all that was sent to it, or has closed."""
        wait_until_read(*self._ends)

    def wait_until_closed(self) -> None:
        """Waits until the other side's socket is no more."""
        wait_until_closed(*self._ends)

    def ended(self, timeout: float) -> str | None:
        """How the other side ended: `fin`, `rst`, or None if it has not within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        try:
            while (left := deadline - time.monotonic()) > 0:
                self.sock.settimeout(left)
                if not self._more():
                    return "fin"
        except TimeoutError:
            return None
        except ConnectionError:
            return "rst"
        finally:
            self.sock.settimeout(PATIENCE)
        return None

    def finish(self) -> None:
        """Sends a FIN: nothing more will be sent."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()

    def reset(self) -> None:
        """Closes with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


@dataclasses.dataclass
class Message:
    """A head, with its start line and blank line, and a body without its framing."""

    head: bytes
    body: bytes
    trailers: list[bytes] = dataclasses.field(default_factory=list)

    @property
    def start(self) -> bytes:
        return self.head.split(b"\r\n", 1)[0]

    @property
    def lines(self) -> list[bytes]:
        """The field lines as they stood on the wire."""
        return self.head.split(b"\r\n")[1:-2]

    def values(self, name: bytes) -> list[bytes]:
        """The values of all fields of this name, which is given in lower case."""
        lines = (line.partition(b":") for line in self.lines)
        return [value.strip(b" \t") for found, _, value in lines if found.lower() == name]


def fields_of(head: bytes) -> dict[bytes, bytes]:
    """Fields by lower-case name; of a repeated one, the last."""
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
    return {name.lower(): value.strip() for name, _, value in lines}


def connect(port: int) -> Wire:
    return Wire(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))


class ScriptedUpstream:
    """Listens, and runs `script` with each connection in a thread of its own; `failures` keeps what a script raised."""

    def __init__(self, script: Callable[[Wire], None], host: str = "127.0.0.1", port: int = 0):
        self.script = script
        self.listener = socket.create_server((host, port), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.connections = 0
        self.wires: list[Wire] = []
        self.failures: queue.Queue[Exception] = queue.Queue()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            wire = Wire(sock)
            self.wires.append(wire)
            threading.Thread(target=self._run, args=(wire,), daemon=True).start()

    def _run(self, wire: Wire):
        try:
            self.script(wire)
        except Exception as error:
            self.failures.put(error)
        finally:
            wire.close()

    def close(self) -> None:
        # shutdown wakes the accepting thread, which close alone does not.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for wire in self.wires:
            wire.close()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
