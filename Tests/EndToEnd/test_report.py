"""What `tachograph report` says of users: goodput, presets, leaving, and TTFT by input."""

import json

from test_operation import run


def record(**changes):
    keys = {
        "v": 1, "id": "01928f3e-7c1a-7abc-8def-0123456789ab", "ts": "2026-10-01T12:00:00Z", "user": "ann", "session": "s",
        "dialect": "openai.chat", "model": "llama", "stream": True, "status": 200, "outcome": "ok", "stage": None,
        "input_tokens": 100, "cached_tokens": 0, "output_tokens": 50, "upload_ms": 0, "ttft_ms": 400, "ttfa_ms": 400,
        "total_ms": 2000, "tpot_ms": 25, "tps": 40,
    }
    return json.dumps(keys | changes)


def report(tmp_path, lines, *arguments):
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    return run("report", "log.jsonl", *arguments, cwd=tmp_path)


def test_by_user_the_report_says_who_got_what_was_promised_and_who_gave_up(tmp_path):
    lines = [record(), record(tpot_ms=35), record(user="bob", outcome="client_cancelled", stage="waiting", ttft_ms=None,
                                                  tpot_ms=None, waited_ms=7000, total_ms=7000)]
    done = report(tmp_path, lines, "--by", "user", "--slo", "mlperf:llama3.1-8b-interactive", "--json")
    groups = {group["key"]: group for group in json.loads(done.stdout)["groups"]}
    assert groups["ann"]["goodput"] == {"share": 0.5, "met": 1, "judged": 2, "not_judged": 0}
    assert groups["bob"]["gave_up"] == 1 and groups["bob"]["time_to_give_up_ms"]["max"] == 7000
    text = report(tmp_path, lines, "--by", "user", "--slo", "ttft=500ms,tpot=30ms").stdout
    assert "IN SLO" in text and "33.3 %" in text


def test_a_wrong_objective_is_refused_with_what_there_is(tmp_path):
    done = report(tmp_path, [record()], "--slo", "mlperf:nothing")
    assert done.returncode == 2 and "mlperf:llama3.1-8b" in done.stderr
    assert "mlperf:gpt-oss-120b-interactive" in " ".join(run("report", "--help").stdout.split())


def test_first_tokens_are_fitted_to_the_input(tmp_path):
    lines = [record(input_tokens=n, ttft_ms=20 + n / 10) for n in (100, 200, 900)]
    summary = json.loads(report(tmp_path, lines, "--ttft-by", "input", "--json").stdout)
    fit = summary["ttft_by_input"][0]["fit"]
    assert abs(fit["a_ms"] - 20) < 1e-6 and abs(fit["b_ms_per_token"] - 0.1) < 1e-9 and fit["n"] == 3
    assert "x uncached tokens (n 3" in report(tmp_path, lines, "--ttft-by", "input").stdout
