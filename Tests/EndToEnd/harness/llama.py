"""The real llama.cpp server with the noise model, on a free loopback port."""

import hashlib
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.request

from harness.model import SEED, write_model
from harness.process import Child

SLOTS = 4


def cache() -> pathlib.Path:
    """The folder that scripts/common.sh calls `cache`."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(os.environ.get("TACHOGRAPH_CACHE") or f"{home}/tachograph")


def binary() -> str:
    """Where scripts/llama-server says that the server is."""
    if path := os.environ.get("TACHOGRAPH_LLAMA_SERVER"):
        return path
    script = pathlib.Path(__file__).resolve().parents[3] / "scripts" / "llama-server"
    return subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def model() -> pathlib.Path:
    """The noise model, written once."""
    source = pathlib.Path(__file__).with_name("model.py").read_bytes()
    path = cache() / f"noise-{SEED}-{hashlib.sha256(source).hexdigest()[:12]}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_model(path)
    return path


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class LlamaServer:
    """A running llama-server."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.child = Child(
            [binary(), "-m", str(model()), "--alias", "noise", "--host", "127.0.0.1", "--port", str(self.port)]
            + ["-c", "32768", "-np", str(SLOTS), "-t", "1", "--metrics", "--slots"]
        )
        deadline = time.monotonic() + 60
        while not self._healthy():
            if time.monotonic() > deadline or self.child.process.poll() is not None:
                raise AssertionError("llama-server did not come up:\n" + self.child.output)
            time.sleep(0.05)

    def _healthy(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/health", timeout=1).status == 200
        except OSError:
            return False

    def busy_slots(self) -> int:
        """How many of its slots generate."""
        with urllib.request.urlopen(f"{self.url}/slots", timeout=5) as response:
            return sum(slot["is_processing"] for slot in json.load(response))

    def wait_idle(self, timeout: float) -> float:
        """Waits until no slot generates, and gives the seconds that took."""
        started = time.monotonic()
        while self.busy_slots():
            assert time.monotonic() - started < timeout, f"a slot still generates after {timeout} s"
            time.sleep(0.02)
        return time.monotonic() - started

    def stop(self) -> None:
        self.child.kill()
