"""A scripted server that speaks the dialects of the real clients, as the services of those clients write them.

The name of the model says what it does: `tale` tells `WORDS` and ends, `tools` calls a tool, `endless` tells `WORDS` and then waits
until the client has gone, `failing` tells two of them and then reports an error.
"""

import json
import re

from harness.said import STREAM_HEAD, plain
from harness.wire import LAST_CHUNK, Wire, chunk

WORDS = ["Once", " upon", " a", " time", "."]
TEXT = "".join(WORDS)
# The counts differ from the number of events: who reads them right has not counted events.
INPUT, OUTPUT = 11, 9
TOOL, ARGUMENTS = "look", {"far": True}
# The arguments as a stream brings them.
PIECES = ['{"far"', ": true}"]
JSON = b"application/json"


def event(data: dict, name: str | None = None) -> bytes:
    """One SSE event."""
    line = f"event: {name}\n" if name else ""
    return f"{line}data: {json.dumps(data)}\n\n".encode()


class OpenAIChat:
    """OpenAI's chat: usage in an event of its own, behind the finish."""

    identity = "chatcmpl-7"
    usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
    call = {"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": json.dumps(ARGUMENTS)}}

    def __init__(self, model: str):
        self.model = model

    def every(self, kind: str, choices: list, **more) -> dict:
        return {"id": self.identity, "object": kind, "created": 1, "model": self.model, "choices": choices, **more}

    def delta(self, delta: dict, reason: str | None = None, **more) -> bytes:
        return event(
            self.every("chat.completion.chunk", [{"index": 0, "delta": delta, "finish_reason": reason}], **more)
        )

    def opening(self) -> list[bytes]:
        return [self.delta({"role": "assistant", "content": ""})]

    def token(self, text: str) -> list[bytes]:
        return [self.delta({"content": text})]

    def tool(self) -> list[bytes]:
        head = self.call | {"index": 0, "function": {"name": TOOL, "arguments": ""}}
        pieces = [{"index": 0, "function": {"arguments": piece}} for piece in PIECES]
        return [self.delta({"tool_calls": [call]}) for call in [head, *pieces]]

    def closing(self, tools: bool) -> list[bytes]:
        usage = event(self.every("chat.completion.chunk", [], usage=self.usage))
        return [self.delta({}, "tool_calls" if tools else "stop"), usage, b"data: [DONE]\n\n"]

    def failure(self) -> list[bytes]:
        return [
            event({"error": {"message": "too much", "type": "server_error", "code": "overloaded"}}),
            b"data: [DONE]\n\n",
        ]

    def whole(self, tools: bool) -> dict:
        said = {"content": None, "tool_calls": [self.call]} if tools else {"content": TEXT}
        choice = {
            "index": 0,
            "message": {"role": "assistant", **said},
            "finish_reason": "tool_calls" if tools else "stop",
        }
        return self.every("chat.completion", [choice], usage=self.usage)


class MistralChat(OpenAIChat):
    """Mistral's: a bare id, a tool call in one event, and the usage beside the finish."""

    identity = "0f3e"

    def tool(self) -> list[bytes]:
        return [self.delta({"tool_calls": [self.call | {"index": 0}]})]

    def closing(self, tools: bool) -> list[bytes]:
        return [
            self.delta({"content": ""}, "tool_calls" if tools else "stop", usage=self.usage),
            b"data: [DONE]\n\n",
        ]


class Responses:
    """OpenAI's Responses: named events, the last of which has the whole response."""

    identity = "resp_7"
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    call = {"id": "fc_1", "call_id": "call_1", "type": "function_call", "name": TOOL, "status": "completed"}

    def __init__(self, model: str):
        self.model = model
        self.number = -1

    def said(self, kind: str, **more) -> bytes:
        self.number += 1
        return event({"type": kind, "sequence_number": self.number, **more}, kind)

    def response(self, status: str, **more) -> dict:
        every = {"id": self.identity, "object": "response", "created_at": 1, "model": self.model, "status": status}
        every |= {"error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "output": []}
        every |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": None}
        return every | more

    def opening(self) -> list[bytes]:
        return [self.said(f"response.{status}", response=self.response("in_progress")) for status in ("created", "in_progress")]

    def token(self, text: str) -> list[bytes]:
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        return [self.said("response.output_text.delta", delta=text, logprobs=[], **place)]

    def tool(self) -> list[bytes]:
        item = self.call | {"arguments": "", "status": "in_progress"}
        place = {"item_id": "fc_1", "output_index": 0}
        pieces = [self.said("response.function_call_arguments.delta", delta=piece, **place) for piece in PIECES]
        return [self.said("response.output_item.added", output_index=0, item=item), *pieces]

    def closing(self, tools: bool) -> list[bytes]:
        return [self.said("response.completed", response=self.whole(tools))]

    def failure(self) -> list[bytes]:
        return [self.said("error", code="overloaded", message="too much", param=None)]

    def whole(self, tools: bool) -> dict:
        text = self.message | {"content": [{"type": "output_text", "text": TEXT, "annotations": []}]}
        item = self.call | {"arguments": json.dumps(ARGUMENTS)} if tools else text
        usage = {"input_tokens": INPUT, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": OUTPUT}
        usage |= {"output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": INPUT + OUTPUT}
        return self.response("completed", output=[item], usage=usage)


class Messages:
    """Anthropic's: blocks, the counts in `message_delta`, pings."""

    identity = "msg_7"

    def __init__(self, model: str):
        self.model = model

    def said(self, kind: str, **more) -> bytes:
        return event({"type": kind, **more}, kind)

    def message(self, content: list, reason: str | None, output: int) -> dict:
        usage = {"input_tokens": INPUT, "output_tokens": output}
        every = {"id": self.identity, "type": "message", "role": "assistant", "model": self.model, "content": content}
        return every | {"stop_reason": reason, "stop_sequence": None, "usage": usage}

    def opening(self) -> list[bytes]:
        starts = {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": {}}
        block = starts if self.model == "tools" else {"type": "text", "text": ""}
        return [
            self.said("message_start", message=self.message([], None, 1)),
            self.said("content_block_start", index=0, content_block=block),
            self.said("ping"),
        ]

    def delta(self, **delta) -> bytes:
        return self.said("content_block_delta", index=0, delta=delta)

    def token(self, text: str) -> list[bytes]:
        return [self.delta(type="text_delta", text=text)]

    def tool(self) -> list[bytes]:
        return [self.delta(type="input_json_delta", partial_json=piece) for piece in PIECES]

    def closing(self, tools: bool) -> list[bytes]:
        reason = {"stop_reason": "tool_use" if tools else "end_turn", "stop_sequence": None}
        return [
            self.said("content_block_stop", index=0),
            self.said("message_delta", delta=reason, usage={"output_tokens": OUTPUT}),
            self.said("message_stop"),
        ]

    def failure(self) -> list[bytes]:
        return [self.said("error", error={"type": "overloaded_error", "message": "too much"})]

    def whole(self, tools: bool) -> dict:
        call = {"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": ARGUMENTS}
        block = call if tools else {"type": "text", "text": TEXT}
        return self.message([block], "tool_use" if tools else "end_turn", OUTPUT)


class Gemini:
    """Google's: lines end in CRLF, every event has the counts so far, nothing says that it is the last."""

    identity = "g7"

    def __init__(self, model: str):
        self.model = model
        self.told = 0

    def said(self, parts: list, count: int, reason: str | None = None) -> dict:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
        usage = {"promptTokenCount": INPUT, "candidatesTokenCount": count, "totalTokenCount": INPUT + count}
        return {
            "candidates": [candidate | ({"finishReason": reason} if reason else {})],
            "usageMetadata": usage,
            "modelVersion": self.model,
            "responseId": self.identity,
        }

    def line(self, data: dict) -> bytes:
        return b"data: " + json.dumps(data).encode() + b"\r\n\r\n"

    def opening(self) -> list[bytes]:
        return []

    def token(self, text: str) -> list[bytes]:
        self.told += 1
        return [self.line(self.said([{"text": text}], self.told))]

    def tool(self) -> list[bytes]:
        return [self.line(self.said([{"functionCall": {"name": TOOL, "args": ARGUMENTS}}], 5))]

    def closing(self, tools: bool) -> list[bytes]:
        return [self.line(self.said([{"text": ""}], OUTPUT, "STOP"))]

    def failure(self) -> list[bytes]:
        return [self.line({"error": {"code": 503, "message": "too much", "status": "UNAVAILABLE"}})]

    def whole(self, tools: bool) -> dict:
        part = {"functionCall": {"name": TOOL, "args": ARGUMENTS}} if tools else {"text": TEXT}
        return self.said([part], OUTPUT, "STOP")


class Cohere:
    """Cohere's: types of events, the counts in the last."""

    identity = "c7"
    usage = {
        "billed_units": {"input_tokens": 2, "output_tokens": 3},
        "tokens": {"input_tokens": INPUT, "output_tokens": OUTPUT},
    }

    def __init__(self, model: str):
        self.model = model

    def said(self, kind: str, message: dict | None = None, **more) -> bytes:
        delta = {"delta": {"message": message}} if message is not None else {}
        return event({"type": kind, **delta, **more}, kind)

    def opening(self) -> list[bytes]:
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        start = self.said("message-start", message, id=self.identity)
        text = {"content": {"type": "text", "text": ""}}
        return [start] if self.model == "tools" else [start, self.said("content-start", text, index=0)]

    def token(self, text: str) -> list[bytes]:
        return [self.said("content-delta", {"content": {"text": text}}, index=0)]

    def tool(self) -> list[bytes]:
        head = {"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": ""}}
        pieces = [{"tool_calls": {"function": {"arguments": piece}}} for piece in PIECES]
        return [
            self.said("tool-call-start", {"tool_calls": head}, index=0),
            *(self.said("tool-call-delta", piece, index=0) for piece in pieces),
            self.said("tool-call-end", index=0),
        ]

    def closing(self, tools: bool) -> list[bytes]:
        delta = {"finish_reason": "TOOL_CALL" if tools else "COMPLETE", "usage": self.usage}
        return [self.said("message-end", delta=delta), b"data: [DONE]\n\n"]

    def failure(self) -> list[bytes]:
        return [self.said("message-end", delta={"finish_reason": "ERROR", "error": "too much"}), b"data: [DONE]\n\n"]

    def whole(self, tools: bool) -> dict:
        function = {"name": TOOL, "arguments": json.dumps(ARGUMENTS)}
        call = {"tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
        said = call if tools else {"content": [{"type": "text", "text": TEXT}]}
        return {
            "id": self.identity,
            "finish_reason": "TOOL_CALL" if tools else "COMPLETE",
            "message": {"role": "assistant", **said},
            "usage": self.usage,
        }


class Ollama:
    """Ollama's chat: JSON lines, the last of which has counts and times."""

    durations = {"total_duration": 700_000_000, "load_duration": 20_000_000, "prompt_eval_count": INPUT}
    durations |= {"prompt_eval_duration": 80_000_000, "eval_count": OUTPUT, "eval_duration": 600_000_000}
    call = {"function": {"name": TOOL, "arguments": ARGUMENTS}}

    def __init__(self, model: str):
        self.model = model

    def said(self, text: str, done: bool = False, **more) -> dict:
        message = {"role": "assistant", "content": text}
        message |= {"tool_calls": more.pop("calls")} if "calls" in more else {}
        return {"model": self.model, "created_at": "2026-01-01T00:00:00Z", "message": message, "done": done, **more}

    def line(self, data: dict) -> bytes:
        return json.dumps(data).encode() + b"\n"

    def opening(self) -> list[bytes]:
        return []

    def token(self, text: str) -> list[bytes]:
        return [self.line(self.said(text))]

    def tool(self) -> list[bytes]:
        return [self.line(self.said("", calls=[self.call]))]

    def closing(self, tools: bool) -> list[bytes]:
        return [self.line(self.said("", True, done_reason="stop", **self.durations))]

    def failure(self) -> list[bytes]:
        return [self.line({"error": "too much"})]

    def whole(self, tools: bool) -> dict:
        more = {"calls": [self.call]} if tools else {}
        return self.said("" if tools else TEXT, True, done_reason="stop", **self.durations, **more)


class OllamaGenerate(Ollama):
    """Ollama's generate."""

    def said(self, text: str, done: bool = False, **more) -> dict:
        return {"model": self.model, "created_at": "2026-01-01T00:00:00Z", "response": text, "done": done, **more}


# By the end of the path; the first that fits.
SPEAKERS = {
    rb"/mistral/v1/chat/completions": MistralChat,
    rb"/chat/completions": OpenAIChat,
    rb"/responses": Responses,
    rb"/messages": Messages,
    rb":(stream)?[gG]enerateContent": Gemini,
    rb"/v2/chat": Cohere,
    rb"/api/chat": Ollama,
    rb"/api/generate": OllamaGenerate,
}


def is_streamed(path: bytes, asked: dict) -> bool:
    """Whether the client wants a stream: by the path (Gemini), by default (Ollama), or since it says so."""
    return b":streamGenerateContent" in path or asked.get("stream", b"/api/" in path)


def answer(wire: Wire) -> None:
    """A script: answers every request of its connection in the dialect of the request's path."""
    while True:
        try:
            message = wire.message()
        except (EOFError, ConnectionResetError):
            return
        path = message.start.split()[1].partition(b"?")[0]
        asked = json.loads(message.body)
        kind = next(speaker for end, speaker in SPEAKERS.items() if re.search(end + rb"$", path))
        in_path = re.search(rb"/models/([^:]+):", path)
        speaker = kind(asked.get("model") or in_path[1].decode())
        if not is_streamed(path, asked):
            wire.send(plain(json.dumps(speaker.whole(speaker.model == "tools")).encode()))
            continue
        lines = b"application/x-ndjson" if isinstance(speaker, Ollama) else b"text/event-stream"
        wire.send(STREAM_HEAD.replace(b"text/event-stream", lines))
        for part in speaker.opening():
            wire.send(chunk(part))
        if not tell(speaker, wire):
            return


def tell(speaker, wire: Wire) -> bool:
    """Sends what the model of this name says, to the end; False where the client has gone meanwhile."""
    words = WORDS[:2] if speaker.model == "failing" else WORDS
    told = speaker.tool() if speaker.model == "tools" else [part for word in words for part in speaker.token(word)]
    for part in told:
        wire.send(chunk(part))
    if speaker.model == "endless":
        wire.ended(60)
        return False
    ends = speaker.failure() if speaker.model == "failing" else speaker.closing(speaker.model == "tools")
    try:
        for part in ends:
            wire.send(chunk(part))
        wire.send(LAST_CHUNK)
    except (BrokenPipeError, ConnectionResetError):
        # Some clients close at an error in the stream.
        assert speaker.model == "failing"
        return False
    return True
