"""What the kernel says of a socket at the other end: whether its owner has read all that was sent to it.

It must not know whose sockets they are. Linux only: sock_diag(7).
"""

import functools
import os
import socket
import struct
import time

_BY_FAMILY = 20
_ERROR = 2
_NO_COOKIE = 0xFFFFFFFF
_ALL_STATES = 0xFFFFFFFF
_LISTENS = 10


@functools.cache
def _diagnosis() -> socket.socket:
    """One netlink socket for the process; tests ask from one thread at a time."""
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, getattr(socket, "NETLINK_SOCK_DIAG", 4))
    netlink.settimeout(10)
    netlink.connect((0, 0))
    return netlink


def unread_bytes(local: tuple[str, int], remote: tuple[str, int]) -> int | None:
    """Bytes that the owner of the IPv4 socket `local` to `remote` has not read; None if there is no such socket."""
    ends = struct.pack(
        "!HH4s12x4s12x", local[1], remote[1], socket.inet_aton(local[0]), socket.inet_aton(remote[0])
    ) + struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    wanted = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + ends
    netlink = _diagnosis()
    netlink.send(struct.pack("=IHHII", 16 + len(wanted), _BY_FAMILY, 1, 1, 0) + wanted)
    answer = netlink.recv(8192)
    if struct.unpack_from("=H", answer, 4)[0] == _ERROR:
        return None
    state = answer[17]
    # After the state: timers (2), the two ends (48), the expiry (4), then the queue.
    return None if state == _LISTENS else struct.unpack_from("=I", answer, 16 + 4 + 48 + 4)[0]


def wait_until_read(local: tuple[str, int], remote: tuple[str, int], timeout: float = 20) -> None:
    """Waits until the owner of the socket `local` to `remote` has read all that it has, or has closed it."""
    deadline = time.monotonic() + timeout
    looks = 0
    while unread_bytes(local, remote):
        looks += 1
        if looks < 50:
            os.sched_yield()
        else:
            assert time.monotonic() < deadline, f"the other side has left bytes unread for {timeout} s"
            time.sleep(0.0001)
