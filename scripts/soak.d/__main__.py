"""Runs the soak: each part on processes of its own, one row a figure, exit status 1 if anything was lost or left behind.

It must leave nothing running and nothing behind, however it ends.
"""

import argparse
import pathlib
import signal
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "Tests" / "EndToEnd"), str(TOP / "scripts")]

import aborts  # noqa: E402
import attacks  # noqa: E402
import bodies  # noqa: E402
import endings  # noqa: E402
import figures  # noqa: E402
import heads  # noqa: E402
import pressure  # noqa: E402
import streams  # noqa: E402
from ground import Ground, Sizes  # noqa: E402
from harness.figures import show  # noqa: E402

PARTS = {
    "streams": streams.many_at_once,
    "aborts": aborts.until_flat,
    "slow": pressure.slow_readers,
    "upload": pressure.big_upload,
    "heads": heads.dearest_heads,
    "attacks": attacks.victims,
    "bodies": bodies.reading,
    "drain": endings.drains,
    "restarts": endings.restarts,
}


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/soak")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    options.parts = options.only.split(",")
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options


def main() -> int:
    options = arguments()
    # Whatever ends us, the blocks that stop children are left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = Sizes.quick() if options.quick else Sizes(minutes=options.minutes)
    rows, failures = [], []
    for name in options.parts:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="tachograph-soak-") as folder, Ground(name, folder) as ground:
            try:
                PARTS[name](ground, sizes)
            except AssertionError as error:
                ground.fail(str(error))
            print(f"soak: {name:9} took {time.monotonic() - began:.0f} s", flush=True)
            rows += ground.rows
            failures += ground.failures
    suite = "soak-quick" if options.quick else "soak"
    show(suite, *rows)
    if options.write and not failures:
        figures.write({suite: rows})
    for failure in failures:
        print(f"soak: FAILED {failure}", flush=True)
    print(f"soak: {len(failures)} failed" if failures else f"soak: {len(rows)} figures, nothing lost, nothing left behind")
    return 1 if failures else 0


try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
