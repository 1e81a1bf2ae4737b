"""The event streams of the part `shapes`: 400 events each, no two alike in what a cache could not know.

Ours are made here. Recorded ones (`--captures DIR`: raw HTTP responses) are stretched to 400 events.
"""

import json
import pathlib
import random

EVENTS = 400
CHAT = "/v1/chat/completions"
CHAT_BODY = '{"model":"simulated","stream":true,"messages":[]}'
WORDS = "the quick brown fox jumps over a lazy dog while every model writes on and on about nothing at all".split()


class Shape:
    """One stream: where it is asked for, and what is answered."""

    def __init__(self, name, events, path=CHAT, body=CHAT_BODY, media_type="text/event-stream"):
        self.name, self.events, self.path, self.body, self.media_type = name, events, path, body, media_type

    def json(self):
        return json.dumps({"path": self.path, "type": self.media_type, "body": self.body, "events": self.events})

    def bytes_per_event(self):
        return round(sum(len(event.encode()) for event in self.events) / len(self.events))


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def word(random_source):
    return " " + random_source.choice(WORDS)


def chunk(choice, **more):
    return {
        "id": "chatcmpl-8f0d3b1c6a", "object": "chat.completion.chunk", "created": 1790000000, "model": "llama-3.1-8b",
        "choices": [{"index": 0, "logprobs": None, "finish_reason": None} | choice], **more,
    }


def server_sent(values, name=None):
    line = f"event: {name}\n" if name else ""
    return [f"{line}data: {compact(value)}\n\n" for value in values] + ["data: [DONE]\n\n"]


def chat(make, name=None):
    """A chat stream whose events `make` builds from a random source and the event's number."""
    source = random.Random(7)
    return server_sent((make(source, number) for number in range(EVENTS)), name)


def logprob(source, alternatives):
    def entry():
        text = word(source)
        return {"token": text, "logprob": -source.random() * 9, "bytes": list(text.encode())}

    return entry() | {"top_logprobs": [{"token": e["token"], "logprob": e["logprob"]} for e in
                                       (entry() for _ in range(alternatives))]}


def tool_call(source, number):
    arguments = compact({"city": source.choice(WORDS), "n": number})[:12]
    return chunk({"delta": {"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}})


def ollama():
    source = random.Random(7)
    events = [
        compact({
            "model": "qwen3:8b", "created_at": f"2026-11-20T10:{number // 60 % 60:02}:{number % 60:02}.{number:06}Z",
            "message": {"role": "assistant", "content": word(source)}, "done": False}) + "\n"
        for number in range(EVENTS)]
    last = {"model": "qwen3:8b", "created_at": "2026-11-20T10:09:00.1Z", "message": {"role": "assistant", "content": ""},
            "done": True, "done_reason": "stop", "eval_count": EVENTS, "prompt_eval_count": 9}
    return Shape(
        "Ollama's chat, NDJSON", events + [compact(last) + "\n"], "/api/chat", '{"model":"qwen3:8b","messages":[]}',
        "application/x-ndjson")


def made():
    """Our own shapes; the first ones are those that once cost more than nginx."""
    return [
        Shape("`token_ids` on each choice", chat(lambda s, n: chunk(
            {"delta": {"content": word(s)}, "token_ids": [s.randrange(128000)]}))),
        Shape("five `top_logprobs`", chat(lambda s, n: chunk(
            {"delta": {"content": word(s)}, "logprobs": {"content": [logprob(s, 5)]}}))),
        Shape("an unknown whole number that grows", chat(lambda s, n: chunk(
            {"delta": {"content": word(s)}}, x_sequence=n * 3 + 1))),
        Shape("unknown floats in a nested object", chat(lambda s, n: chunk(
            {"delta": {"content": word(s)}}, x_timing={"queue": s.random(), "step": {"gpu": s.random(), "host": s.random()}}))),
        Shape("`content` and `reasoning_content`", chat(lambda s, n: chunk(
            {"delta": {"content": word(s), "reasoning_content": word(s) + word(s)}}))),
        Shape("named events", chat(lambda s, n: chunk(
            {"delta": {"content": word(s)}}, x_sequence=n), name="message")),
        Shape("usage on every event", chat(lambda s, n: chunk(
            {"delta": {"content": word(s)}},
            usage={"prompt_tokens": 33, "completion_tokens": n + 1, "total_tokens": n + 34}))),
        Shape("a text of escapes, and an emoji", chat(lambda s, n: chunk(
            {"delta": {"content": f"\"{word(s)}\"\n\t\\ {s.choice('😀é漢字')}{n}"}}))),
        Shape("a tool call's arguments", chat(tool_call)),
        Shape("an unknown list of strings", chat(lambda s, n: chunk(
            {"delta": {"content": word(s)}}, x_labels=[word(s) for _ in range(6)]))),
        Shape("content only", chat(lambda s, n: chunk({"delta": {"content": word(s)}}))),
        ollama(),
    ]


# MARK: Recorded streams


def unchunked(body):
    """A chunked body's bytes."""
    whole = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        count = int(size.split(b";")[0], 16)
        if count == 0:
            return whole
        whole += body[:count]
        body = body[count + 2:]


def recorded(folder):
    """The streams of a folder of raw HTTP responses; what is no stream of a dialect that is measured is left out."""
    shapes = []
    for file in sorted(pathlib.Path(folder).glob("*-stream*.http")):
        if path := path_of(file.name):
            shapes.append(stretched(file, path))
    return shapes


def path_of(name):
    for part, path in (
        ("chat_completions", CHAT), ("completions", "/v1/completions"), ("api_chat", "/api/chat"),
    ):
        if part in name:
            return path
    return None


def stretched(file, path):
    """The stream in `file`, with the events of its middle repeated until there are 400."""
    head, _, body = file.read_bytes().partition(b"\r\n\r\n")
    text = (unchunked(body) if b"chunked" in head.lower() else body).decode(errors="replace")
    is_lines = b"ndjson" in head.lower()
    text = text.replace("\r\n", "\n")
    events = [line + "\n" for line in text.split("\n") if line] if is_lines else [
        event + "\n\n" for event in text.split("\n\n") if event]
    middle = events[2:-4] or events
    missing = max(0, EVENTS - len(events))
    more = [middle[number % len(middle)] for number in range(missing)]
    media_type = "application/x-ndjson" if is_lines else "text/event-stream"
    return Shape(
        file.stem, events[:2] + middle + more + events[-4:], path, CHAT_BODY, media_type)
