"""Records against a server's own truth: every token's time, and each way in which a stream can end."""

import itertools
import statistics

import ollama
import openai
import pytest

from harness.simulator import Simulator

PACED = ("--ttft", "40ms", "--interval", "10ms", "--tokens", "30")
MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture
def simulator(tmp_path):
    running = Simulator(tmp_path, *PACED)
    yield running
    running.stop()


@pytest.fixture
def proxy(serve, simulator):
    return serve(simulator.url, "--set", "records.timeline=true")


def chat(url: str, **headers: str):
    """Streams one chat to its end; `x_sim_…` names what the simulator is to do."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0, timeout=20)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.chat.completions.create(model="sim", messages=MESSAGES, stream=True, extra_headers=fields)


def assert_between(measured_ms: float, writes: list, first: int, last: int) -> None:
    """A time between two tokens' arrivals lies between what the server's two write calls allow, however busy the machine."""
    least = (writes[last][0] - writes[first][1]) / 1e6
    most = (writes[last][1] - writes[first][0]) / 1e6
    assert least - 1 <= measured_ms <= most + 1


def text_of(stream) -> str:
    return "".join(event.choices[0].delta.content or "" for event in stream if event.choices)


def test_every_token_is_timed_as_it_was_written(proxy, simulator):
    """Gaps from the timeline against gaps between the writes: what lies between is one loopback hop."""
    rounds = 5
    for number in range(rounds):
        text_of(chat(proxy.url, x_request_id=f"r{number}"))
    truths = {row["request_id"]: row for row in simulator.truth(rounds)}
    errors = []
    for record in proxy.records(rounds):
        writes = truths[record["request_id"]]["writes"]
        offsets = [offset for offset, _ in record["timeline"]]
        assert len(offsets) == len(writes) == record["events"] == 30
        # The kernel stamps a segment while the write call that sent it is under way, on loopback.
        ours = [later - earlier for earlier, later in itertools.pairwise(offsets)]
        true = [(later[0] - earlier[0]) / 1000 for earlier, later in itertools.pairwise(writes)]
        errors += [abs(measured - written) for measured, written in zip(ours, true, strict=True)]
        decode_ms = (writes[-1][0] - writes[0][0]) / 1e6
        assert record["tpot_ms"] == pytest.approx(decode_ms / 29, rel=0.02)
    # Not the bench: on a busy machine a single write may lie anywhere, the middle of many may not.
    assert statistics.median(errors) < 500, f"median error of a gap {statistics.median(errors)} µs"


def test_the_first_token_is_counted_from_the_complete_request(proxy, simulator):
    text_of(chat(proxy.url, x_sim_ttft="200ms"))
    record, truth = proxy.record(), simulator.truth(1)[0]
    # The proxy has the request before the server has, and the token once the server has begun to write it.
    least = (truth["writes"][0][0] - truth["complete_ns"]) / 1e6
    assert least <= record["ttft_ms"] <= record["total_ms"]
    assert least >= 200


def test_tokens_per_event_do_not_bend_the_count(proxy):
    text_of(chat(proxy.url, x_sim_tokens="24", x_sim_tokens_per_event="8"))
    record = proxy.record()
    assert record["events"] == 3
    assert record["output_tokens"] in (3, 24)
    assert record["tokens_from"] == ("events" if record["output_tokens"] == 3 else "usage")


def test_a_stall_is_the_largest_gap(proxy, simulator):
    text_of(chat(proxy.url, x_sim_stall="10,300ms"))
    record, writes = proxy.record(), simulator.truth(1)[0]["writes"]
    longest = max(range(1, 30), key=lambda number: writes[number][0] - writes[number - 1][0])
    assert_between(record["gaps_ms"]["max"], writes, longest - 1, longest)
    assert record["gaps_ms"]["max"] >= 290 > record["gaps_ms"]["p50"]


def test_reasoning_comes_before_the_answer(proxy, simulator):
    text_of(chat(proxy.url, x_sim_reasoning="10"))
    record, writes = proxy.record(), simulator.truth(1)[0]["writes"]
    assert_between(record["ttfa_ms"] - record["ttft_ms"], writes, 0, 10)


@pytest.mark.parametrize(
    ("headers", "outcomes"),
    [
        ({"x_sim_cut_after": "5"}, {"truncated"}),
        ({"x_sim_reset_after": "5"}, {"truncated", "upstream_reset"}),
        ({"x_sim_error_after": "5"}, {"stream_error"}),
        # Some servers never send [DONE]: a finish reason is an end, too.
        ({"x_sim_no_done": "yes"}, {"ok"}),
    ],
)
def test_a_stream_that_ends_badly_says_how(proxy, headers, outcomes):
    try:
        text_of(chat(proxy.url, **headers))
    except Exception as error:  # The client's own view differs with its version; the record must not.
        assert not isinstance(error, AssertionError)
    record = proxy.record()
    assert record["outcome"] in outcomes
    assert record["events"] == (30 if "x_sim_no_done" in headers else 5)


def test_a_status_is_no_stream(proxy):
    with pytest.raises(openai.RateLimitError):
        chat(proxy.url, x_sim_status="429")
    record = proxy.record()
    assert (record["outcome"], record["status"], record["ttft_ms"]) == ("upstream_status", 429, None)


def test_an_abort_reaches_the_simulator(proxy, simulator):
    stream = chat(proxy.url, x_sim_tokens="1000")
    events = iter(stream)
    for _ in range(5):
        next(events)
    stream.close()
    truth = simulator.truth(1, timeout=2)[0]
    assert truth["outcome"] == "aborted"
    record = proxy.record()
    assert (record["outcome"], record["stage"]) == ("client_cancelled", "streaming")
    assert 0 < record["output_tokens"] <= truth["tokens"]


@pytest.mark.parametrize("kind", ["chat", "generate"])
@pytest.mark.parametrize("stream", [True, False])
def test_the_ollama_client(proxy, simulator, kind, stream):
    client = ollama.Client(host=proxy.url)
    asked = {"messages": MESSAGES} if kind == "chat" else {"prompt": "hi"}
    answer = getattr(client, kind)("sim", stream=stream, **asked)
    last = list(answer)[-1] if stream else answer
    record = proxy.record()
    expected = {"dialect": f"ollama.{kind}", "stream": stream, "outcome": "ok", "tokens_from": "server"}
    assert {key: record[key] for key in expected} == expected
    assert record["output_tokens"] == last.eval_count == simulator.truth(1)[0]["tokens"]
    assert (record["ttft_ms"] is not None) is stream
