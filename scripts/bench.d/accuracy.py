"""Compares the timelines of records with what the simulator wrote, request by request."""

import json


def quantile(values, share):
    """The nearest rank: always a value that was seen."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1e6) * len(ordered) // 1_000_000) - 1))]


def compare(truth_bytes, record_bytes, prefix):
    """Errors of every gap (µs) and of every TPOT (relative), for requests whose id begins with `prefix`."""
    truth = {}
    for line in truth_bytes.splitlines():
        entry = json.loads(line)
        if (entry["request_id"] or "").startswith(prefix) and entry["outcome"] == "ok":
            truth[entry["request_id"]] = entry["writes"]
    gap_errors, tpot_errors, joined, coalesced = [], [], 0, 0
    for line in record_bytes.splitlines():
        record = json.loads(line)
        writes = truth.get(record.get("request_id"))
        if writes is None or record.get("outcome") != "ok":
            continue
        joined += 1
        coalesced += record["coalesced_events"] or 0
        offsets = [offset for offset, _ in record["timeline"]]
        if len(offsets) != len(writes):
            raise RuntimeError(f"{record['request_id']}: {len(offsets)} events recorded, {len(writes)} written")
        for index in range(1, len(writes)):
            true_gap = (writes[index][0] - writes[index - 1][0]) / 1000
            gap_errors.append(abs(offsets[index] - offsets[index - 1] - true_gap))
        tokens = sum(write[2] for write in writes)
        true_tpot = (writes[-1][0] - writes[0][0]) / 1e6 / (tokens - 1)
        tpot_errors.append(abs(record["tpot_ms"] / true_tpot - 1))
    if joined < len(truth):
        raise RuntimeError(f"{len(truth)} streams were served, {joined} have a record")
    return {
        "gap_error_p50_us": quantile(gap_errors, 0.5),
        "gap_error_p99_us": quantile(gap_errors, 0.99),
        "gap_error_max_us": max(gap_errors),
        "tpot_error_p99_percent": 100 * quantile(tpot_errors, 0.99),
        "streams": joined,
        "gaps": len(gap_errors),
        "coalesced": coalesced,
    }
