"""That a record says what happened: keys, identity, counts and times, and never a word of content."""

import contextlib
import itertools
import json
import re
import time

import pytest

from harness.said import (
    DONE,
    STREAM_HEAD,
    answer_plainly,
    chat_chunk,
    finish,
    get,
    plain,
    request,
    stream_of,
    token,
    usage,
)
from harness.wire import LAST_CHUNK, chunk, connect

PROMPT, COMPLETION, KEY = "SECRET-PROMPT-77", "SECRET-ANSWER-88", "sk-SECRET-KEY-99"


def chat(**more) -> bytes:
    messages = [{"role": "user", "content": PROMPT}]
    return json.dumps({"model": "asked", "stream": True, "messages": messages} | more).encode()


def ask(proxy, body: bytes, *fields: bytes) -> None:
    wire = connect(proxy.port)
    wire.send(request("POST", "/v1/chat/completions", body, *fields))
    wire.head()
    wire.chunked()
    wire.close()


def test_a_chat_stream_is_recorded_whole(serve, scripted):
    proxy = serve(scripted(stream_of(["a", "bé", "c"])).url)
    ask(proxy, chat(), b"X-Request-Id: r-1", b"traceparent: 00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
    record = proxy.record()
    expected = {
        "v": 1,
        "request_id": "r-1",
        "trace_id": "0123456789abcdef0123456789abcdef",
        "method": "POST",
        "path": "/v1/chat/completions",
        "dialect": "openai.chat",
        "model": "asked",
        "response_model": "scripted",
        "stream": True,
        "status": 200,
        "outcome": "ok",
        "stage": None,
        "error": None,
        "finish_reason": "stop",
        "upstream_reused": False,
        "in_flight": 1,
        "request_bytes": len(chat()),
        "input_tokens": 5,
        "output_tokens": 3,
        "tokens_from": "usage",
        "output_chars": 4,
        "choices": 1,
        "events": 3,
        "client": "127.0.0.1",
        "timeline": None,
        "waited_ms": None,
        "server": None,
    }
    assert {key: record[key] for key in expected} == expected
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", record["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["ts"])
    times = [record[key] for key in ("ttfb_ms", "ttfe_ms", "ttft_ms", "ttlt_ms", "total_ms")]
    assert all(value is not None for value in times) and times == sorted(times)
    assert record["clock"] in ("kernel", "loop", "mixed")


def test_gaps_are_the_gaps_between_writes(serve, scripted):
    pauses = [0.05, 0.15, 0.05, 0.05]
    written = []

    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD)
        for pause in [0, *pauses]:
            time.sleep(pause)
            written.append(time.monotonic())
            wire.send(chunk(token("x")))
        wire.send(chunk(finish()), chunk(DONE), LAST_CHUNK)
        wire.ended(10)

    proxy = serve(scripted(script).url)
    ask(proxy, chat())
    record = proxy.record()
    gaps = [1000 * (later - earlier) for earlier, later in itertools.pairwise(written)]
    assert record["gaps_ms"]["max"] == pytest.approx(max(gaps), abs=5)
    assert record["tpot_ms"] == pytest.approx(sum(gaps) / len(gaps), abs=2)
    assert record["tps"] == pytest.approx(1000 / record["tpot_ms"], rel=0.01)


def test_events_in_one_write_are_counted_as_coalesced(serve, scripted):
    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD)
        time.sleep(0.05)
        wire.send(chunk(token("a") + token("b") + token("c") + finish() + usage(1, 3) + DONE) + LAST_CHUNK)
        wire.ended(10)

    proxy = serve(scripted(script).url)
    ask(proxy, chat())
    record = proxy.record()
    assert (record["events"], record["coalesced_events"], record["reads"]) == (3, 2, 1)


def test_a_single_token_has_a_ttft_and_no_tpot(serve, scripted):
    proxy = serve(scripted(stream_of(["only"])).url)
    ask(proxy, chat())
    record = proxy.record()
    assert record["ttft_ms"] is not None
    assert record["tpot_ms"] is None and record["tps"] is None


def test_a_choice_that_says_nothing_is_a_choice(serve, scripted):
    """It is then not known whose tokens the usage counts: no TPOT (Documentation.docc/Metrics.md, "Numbers of one exchange")."""
    role = {"role": "assistant", "content": ""}
    pieces = [
        {"choices": [{"index": 0, "delta": role}, {"index": 1, "delta": role}]},
        {"choices": [{"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{"index": 0, "delta": {"content": "b"}}]},
        {"choices": [{"index": index, "delta": {}, "finish_reason": "stop"} for index in (0, 1)]},
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 4}},
    ]

    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD)
        for piece in pieces:
            wire.send(chunk(b"data: %s\n\n" % json.dumps(piece).encode()))
            time.sleep(0.005)
        wire.send(chunk(DONE) + LAST_CHUNK)

    proxy = serve(scripted(script).url)
    ask(proxy, chat(n=2))
    record = proxy.record()
    assert (record["choices"], record["output_tokens"], record["tokens_from"]) == (2, 4, "usage")
    assert record["tpot_ms"] is None and record["tps"] is None and record["gaps_ms"] is not None


@pytest.mark.parametrize("streams", [True, False])
def test_an_echoed_prompt_is_no_generated_text(serve, scripted, streams):
    texts = ["Say hi to me: ", "hi", "!"]

    def answer(wire):
        wire.message()
        if not streams:
            return wire.send(plain(json.dumps({"choices": [{"index": 0, "text": "".join(texts)}]}).encode()))
        wire.send(STREAM_HEAD)
        for text in texts:
            piece = {"choices": [{"index": 0, "text": text, "finish_reason": None}]}
            wire.send(chunk(b"data: %s\n\n" % json.dumps(piece).encode()))
            time.sleep(0.005)
        wire.send(chunk(DONE) + LAST_CHUNK)

    def script(wire):
        # The second request may come on the first one's connection, which must then still be there.
        with contextlib.suppress(EOFError):
            while True:
                answer(wire)

    proxy = serve(scripted(script).url)
    for echo in (True, False):
        body = json.dumps({"model": "asked", "prompt": texts[0], "echo": echo, "stream": streams}).encode()
        wire = connect(proxy.port)
        wire.send(request("POST", "/v1/completions", body))
        wire.message()
        wire.close()
    echoed, plainly = proxy.records(2)
    assert (echoed["output_chars"], echoed["cps"]) == (None, None)
    assert plainly["output_chars"] == len("".join(texts)) and (plainly["cps"] is not None) == streams


@pytest.mark.parametrize(
    "lines, client",
    [
        (["8.8.8.8", "10.0.0.9"], "8.8.8.8"),
        (["10.1.1.1"], "10.1.1.1"),
        (["1.2.3.4, unknown"], "127.0.0.1"),
        (["1.2.3.4:567"], "1.2.3.4"),
        (["[2001:db8::1]:443, 10.0.0.9"], "2001:db8::1"),
    ],
)
def test_whom_a_trusted_proxy_speaks_for(serve, scripted, lines, client):
    proxy = serve(scripted(answer_plainly).url, "--set", "identity.trusted_proxies=127.0.0.0/8,10.0.0.0/8")
    wire = connect(proxy.port)
    wire.send(get("/", *[b"X-Forwarded-For: " + line.encode() for line in lines]))
    wire.message()
    assert proxy.record()["client"] == client


def test_hidden_reasoning_has_no_ttft(serve, scripted):
    """Role, then usage with 100 tokens nobody saw: the record must not invent a first token."""

    def script(wire):
        wire.message()
        role = chat_chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        wire.send(STREAM_HEAD, chunk(role), chunk(finish("length")), chunk(usage(5, 100)), chunk(DONE), LAST_CHUNK)
        wire.ended(10)

    proxy = serve(scripted(script).url)
    ask(proxy, chat())
    record = proxy.record()
    assert record["outcome"] == "ok"
    assert record["output_tokens"] == 100 and record["tokens_from"] == "usage"
    assert record["ttft_ms"] is None and record["ttlt_ms"] is None and record["tpot_ms"] is None


@pytest.mark.parametrize("style", ["lf", "crlf", "cr", "no-space", "bom", "comments"])
def test_event_streams_of_every_spelling(serve, scripted, style):
    spelled = token("a") + token("b") + finish() + usage(5, 2) + DONE
    spelled = {
        "lf": lambda: spelled,
        "crlf": lambda: spelled.replace(b"\n", b"\r\n"),
        "cr": lambda: spelled.replace(b"\n", b"\r"),
        "no-space": lambda: spelled.replace(b"data: ", b"data:"),
        "bom": lambda: b"\xef\xbb\xbf" + spelled,
        "comments": lambda: b": ping\n\n" + spelled.replace(b"data: {", b": ping\ndata: {"),
    }[style]()

    def script(wire):
        wire.message()
        wire.send(STREAM_HEAD, *(chunk(spelled[i : i + 1]) for i in range(len(spelled))), LAST_CHUNK)
        wire.ended(10)

    proxy = serve(scripted(script).url)
    ask(proxy, chat())
    record = proxy.record()
    assert (record["outcome"], record["events"], record["output_tokens"]) == ("ok", 2, 2)


def test_any_other_path_is_recorded_with_its_duration(serve, scripted):
    proxy = serve(scripted(answer_plainly).url)
    wire = connect(proxy.port)
    wire.send(get("/v1/models?secret=SECRET-QUERY"))
    wire.message()
    record = proxy.record()
    assert (record["path"], record["dialect"], record["outcome"]) == ("/v1/models", None, "ok")
    assert record["total_ms"] > 0
    assert "SECRET-QUERY" not in proxy.log.read_text()


@pytest.mark.parametrize(
    ("fields", "body", "user", "source"),
    [
        ((b"X-User-Id: ann", b"Authorization: Bearer k"), {"user": "bob"}, "ann", "header:x-user-id"),
        ((b"x-litellm-end-user-id: cy", b"X-User-Id: ann"), {}, "cy", "header:x-litellm-end-user-id"),
        ((b"Authorization: Bearer k",), {"user": "bob"}, "bob", "body:user"),
        ((), {}, "127.0.0.1", "client_ip"),
    ],
)
def test_who_the_user_is(serve, scripted, fields, body, user, source):
    proxy = serve(scripted(stream_of(["a"])).url)
    ask(proxy, chat(**body), *fields)
    record = proxy.record()
    assert (record["user"], record["user_from"]) == (user, source)


def test_a_key_names_its_user_by_fingerprint_only(serve, scripted):
    proxy = serve(scripted(stream_of([COMPLETION])).url)
    ask(proxy, chat(), b"Authorization: Bearer " + KEY.encode())
    ask(proxy, chat(), b"Authorization: Bearer " + KEY.encode())
    ask(proxy, chat(), b"Authorization: Bearer another")
    users = [record["user"] for record in proxy.records(3)]
    assert all(re.fullmatch(r"key_[0-9a-f]{12}", user) for user in users)
    assert users[0] == users[1] != users[2]


def test_heads_that_are_alike_are_recorded_each_with_its_own_ids_and_user(serve, scripted):
    lengths = []

    def echo(wire):
        while True:
            try:
                message = wire.message()
            except EOFError:
                return
            lengths.append(len(message.body))
            number = message.body.decode().strip()
            wire.send(plain(message.body, b"Date: day %s" % number.encode(), b"X-Long: " + b"x" * int(number)))

    upstream = scripted(echo)
    proxy = serve(upstream.url)
    wire = connect(proxy.port)
    asked = []
    for number in range(40):
        # Three users in turn, ids of growing length, lengths of one and two digits, now and then a field more.
        trace = "%032x" % (number + 1)
        fields = [
            b"X-User-Id: user-%d" % (number % 3),
            b"X-Request-Id: " + b"r" * number + b"-%d" % number,
            b"traceparent: 00-%s-0123456789abcdef-01" % trace.encode(),
        ]
        if number % 7 == 6:
            fields.append(b"X-Other: %d" % number)
        body = b"%d" % number + b" " * (number % 13)
        wire.send(request("POST", "/echo", body, *fields))
        answer = wire.message()
        assert answer.body == body
        assert b"Date: day %d" % number in answer.lines
        assert number == 0 or b"X-Long: " + b"x" * number in answer.lines
        asked.append((f"user-{number % 3}", "r" * number + f"-{number}", trace, len(body)))
    names = ("user", "request_id", "trace_id", "request_bytes")
    assert [tuple(record[name] for name in names) for record in proxy.records(40)] == asked
    assert lengths == [entry[3] for entry in asked]
    heads = upstream.wires[0].seen
    for user, request_id, trace, length in asked:
        assert f"X-User-Id: {user}\r\nX-Request-Id: {request_id}\r\ntraceparent: 00-{trace}-".encode() in heads


@pytest.mark.parametrize(
    "left", ["hunter2 is my /password\r\n\r\n", "GET /my hunter2 plan\r\n\r\n", "hunter2 /x HTTP/1.1\r\n\r\n"]
)
def test_what_a_body_has_beyond_its_length_is_refused_and_not_kept(serve, scripted, left):
    """The rest of a prompt stands where a request line is expected: no word of it may get into a record."""
    proxy = serve(scripted(answer_plainly).url)
    wire = connect(proxy.port)
    wire.send(get("/v1/models"), left.encode())
    wire.rest()
    refused = proxy.records(2)[1]
    assert (refused["outcome"], refused["path"]) == ("rejected", None)
    assert "hunter2" not in proxy.log.read_text() + proxy.child.output


def test_answers_whose_heads_are_alike_are_each_read_as_their_own_head_says(serve, scripted):
    events = b'data: {"choices":[{"index":0,"delta":{"content":"four"}}]}\n\ndata: [DONE]\n\n'
    whole = b'{"choices":[{"index":0,"message":{"content":"five!"}}]}'
    answers = [
        (b"text/event-stream", b"identity", events, (True, 4, None)),
        (b"application/json", b"identity", whole, (False, 5, None)),
        (b"text/event-stream", b"gzip", events, (True, None, "decoding_stopped: content-encoding gzip: damaged")),
        (b"image/png", b"identity", b"\x89PNG", (None, None, "decoding_stopped: neither JSON nor an event stream")),
    ] * 5
    turn = iter(answers)

    def answer(wire):
        for kind, coding, body, _ in turn:
            wire.message()
            fields = b"Content-Type: %s\r\nContent-Encoding: %s\r\nContent-Length: %d" % (kind, coding, len(body))
            wire.send(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n" + body)

    proxy = serve(scripted(answer).url)
    wire = connect(proxy.port)
    for _, _, body, _ in answers:
        wire.send(request())
        assert wire.message().body == body
    told = [(record["stream"], record.get("output_chars"), record.get("error")) for record in proxy.records(20)]
    assert told == [said for *_, said in answers]


def test_no_word_of_content_or_credential_is_kept(serve, scripted):
    proxy = serve(scripted(stream_of([COMPLETION])).url)
    ask(proxy, chat(), b"Authorization: Bearer " + KEY.encode(), b"Cookie: SECRET-COOKIE", b"X-Other: SECRET-HEADER")
    proxy.record()
    proxy.stop()
    everything = proxy.child.output + "".join(
        path.read_text(errors="replace") for path in proxy.log.parent.rglob("*") if path.is_file()
    )
    for secret in (PROMPT, COMPLETION, KEY, "SECRET-COOKIE", "SECRET-HEADER"):
        assert secret not in everything
    for path in proxy.log.parent.rglob("*"):
        assert path.name == "records.jsonl" or path.stat().st_mode & 0o077 == 0, f"{path.name} can be read by others"


def test_the_timeline_is_there_when_asked_for(serve, scripted):
    proxy = serve(scripted(stream_of(["a", "b", "c"])).url, "--set", "records.timeline=true")
    ask(proxy, chat())
    timeline = proxy.record()["timeline"]
    assert len(timeline) == 3
    offsets = [offset for offset, _ in timeline]
    assert offsets == sorted(offsets) and offsets[0] > 0


def test_a_body_that_is_not_a_stream_is_decoded_at_its_end(serve, scripted):
    answer = json.dumps(
        {
            "id": "x",
            "object": "chat.completion",
            "model": "scripted",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": COMPLETION}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16},
        }
    ).encode()

    def script(wire):
        wire.message()
        wire.send(plain(answer))
        wire.ended(10)

    proxy = serve(scripted(script).url)
    wire = connect(proxy.port)
    wire.send(request("POST", "/v1/chat/completions", chat(stream=False)))
    assert wire.message().body == answer
    record = proxy.record()
    assert (record["stream"], record["input_tokens"], record["output_tokens"]) == (False, 7, 9)
    assert record["finish_reason"] == "stop" and record["response_model"] == "scripted"
    assert record["ttft_ms"] is None and record["tpot_ms"] is None and record["gaps_ms"] is None
