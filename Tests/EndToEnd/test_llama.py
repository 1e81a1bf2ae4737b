"""The real `openai` client and the real llama.cpp server, with the proxy between them and without."""

import dataclasses
import statistics
import threading
import time
import urllib.request

import openai
import pytest

from harness.figures import dialects
from harness.llama import SLOTS, LlamaServer

pytestmark = pytest.mark.llama

MESSAGES = [{"role": "user", "content": "Tell me of the sea."}]
# Nothing of one request may help the next, and none may end early: the same request gives the same tokens.
SAME = {"seed": 7, "temperature": 0, "extra_body": {"ignore_eos": True, "cache_prompt": False}}


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="sk-none", timeout=60, max_retries=0)


@pytest.fixture
def proxy(serve, llama):
    return serve(llama.url)


@dataclasses.dataclass
class Heard:
    """What a client heard of one chat stream, and when (seconds after it asked)."""

    text: str
    at: list[float]
    usage: dict | None
    timings: dict | None
    deltas: list[dict]


def listen(url: str, tokens: int, **more) -> Heard:
    """Streams one chat, stamping each event with text as it comes."""
    heard = Heard("", [], None, None, [])
    started = time.monotonic()
    for event in client(url).chat.completions.create(
        model="noise", messages=MESSAGES, stream=True, max_tokens=tokens, **{**SAME, **more}
    ):
        now = time.monotonic() - started
        whole = event.model_dump(exclude_unset=True)
        heard.usage = whole.get("usage") or heard.usage
        heard.timings = whole.get("timings") or heard.timings
        for choice in event.choices:
            heard.deltas.append(choice.model_dump(exclude_unset=True))
            if choice.delta.content:
                heard.text += choice.delta.content
                heard.at.append(now)
    return heard


def test_a_streamed_chat_is_the_same_and_its_tokens_are_the_servers(proxy, llama):
    asked = {"stream_options": {"include_usage": True}}
    direct, through = listen(llama.url, 64, **asked), listen(proxy.url, 64, **asked)
    assert through.text == direct.text and through.text
    assert through.deltas == direct.deltas
    record = proxy.record()
    assert record["output_tokens"] == through.usage["completion_tokens"] == through.timings["predicted_n"] == 64
    assert record["input_tokens"] == through.usage["prompt_tokens"]
    assert record["tokens_from"] == "usage"
    assert record["events"] == len(through.at)
    assert record["output_chars"] == len(through.text)
    expected = {
        "dialect": "openai.chat",
        "outcome": "ok",
        "finish_reason": "length",
        "model": "noise",
        "response_model": "noise",
    }
    assert {key: record[key] for key in expected} == expected
    assert record["server"]["prefill_ms"] == pytest.approx(through.timings["prompt_ms"], abs=0.001)
    assert record["server"]["decode_ms"] == pytest.approx(through.timings["predicted_ms"], abs=0.001)
    dialects.note("llama.cpp", record)


def test_without_usage_the_servers_timings_count(proxy):
    heard = listen(proxy.url, 32)
    record = proxy.record()
    assert heard.usage is None and heard.timings["predicted_n"] == 32
    assert (record["output_tokens"], record["tokens_from"]) == (32, "server")


def test_a_chat_that_is_not_streamed(proxy, llama):
    def ask(url):
        return client(url).chat.completions.create(model="noise", messages=MESSAGES, max_tokens=32, **SAME)

    direct, through = ask(llama.url), ask(proxy.url)
    assert through.choices == direct.choices and through.choices[0].message.content
    record = proxy.record()
    assert record["stream"] is False and record["ttft_ms"] is None and record["tpot_ms"] is None
    assert record["output_tokens"] == through.usage.completion_tokens == 32
    assert record["input_tokens"] == through.usage.prompt_tokens
    assert record["tokens_from"] == "usage"


@pytest.mark.parametrize("stream", [True, False])
def test_legacy_completions(proxy, llama, stream):
    def ask(url):
        answer = client(url).completions.create(model="noise", prompt="The sea", max_tokens=24, stream=stream, **SAME)
        return "".join(part.choices[0].text for part in answer if part.choices) if stream else answer.choices[0].text

    direct, through = ask(llama.url), ask(proxy.url)
    assert through == direct and through
    record = proxy.record()
    assert (record["dialect"], record["stream"], record["output_tokens"]) == ("openai.completions", stream, 24)
    assert record["outcome"] == "ok" and record["finish_reason"] == "length"
    assert (record["tpot_ms"] is not None) is stream
    dialects.note("llama.cpp", record)


def by_choice(heard: Heard) -> dict[int, str]:
    found: dict[int, str] = {}
    for delta in heard.deltas:
        found[delta["index"]] = found.get(delta["index"], "") + (delta["delta"].get("content") or "")
    return found


def test_two_choices_in_one_stream(proxy, llama):
    asked = {"n": 2, "stream_options": {"include_usage": True}}
    direct, through = listen(llama.url, 16, **asked), listen(proxy.url, 16, **asked)
    assert by_choice(through) == by_choice(direct) and len(by_choice(through)) == 2
    record = proxy.record()
    assert record["choices"] == 2
    assert record["tpot_ms"] is None, "N over one decode time is no TPOT where two choices share it"
    # llama-server sends one usage for each choice: they are summed.
    assert through.usage["completion_tokens"] == 16 and record["output_tokens"] == 32
    assert record["gaps_ms"] is not None


def test_logprobs(proxy, llama):
    asked = {"logprobs": True, "top_logprobs": 3}
    direct, through = listen(llama.url, 16, **asked), listen(proxy.url, 16, **asked)
    assert through.deltas == direct.deltas
    assert any(delta.get("logprobs") for delta in through.deltas)
    assert proxy.record()["output_tokens"] == 16


def test_tools(proxy, llama):
    look = {
        "type": "object",
        "properties": {"far": {"type": "boolean"}},
        "required": ["far"],
        "additionalProperties": False,
    }
    asked = {"tools": [{"type": "function", "function": {"name": "look", "parameters": look}}], "tool_choice": "auto"}
    direct, through = listen(llama.url, 32, **asked), listen(proxy.url, 32, **asked)
    assert through.text == direct.text
    record = proxy.record()
    assert record["outcome"] == "ok" and record["output_tokens"] == 32


def test_times_lie_between_what_the_server_wrote_and_what_the_client_saw(proxy):
    """Medians of several streams, the first left out: a client's first request also loads modules."""
    tokens, rounds = 400, 7
    heard = [listen(proxy.url, tokens, stream_options={"include_usage": True}) for _ in range(rounds)][1:]
    records = proxy.records(rounds)[1:]
    for client_side, record in zip(heard, records):
        server_ttft = client_side.timings["prompt_ms"]
        assert server_ttft <= record["ttft_ms"] <= 1000 * client_side.at[0]
        assert record["ttft_ms"] <= record["ttlt_ms"] <= record["total_ms"]

    def median_of(values):
        return statistics.median(values)

    # llama.cpp starts its decode clock when the first token is sampled: N - 1 intervals, as our TPOT has.
    server = median_of(one.timings["predicted_ms"] / (tokens - 1) for one in heard)
    ours = median_of(record["tpot_ms"] for record in records)
    clients = median_of(1000 * (one.at[-1] - one.at[0]) / (tokens - 1) for one in heard)
    low, high = sorted((server, clients))
    assert low * 0.9 <= ours <= high * 1.1, f"server {server:.4f}, record {ours:.4f}, client {clients:.4f} ms a token"


@pytest.mark.parametrize("way", ["client closes", "process dies"])
def test_an_abort_stops_the_server_and_is_recorded(proxy, llama, way):
    stream = client(proxy.url).chat.completions.create(
        model="noise", messages=MESSAGES, stream=True, max_tokens=7000, extra_body={"ignore_eos": True}
    )
    events = iter(stream)
    heard = sum(bool(next(events).choices[0].delta.content) for _ in range(20))
    assert llama.busy_slots() == 1
    if way == "client closes":
        stream.close()
    else:
        # What the kernel does with the sockets of a process that was killed with unread bytes: a reset.
        raw = stream.response.extensions["network_stream"].get_extra_info("socket")
        raw.shutdown(2)
        raw.close()
    assert llama.wait_idle(1.0) < 1.0
    record = proxy.record()
    assert (record["outcome"], record["stage"], record["status"]) == ("client_cancelled", "streaming", 200)
    assert heard <= record["output_tokens"] < 7000
    assert record["tokens_from"] == "events"
    assert record["finish_reason"] is None


def test_giving_up_while_the_server_is_full_is_recorded(serve):
    """A server of its own, for llama.cpp itself goes on with a queued request whose client has gone."""
    full = LlamaServer()
    endless = {"model": "noise", "messages": MESSAGES, "max_tokens": 7000, "extra_body": {"ignore_eos": True}}
    try:
        proxy = serve(full.url)
        others = [client(proxy.url).chat.completions.create(stream=True, **endless) for _ in range(SLOTS)]
        for other in others:
            next(iter(other))
        with pytest.raises(openai.APITimeoutError):
            client(proxy.url).with_options(timeout=0.5).chat.completions.create(**endless)
        first = proxy.record()
        assert (first["outcome"], first["stage"]) == ("client_cancelled", "waiting")
        assert first["waited_ms"] == pytest.approx(500, abs=200)
        for other in others:
            other.close()
        records = proxy.records(SLOTS + 1)
        assert max(record["in_flight"] for record in records) == SLOTS + 1
    finally:
        full.stop()


def test_many_at_once_keep_their_own_counts(proxy):
    counts = [10, 20, 30, 40, 50, 60, 70, 80]
    heard: dict[int, Heard] = {}

    def one(count):
        heard[count] = listen(proxy.url, count, stream_options={"include_usage": True})

    threads = [threading.Thread(target=one, args=(count,)) for count in counts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = proxy.records(len(counts))
    assert sorted(record["output_tokens"] for record in records) == counts
    assert all(heard[record["output_tokens"]].usage["prompt_tokens"] == record["input_tokens"] for record in records)
    assert all(record["outcome"] == "ok" for record in records)


def test_a_refusal_of_the_server_is_the_clients_refusal(proxy):
    with pytest.raises(openai.BadRequestError) as refused:
        client(proxy.url).chat.completions.create(
            model="noise", messages=[{"role": "user", "content": "long " * 20000}]
        )
    record = proxy.record()
    assert (record["outcome"], record["status"]) == ("upstream_status", 400)
    assert record["output_tokens"] is None
    assert record["error"] == f"server_error: {refused.value.type}"
    dialects.note("llama.cpp", record)


def test_paths_that_are_not_measured_pass_through(proxy, llama):
    for path in ("/v1/models", "/props", "/metrics", "/not-there"):
        answers = []
        for url in (llama.url, proxy.url):
            try:
                with urllib.request.urlopen(url + path, timeout=10) as answer:
                    answers.append((answer.status, answer.headers.get("Content-Type"), len(answer.read()) > 0))
            except urllib.error.HTTPError as error:
                answers.append((error.code, error.headers.get("Content-Type"), len(error.read()) > 0))
        assert answers[0] == answers[1]
    records = proxy.records(4)
    assert [record["dialect"] for record in records] == [None] * 4
    assert [record["outcome"] for record in records] == ["ok", "ok", "ok", "upstream_status"]
