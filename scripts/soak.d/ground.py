"""What the parts of the soak share: processes, figures and failures."""

import contextlib
import dataclasses
import pathlib
import resource
import threading

from harness.process import eventually
from harness.simulator import Simulator
from harness.tachograph import Tachograph


@dataclasses.dataclass
class Sizes:
    """How much of everything; the defaults are the issue's figures."""

    minutes: float = 3
    streams: int = 5000
    stream_tokens: int = 60
    aborting_clients: int = 1000
    flat_rounds: int = 8
    slow_readers: int = 4
    probe_requests: int = 100
    upload_bytes: int = 1 << 30
    heads: int = 30
    victim_requests: int = 300
    draining_streams: int = 1000
    swaps: int = 12
    judges_tails: bool = True

    @classmethod
    def quick(cls) -> "Sizes":
        return cls(
            minutes=0, streams=1000, stream_tokens=25, aborting_clients=250, flat_rounds=3, probe_requests=40,
            upload_bytes=128 << 20, heads=10, victim_requests=60, swaps=3, judges_tails=False,
        )


class Ground(contextlib.ExitStack):
    """Starts processes that end with it, and keeps the rows and failures of one part."""

    def __init__(self, part: str, folder: str):
        super().__init__()
        self.part, self.folder = part, pathlib.Path(folder)
        self.rows: list[tuple[str, str]] = []
        self.failures: list[str] = []
        self._folders = 0
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.descriptors = hard

    def new_folder(self) -> pathlib.Path:
        self._folders += 1
        made = self.folder / str(self._folders)
        made.mkdir()
        return made

    def simulator(self, *arguments: str) -> Simulator:
        server = Simulator(self.new_folder(), *arguments)
        self.callback(server.stop)
        return server

    def serve(self, upstream: str | None, *arguments: str, **options) -> Tachograph:
        proxy = Tachograph(upstream, self.new_folder(), *arguments, **options)
        self.callback(proxy.child.kill)
        return proxy

    def row(self, what: str, figure: str) -> None:
        self.rows.append((what, figure))
        print(f"soak: {self.part:9} {what}: {figure}", flush=True)

    def fail(self, text: str) -> None:
        self.failures.append(f"{self.part}: {text}")
        print(f"soak: {self.part:9} FAILED {text}", flush=True)

    def check(self, holds: bool, text: str) -> None:
        if not holds:
            self.fail(text)

    def settle(self, proxy: Tachograph, simulator: Simulator, descriptors: int) -> bool:
        """Waits until nothing is open any more: no reply upstream, no connection, no descriptor beyond `descriptors`."""

        def is_idle() -> bool:
            state = simulator.state()
            return (state["active"], state["waiting"], state["connections"]) == (0, 0, 0) and (
                proxy.descriptors() <= descriptors
            )

        try:
            eventually(is_idle, timeout=30)
            return True
        except AssertionError:
            self.fail(f"left behind after 30 s: {simulator.state()}, {proxy.descriptors() - descriptors} descriptors")
            return False


class Watch:
    """The most memory and descriptors that a proxy had while the block ran, looked at every 20 ms."""

    def __init__(self, proxy: Tachograph):
        self.proxy = proxy
        self.resident_kib = self.before_kib = proxy.resident_kib()
        self.descriptors = proxy.descriptors()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over.wait(0.02):
            with contextlib.suppress(OSError, TypeError):
                self.resident_kib = max(self.resident_kib, self.proxy.resident_kib())
                self.descriptors = max(self.descriptors, self.proxy.descriptors())

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()

    @property
    def grown_mib(self) -> float:
        return (self.resident_kib - self.before_kib) / 1024


def mib(kib: float) -> str:
    return f"{kib / 1024:.1f} MiB"
