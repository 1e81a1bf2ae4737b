"""A DNS server on loopback for the proxy under test. It answers what a test wants, or not at all.

Only the proxy sees it: it runs in a mount namespace with its own resolv.conf. The machine's files stay as they are.
"""

import contextlib
import functools
import ipaddress
import pathlib
import random
import socket
import struct
import subprocess
import threading

import pytest

NAME = "llm.test"
A, AAAA = 1, 28


class NameServer:
    """Answers for `NAME` what `addresses` says: none is "no such name", and None no answer at all."""

    def __init__(self, *addresses: str):
        self.addresses: tuple[str, ...] | None = addresses
        self.questions = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.host = f"127.{random.randrange(64, 128)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        try:
            # resolv.conf knows no port but 53.
            self.sock.bind((self.host, 53))
        except PermissionError:
            pytest.skip("port 53 of a loopback address cannot be bound here")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                question, asker = self.sock.recvfrom(512)
                self.questions += 1
                if self.addresses is not None:
                    self.sock.sendto(self._answer(question, self.addresses), asker)

    def _answer(self, question: bytes, addresses: tuple[str, ...]) -> bytes:
        end = question.index(b"\0", 12) + 5
        kind = struct.unpack("!H", question[end - 4 : end - 2])[0]
        found = [ipaddress.ip_address(each) for each in addresses]
        packed = [each.packed for each in found if (AAAA if each.version == 6 else A) == kind]
        # A reply with recursion available; code 3 is "no such name".
        flags = 0x8180 | (0 if addresses else 3)
        head = question[:2] + struct.pack("!HHHHH", flags, 1, len(packed), 0, 0) + question[12:end]
        records = [struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(each)) + each for each in packed]
        return head + b"".join(records)

    def command(self, folder: pathlib.Path, options: str = "timeout:30 attempts:1") -> list[str]:
        """What to start the proxy with, so that this server is the one it asks."""
        require_namespaces()
        files = {
            "resolv.conf": f"nameserver {self.host}\noptions {options}\n",
            "hosts": "127.0.0.1 localhost\n",
            "nsswitch.conf": "hosts: files dns\n",
        }
        mounts = []
        for name, text in files.items():
            (folder / name).write_text(text)
            mounts.append(f"mount --bind {folder / name} /etc/{name}")
        return ["unshare", "--mount", "sh", "-ec", "; ".join(mounts) + '; exec "$@"', "sh"]

    def close(self) -> None:
        self.sock.close()


@functools.cache
def missing_for_namespaces() -> str | None:
    """Why a mount namespace cannot be made here, or None."""
    try:
        trial = ["unshare", "--mount", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"]
        made = subprocess.run(trial, capture_output=True, text=True, timeout=10)
    except OSError as error:
        return str(error)
    return None if made.returncode == 0 else made.stderr.strip()


def require_namespaces() -> None:
    if why := missing_for_namespaces():
        pytest.skip(f"needs a mount namespace with its own /etc/resolv.conf: {why}")


@contextlib.contextmanager
def dead_address(family: socket.AddressFamily, host: str, port: int):
    """Whoever connects there waits for ever, as if nobody were there: a listener whose queue is full."""
    with socket.socket(family) as listener, contextlib.ExitStack() as fillers:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(8):
            filler = fillers.enter_context(socket.socket(family))
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield listener.getsockname()[1]
