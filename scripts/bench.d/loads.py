"""The loads, and what one run of each through one proxy gives."""

import contextlib
import json
import pathlib
import re
import statistics
import sys
import time

import accuracy
import processes
import proxies

BODY = '{"model":"simulated","stream":true,"stream_options":{"include_usage":true},"messages":[]}'
FLOOD = {"x-sim-ttft": "0", "x-sim-interval": "0", "x-sim-truth": "no"}
PACED = {"x-sim-ttft": "20ms", "x-sim-interval": "20ms"}


class Sizes:
    """How long each load runs."""

    def __init__(self, quick):
        self.rounds = 1 if quick else 3
        self.paced_seconds = 2.5 if quick else 5
        self.flood_requests = 640 if quick else 1600
        self.small_requests = 10000 if quick else 40000
        self.shape_answers = 160 if quick else 640
        self.open_streams = 5000
        self.opening_seconds = 2 if quick else 4


def load_arguments(bench, port, fields, options):
    arguments = [bench.binary, "load", f"127.0.0.1:{port}", "--body", BODY]
    for name, value in fields.items():
        arguments += ["--header", f"{name}: {value}"]
    for name, value in options.items():
        arguments += [f"--{name}", value]
    return arguments


def load(bench, port, fields, core=proxies.SERVER_CORE, **options):
    """Runs one load to its end; its summary."""
    arguments = load_arguments(bench, port, fields, {k.replace("_", "-"): v for k, v in options.items()})
    summary = json.loads(processes.output_of(arguments, core, 60))
    failed = {k: summary[k] for k in ("status", "unterminated", "in_band_error", "broken") if summary[k]}
    if failed:
        raise RuntimeError(f"a load had failures: {failed}")
    return summary


def warm_up(bench, port):
    """Opens connections on both sides and lets caches fill."""
    load(bench, port, FLOOD | {"x-sim-tokens": "20"}, connections=200, requests=2000, id_prefix="warm")


def share(before, after, count):
    """Microseconds of CPU for each of `count`; None without a proxy."""
    return None if before is None else (after - before) / 1000 / count


def paced(bench, name, sizes):
    with proxies.simulator(bench, True) as server, proxies.proxy(bench, name, server.port) as proxy:
        warm_up(bench, proxy.port)
        before = proxy.cpu()
        summary = load(
            bench, proxy.port, PACED | {"x-sim-tokens": "100"}, connections=200, stagger=0.5,
            duration=sizes.paced_seconds, truth=server.truth,
        )
        cpu = proxy.cpu()
    return {
        "cpu_us_per_token": share(before, cpu, summary["tokens"]),
        "delay_p50_us": summary["delay_us"]["p50"],
        "delay_p99_us": summary["delay_us"]["p99"],
        "tokens_per_second": summary["tokens_per_second"],
    }


def paced_awake(bench, name, sizes):
    """The same on cores that do not halt: a halted core of a virtual machine takes some 150 µs to wake, ten times what
    a proxy takes, and how often that happens was seen to move one proxy's median from 50 to 190 µs from run to run."""
    with processes.awake((proxies.SERVER_CORE, proxies.PROXY_CORE)):
        return paced(bench, name, sizes)


def flood(bench, name, sizes):
    """All on one core: on two, a proxy that keeps up is woken for every token and one that does not reads many at
    once, and nginx was seen to fall from one into the other (1.0 and 4 µs a token) from run to run."""
    core = proxies.PROXY_CORE
    with proxies.simulator(bench, False, core) as server, proxies.proxy(bench, name, server.port) as proxy:
        warm_up(bench, proxy.port)
        before = proxy.cpu()
        summary = load(
            bench, proxy.port, FLOOD | {"x-sim-tokens": "400"}, core=core, connections=32,
            requests=sizes.flood_requests)
        cpu = proxy.cpu()
    return {
        "cpu_us_per_token": share(before, cpu, summary["tokens"]),
        "tokens_per_second": summary["tokens_per_second"],
    }


def small(bench, name, sizes, core=proxies.PROXY_CORE):
    """All on one core, as the flood, and for its reason: on two, simulator and client are the busier core, and what a
    request costs a proxy is decided by how many pieces it catches an answer in (2.2 to 2.9 from run to run)."""
    with proxies.simulator(bench, False, core) as server, proxies.proxy(bench, name, server.port) as proxy:
        warm_up(bench, proxy.port)
        before = proxy.cpu()
        summary = load(
            bench, proxy.port, FLOOD | {"x-sim-tokens": "1"}, core=core, connections=32,
            requests=sizes.small_requests)
        cpu = proxy.cpu()
    return {
        "cpu_us_per_request": share(before, cpu, summary["ok"]),
        "requests_per_second": summary["requests_per_second"],
    }


def small_apart(bench, name, sizes):
    """The same with simulator and client on their own core, to be seen beside it."""
    return small(bench, name, sizes, proxies.SERVER_CORE)


def accurate(bench, sizes, with_flood):
    """Tachograph's records of a paced load held against the truth, alone or while the same worker is flooded."""
    with proxies.simulator(bench, True) as server:
        with proxies.proxy(bench, "tachograph", server.port, timeline=True) as proxy:
            warm_up(bench, proxy.port)
            with contextlib.ExitStack() as beside:
                if with_flood:
                    options = {"connections": 32, "duration": sizes.paced_seconds + 10, "id-prefix": "flood"}
                    arguments = load_arguments(bench, proxy.port, FLOOD | {"x-sim-tokens": "400"}, options)
                    log = bench.name("flood.log")
                    beside.enter_context(processes.running(arguments, proxies.SERVER_CORE, log))
                load(
                    bench, proxy.port, PACED | {"x-sim-tokens": "100"}, connections=200, stagger=0.5,
                    # Two whole answers at least: only those have a record that can be compared.
                    duration=max(sizes.paced_seconds, 5), truth=server.truth, id_prefix="paced",
                )
            truth = server.truth.read_bytes()
            # Once it has ended, every record is written.
            processes.stop(proxy.process)
            records = proxy.records.read_bytes()
            proxy.records.unlink()
    return accuracy.compare(truth, records, "paced-")


def memory(bench, name, sizes):
    """Resident memory that one open, slowly fed stream costs."""
    with proxies.simulator(bench, False) as server, proxies.proxy(bench, name, server.port) as proxy:
        load(bench, proxy.port, FLOOD | {"x-sim-tokens": "5"}, connections=1, requests=200, id_prefix="warm")
        before = processes.resident_bytes(proxy.process.pid)
        fields = {"x-sim-ttft": "100ms", "x-sim-interval": "2s", "x-sim-tokens": "1000", "x-sim-truth": "no"}
        options = {"connections": sizes.open_streams, "stagger": sizes.opening_seconds, "duration": 40}
        arguments = load_arguments(bench, proxy.port, fields, options)
        with processes.running(arguments, proxies.SERVER_CORE, bench.name("open.log")):
            processes.wait_until(
                lambda: server.state()["active"] >= sizes.open_streams, 30, f"{sizes.open_streams} streams")
            # Until each stream has carried a few events, buffers that grow on use have not grown.
            time.sleep(4)
            during = processes.resident_bytes(proxy.process.pid)
            active = server.state()["active"]
    if active < sizes.open_streams:
        raise RuntimeError(f"only {active} of {sizes.open_streams} streams stayed open")
    return {"kib_per_stream": (during - before) / 1024 / sizes.open_streams}


REPLAY = pathlib.Path(__file__).with_name("replay.py")
SHAPE_NAMES = ("nginx", "tachograph", proxies.NULL_CACHES)


def shape(bench, shape, sizes):
    """One stream through nginx, tachograph and tachograph without caches, in turn, until each has carried it three times
    `shape_answers` times; microseconds of CPU an event, the median of the three. All on one core, as the flood."""
    core = proxies.PROXY_CORE
    file = bench.name("shape.json")
    file.write_text(shape.json())
    log = bench.name("replay.log")
    costs = {name: [] for name in SHAPE_NAMES}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(processes.running([sys.executable, REPLAY, "serve", file], core, log))
        found = processes.wait_until(
            lambda: server.poll() is not None or re.search(r"listening on \S+:(\d+)", log.read_text()), 10, "the replay")
        if found is True:
            raise RuntimeError(f"the replay ended: {log.read_text().strip()}")
        ends = {name: stack.enter_context(proxies.proxy(bench, name, int(found[1]))) for name in SHAPE_NAMES}
        for turn in range(4):
            for name, proxy in ends.items():
                count = sizes.shape_answers if turn else 16
                before = proxy.cpu()
                processes.output_of([sys.executable, REPLAY, "load", proxy.port, file, count], core, 120)
                # The first turn opens connections and fills what is to be warm.
                if turn:
                    costs[name].append(share(before, proxy.cpu(), count * len(shape.events)))
        checks = records_of(ends["tachograph"], len(shape.events))
    return {"bytes": shape.bytes_per_event()} | {n: statistics.median(c) for n, c in costs.items()} | checks


def records_of(proxy, events):
    """Holds the records to the stream: a proxy that does not measure it would be fast for nothing."""
    processes.stop(proxy.process)
    records = [json.loads(line) for line in proxy.records.read_text().splitlines()]
    proxy.records.unlink()
    if bad := [r for r in records if "outcome" in r and (r["outcome"] != "ok" or not r["events"])]:
        raise RuntimeError(f"{len(bad)} of {len(records)} records are not of whole, measured streams: {bad[0]}")
    return {"events": records[0]["events"]}
