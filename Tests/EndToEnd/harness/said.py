"""What scripted upstreams send: OpenAI chat streams and plain answers, as bytes."""

import json

from harness.wire import LAST_CHUNK, Wire, chunk

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
DONE = b"data: [DONE]\n\n"


def chat_chunk(**fields) -> bytes:
    """One chat-completion chunk as an SSE event."""
    every = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": []}
    return b"data: " + json.dumps(every | fields).encode() + b"\n\n"


def token(text: str) -> bytes:
    return chat_chunk(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])


def finish(reason: str = "stop") -> bytes:
    return chat_chunk(choices=[{"index": 0, "delta": {}, "finish_reason": reason}])


def usage(prompt: int, completion: int) -> bytes:
    return chat_chunk(
        usage={"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    )


def plain(body: bytes = b"{}", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer with a content-length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Type: application/json", *fields, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def request(
    method: str = "POST", path: str = "/v1/chat/completions", body: bytes | None = None, *fields: bytes
) -> bytes:
    """A request; a chat that asks for a stream unless a body is given."""
    if body is None:
        body = json.dumps({"model": "asked", "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()
    lines = [b"%s %s HTTP/1.1" % (method.encode(), path.encode()), b"Host: proxied", *fields]
    if body:
        lines += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(path: str = "/anything", *fields: bytes) -> bytes:
    return request("GET", path, b"", *fields)


def answer_plainly(wire: Wire) -> None:
    """A script: answers every request of its connection with `{}`."""
    while True:
        try:
            wire.message()
        except EOFError:
            return
        wire.send(plain())


def stream_of(texts: list[str]):
    """A script: answers every chat with these tokens, a finish, a usage event and [DONE]."""

    def script(wire: Wire) -> None:
        while True:
            try:
                wire.message()
            except EOFError:
                return
            wire.send(STREAM_HEAD)
            for text in texts:
                wire.send(chunk(token(text)))
            wire.send(chunk(finish()), chunk(usage(5, len(texts))), chunk(DONE), LAST_CHUNK)

    return script
