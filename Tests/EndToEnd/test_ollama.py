"""The real `ollama` client through the proxy: chat and generate, streamed by default and not."""

import json

import ollama
import pytest

from harness.said import plain
from harness.wire import LAST_CHUNK, chunk

WORDS = ["Once", " upon", " a", " time", "."]
DURATIONS = {
    "total_duration": 700_000_000,
    "load_duration": 20_000_000,
    "prompt_eval_count": 11,
    "prompt_eval_duration": 80_000_000,
    "eval_count": len(WORDS),
    "eval_duration": 600_000_000,
}


def said(path: bytes, text: str, **more) -> dict:
    """One object of an Ollama answer."""
    content = {"message": {"role": "assistant", "content": text}} if b"chat" in path else {"response": text}
    return {"model": "tale:1b", "created_at": "2026-01-01T00:00:00Z", **content, "done": False, **more}


def ollama_server(wire):
    """A script that speaks Ollama's two endpoints as its server writes them: NDJSON unless `stream` is false."""
    while True:
        try:
            message = wire.message()
        except EOFError:
            return
        path = message.start.split()[1]
        last = {"done": True, "done_reason": "stop", **DURATIONS}
        if json.loads(message.body).get("stream", True):
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
            for word in WORDS:
                wire.send(chunk(json.dumps(said(path, word)).encode() + b"\n"))
            wire.send(chunk(json.dumps(said(path, "", **last)).encode() + b"\n"), LAST_CHUNK)
        else:
            body = json.dumps(said(path, "".join(WORDS), **last)).encode()
            wire.send(plain(body))


@pytest.fixture
def through(serve, scripted):
    proxy = serve(scripted(ollama_server).url)
    return proxy, ollama.Client(host=proxy.url)


def check(record: dict, dialect: str, stream: bool) -> None:
    expected = {
        "dialect": dialect,
        "stream": stream,
        "model": "tale:1b",
        "response_model": "tale:1b",
        "outcome": "ok",
        "finish_reason": "stop",
        "input_tokens": 11,
        "output_tokens": len(WORDS),
        "tokens_from": "server",
    }
    assert {key: record[key] for key in expected} == expected
    assert record["server"] == {"load_ms": 20, "prefill_ms": 80, "decode_ms": 600, "total_ms": 700}
    if stream:
        assert record["events"] == len(WORDS) and record["ttft_ms"] is not None
    else:
        assert record["ttft_ms"] is None


def test_chat_streamed(through):
    proxy, client = through
    parts = list(client.chat("tale:1b", messages=[{"role": "user", "content": "hi"}], stream=True))
    assert [part.message.content for part in parts] == [*WORDS, ""]
    assert parts[-1].eval_count == len(WORDS)
    check(proxy.record(), "ollama.chat", True)


def test_chat_whole(through):
    proxy, client = through
    answer = client.chat("tale:1b", messages=[{"role": "user", "content": "hi"}])
    assert answer.message.content == "".join(WORDS)
    check(proxy.record(), "ollama.chat", False)


def test_generate_streamed(through):
    proxy, client = through
    parts = list(client.generate("tale:1b", prompt="hi", stream=True))
    assert "".join(part.response for part in parts) == "".join(WORDS)
    check(proxy.record(), "ollama.generate", True)


def test_generate_whole(through):
    proxy, client = through
    assert client.generate("tale:1b", prompt="hi").response == "".join(WORDS)
    check(proxy.record(), "ollama.generate", False)
