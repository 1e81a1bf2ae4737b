"""Raw inputs as data: what is sent, and what the proxy must do with it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Refused:
    """One of these statuses, the connection closed, and not one byte upstream."""

    statuses: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Served:
    """Upstream read exactly these messages (method, target, body), and the client as many answers."""

    messages: tuple[tuple[bytes, bytes, bytes], ...]
    #: What upstream's Host was, where the case is about it.
    host: bytes | None = None
    #: A field line that has to have arrived as it is.
    line: bytes | None = None
    #: Whether the connection is closed behind the last answer; None where the case is not about it.
    closes: bool | None = None
    #: A refusal that comes behind the answers.
    then: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Broken:
    """One of these statuses, or none; upstream read no whole message, and its connection was closed."""

    statuses: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    sent: bytes
    must: object
    #: Whether it is also sent byte by byte.
    split: bool = True


def refused(name: str, sent: bytes, *statuses: int, split: bool = True) -> Row:
    return Row(name, sent, Refused(statuses or (400,)), split)


def served(name: str, sent: bytes, *messages: tuple[bytes, bytes, bytes], split: bool = True, **more) -> Row:
    return Row(name, sent, Served(messages or ((b"GET", b"/", b""),), **more), split)


def broken(name: str, sent: bytes, *statuses: int, split: bool = True) -> Row:
    return Row(name, sent, Broken(statuses or (400,)), split)
