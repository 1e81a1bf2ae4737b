"""A wall clock that a test can set for one process, by a library that is preloaded into it.

The machine's own clock is not changed.
"""

import mmap
import pathlib
import shutil
import struct
import subprocess
import time


class WallClock:
    """The clock of whatever is started with `environment`."""

    def __init__(self, folder: pathlib.Path, stamps: str):
        """`stamps`: the kernel's receive stamps `step` with the clock, `stay` as they are, or there are `none`."""
        source, library, file = pathlib.Path(__file__).with_suffix(".c"), folder / "wallclock.so", folder / "wallclock"
        compiler = shutil.which("cc") or shutil.which("clang") or shutil.which("gcc")
        assert compiler, "no C compiler: scripts/setup --tests installs one"
        subprocess.run(
            [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True
        )
        file.write_bytes(bytes(16))
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), 16)
        self.environment = {
            "LD_PRELOAD": str(library),
            "WALLCLOCK_FILE": str(file),
            "WALLCLOCK_STAMPS": stamps,
        }

    def step(self, seconds: float) -> None:
        """From now on the clock is off by so much."""
        self._shared[8:16] = struct.pack("=q", time.time_ns())
        self._shared[0:8] = struct.pack("=q", int(seconds * 1e9))
