"""Responses that were recorded from real servers and services, replayed through the proxy.

They belong to others, so they are not in this repository: $TACHOGRAPH_RECORDINGS names a folder with them. `*.http` is a response as it was on
the wire. `*.txt` is a body: SSE, JSON (`.json.`), JSON lines (`.ndjson.`), or the payloads of events, one a line (`.payloads.`). The name says who
wrote it; that it is no whole response, or not of the dialect that it names, some words in it say (`PARTIAL`).
"""

import json
import os
import pathlib
import re

import pytest

from harness.figures import dialects
from harness.said import plain
from harness.wire import connect

pytestmark = pytest.mark.recordings

# By the name of the file, the first that fits: the dialect, and a path that it claims.
KINDS = {
    "anthropic": ("anthropic.messages", "/v1/messages"),
    "cohere": ("cohere.chat", "/v2/chat"),
    "gemini": ("gemini.generate", "/v1beta/models/m:streamGenerateContent"),
    "responses": ("openai.responses", "/v1/responses"),
    "ollama-generate": ("ollama.generate", "/api/generate"),
    "ollama|api_chat": ("ollama.chat", "/api/chat"),
    "completion-native": ("llamacpp.completion", "/completion"),
    "sglang-generate": ("sglang.generate", "/generate"),
    "triton": ("triton.generate", "/v2/models/m/generate_stream"),
    "(?<!chat_)completions": ("openai.completions", "/v1/completions"),
    "chat|deepseek": ("openai.chat", "/v1/chat/completions"),
}
# Where each dialect states how many tokens it made; the last that is stated at each place is summed.
OUTPUT = {
    "openai.chat": ["usage.completion_tokens"],
    "openai.completions": ["usage.completion_tokens"],
    "openai.responses": ["response.usage.output_tokens"],
    "anthropic.messages": ["usage.output_tokens"],
    "cohere.chat": ["delta.usage.tokens.output_tokens"],
    "gemini.generate": ["usageMetadata.candidatesTokenCount", "usageMetadata.thoughtsTokenCount"],
    "ollama.generate": ["eval_count"],
    "ollama.chat": ["eval_count"],
    "llamacpp.completion": ["tokens_predicted"],
    "sglang.generate": ["meta_info.completion_tokens"],
    "triton.generate": [],
}
PARTIAL = re.compile("headers|excerpt|snapshot|last-event|incomplete|api_chat-ollama")
NAMED = ("anthropic.messages", "openai.responses")
DONE = ("openai.chat", "openai.completions", "cohere.chat")


def recordings() -> list[pathlib.Path]:
    folder = pathlib.Path(os.environ.get("TACHOGRAPH_RECORDINGS") or os.devnull)
    found = [path for path in sorted(folder.rglob("*")) if path.suffix in (".http", ".txt")]
    return [path for path in found if not PARTIAL.search(path.name) and kind(path)]


def kind(path: pathlib.Path) -> tuple[str, str] | None:
    return next((found for pattern, found in KINDS.items() if re.search(pattern, path.name)), None)


def response(path: pathlib.Path, dialect: str) -> bytes:
    """The response on the wire; the connection is closed behind it."""
    data = path.read_bytes()
    if path.suffix == ".http":
        return data
    if ".json." in path.name:
        return plain(data, status=b"400 Bad Request" if "error" in path.name else b"200 OK")
    if ".payloads." in path.name:
        events = []
        for line in data.splitlines():
            name = f"event: {json.loads(line)['type']}\n" if dialect in NAMED else ""
            events.append(name.encode() + b"data: " + line + b"\n\n")
        data = b"".join(events) + (b"data: [DONE]\n\n" if dialect in DONE else b"")
    lines = b"application/x-ndjson" if ".ndjson." in path.name else b"text/event-stream"
    return b"HTTP/1.1 200 OK\r\nContent-Type: " + lines + b"\r\nConnection: close\r\n\r\n" + data


def objects(body: bytes) -> list[dict]:
    """Every JSON object of a body, by whole lines; or the body as one."""
    found = []
    for line in re.split(rb"\r?\n", body):
        try:
            found.append(json.loads(re.sub(rb"^data: ?", b"", line)))
        except ValueError:
            continue
    found = [each for each in found if isinstance(each, dict)]
    return found or [json.loads(body)]


def last(said: list[dict], path: str) -> int | None:
    """What the last object that has it says at this path."""
    values = []
    for value in said:
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        values += [value] if value is not None else []
    return values[-1] if values else None


def stated(said: list[dict], dialect: str) -> int:
    """How many tokens the response says that it has; 0 where it does not say."""
    count = sum(last(said, place) or 0 for place in OUTPUT[dialect])
    reasoning = last(said, "usage.completion_tokens_details.reasoning_tokens") or 0
    # Reasoning above the completion stands outside it (xAI).
    return count + reasoning if reasoning > count else count


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name)
def test_a_recording(serve, scripted, path):
    dialect, target = kind(path)

    def replay(wire):
        wire.message()
        wire.send(response(path, dialect))

    proxy = serve(scripted(replay).url)
    body = json.dumps({"model": "m", "stream": True, "messages": []}).encode()
    client = connect(proxy.port)
    client.send(
        f"POST {target} HTTP/1.1\r\nHost: p\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode(), body
    )
    _, answer = client.response()
    record = proxy.record()
    count = stated(objects(answer.body), dialect)
    assert record["dialect"] == dialect
    if record["status"] >= 400:
        assert record["outcome"] == "upstream_status" and record["error"].startswith("server_error: ")
    else:
        assert (record["outcome"], record["error"]) == ("ok", None)
        assert (record["ttft_ms"] is not None) is (record["stream"] and "empty-content" not in path.name)
    if count:
        assert record["output_tokens"] == count and record["tokens_from"] in ("usage", "server")
    else:
        assert record["tokens_from"] != "usage"
    dialects.note("recorded", record)
