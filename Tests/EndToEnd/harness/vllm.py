"""The real vLLM on this machine's processor, with a noise model, on a free loopback port."""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

from harness.llama import cache, free_port
from harness.metrics import Metrics
from harness.model import SEED
from harness.process import Child
from harness.vllm_model import write_model

# Drafts from what was generated before: noise at temperature 0 repeats itself, so that some events have several tokens.
SPECULATION = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 3, "prompt_lookup_min": 1}
# It asks no hub, and reports its use to nobody.
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def python() -> str | None:
    """The Python that has vLLM (scripts/vllm prints it); None where the tests with it are not asked for."""
    return os.environ.get("TACHOGRAPH_VLLM_PYTHON")


def model() -> pathlib.Path:
    """The noise model, written once."""
    sources = [pathlib.Path(__file__).with_name(name) for name in ("vllm_model.py", "model.py")]
    content = b"".join(source.read_bytes() for source in sources)
    folder = cache() / f"noise-{SEED}-{hashlib.sha256(content).hexdigest()[:12]}"
    if not folder.exists():
        write_model(folder)
    return folder


class VllmServer:
    """A running vLLM, with speculative decoding. It takes one to six minutes to start."""

    def __init__(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.child = Child(
            [python(), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model())]
            + ["--served-model-name", "noise", "--host", "127.0.0.1", "--port", str(self.port)]
            + ["--dtype", "float32", "--enforce-eager", "--max-model-len", "2048"]
            + ["--enable-per-request-metrics", "--enable-scale-out"]
            + ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
            + ["--speculative-config", json.dumps(SPECULATION), "--per-request-spec-decode-metrics", "summary"],
            env=os.environ | ENVIRONMENT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 900
        while not self._healthy():
            if time.monotonic() > deadline or self.child.process.poll() is not None:
                self.stop()
                raise AssertionError("vLLM did not come up:\n" + self.child.output)
            time.sleep(0.5)

    def _healthy(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/health", timeout=5).status == 200
        except OSError:
            return False

    def metrics(self) -> Metrics:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as response:
            return Metrics(response.read().decode())

    def stop(self) -> None:
        """Ends it with its engine, which is a process of its own in the same group."""
        if self.child.process.poll() is None:
            self.child.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.process.pid, signal.SIGKILL)
        self.child.kill()
