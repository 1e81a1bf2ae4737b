"""The real llama.cpp server in the dialects besides OpenAI's: its own, OpenAI's Responses, Anthropic's Messages."""

import json
import urllib.error
import urllib.request

import anthropic
import openai
import pytest

from harness.figures import dialects

pytestmark = pytest.mark.llama

TOKENS = 24
# No request may help the next, and none may end early.
SAME = {"ignore_eos": True, "cache_prompt": False, "seed": 7}
STREAMED = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


@pytest.fixture
def proxy(serve, llama):
    return serve(llama.url)


def post(url: str, path: str, body: dict) -> list[dict]:
    """The objects of an answer: of a stream its events, else one."""
    asked = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        text = answer.read()
    if not body["stream"]:
        return [json.loads(text)]
    return [json.loads(line[5:]) for line in text.splitlines() if line.startswith(b"data:")]


def check(record: dict, dialect: str, stream: bool, counted: str) -> None:
    expected = {
        "dialect": dialect,
        "stream": stream,
        "outcome": "ok",
        "error": None,
        "output_tokens": TOKENS,
        "tokens_from": counted,
    }
    assert {key: record[key] for key in expected} == expected
    assert (record["ttft_ms"] is not None) is (record["tpot_ms"] is not None) is stream
    dialects.note("llama.cpp", record)


@STREAMED
def test_its_own(proxy, stream):
    parts = post(proxy.url, "/completion", {"prompt": "The sea", "n_predict": TOKENS, "stream": stream, **SAME})
    last, record = parts[-1], proxy.record()
    check(record, "llamacpp.completion", stream, "server")
    assert last["timings"]["predicted_n"] == last["tokens_predicted"] == TOKENS
    assert record["input_tokens"] == last["tokens_evaluated"]
    assert record["finish_reason"] == last["stop_type"] == "limit"
    assert record["output_chars"] == len("".join(part["content"] for part in parts))
    assert record["server"]["prefill_ms"] == pytest.approx(last["timings"]["prompt_ms"], abs=0.001)
    assert record["server"]["decode_ms"] == pytest.approx(last["timings"]["predicted_ms"], abs=0.001)


# More than a slot has room for; and the noise model has no tokens for filling in.
LONG = "long " * 20000
REFUSED = {
    "/completion": ("llamacpp.completion", {"prompt": LONG}),
    "/infill": ("llamacpp.completion", {"input_prefix": "The ", "input_suffix": " sea"}),
    "/v1/completions": ("openai.completions", {"prompt": LONG}),
    "/v1/responses": ("openai.responses", {"model": "noise", "input": LONG}),
    "/v1/messages": ("anthropic.messages", {"max_tokens": 8, "messages": [{"role": "user", "content": LONG}]}),
}


@pytest.mark.parametrize("path", REFUSED)
def test_a_refusal(proxy, path):
    dialect, body = REFUSED[path]
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(proxy.url, path, body | {"stream": True})
    record = proxy.record()
    assert (record["dialect"], record["outcome"]) == (dialect, "upstream_status")
    assert record["status"] == refused.value.code
    assert record["error"] == f"server_error: {json.loads(refused.value.read())['error']['type']}"
    dialects.note("llama.cpp", record)


@STREAMED
def test_responses(proxy, stream):
    client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="none", timeout=60, max_retries=0)
    answer = client.responses.create(
        model="noise", input="Tell me of the sea.", max_output_tokens=TOKENS, stream=stream, extra_body=SAME
    )
    response = list(answer)[-1].response if stream else answer
    record = proxy.record()
    check(record, "openai.responses", stream, "usage")
    assert response.usage.output_tokens == TOKENS
    assert record["input_tokens"] == response.usage.input_tokens
    assert record["response_id"] == response.id and record["finish_reason"] == response.status


@STREAMED
def test_anthropic_messages(proxy, stream):
    messages = anthropic.Anthropic(base_url=proxy.url, api_key="none", timeout=60, max_retries=0).messages
    asked = {"model": "noise", "max_tokens": TOKENS, "messages": [{"role": "user", "content": "Tell me of the sea."}]}
    # Nothing is left to chance: where the first token is a part of a character, this server leaves `message_start` out.
    asked |= {"extra_body": SAME | {"temperature": 0}}
    if stream:
        with messages.stream(**asked) as heard:
            answer = heard.get_final_message()
    else:
        answer = messages.create(**asked)
    record = proxy.record()
    check(record, "anthropic.messages", stream, "usage")
    usage = answer.usage
    assert usage.output_tokens == TOKENS
    assert record["input_tokens"] == usage.input_tokens + (usage.cache_read_input_tokens or 0)
    assert record["finish_reason"] == answer.stop_reason == "max_tokens"
    assert record["output_chars"] == len("".join(block.text for block in answer.content))
