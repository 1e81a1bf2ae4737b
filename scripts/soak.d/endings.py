"""SIGTERM with many streams open, and processes that take over from one another under load: nobody loses anything."""

import collections
import contextlib
import signal
import socket
import time

from ground import Ground, Sizes
from harness.generations import Generations
from harness.load import Load, failures
from harness.process import eventually
from harness.tachograph import read_records


def drains(ground: Ground, sizes: Sizes) -> None:
    count = sizes.draining_streams
    for limit, ending, deadline in (("whole", "ok", "60s"), ("cut at the deadline", "timeout", "1s")):
        simulator = ground.simulator()
        proxy = ground.serve(simulator.url, "--set", f"timeouts.drain={deadline}")
        tokens = "12" if ending == "ok" else "1000"
        load = Load(
            proxy.port, "--connections", str(count), "--requests", str(count), "--stagger", "1",
            sim={"ttft": "1500ms", "interval": "250ms", "tokens": tokens},
        )
        eventually(lambda: simulator.state()["active"] == count, timeout=60)
        began = time.monotonic()
        proxy.child.signal(signal.SIGTERM)
        status = proxy.child.wait(90)
        took = time.monotonic() - began
        result = load.result()
        outcomes = collections.Counter(record["outcome"] for record in read_records(proxy.log))
        ended = result["ok"] if ending == "ok" else result["broken"]
        ground.row(
            f"SIGTERM with {count:,} streams open, {limit}",
            f"{ended:,} ended so in {took:.1f} s, {outcomes[ending]:,} recorded so, exit status {status}",
        )
        ground.check(status == 0 and ended == count, f"{limit}: exit {status}, clients saw {result}")
        ground.check(dict(outcomes) == {ending: count}, f"{limit}: records say {dict(outcomes)}")
        if ending != "ok":
            ground.check(result["ok"] == 0, f"{result['ok']} cut streams looked whole")


def restarts(ground: Ground, sizes: Sizes) -> None:
    for way in ("on one socket that is handed down", "overlapping on a shared port"):
        simulator = ground.simulator()
        log = ground.new_folder() / "all.jsonl"
        with contextlib.ExitStack() as held:
            handed_down = None
            if way.endswith("down"):
                handed_down = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
            fleet = Generations(ground.serve, simulator.url, log, "--workers", "2", handed_down=handed_down)
            short = {"ttft": "0", "interval": "0", "tokens": "1"}
            endless = ("--duration", "100000")
            loads = {
                "kept": Load(fleet.port, "--connections", "16", *endless, sim=short),
                "new": Load(fleet.port, "--connections", "16", *endless, sim=short, fields=("Connection: close",)),
                "streams": Load(
                    fleet.port, "--connections", "100", "--stagger", "1", *endless,
                    sim={"ttft": "20ms", "interval": "20ms", "tokens": "50"},
                ),
            }
            for _ in range(sizes.swaps):
                time.sleep(0.5)
                fleet.swap()
            for load in loads.values():
                load.stop()
            results = {name: load.result() for name, load in loads.items()}
            fleet.present.stop()
        failed = sum(failures(result) for result in results.values())
        done = sum(result["ok"] for result in results.values())
        cut = sum(result["cut_at_end"] for result in results.values())
        records = sum(record["outcome"] == "ok" for record in read_records(log))
        slowest = max(results[name]["total_ms"]["max"] for name in ("kept", "new"))
        ground.row(
            f"{sizes.swaps} restarts under load, {way}",
            f"{done:,} answers whole, {failed} refused, reset or cut, {max(0, done - records)} records lost; "
            f"the slowest short answer took {slowest:.0f} ms",
        )
        ground.check(failed == 0, f"{way}: {results}")
        ground.check(done <= records <= done + cut, f"{way}: {records} records of {done} answers")
