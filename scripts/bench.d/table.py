"""Medians, musts and aims, and the Markdown that goes into the README."""

import datetime
import os
import pathlib
import platform
import statistics

BEGIN = "<!-- bench: scripts/bench --write fills this in -->"
END = "<!-- bench: end -->"
NAMES = ("direct", "nginx", "haproxy", "tachograph")


class Row:
    """One figure: where it stands in the results, and what it must and should be."""

    def __init__(self, part, key, load, figure, digits, must=None, aim=None, ratio=False, added=False):
        self.part, self.key, self.load, self.figure, self.digits = part, key, load, figure, digits
        # `ratio`: must and aim are for tachograph's value over nginx's; `added`: what direct has is taken off first.
        self.must, self.aim, self.ratio, self.added = must, aim, ratio, added


ROWS = [
    Row("paced", "cpu_us_per_token", "paced", "CPU a token, µs", 2, 0.95, 0.80, ratio=True),
    Row("paced", "delay_p50_us", "paced", "delay added a token, p50, µs", 1, ratio=True, added=True),
    Row("paced", "delay_p99_us", "paced", "delay added a token, p99, µs", 1, added=True),
    Row("paced_awake", "cpu_us_per_token", "paced, cores awake", "CPU a token, µs", 2, ratio=True),
    Row(
        "paced_awake", "delay_p50_us", "paced, cores awake", "delay added a token, p50, µs", 1, 1.00, 0.70,
        ratio=True, added=True),
    Row("paced_awake", "delay_p99_us", "paced, cores awake", "delay added a token, p99, µs", 1, added=True),
    Row("flood", "cpu_us_per_token", "flood", "CPU a token, µs", 2, 1.20, 0.70, ratio=True),
    Row("flood", "tokens_per_second", "flood", "tokens/s", 0),
    Row("small", "cpu_us_per_request", "small", "CPU a request, µs", 1, 0.90, 0.65, ratio=True),
    Row("small", "requests_per_second", "small", "requests/s", 0),
    Row("small_apart", "cpu_us_per_request", "small, two cores", "CPU a request, µs", 1, ratio=True),
    Row("small_apart", "requests_per_second", "small, two cores", "requests/s", 0),
    Row("accuracy", "gap_error_p99_us", "paced", "error of each gap, p99, µs", 1, 60, 25),
    Row("accuracy_flooded", "gap_error_p99_us", "paced, flooded", "error of each gap, p99, µs", 1, 200, 40),
    Row("accuracy", "tpot_error_p99_percent", "paced", "error of TPOT, p99, %", 4, 0.05, 0.005),
    Row("memory", "kib_per_stream", "5,000 open", "memory a stream, KiB", 1, 16, 6),
]


def median(results, part, name, key):
    values = [run[key] for run in results.get(part, {}).get(name, []) if run[key] is not None]
    return statistics.median(values) if values else None


def cells(results, row):
    values = {name: median(results, row.part, name, row.key) for name in NAMES}
    if row.added and values["direct"] is not None:
        values = {n: None if v is None else v - values["direct"] for n, v in values.items() if n != "direct"}
    return values


def judged(values, row):
    """The number that must and aim are about."""
    mine, theirs = values.get("tachograph"), values.get("nginx")
    if mine is None or (row.ratio and not theirs):
        return None
    return mine / theirs if row.ratio else mine


def verdict(value, row):
    if row.must is None:
        return ""
    if value is None:
        return "not measured"
    if value <= row.aim:
        return "aim met"
    return "must met" if value <= row.must else "**missed**"


def number(value, digits):
    return "" if value is None else f"{value:,.{digits}f}"


def lines(results):
    """The rows of the loads that were run; nothing where none was."""
    if not any(row.part in results for row in ROWS):
        return
    yield "| load | figure | direct | nginx | HAProxy | tachograph | against nginx | must | aim | |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|---|"
    for row in ROWS:
        if row.part not in results:
            continue
        values = cells(results, row)
        value = judged(values, row)
        columns = [row.load, row.figure] + [number(values.get(name), row.digits) for name in NAMES]
        columns.append(f"{value:.2f}" if row.ratio and value is not None else "")
        columns += ["" if bound is None else f"≤ {bound:g}" for bound in (row.must, row.aim)]
        yield "| " + " | ".join(columns + [verdict(value, row)]) + " |"


def ratio_cells(figures, name, must):
    """A proxy's microseconds an event, what they are of nginx's, and whether that is as it must be."""
    ratio = figures[name] / figures["nginx"]
    return [f"{figures[name]:.2f}", f"{ratio:.2f}" if ratio <= must else f"**{ratio:.2f}**"]


def shape_lines(made):
    """A row for each of our own shapes."""
    yield "| 400 events a response, CPU an event, µs | bytes | nginx | tachograph | against nginx | null caches | against nginx | must |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for name, figures in made.items():
        # A reader that has to walk 600 bytes may take a little longer than one that only passes them on.
        must = 1.2 if figures["bytes"] > 500 else 1.0
        columns = [name, f"{figures['bytes']}", f"{figures['nginx']:.2f}"]
        for proxy in ("tachograph", "tachograph-null-caches"):
            columns += ratio_cells(figures, proxy, must)
        yield "| " + " | ".join(columns + [f"≤ {must:g}"]) + " |"


def recorded_line(recorded):
    """The medians over recorded streams, in one sentence."""
    medians = [
        statistics.median(figures[name] / figures["nginx"] for figures in recorded.values())
        for name in ("tachograph", "tachograph-null-caches")]
    return (
        f"The median of {len(recorded)} recorded streams of real servers, stretched to 400 events: {medians[0]:.2f} of nginx "
        f"(must ≤ 0.6, aim 0.45); with null caches {medians[1]:.2f} (must ≤ 1, aim 0.7).")


def machine():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def markdown(results, rounds, loads):
    """The whole section, `loads` being the machine's other work while it was measured."""
    paragraphs = [
        f"Measured on {datetime.date.today().isoformat()} by `scripts/bench`: {machine()}, {os.cpu_count()} cores, "
        f"Linux {platform.release()}; medians of {rounds} round{'s' if rounds > 1 else ''}; proxies with one worker "
        f"on core 1, simulator and client on core 0 (flood and small: all on core 1); load average {loads}.",
        *(["\n".join(rows)] if (rows := list(lines(results))) else []),
        "paced: 200 streams, a token each 20 ms. flood: 32 connections, 400 tokens an answer, as fast as they go. "
        "small: 32 connections, one-token streams; on two cores the client is what it waits for. Cores awake: kept from "
        "halting, for a halted core of a virtual machine wakes some 150 µs late, now and then. Delay: from the server's "
        "write to the kernel's stamp at the client, what the direct line takes taken off. Errors: gaps and TPOT in "
        "tachograph's records against the simulator's own times. CPU: the scheduler's accounting of the proxy's processes and threads.",
    ]
    shapes = results.get("shapes", {})
    if "made" in shapes:
        paragraphs.append("\n".join(shape_lines(shapes["made"])))
    if "recorded" in shapes:
        paragraphs.append(recorded_line(shapes["recorded"]))
    return "\n\n".join(paragraphs) + "\n"


def write(readme, text):
    """Replaces what stands between the marks of README.md."""
    path = pathlib.Path(readme)
    old = path.read_text()
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RuntimeError(f"{readme} lacks the marks {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
