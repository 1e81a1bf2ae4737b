"""Thousands of streams at a time through one process: none fails, each has one record, and nothing stays behind."""

import threading
import time

from ground import Ground, Sizes, Watch, mib
from harness.load import Load, failures
from harness.tachograph import read_records


def many_at_once(ground: Ground, sizes: Sizes) -> None:
    count = min(sizes.streams, ground.descriptors // 2 - 500)
    ground.check(count == sizes.streams, f"only {ground.descriptors} descriptors are allowed here: {count} streams")
    simulator = ground.simulator()
    proxy = ground.serve(simulator.url, "--set", "timeouts.upstream_idle=1s")
    # A stream each before anything is measured, so that what the process makes once is there.
    Load(proxy.port, "--connections", "4", "--requests", "4", sim={"tokens": "3", "interval": "1ms"}).result()
    ground.settle(proxy, simulator, proxy.descriptors())
    idle_descriptors, idle_kib = proxy.descriptors(), proxy.resident_kib()
    most, over = 0, threading.Event()

    def look() -> None:
        nonlocal most
        while not over.wait(0.2):
            most = max(most, simulator.state()["active"])

    looker = threading.Thread(target=look, daemon=True)
    with Watch(proxy) as watch:
        looker.start()
        began = time.monotonic()
        # All have begun before the first ends.
        result = Load(
            proxy.port, "--connections", str(count), "--requests", str(count), "--stagger", "5",
            sim={"ttft": "1s", "interval": "250ms", "tokens": str(sizes.stream_tokens)},
        ).result(timeout=300)
        took = time.monotonic() - began
        over.set()
        looker.join()
    ground.settle(proxy, simulator, idle_descriptors)
    records = [record for record in read_records(proxy.log)[4:] if record["outcome"]]
    ok = sum(record["outcome"] == "ok" and record["output_tokens"] == sizes.stream_tokens for record in records)
    ground.row("streams at once through one process", f"{most:,} (of {count:,}), {failures(result)} failed")
    ground.row("their tokens", f"{result['tokens']:,} in {took:.0f} s, none missing" if result["tokens"] == count
               * sizes.stream_tokens else f"{result['tokens']:,} of {count * sizes.stream_tokens:,}")
    ground.row("their records", f"{len(records):,}, {count - ok} lost or wrong")
    ground.row("descriptors before, at most, after",
               f"{idle_descriptors}, {watch.descriptors:,}, {proxy.descriptors()}")
    ground.row("memory before, at most, after",
               f"{mib(idle_kib)}, {mib(watch.resident_kib)}, {mib(proxy.resident_kib())}")
    ground.check(failures(result) == 0 and result["ok"] == count, f"{failures(result)} streams failed: {result}")
    ground.check(most >= count * 0.99, f"only {most} streams were open at once")
    ground.check(ok == count == len(records), f"{ok} of {len(records)} records are right, where {count} should be")
    ground.check(result["tokens"] == count * sizes.stream_tokens, f"{result['tokens']} tokens arrived")
    proxy.stop()
