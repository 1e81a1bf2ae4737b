"""What the kernel says of a socket at the other end: whether its owner has read all, whether it is closed.

Linux only: sock_diag(7).
"""

import functools
import os
import socket
import struct
import time
from collections.abc import Callable

Address = tuple[str, int]

_BY_FAMILY = 20
_ERROR = 2
_NO_COOKIE = 0xFFFFFFFF
_ALL_STATES = 0xFFFFFFFF
# ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT: those in which somebody still holds the socket (or may).
_HELD = {1, 4, 5, 8}


@functools.cache
def _diagnosis() -> socket.socket:
    """One netlink socket for the process; tests ask from one thread at a time."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, getattr(socket, "NETLINK_SOCK_DIAG", 4))
    netlink.settimeout(10)
    netlink.connect((0, 0))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as near,
        listener.accept()[0] as far,
    ):
        near.send(b"x")
        # A kernel without it answers as if there were no such socket, and nothing would ever be waited for.
        assert _ask(netlink, far.getsockname(), far.getpeername()) == 1, "the kernel's inet_diag is needed"
    return netlink


def unread_bytes(local: Address, remote: Address) -> int | None:
    """Bytes that the owner of the IPv4 socket `local` to `remote` has not read; None if nobody holds such a socket."""
    return _ask(_diagnosis(), local, remote)


def _ask(netlink: socket.socket, local: Address, remote: Address) -> int | None:
    ends = struct.pack(
        "!HH4s12x4s12x", local[1], remote[1], socket.inet_aton(local[0]), socket.inet_aton(remote[0])
    ) + struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    wanted = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + ends
    netlink.send(struct.pack("=IHHII", 16 + len(wanted), _BY_FAMILY, 1, 1, 0) + wanted)
    answer = netlink.recv(8192)
    if struct.unpack_from("=H", answer, 4)[0] == _ERROR:
        return None
    # After family, state and two timers come the two ends (48), the expiry (4), then the queue.
    return struct.unpack_from("=I", answer, 16 + 4 + 48 + 4)[0] if answer[17] in _HELD else None


def wait_until_read(local: Address, remote: Address) -> None:
    """Waits until the owner of the socket `local` to `remote` has read all that it has, or has closed it."""
    _wait(lambda: not unread_bytes(local, remote), "bytes are left unread")


def wait_until_closed(local: Address, remote: Address) -> None:
    """Waits until nobody holds the socket `local` to `remote` any more."""
    _wait(lambda: unread_bytes(local, remote) is None, "a connection is left open")


def _wait(condition: Callable[[], bool], otherwise: str, timeout: float = 20) -> None:
    """Looks again and again, in microseconds at first."""
    deadline = time.monotonic() + timeout
    looks = 0
    while not condition():
        looks += 1
        if looks < 50:
            os.sched_yield()
        else:
            assert time.monotonic() < deadline, f"{otherwise} after {timeout} s"
            time.sleep(0.0001)
