"""Records against a server's own truth: every token's time, and each way in which a stream can end."""

import time

import ollama
import openai
import pytest

from harness.simulator import Simulator

PACED = ("--ttft", "40ms", "--interval", "10ms", "--tokens", "30")
# A kernel stamp is mapped to the monotonic clock by a reading of both, and a record's times are whole microseconds.
CLOCKS_MS = 0.1
# The simulator writes a token half a millisecond before it is due at the earliest.
EARLY_MS = 0.5
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


def text_of(stream) -> str:
    return "".join(event.choices[0].delta.content or "" for event in stream if event.choices)


def carries_a_token(event) -> bool:
    delta = event.choices[0].delta if event.choices else None
    return bool(delta and (delta.content or getattr(delta, "reasoning_content", None)))


def seen(stream) -> list[int]:
    """When the client had each token, on the clock of the server's truth."""
    return [time.monotonic_ns() for event in stream if carries_a_token(event)]


def arrivals(record: dict, truth: dict, seen: list[int]) -> list[tuple[int, int]]:
    """Each token's earliest and latest time of arrival at the proxy, in ns: what follows from the order of things alone.

    It comes once the server has begun to write it, and before the client has it. The kernel stamps a segment while the
    write call that sent it is under way, on loopback; tokens that one read brought share the stamp of the last of them,
    and the last token's write is followed at once by those that end the stream.
    """
    assert record["clock"] == "kernel"
    offsets, writes = [offset for offset, _ in record["timeline"]], truth["writes"]
    assert len(offsets) == len(writes) == len(seen) == record["events"] == 30
    written = [after for _, after, _ in writes[:-1]] + [truth["end_ns"]]
    read = [written[max(other for other in range(30) if offsets[other] == offset)] for offset in offsets]
    return [(before, min(latest)) for (before, _, _), *latest in zip(writes, read, seen, strict=True)]


def assert_between(measured_ms: float, first: tuple[int, int], last: tuple[int, int]) -> None:
    """A time between two tokens lies between what their arrivals allow, but for how exactly two clocks are read as one."""
    assert (last[0] - first[1]) / 1e6 - CLOCKS_MS <= measured_ms <= (last[1] - first[0]) / 1e6 + CLOCKS_MS


def test_every_token_is_timed_as_it_was_written(proxy, simulator):
    """A token's time counts from the complete request: one instant from which the times of all tokens follow."""
    rounds = 5
    asked, had = [], []
    for number in range(rounds):
        asked.append(time.monotonic_ns())
        had.append(seen(chat(proxy.url, x_request_id=f"r{number}")))
    truths = {row["request_id"]: row for row in simulator.truth(rounds)}
    records = {record["request_id"]: record for record in proxy.records(rounds)}
    for number in range(rounds):
        record, truth = records[f"r{number}"], truths[f"r{number}"]
        allowed = arrivals(record, truth, had[number])
        offsets = [offset * 1000 for offset, _ in record["timeline"]]
        # The proxy has the request after the client asked, and before the server has it.
        earliest = [asked[number]] + [first - offset for (first, _), offset in zip(allowed, offsets, strict=True)]
        latest = [truth["complete_ns"]] + [last - offset for (_, last), offset in zip(allowed, offsets, strict=True)]
        assert max(earliest) <= min(latest) + CLOCKS_MS * 1e6
        assert_between(record["tpot_ms"] * 29, allowed[0], allowed[-1])
        assert record["tpot_ms"] * 29 == pytest.approx((offsets[-1] - offsets[0]) / 1e6, abs=CLOCKS_MS)


def test_the_first_token_is_counted_from_the_complete_request(proxy, simulator):
    text_of(chat(proxy.url, x_sim_ttft="200ms"))
    record, truth = proxy.record(), simulator.truth(1)[0]
    # The proxy has the request before the server has, and the token once the server has begun to write it.
    least = (truth["writes"][0][0] - truth["complete_ns"]) / 1e6
    assert least <= record["ttft_ms"] <= record["total_ms"]
    assert least >= 200 - EARLY_MS


def test_tokens_per_event_do_not_bend_the_count(proxy):
    text_of(chat(proxy.url, x_sim_tokens="24", x_sim_tokens_per_event="8"))
    record = proxy.record()
    assert record["events"] == 3
    assert record["output_tokens"] in (3, 24)
    assert record["tokens_from"] == ("events" if record["output_tokens"] == 3 else "usage")


def test_a_stall_is_the_largest_gap(proxy, simulator):
    had = seen(chat(proxy.url, x_sim_stall="10,300ms"))
    record, truth = proxy.record(), simulator.truth(1)[0]
    writes, allowed = truth["writes"], arrivals(record, truth, had)
    longest = max(range(1, 30), key=lambda number: writes[number][0] - writes[number - 1][0])
    assert_between(record["gaps_ms"]["max"], allowed[longest - 1], allowed[longest])
    assert longest == 10
    # The token before may be late, which makes the gap shorter; the one behind the stall is due after 40 + 10 * 10 + 300 ms.
    assert record["timeline"][longest][0] >= 440_000 - EARLY_MS * 1000
    assert record["gaps_ms"]["p50"] < 290


def test_reasoning_comes_before_the_answer(proxy, simulator):
    had = seen(chat(proxy.url, x_sim_reasoning="10"))
    record, truth = proxy.record(), simulator.truth(1)[0]
    allowed = arrivals(record, truth, had)
    assert_between(record["ttfa_ms"] - record["ttft_ms"], allowed[0], allowed[10])


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
