"""What happens to the clock or to the loop while a stream runs: a stepped wall clock, a process that stands still.

Durations are held against the simulator's truth, on the monotonic clock that both share.
"""

import datetime
import itertools
import signal
import time

import pytest
from harness.said import request
from harness.simulator import Simulator
from harness.wallclock import WallClock
from harness.wire import connect

HOUR = 3600.0


def simulate(tmp_path, *arguments: str) -> Simulator:
    folder = tmp_path / "simulator"
    folder.mkdir()
    return Simulator(folder, *arguments)


def stream(port: int, name: str, after_events) -> None:
    """Asks for a stream and reads it to its end; `after_events` is called with the number of each event."""
    wire = connect(port)
    wire.send(request("POST", "/v1/chat/completions", None, b"X-Request-Id: " + name.encode()))
    wire.head()
    for number in itertools.count(1):
        event = wire.until(b"\n\n")
        if b"[DONE]" in event:
            break
        after_events(number)
    wire.close()


def gap_errors(record: dict, truth: dict) -> list[tuple[float, float]]:
    """Of each gap, how far it is from the truth's, and how far it may be: for so long the writes themselves took; ms."""
    writes = [(before / 1e6, after / 1e6) for before, after, _ in truth["writes"]]
    offsets = [offset / 1000 for offset, _ in record["timeline"]]
    assert len(offsets) == len(writes) == record["events"]
    return [
        (abs((later - earlier) - (last[0] - first[0])), max(last[1] - last[0], first[1] - first[0]) + 1)
        for (earlier, later), (first, last) in zip(
            itertools.pairwise(offsets), itertools.pairwise(writes), strict=True
        )
    ]


@pytest.mark.parametrize("hours", [1, -1])
@pytest.mark.parametrize(("stamps", "clocks"), [("step", {"kernel", "mixed"}), ("stay", {"mixed"}), ("none", {"loop"})])
def test_a_wall_clock_that_steps_by_an_hour_moves_no_duration(serve, tmp_path, hours, stamps, clocks):
    """The kernel's stamps step with the clock, as they do; or disagree with it, as nothing says they cannot; or are absent."""
    simulator = simulate(tmp_path, "--ttft", "100ms", "--interval", "20ms", "--tokens", "40")
    clock = WallClock(tmp_path, stamps)
    proxy = serve(simulator.url, "--set", "records.timeline=true", environment=clock.environment)
    try:
        began = time.time()
        stream(proxy.port, "stepped", lambda number: clock.step(hours * HOUR) if number == 15 else None)
        stream(proxy.port, "after", lambda number: None)
        truths = {row["request_id"]: row for row in simulator.truth(2)}
    finally:
        simulator.stop()
    stepped, after = proxy.records(2)
    for record in (stepped, after):
        assert record["outcome"] == "ok" and record["events"] == 40
        writes = truths[record["request_id"]]["writes"]
        decode_ms = (writes[-1][0] - writes[0][0]) / 1e6
        # An hour is 3,600,000 ms: what a busy machine adds is nothing beside it.
        assert abs(record["ttlt_ms"] - record["ttft_ms"] - decode_ms) < 1000
        assert record["total_ms"] < 30_000 and record["total_ms"] >= record["ttlt_ms"] >= record["ttft_ms"] > 0
        assert all(error < 1000 for error, _ in gap_errors(record, truths[record["request_id"]]))
        assert all(later >= earlier for (earlier, _), (later, _) in itertools.pairwise(record["timeline"]))
        # Without the kernel's time nobody knows how late a read was.
        assert (record["loop_lag_us"] is None) == (record["clock"] == "loop")
        assert 0 <= (record["loop_lag_us"] or 0) < 5_000_000 and record["delivery_us"]["max"] < 5_000_000
    assert stepped["clock"] in clocks, stepped["clock"]
    # The one wall time of a record is the wall clock's, as it was when the request came.
    assert abs(wall(stepped) - began) < 60
    assert abs(wall(after) - began - hours * HOUR) < 60


def wall(record: dict) -> float:
    return datetime.datetime.fromisoformat(record["ts"].replace("Z", "+00:00")).timestamp()


def test_a_loop_that_stands_still_shows_as_lag_and_moves_no_gap(serve, tmp_path):
    """The process is stopped while events arrive: the kernel has stamped them, and the record says how late they were read."""
    simulator = simulate(tmp_path, "--ttft", "100ms", "--interval", "60ms", "--tokens", "30")
    proxy = serve(simulator.url, "--set", "records.timeline=true")

    def stand_still(number: int) -> None:
        if number in (5, 10, 15, 20, 25):
            # The next event comes some 15 ms after the stop.
            time.sleep(0.045)
            proxy.child.signal(signal.SIGSTOP)
            time.sleep(0.035)
            proxy.child.signal(signal.SIGCONT)

    try:
        stream(proxy.port, "stalled", stand_still)
        truth = simulator.truth(1)[0]
    finally:
        simulator.stop()
    record = proxy.record()
    assert record["outcome"] == "ok" and record["clock"] == "kernel"
    assert record["loop_lag_us"] > 5000, "the stop is not in the record"
    # Where a busy machine let two events into one read they share a time, and the record says so.
    assert record["coalesced_events"] <= 5
    errors = gap_errors(record, truth)
    moved = [(error, allowed) for error, allowed in errors if error > allowed]
    assert len(moved) <= 2 * record["coalesced_events"], moved
