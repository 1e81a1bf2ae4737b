"""The real clients of the dialects through the proxy: what they get, and what the record says of it.

The server is scripted (harness/dialects.py): what a client sends, how it reads a stream, and how it leaves are its own.
"""

import json
from collections.abc import Iterator

import pytest

from harness import clients, dialects
from harness.clients import Heard
from harness.dialects import ARGUMENTS, INPUT, OUTPUT, TEXT, TOOL, WORDS
from harness.tachograph import Tachograph, read_records
from harness.wire import ScriptedUpstream

WITH_TOOLS = [each for each in clients.ALL if each is not clients.OllamaGenerate]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One proxy for all: a client that keeps its connection would hold up the end of each of its own."""
    upstream = ScriptedUpstream(dialects.answer)
    proxy = Tachograph(upstream.url, tmp_path_factory.mktemp("clients"))
    yield proxy
    try:
        proxy.stop()
        assert upstream.failures.empty(), upstream.failures.get()
    finally:
        proxy.child.kill()
        upstream.close()


class OneMore:
    """The shared proxy, and the record of the next exchange."""

    def __init__(self, proxy: Tachograph):
        self.proxy, self.url, self.before = proxy, proxy.url, len(read_records(proxy.log))

    def record(self) -> dict:
        return self.proxy.records(self.before + 1)[-1]


@pytest.fixture
def proxy(shared):
    return OneMore(shared)


def each_of(kinds: list[type]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, ids=[each.__name__ for each in kinds])


def hear(client, parts: Iterator) -> Heard:
    heard = Heard()
    for part in parts:
        client.take(part, heard)
    return heard


def check(record: dict, client, model: str, stream: bool) -> None:
    """Holds the record to what the server has said, and to nothing else."""
    expected = {
        "dialect": client.dialect,
        "stream": stream,
        "model": model,
        "response_model": None if client.dialect == "cohere.chat" else model,
        "response_id": client.identity,
        "outcome": "ok",
        "error": None,
        "finish_reason": client.reasons[model],
        "input_tokens": INPUT,
        "output_tokens": OUTPUT,
        "tokens_from": client.counted,
        "tool_calls": 1 if model == "tools" else 0,
        "server": client.server,
        "request_read": "whole",
        "undelivered_tokens": 0 if stream else None,
    }
    assert {key: record[key] for key in expected} == expected
    assert record["events"] == (client.events[model] if stream else None)
    assert (record["ttft_ms"] is not None) is stream
    assert (record["ttfa_ms"] is not None) is (stream and model == "tale")


@each_of(clients.ALL)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_text(proxy, kind, stream):
    client, heard = kind(proxy.url), Heard()
    answer = client.ask("tale", stream)
    if stream:
        heard = hear(client, answer)
    else:
        client.take_whole(answer, heard)
    assert heard == Heard(TEXT, INPUT, OUTPUT, client.reasons["tale"])
    record = proxy.record()
    check(record, client, "tale", stream)
    assert record["output_chars"] == len(TEXT)


@each_of(WITH_TOOLS)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_a_tool_call(proxy, kind, stream):
    client, heard = kind(proxy.url), Heard()
    answer = client.ask("tools", stream)
    if stream:
        heard = hear(client, answer)
    else:
        client.take_whole(answer, heard)
    assert (heard.text, heard.tool, json.loads(heard.arguments)) == ("", TOOL, ARGUMENTS)
    assert (heard.input, heard.output, heard.finish) == (INPUT, OUTPUT, client.reasons["tools"])
    check(proxy.record(), client, "tools", stream)


@each_of(clients.ALL)
def test_a_client_that_stops_reading(proxy, kind):
    client, heard = kind(proxy.url), Heard()
    stream = client.ask("endless", True)
    parts = iter(stream)
    while heard.text != TEXT:
        client.take(next(parts), heard)
    client.leave(stream)
    record = proxy.record()
    assert (record["outcome"], record["stage"], record["error"]) == ("client_cancelled", "streaming", None)
    assert (record["output_tokens"], record["tokens_from"]) == client.early
    assert (record["finish_reason"], record["undelivered_tokens"]) == (None, 0)
    assert record["ttft_ms"] is not None and record["dialect"] == client.dialect


@each_of(clients.ALL)
def test_an_error_in_the_stream(proxy, kind):
    client, heard = kind(proxy.url), Heard()
    if client.failure:
        with pytest.raises(client.failure):
            for part in client.ask("failing", True):
                client.take(part, heard)
    else:
        heard = hear(client, client.ask("failing", True))
        assert heard.finish == client.failed_as
    assert heard.text == "".join(WORDS[:2])
    record = proxy.record()
    assert (record["outcome"], record["stage"], record["status"]) == ("stream_error", "streaming", 200)
    assert record["error"] == f"server_error: {client.failed_as}"
    assert record["events"] == 2 and record["ttft_ms"] is not None
