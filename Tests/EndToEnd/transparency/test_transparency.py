"""What goes in comes out: each well-formed exchange runs direct and through the proxy, and both are compared."""

import contextlib
import shutil
import subprocess

import pytest
from author import Author
from comparison import Exchange, compared, without_hops
from exchanges import BINARY, answering, big_exchanges, exchanges
from harness.figures import show
from harness.story import Teller


@pytest.fixture(scope="module", autouse=True)
def figures():
    yield
    show(
        "transparency",
        ("well-formed exchanges the same direct and through the proxy", f"{_same:,} of {_compared:,}"),
        ("their runs, whole and split", f"{_tellings:,}"),
    )


_compared = _same = _tellings = 0


@contextlib.contextmanager
def comparing(count: int):
    """Counts exchanges that are compared, and those that were the same."""
    global _compared, _same, _tellings
    _compared += count
    before = Teller.told
    yield
    _same += count
    _tellings += Teller.told - before


def by_name(found: dict[str, Exchange]):
    return pytest.mark.parametrize("exchange", found.values(), ids=found.keys())


@by_name(exchanges())
def test_an_exchange_is_the_same_direct_and_through_the_proxy(teller, exchange):
    """Whole, a byte at a time, and cut in two at every byte."""
    with comparing(1):
        teller.tell(compared(teller, exchange))


@by_name(big_exchanges())
def test_a_big_exchange_is_the_same_direct_and_through_the_proxy(teller, exchange):
    with comparing(1):
        teller.tell_each([compared(teller, exchange)])


# MARK: exchanges made up at random


@pytest.mark.parametrize("seed", range(10))
def test_exchanges_made_up_at_random_are_the_same_direct_and_through_the_proxy(teller, seed):
    """Each cut at some places on both sides; a failure names the seed, and so the exchange."""
    author, count = Author(seed), 500

    def tellings():
        for _ in range(count):
            exchange = author.exchange()
            cuts = author.cuts(len(exchange.request)), author.cuts(len(exchange.answer))
            yield compared(teller, exchange), *cuts

    with comparing(count):
        teller.tell_cut(tellings())


# MARK: real clients

CURL = {
    "a GET": [],
    "a HEAD": ["--head"],
    "a POST": ["--data-binary", "@body"],
    "a POST in chunks": ["--data-binary", "@body", "--header", "Transfer-Encoding: chunked"],
    "an upload that waits for 100": ["--upload-file", "body", "--header", "Expect: 100-continue"],
    "HTTP/1.0": ["--http1.0"],
    "compression asked for": ["--compressed"],
    "a range": ["--range", "1-2"],
    "an odd method and fields": [
        "--request",
        "PATCH",
        "--header",
        "X-Empty;",
        "--header",
        "x-odd:  b ",
        "--cookie",
        "a",
    ],
    "h2c offered": ["--http2"],
    "credentials": ["--user", "a:b"],
}


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
@pytest.mark.parametrize("options", CURL.values(), ids=CURL.keys())
def test_curl_sees_and_says_the_same_direct_and_through_the_proxy(serve, scripted, tmp_path, options):
    (tmp_path / "body").write_bytes(BINARY * 100)
    heard = []

    def script(wire):
        head = wire.head()
        if b"100-continue" in head:
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.buffer = head + wire.buffer
        message = wire.message()
        heard.append((without_hops(message.head), message.body))
        if head.startswith(b"HEAD"):
            wire.send(answering(b"200 OK", b"Content-Length: 9"))
        else:
            wire.send(answering(b"200 OK", b"X-Y: z", body=b"some body"))
        wire.ended(10)

    def fetched(url: str) -> bytes:
        # curl names the port that it asks for, which is not the same.
        always = ["--silent", "--include", "--raw", "--noproxy", "*", "--header", "Host: a", f"{url}/x?y"]
        return subprocess.run(
            ["curl", *always, *options], cwd=tmp_path, capture_output=True, timeout=20, check=True
        ).stdout

    upstream = scripted(script)
    proxy = serve(upstream.url)
    with comparing(1):
        direct, proxied = fetched(upstream.url), fetched(proxy.url)
        # An HTTP/1.0 client is told that its connection ends.
        assert proxied.replace(b"Connection: close\r\n", b"") == direct
        (start, fields), body = heard[0]
        assert heard[1] == ((start.replace(b"HTTP/1.0", b"HTTP/1.1"), fields), body)
