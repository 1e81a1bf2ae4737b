"""Runs the bench: each load through each proxy in turn, round after round; then the table.

It must leave nothing running and nothing behind, however it ends.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time

import loads
import processes
import proxies
import shapes
import table

PARTS = ("paced", "flood", "small", "accuracy", "memory", "shapes")


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--readme", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--captures")
    options = parser.parse_args()
    options.parts = options.only.split(",")
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Run:
    """All measurements of one bench: part, proxy, one dictionary a round."""

    def __init__(self, bench, sizes):
        self.bench, self.sizes = bench, sizes
        self.results = {}
        self.names = [name for name in table.NAMES if name != "tachograph" or bench.can_serve()]
        if "tachograph" not in self.names:
            say("this binary has no `tachograph serve` yet: measuring the others only")

    def add(self, part, name, measure):
        began = time.monotonic()
        try:
            figures = measure()
        except RuntimeError as error:
            say(f"{part:17} {name:11} FAILED: {error}")
            return
        self.results.setdefault(part, {}).setdefault(name, []).append(figures)
        shown = "  ".join(f"{key} {value:,.4g}" for key, value in figures.items() if value is not None)
        say(f"{part:17} {name:11} {shown}  ({time.monotonic() - began:.1f} s)")

    def round(self, parts):
        # What takes a second is done three times in turn: one other thing that the machine does is a tenth of it.
        for part in ("paced", "paced_awake", "flood", "small", "small", "small", "small_apart"):
            for name in self.names if part.split("_")[0] in parts else []:
                self.add(part, name, lambda: getattr(loads, part)(self.bench, name, self.sizes))
        if "accuracy" in parts and "tachograph" in self.names:
            for part, flooded in (("accuracy", False), ("accuracy_flooded", True)):
                self.add(part, "tachograph", lambda: loads.accurate(self.bench, self.sizes, flooded))

    def shapes(self, captures):
        """Every shape, ours and the recorded ones, by its name."""
        for group, streams in (("made", shapes.made()), ("recorded", shapes.recorded(captures) if captures else [])):
            for stream in streams:
                try:
                    figures = loads.shape(self.bench, stream, self.sizes)
                except RuntimeError as error:
                    say(f"shapes: {stream.name} FAILED: {error}")
                    continue
                self.results.setdefault("shapes", {}).setdefault(group, {})[stream.name] = figures
                say(f"shapes: {stream.name}: " + "  ".join(f"{k} {v:,.4g}" for k, v in figures.items()))

    def memory(self):
        for name in self.names:
            if name != "direct":
                self.add("memory", name, lambda: loads.memory(self.bench, name, self.sizes))


def main():
    options = arguments()
    # Whatever ends us, the blocks that stop children are left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = loads.Sizes(options.quick)
    with tempfile.TemporaryDirectory(prefix="tachograph-bench-") as folder:
        run = Run(proxies.Bench(options.binary, folder, processes.raise_open_files()), sizes)
        for number in range(sizes.rounds):
            say(f"round {number + 1} of {sizes.rounds}")
            run.round(options.parts)
        if "memory" in options.parts:
            run.memory()
        if "shapes" in options.parts:
            run.shapes(options.captures)
    text = table.markdown(run.results, sizes.rounds, f"{os.getloadavg()[0]:.1f}")
    print(text, end="")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(run.results, file, indent=1)
    if options.write:
        table.write(options.readme, text)


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
