"""Processes of the proxy that take over from one another on one address."""

import pathlib
import signal

from harness.tachograph import Tachograph


class Generations:
    """One address, served by process after process, all writing to one log."""

    def __init__(self, serve, upstream: str, log: pathlib.Path, *arguments: str, handed_down=None):
        """`serve` starts a `Tachograph`; `handed_down` is the listening socket that all are given, else they share a port."""
        self.serve, self.upstream, self.arguments = serve, upstream, arguments
        self.log, self.handed_down = log, handed_down
        self.port = handed_down.getsockname()[1] if handed_down else 0
        self.present = self.start()
        self.port = self.present.port

    def start(self) -> Tachograph:
        if self.handed_down:
            sockets, more = (self.handed_down,), []
        else:
            sockets, more = (), ["--set", "listen_reuse_port=true", "--listen", f"127.0.0.1:{self.port}"]
        return self.serve(self.upstream, *more, *self.arguments, records=str(self.log), sockets=sockets)

    def swap(self) -> None:
        """The next one serves before the present one is told to go."""
        following = self.start()
        past, self.present = self.present, following
        past.child.signal(signal.SIGTERM)
        assert past.child.wait(40) == 0, past.child.output
