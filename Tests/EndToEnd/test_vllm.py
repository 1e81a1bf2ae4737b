"""The real vLLM behind the proxy: the record against what vLLM says in its answers and counts in its metrics."""

import dataclasses
import json
import threading
import urllib.error
import urllib.request

import anthropic
import openai
import pytest

from harness.figures import dialects
from harness.process import eventually
from harness.vllm import VllmServer

# The start of the server is part of the first test.
pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1200)]

MESSAGES = [{"role": "user", "content": "Tell me of the sea."}]
# Nothing ends early: a request gives as many tokens as it asks for.
EXACTLY = {"ignore_eos": True}
USAGE = {"stream_options": {"include_usage": True}}
CONTINUOUS = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
TOOL = {
    "type": "object",
    "properties": {"far": {"type": "boolean"}},
    "required": ["far"],
    "additionalProperties": False,
}


@pytest.fixture(scope="session")
def vllm():
    server = VllmServer()
    yield server
    server.stop()


@pytest.fixture
def proxy(serve, vllm):
    return serve(vllm.url)


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=300, max_retries=0)


@dataclasses.dataclass
class Heard:
    """What a client heard of one chat stream."""

    text: str
    chunks: list[dict]

    def last(self, key: str) -> dict | None:
        found = [chunk[key] for chunk in self.chunks if chunk.get(key)]
        return found[-1] if found else None

    @property
    def choices(self) -> list[dict]:
        return [choice for chunk in self.chunks for choice in chunk["choices"]]


def listen(url: str, tokens: int, extra: dict = EXACTLY, **more) -> Heard:
    """Streams one chat to its end."""
    asked = {"model": "noise", "messages": MESSAGES, "stream": True, "max_tokens": tokens, "temperature": 0, "seed": 7}
    heard = Heard("", [])
    for chunk in client(url).chat.completions.create(**(asked | more), extra_body=extra):
        heard.chunks.append(chunk.model_dump(exclude_unset=True))
        heard.text += "".join(choice.delta.content or "" for choice in chunk.choices)
    return heard


def post(url: str, path: str, body: dict) -> bytes:
    head = {"Content-Type": "application/json"}
    asked = urllib.request.Request(url + path, json.dumps(body).encode(), head)
    with urllib.request.urlopen(asked, timeout=300) as answer:
        return answer.read()


class Counters:
    """What vLLM has counted since this was made."""

    def __init__(self, vllm: VllmServer):
        self.vllm, self.before = vllm, vllm.metrics()

    def grew(self, name: str, **labels: str) -> float:
        return self.vllm.metrics().sum(f"vllm:{name}", **labels) - self.before.sum(f"vllm:{name}", **labels)

    def ended(self, reason: str) -> float:
        return self.grew("request_success_total", finished_reason=reason)


def counts(record: dict) -> tuple:
    return record["input_tokens"], record["output_tokens"], record["tokens_from"]


def test_a_streamed_chat(proxy, vllm):
    direct = listen(vllm.url, 32, **USAGE)
    counted = Counters(vllm)
    through = listen(proxy.url, 32, **USAGE)
    assert through.text == direct.text and through.text
    usage, record = through.last("usage"), proxy.record()
    assert counts(record) == (usage["prompt_tokens"], usage["completion_tokens"], "usage")
    assert record["output_tokens"] == 32 == counted.grew("generation_tokens_total")
    assert record["input_tokens"] == counted.grew("prompt_tokens_total")
    assert counted.ended("length") == 1
    assert record["output_chars"] == len(through.text)
    expected = {
        "dialect": "openai.chat",
        "outcome": "ok",
        "finish_reason": "length",
        "model": "noise",
        "response_model": "noise",
        "response_id": through.chunks[0]["id"],
    }
    assert {key: record[key] for key in expected} == expected
    dialects.note("vllm", record)


def check_times(record: dict, metrics: dict) -> None:
    """Holds the record's `server` to vLLM's `metrics`."""
    said = {
        "queue_ms": metrics["queue_time_ms"],
        "decode_ms": metrics["generation_time_ms"],
        "ttft_ms": metrics["time_to_first_token_ms"],
        "itl_ms": metrics["mean_itl_ms"],
    }
    if drafted := metrics.get("speculative_decoding"):
        said |= {
            "draft_tokens": drafted["num_draft_tokens"],
            "accepted_tokens": drafted["num_accepted_draft_tokens"],
            "acceptance_rate": drafted["draft_acceptance_rate"],
            "acceptance_length": drafted["mean_acceptance_length"],
        }
    # Without a draft there is no rate.
    assert record["server"] == pytest.approx({key: value for key, value in said.items() if value is not None}, abs=0.001)


def test_its_own_times_are_the_records(proxy):
    heard = listen(proxy.url, 64, EXACTLY | {"include_metrics": True}, **USAGE)
    metrics, record = heard.last("metrics"), proxy.record()
    check_times(record, metrics)
    assert record["ttft_ms"] >= metrics["time_to_first_token_ms"]
    # Its engine stamps tokens in another process, before they go out: on a busy machine they come late, and faster than they were made.
    # The last may have no text, so that no event bears it.
    assert record["total_ms"] >= metrics["generation_time_ms"]
    dialects.note("vllm", record)


def test_a_chat_that_is_not_streamed(proxy):
    answer = client(proxy.url).chat.completions.create(
        model="noise", messages=MESSAGES, max_tokens=12, extra_body=EXACTLY | {"include_metrics": True}
    )
    record = proxy.record()
    assert counts(record) == (answer.usage.prompt_tokens, 12, "usage")
    assert record["stream"] is False and record["ttft_ms"] is None
    check_times(record, answer.metrics)


def test_token_ids_count_where_no_usage_is_asked_for(proxy):
    heard = listen(proxy.url, 24, EXACTLY | {"return_token_ids": True})
    ids = [token for choice in heard.choices for token in choice.get("token_ids") or []]
    record = proxy.record()
    assert heard.last("usage") is None and len(ids) == 24
    assert (record["output_tokens"], record["tokens_from"]) == (24, "ids")


def test_events_with_several_tokens(proxy, vllm):
    """Speculative decoding puts several tokens into an event, and a part of a character into none."""
    counted = Counters(vllm)
    heard = listen(proxy.url, 200, EXACTLY | {"return_token_ids": True}, **USAGE)
    record = proxy.record()
    sizes = [len(choice.get("token_ids") or []) for choice in heard.choices]
    assert counted.grew("spec_decode_num_accepted_tokens_total") > 0 and max(sizes) > 1
    assert sum(sizes) == record["output_tokens"] == counted.grew("generation_tokens_total") == 200
    bearing = sum(bool(choice["delta"].get("content")) for choice in heard.choices)
    assert record["events"] == bearing < 200
    assert record["itl_ms"] is not None and record["itl_ms"] != record["gaps_ms"]
    assert record["tpot_ms"] == pytest.approx((record["ttlt_ms"] - record["ttft_ms"]) / 199, abs=0.002)


def test_logprobs_count_where_no_usage_is_asked_for(proxy):
    heard = listen(proxy.url, 24, logprobs=True, top_logprobs=2)
    named = [token for choice in heard.choices for token in (choice.get("logprobs") or {}).get("content") or []]
    record = proxy.record()
    assert len(named) == 24
    assert (record["output_tokens"], record["tokens_from"]) == (24, "ids")


def test_without_any_count_events_are_counted_and_are_no_more_than_tokens(proxy, vllm):
    counted = Counters(vllm)
    listen(proxy.url, 24)
    record = proxy.record()
    assert record["tokens_from"] == "events"
    assert 0 < record["output_tokens"] <= counted.grew("generation_tokens_total") == 24


@pytest.mark.parametrize("asked", [USAGE, CONTINUOUS], ids=["usage", "continuous"])
def test_two_choices(proxy, vllm, asked):
    counted = Counters(vllm)
    heard = listen(proxy.url, 16, n=2, temperature=1, **asked)
    record = proxy.record()
    assert record["output_tokens"] == heard.last("usage")["completion_tokens"] == 32
    assert counted.grew("generation_tokens_total") == 32
    assert (record["choices"], record["tokens_from"], record["tpot_ms"]) == (2, "usage", None)
    assert record["gaps_ms"] is not None


def test_continuous_usage_of_a_stream_that_ends(proxy):
    heard = listen(proxy.url, 24, **CONTINUOUS)
    record = proxy.record()
    assert record["output_tokens"] == heard.last("usage")["completion_tokens"] == 24
    assert record["itl_ms"] is not None


@pytest.mark.parametrize(
    ("asked", "origin"), [(CONTINUOUS, "continuous"), ({}, "events")], ids=["continuous", "events"]
)
def test_an_abort_keeps_what_was_known(proxy, vllm, asked, origin):
    counted = Counters(vllm)
    stream = client(proxy.url).chat.completions.create(
        model="noise", messages=MESSAGES, stream=True, max_tokens=1900, extra_body=EXACTLY, **asked
    )
    known, chunks = 0, 0
    for chunk in stream:
        chunks += bool(chunk.choices and chunk.choices[0].delta.content)
        known = chunk.usage.completion_tokens if chunk.usage else known
        if chunks == 12:
            break
    stream.close()
    record = proxy.record()
    assert (record["outcome"], record["stage"], record["finish_reason"]) == ("client_cancelled", "streaming", None)
    assert record["tokens_from"] == origin
    assert max(known, chunks) <= record["output_tokens"] < 1900
    eventually(lambda: vllm.metrics().sum("vllm:num_requests_running") == 0)
    assert record["output_tokens"] <= counted.grew("generation_tokens_total") < 1900
    assert counted.ended("length") == 0
    dialects.note("vllm", record)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_completions(proxy, stream):
    more = USAGE if stream else {}
    answer = client(proxy.url).completions.create(
        model="noise", prompt="The sea", max_tokens=20, stream=stream, extra_body=EXACTLY, **more
    )
    if stream:
        parts = list(answer)
        text, usage = "".join(part.choices[0].text for part in parts if part.choices), parts[-1].usage
    else:
        text, usage = answer.choices[0].text, answer.usage
    record = proxy.record()
    assert counts(record) == (usage.prompt_tokens, 20, "usage")
    assert (record["dialect"], record["outcome"], record["finish_reason"]) == ("openai.completions", "ok", "length")
    assert record["output_chars"] == len(text)
    dialects.note("vllm", record)


def test_completions_of_several_prompts(proxy, vllm):
    counted = Counters(vllm)
    body = {"model": "noise", "prompt": ["The sea", "The land", "Air"], "max_tokens": 8, "stream": True, **EXACTLY, **USAGE}
    post(proxy.url, "/v1/completions", body)
    record = proxy.record()
    assert (record["choices"], record["output_tokens"], record["tokens_from"]) == (3, 24, "usage")
    assert counted.grew("generation_tokens_total") == 24


def test_the_prompt_that_echo_repeats_is_not_counted(proxy):
    body = {"model": "noise", "prompt": "The sea", "max_tokens": 8, "stream": True, "echo": True, **EXACTLY, **USAGE}
    post(proxy.url, "/v1/completions", body | {"logprobs": 1})
    record = proxy.record()
    assert (record["output_tokens"], record["tokens_from"]) == (8, "usage")
    assert record["ttft_ms"] is None and record["output_chars"] is None


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_responses(proxy, vllm, stream):
    counted = Counters(vllm)
    answer = client(proxy.url).responses.create(
        model="noise", input="Tell me of the sea.", max_output_tokens=16, stream=stream, extra_body=EXACTLY
    )
    response = list(answer)[-1].response if stream else answer
    record = proxy.record()
    assert counts(record) == (response.usage.input_tokens, response.usage.output_tokens, "usage")
    assert record["output_tokens"] == counted.grew("generation_tokens_total") == 16
    assert (record["dialect"], record["outcome"]) == ("openai.responses", "ok")
    assert record["finish_reason"] == "max_output_tokens"
    assert record["response_id"] == response.id
    dialects.note("vllm", record)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_anthropic_messages(proxy, vllm, stream):
    counted = Counters(vllm)
    asked = {"model": "noise", "max_tokens": 16, "messages": MESSAGES, "extra_body": EXACTLY}
    messages = anthropic.Anthropic(base_url=proxy.url, api_key="none", timeout=300, max_retries=0).messages
    if stream:
        with messages.stream(**asked) as heard:
            answer = heard.get_final_message()
    else:
        answer = messages.create(**asked)
    record = proxy.record()
    assert counts(record) == (answer.usage.input_tokens, answer.usage.output_tokens, "usage")
    assert record["output_tokens"] == counted.grew("generation_tokens_total")
    assert (record["dialect"], record["outcome"]) == ("anthropic.messages", "ok")
    assert record["finish_reason"] == answer.stop_reason
    dialects.note("vllm", record)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_its_own_generate(proxy, vllm, stream):
    counted = Counters(vllm)
    parameters = {"max_tokens": 12, **EXACTLY}
    post(
        proxy.url,
        "/inference/v1/generate",
        {"model": "noise", "token_ids": [5, 6, 7], "stream": stream, "sampling_params": parameters},
    )
    record = proxy.record()
    assert record["output_tokens"] == counted.grew("generation_tokens_total") == 12
    assert (record["dialect"], record["outcome"], record["finish_reason"]) == ("vllm.generate", "ok", "length")
    dialects.note("vllm", record)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_a_tool_call(proxy, vllm, stream):
    """Its parser keeps most of a call's tokens back: they are counted all the same."""
    counted, more = Counters(vllm), USAGE if stream else {}
    answer = client(proxy.url).chat.completions.create(
        model="noise",
        messages=MESSAGES,
        max_tokens=150,
        seed=3,
        stream=stream,
        tools=[{"type": "function", "function": {"name": "look", "parameters": TOOL}}],
        tool_choice={"type": "function", "function": {"name": "look"}},
        **more,
    )
    if stream:
        parts = list(answer)
        calls = [call for part in parts for choice in part.choices for call in choice.delta.tool_calls or []]
        named, usage = sum(bool(call.function.name) for call in calls), parts[-1].usage
    else:
        named, usage = len(answer.choices[0].message.tool_calls or []), answer.usage
    record = proxy.record()
    assert (record["tool_calls"], record["outcome"], record["ttfa_ms"]) == (named, "ok", None)
    assert counts(record) == (usage.prompt_tokens, usage.completion_tokens, "usage")
    assert record["output_tokens"] == counted.grew("generation_tokens_total")
    assert not stream or record["events"] < record["output_tokens"]


def test_tokens_that_a_parser_keeps_back_are_counted_by_their_ids(proxy, vllm):
    counted = Counters(vllm)
    asked = {"tools": [{"type": "function", "function": {"name": "look", "parameters": TOOL}}]}
    asked |= {"tool_choice": {"type": "function", "function": {"name": "look"}}}
    listen(proxy.url, 40, {"return_token_ids": True}, **asked)
    record = proxy.record()
    assert (record["output_tokens"], record["tokens_from"]) == (counted.grew("generation_tokens_total"), "ids")
    assert record["events"] < record["output_tokens"]


CHAT, OTHER = {"model": "noise", "messages": MESSAGES}, {"model": "other"}
REFUSED = {
    "an unknown model": ("openai.chat", "/v1/chat/completions", CHAT | OTHER, 404),
    "too many tokens": ("openai.chat", "/v1/chat/completions", CHAT | {"max_tokens": 5000}, 400),
    "completions": ("openai.completions", "/v1/completions", OTHER | {"prompt": "The sea"}, 404),
    "responses": ("openai.responses", "/v1/responses", OTHER | {"input": "The sea"}, 404),
    "messages": ("anthropic.messages", "/v1/messages", CHAT | OTHER | {"max_tokens": 8}, 404),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal(proxy, what):
    dialect, path, body, status = REFUSED[what]
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(proxy.url, path, body | {"stream": True})
    record = proxy.record()
    assert refused.value.code == record["status"] == status
    assert (record["dialect"], record["outcome"], record["output_tokens"]) == (dialect, "upstream_status", None)
    said = json.loads(refused.value.read())["error"]["type"]
    assert record["error"] == f"server_error: {said}"
    dialects.note("vllm", record)


def test_many_at_once_keep_their_own_counts(proxy, vllm):
    counted, lengths = Counters(vllm), [8, 16, 24, 32]
    threads = [threading.Thread(target=listen, args=(proxy.url, length), kwargs=USAGE) for length in lengths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = proxy.records(len(lengths))
    assert sorted(record["output_tokens"] for record in records) == lengths
    assert counted.grew("generation_tokens_total") == sum(lengths)
