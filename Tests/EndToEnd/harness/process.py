"""A child process whose output is kept and waited for."""

import collections
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], timeout: float = 20) -> None:
    """Returns once `condition` holds; fails if it does not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not so after {timeout} s"
        time.sleep(0.005)


class Child:
    """A process, its last lines of output, and a way to wait for one of them."""

    def __init__(self, command: list[str], **options):
        self.command = command
        self.lines: collections.deque[str] = collections.deque(maxlen=2000)
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **options,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, pattern: str, timeout: float = 30) -> re.Match:
        """The first match of `pattern` in a line of output; fails with the output if none comes."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for line in self.lines:
                    if found := re.search(pattern, line):
                        return found
                left = deadline - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    raise AssertionError(f"no line like {pattern!r} from {self.command[0]}:\n" + "\n".join(self.lines))
                self._news.wait(min(left, 0.2))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float) -> int:
        """Its exit status; kills it and fails if it does not end in time."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.command[0]} did not end within {timeout} s:\n{self.output}") from None
        self._reader.join(5)
        return status

    def kill(self) -> None:
        """Ends it whatever it does; for cleaning up."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
