"""`tachograph simulate`: a server without a model, which writes down what it sent and when."""

import json
import pathlib
import time
import urllib.request

from harness.process import Child
from harness.tachograph import binary, clean_environment


class Simulator:
    """A running simulator and its truth file."""

    def __init__(self, folder: pathlib.Path, *arguments: str):
        self.truth_file = folder / "truth.jsonl"
        self.child = Child(
            [binary(), "simulate", "--listen", "127.0.0.1:0", "--truth", str(self.truth_file), *arguments],
            cwd=folder,
            env=clean_environment(),
        )
        found = self.child.wait_for(r"listening on 127\.0\.0\.1:(\d+)", timeout=20)
        self.url = f"http://127.0.0.1:{found[1]}"

    def state(self) -> dict:
        """What it is doing: `active` and `waiting` replies, `connections` but for the one that asks."""
        with urllib.request.urlopen(f"{self.url}/sim/state", timeout=20) as response:
            state = json.load(response)
        return state | {"connections": state["connections"] - 1}

    def truth(self, count: int, timeout: float = 10) -> list[dict]:
        """What it says of its requests, as soon as it has said it of `count`."""
        deadline = time.monotonic() + timeout
        while True:
            written = self.truth_file.read_bytes() if self.truth_file.exists() else b""
            rows = [json.loads(line) for line in written.rpartition(b"\n")[0].splitlines()]
            if len(rows) >= count:
                return rows
            assert time.monotonic() < deadline, f"{len(rows)} of {count} truths after {timeout} s\n{self.child.output}"
            time.sleep(0.01)

    def stop(self) -> None:
        self.child.kill()
