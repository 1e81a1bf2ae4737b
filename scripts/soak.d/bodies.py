"""What reading the bodies of requests costs the proxy, beyond forwarding them."""

import base64
import gzip
import json
import random
import zlib

from ground import Ground, Sizes
from heads import Sender, cpu_seconds
from harness.process import eventually
from harness.said import answer_plainly, request
from harness.tachograph import read_records
from harness.wire import ScriptedUpstream

SIZE = 1 << 20
BODIES = 4


def conversation() -> bytes:
    """A chat of 1 MiB in many messages of words, with quotes and line breaks."""
    chooser = random.Random(7)
    words = ["the", "of", "quick", 'a "quoted" one', "line\nbreak", "naïve", "tokens", "latency", "{brace}", "\\"]
    messages, size = [], 0
    while size < SIZE:
        text = " ".join(chooser.choices(words, k=200))
        messages.append({"role": "user", "content": text})
        size += len(text) + 40
    return json.dumps({"messages": messages, "model": "m", "user": "u"}, ensure_ascii=False).encode()


def image() -> bytes:
    """A chat with an image of 1 MiB."""
    data = random.Random(7).randbytes(SIZE * 3 // 4)
    content = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(data).decode()}}]
    return json.dumps({"messages": [{"role": "user", "content": content}], "model": "m"}).encode()


def filled(unit: bytes, before: bytes = b"", behind: bytes = b"") -> bytes:
    """`unit` again and again, to the usual size."""
    return before + unit * ((SIZE - len(before) - len(behind)) // len(unit)) + behind


# What somebody could send to make reading dear.
HOSTILE = {
    "closing braces in 4,000 arrays": filled(b"}", b"[" * 4000),
    "closing brackets in 4,000 objects": filled(b"]", b'{"a":' * 4000),
    "brackets that do not match": filled(b"[}", b"[" * 4000),
    "opening brackets": filled(b"["),
    "nested objects": filled(b'{"a":'),
    "members": filled(b'"a":1,', b"{", b'"a":1}'),
    "members that are looked for": filled(b'"model":"m",', b"{", b'"a":1}'),
    "names with escapes": filled(b'"\\u0061":1,', b"{", b'"a":1}'),
    "long values with escapes": filled(b'"user":"' + b"\\u00e9" * 300 + b'",', b"{", b'"a":1}'),
    "lists that are looked for": filled(b'"prompt":[1,2],', b"{", b'"a":1}'),
    "a list of strings": filled(b'"",', b'{"prompt":[', b'""]}'),
    "metadata": filled(b'"metadata":{"user_id":"u"},', b"{", b'"a":1}'),
    "commas": filled(b",", b"{"),
    "colons": filled(b":", b"{"),
    "quotes": filled(b'""', b"{"),
    "stray words": filled(b'a"b" ', b"{"),
    "an object that ends again and again": filled(b"},", b"{"),
    "backslashes": filled(b"\\\\", b'{"a":"', b'"}'),
}
LIMIT = 100


def reading(ground: Ground, sizes: Sizes) -> None:
    upstream = ScriptedUpstream(answer_plainly)
    ground.callback(upstream.close)
    proxy = ground.serve(upstream.url)
    sender = Sender(proxy.port)
    sent = 0

    def cost(method: str, body: bytes, *fields: bytes) -> float:
        """CPU seconds of one request: the least of several rounds. Only of a POST is the body read."""
        nonlocal sent
        whole = request(method, "/v1/chat/completions", body, *fields)
        least = float("inf")
        for _ in range(3):
            before = cpu_seconds(proxy)
            for _ in range(BODIES):
                sender.send(whole, 1)
            # What is compressed is read later, and its record comes then.
            sent += BODIES
            eventually(lambda: len(read_records(proxy.log)) >= sent, timeout=60)
            least = min(least, (cpu_seconds(proxy) - before) / BODIES)
        return least

    dear = {what: (cost("POST", body) - cost("PUT", body)) / len(body) * 1e9 for what, body in HOSTILE.items()}
    dearest = max(dear, key=dear.get)
    ground.row(
        f"CPU to read the dearest body, of {len(dear)} kinds of {SIZE >> 10} KiB",
        f"{dear[dearest] * 1000:,.0f} ns/KB: {dearest}",
    )
    ground.check(dear[dearest] < LIMIT, f"reading {dearest} takes {dear[dearest]:.0f} ns a byte")
    for what, body in (("a chat of many messages", conversation()), ("a chat with an image", image())):
        for coding, packed in (("plain", body), ("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
            fields = () if coding == "plain" else (b"Content-Encoding: " + coding.encode(),)
            forwarded = cost("PUT", packed, *fields)
            read = cost("POST", packed, *fields)
            per_kilobyte = (read - forwarded) / len(body) * 1e9 * 1000
            ground.row(
                f"CPU to read {what}, {coding}, beyond {forwarded / len(packed) * 1e12:.0f} ns/KB to forward it",
                f"{per_kilobyte:.0f} ns/KB",
            )
            ground.check(per_kilobyte < 20_000, f"reading {what}, {coding}, takes {per_kilobyte:.0f} ns/KB")
    sender.close()
    unread = [record["error"] for record in read_records(proxy.log) if str(record["error"]).startswith("request_read")]
    ground.check(not unread, f"{len(unread)} requests were not read: {unread[:3]}")
    proxy.stop()
