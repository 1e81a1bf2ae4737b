"""`tachograph load`: clients that put load on a proxy and say what became of every request."""

import json
import subprocess
import sys

from harness.tachograph import binary, clean_environment

FAILURES = ("status", "unterminated", "in_band_error", "broken")


class Load:
    """A running load on the port, with the simulator's fields (`x-sim-…`) and flags of `tachograph load`."""

    def __init__(self, port: int, *arguments: str, sim: dict[str, object] | None = None, fields: tuple[str, ...] = ()):
        asked = [f"x-sim-{name}: {value}" for name, value in (sim or {}).items()] + list(fields)
        headers = [part for field in asked for part in ("--header", field)]
        self.process = subprocess.Popen(
            [binary(), "load", f"127.0.0.1:{port}", *headers, *arguments],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
        )

    def stop(self) -> None:
        """Ends it early: what is under way counts as `cut_at_end`."""
        self.process.terminate()

    def result(self, timeout: float = 60) -> dict:
        """What came of it, once it is over."""
        try:
            printed, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the load did not end within {timeout} s") from None
        assert self.process.returncode == 0, f"tachograph load ended with {self.process.returncode}"
        return json.loads(printed)


def failures(result: dict) -> int:
    """How many requests of a load failed, whatever the reason."""
    return sum(result[name] for name in FAILURES)
