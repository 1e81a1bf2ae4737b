"""Counts that do not lie: events that are not tokens, streams that were cut or compressed, what came late, and who was slow."""

import json
import subprocess
import time
import zlib

import openai
import pytest

from harness.simulator import Simulator
from harness.tachograph import binary, clean_environment
from harness.wire import connect

PACED = ("--ttft", "40ms", "--interval", "10ms", "--tokens", "60")
MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture
def simulator(tmp_path):
    running = Simulator(tmp_path, *PACED)
    yield running
    running.stop()


@pytest.fixture
def proxy(serve, simulator):
    return serve(simulator.url, "--set", "records.timeline=true")


def chat(url: str, usage: bool = False, **headers: str):
    """Streams one chat; `x_sim_…` names what the simulator is to do."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=20)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    options = {"include_usage": True} if usage else openai.NOT_GIVEN
    return client.chat.completions.create(
        model="sim", messages=MESSAGES, stream=True, stream_options=options, extra_headers=fields
    )


def read(stream) -> None:
    for _ in stream:
        pass


def itl_of(timeline: list) -> list[float]:
    """The token-weighted gaps of a timeline, in ms, by the rule of Metrics.md."""
    gaps = []
    for (before, _), (at, tokens) in zip(timeline, timeline[1:], strict=False):
        gaps += [(at - before) / 1000 / tokens] * tokens
    return sorted(gaps)


def test_what_speculative_decoding_accepts_is_counted_by_ids(proxy, simulator):
    read(chat(proxy.url, x_sim_tokens_per_event="uniform:1,5", x_sim_counts="ids"))
    record, truth = proxy.record(), simulator.truth(1)[0]
    tokens = [tokens for _, _, tokens in truth["writes"]]
    assert len(set(tokens)) > 2
    assert (record["output_tokens"], record["tokens_from"]) == (truth["tokens"], "ids")
    assert record["events"] == len(tokens)
    assert [count for _, count in record["timeline"]] == tokens
    gaps = itl_of(record["timeline"])
    assert record["itl_ms"]["max"] == pytest.approx(gaps[-1], abs=0.002)
    assert record["itl_ms"]["p50"] == pytest.approx(gaps[(len(gaps) + 1) // 2 - 1], abs=0.1)
    assert record["itl_ms"]["p50"] < record["gaps_ms"]["p50"]


def test_a_stream_interval_is_counted_by_the_usage_of_each_event(proxy, simulator):
    read(chat(proxy.url, x_sim_tokens_per_event="8", x_sim_counts="continuous", x_sim_tokens="30"))
    record, truth = proxy.record(), simulator.truth(1)[0]
    assert [count for _, count in record["timeline"]] == [tokens for _, _, tokens in truth["writes"]] == [8, 8, 8, 6]
    assert (record["events"], record["output_tokens"], record["tokens_from"]) == (4, 30, "continuous")


def test_without_counts_events_are_a_lower_bound_and_say_so(proxy, simulator):
    read(chat(proxy.url, x_sim_tokens_per_event="8", x_sim_tokens="30"))
    record = proxy.record()
    assert (record["events"], record["output_tokens"], record["tokens_from"]) == (4, 4, "events")
    read(chat(proxy.url, usage=True, x_sim_tokens_per_event="8", x_sim_tokens="30"))
    told = proxy.records(2)[1]
    assert (told["events"], told["output_tokens"], told["tokens_from"]) == (4, 30, "usage")
    assert told["itl_ms"] is None, "nobody said which event had how many"


def test_a_token_whose_character_was_not_whole_has_no_event_and_counts(proxy, simulator):
    read(chat(proxy.url, usage=True, x_sim_merge_every="3", x_sim_counts="ids", x_sim_tokens="30"))
    record, truth = proxy.record(), simulator.truth(1)[0]
    tokens = [tokens for _, _, tokens in truth["writes"]]
    assert sum(tokens) == 30 and set(tokens) == {1, 2}
    assert record["events"] == len(tokens) < 30
    assert record["output_tokens"] == 30
    assert [count for _, count in record["timeline"]] == tokens
    assert record["itl_ms"]["max"] == pytest.approx(itl_of(record["timeline"])[-1], abs=0.002)


def test_tokens_that_a_parser_swallowed_count_where_their_ids_come(proxy, simulator):
    read(chat(proxy.url, x_sim_swallow="10,20", x_sim_counts="ids"))
    record, truth = proxy.record(), simulator.truth(1)[0]
    assert truth["tokens"] == record["output_tokens"] == 60
    assert record["events"] == 40
    # The gap across the swallowed ones is that of 21 tokens.
    assert max(count for _, count in record["timeline"]) == 21
    assert record["itl_ms"]["max"] < record["gaps_ms"]["max"] / 2


@pytest.mark.parametrize("counts", ["continuous", "ids", "none"])
def test_a_stream_that_was_left_keeps_what_was_known(proxy, simulator, counts):
    stream = chat(proxy.url, x_sim_tokens_per_event="3", x_sim_counts=counts, x_sim_tokens="6000")
    got = 0
    for event in stream:
        got += bool(event.choices and event.choices[0].delta.content)
        if got == 5:
            break
    stream.close()
    record = proxy.record()
    assert record["outcome"] == "client_cancelled"
    assert record["events"] >= 5
    known = record["events"] * (1 if counts == "none" else 3)
    assert (record["output_tokens"], record["tokens_from"]) == (known, "events" if counts == "none" else counts)
    assert 0 <= record["undelivered_tokens"] <= record["output_tokens"]


def test_tokens_that_the_client_never_took_are_counted_apart(serve, scripted):
    piece = b'data: {"choices":[{"index":0,"delta":{"content":"%s"},"token_ids":[1,2]}]}\n\n' % (b"x" * 60_000)

    def answer(wire):
        wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for _ in range(200):
            wire.send(piece)
        wire.rest()

    proxy = serve(scripted(answer).url)
    wire = connect(proxy.port)
    wire.send(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    )
    wire.until(b"xxxx")
    # It takes nothing more, until what lies between is full.
    time.sleep(1)
    wire.sock.close()
    record = proxy.record()
    assert record["outcome"] == "client_cancelled"
    assert 0 < record["undelivered_tokens"] < record["output_tokens"]
    assert record["undelivered_tokens"] % 2 == 0
    assert record["stalls"]["client"][0] == 1
    assert record["stalls"]["client"][1] >= 500


def test_tokens_that_miss_their_deadline_are_late(serve, simulator):
    proxy = serve(
        simulator.url, "--set", "slo.ttft=300ms", "--set", "slo.tpot=20ms", "--set", "slo.models=fast*=1s/1s,slow=1ms/1ms"
    )
    # Each 10 ms, due each 20 ms: what was early pays for the silence of 2 s in part.
    read(chat(proxy.url, x_sim_stall="30,2s"))
    record = proxy.record()
    assert 0 < record["late_tokens"] <= 30
    read(chat(proxy.url))
    assert proxy.records(2)[1]["late_tokens"] == 0


def test_no_objective_no_late_tokens(proxy):
    read(chat(proxy.url))
    assert proxy.record()["late_tokens"] is None


def test_a_silence_of_the_server_is_laid_to_the_server(proxy):
    read(chat(proxy.url, x_sim_stall="30,700ms"))
    stalls = proxy.record()["stalls"]
    assert stalls["server"][0] == 1
    assert 690 <= stalls["server"][1] < 5000
    assert stalls["proxy"] == stalls["client"] == [0, 0.0]


def test_what_is_clumped_on_the_way_is_buffered(proxy):
    read(chat(proxy.url, x_sim_clump="12"))
    read(chat(proxy.url))
    clumped, steady = proxy.records(2)
    assert (clumped["buffered"], steady["buffered"]) == (True, False)


def test_a_first_gap_that_swallows_the_rest_is_buffered(proxy):
    read(chat(proxy.url, usage=True, x_sim_clump="1000", x_sim_metrics="yes"))
    record = proxy.record()
    assert record["server"]["decode_ms"] > 400
    assert record["buffered"] is True


def test_report_shows_what_lies_between_wire_and_server(proxy):
    for _ in range(3):
        read(chat(proxy.url, usage=True, x_sim_metrics="yes", x_sim_tokens_per_event="2"))
    proxy.records(3)
    done = subprocess.run(
        [binary(), "report", "--server", "--json", str(proxy.log)], capture_output=True, text=True, env=clean_environment()
    )
    assert done.returncode == 0, done.stderr
    (server,) = json.loads(done.stdout)["servers"]
    assert (server["model"], server["exchanges"]) == ("sim", 3)
    first, decode = server["to_first_token_ms"], server["first_to_last_token_ms"]
    assert first["wire"]["p50"] >= first["server"]["p50"] >= 35
    assert 0 <= decode["between"]["p50"] < 100
    assert 0 < server["accepted_tokens"] < server["draft_tokens"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw"])
def test_a_compressed_stream_is_measured_at_its_flushes(serve, scripted, coding):
    events = [b'data: {"choices":[{"index":0,"delta":{"content":"t%d"}}]}\n\n' % number for number in range(5)]
    events += [b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9}}\n\n', b"data: [DONE]\n\n"]
    encoder = zlib.compressobj(wbits={"gzip": 31, "deflate": 15, "raw": -15}[coding])
    pieces = [encoder.compress(event) + encoder.flush(zlib.Z_SYNC_FLUSH) for event in events] + [encoder.flush()]
    name = b"gzip" if coding == "gzip" else b"deflate"

    def answer(wire):
        assert b"Accept-Encoding: gzip, br" in wire.message().head
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: %s\r\n" % name)
        wire.send(b"Content-Length: %d\r\n\r\n" % sum(map(len, pieces)))
        for piece in pieces:
            wire.send(piece)
            time.sleep(0.03)

    proxy = serve(scripted(answer).url)
    wire = connect(proxy.port)
    wire.send(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br\r\nContent-Length: 2\r\n\r\n{}",
    )
    assert wire.message().body == b"".join(pieces)
    record = proxy.record()
    assert (record["encoding"], record["outcome"], record["error"]) == (name.decode(), "ok", None)
    assert (record["events"], record["output_tokens"], record["tokens_from"]) == (5, 9, "usage")
    assert 25 < record["gaps_ms"]["p50"] < 200


def test_logs_of_earlier_versions_are_read(tmp_path):
    old = {
        "v": 1, "id": "01a1fc06-de38-7542-9ae1-5a4560a41a55", "ts": "2026-11-21T02:54:30.968466Z", "instance": "gpu-1",
        "user": "ann", "user_from": "body:user", "session": None, "client": "127.0.0.1", "request_id": None,
        "trace_id": None, "method": "POST", "path": "/v1/chat/completions", "dialect": "openai.chat", "model": "m",
        "response_model": "m", "stream": True, "status": 200, "outcome": "ok", "stage": None, "error": None,
        "finish_reason": "stop", "upstream": "127.0.0.1:8000", "upstream_reused": False, "in_flight": 1,
        "request_bytes": 133, "response_bytes": 24116, "input_tokens": 33, "cached_tokens": None, "output_tokens": 120,
        "reasoning_tokens": None, "tokens_from": "usage", "output_chars": 431, "choices": 1, "events": 120,
        "coalesced_events": 0, "reads": 120, "upload_ms": 0.0, "connect_ms": 0.368, "ttfb_ms": 0.647,
        "ttfe_ms": 129.957, "ttft_ms": 129.957, "ttfa_ms": 129.957, "ttlt_ms": 2538.097, "total_ms": 2538.097,
        "waited_ms": None, "tpot_ms": 20.236, "tps": 49.416, "tps_e2e": 47.28, "cps": 177.731, "gaps_ms": None,
        "itl_ms": None, "server": {"prefill_ms": 100.0, "decode_ms": 2300.0}, "delivery_us": None,
        "client_stalled_ms": 0.0, "loop_lag_us": 293.568, "clock": "kernel", "timeline": None,
    }  # fmt: skip
    log = tmp_path / "old.jsonl"
    log.write_text(json.dumps(old) + "\n")

    def run(*arguments: str) -> str:
        done = subprocess.run([binary(), *arguments], capture_output=True, text=True, env=clean_environment())
        assert done.returncode == 0, done.stderr
        return done.stdout

    report = json.loads(run("report", "--json", str(log)))
    assert (report["log"]["records"], report["all"]["output_tokens"]) == (1, 120)
    (server,) = json.loads(run("report", "--server", "--json", str(log)))["servers"]
    assert server["to_first_token_ms"]["between"]["max"] == pytest.approx(29.957)
    assert "ann" in run("tail", "-n", "5", "--no-follow", str(log))
