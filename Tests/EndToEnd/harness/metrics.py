"""The admin listener's pages: fetched, and Prometheus' text taken apart."""

import http.client
import re

SAMPLE = re.compile(r'^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def fetch(port: int, path: str, method: str = "GET") -> tuple[int, str, dict[str, str]]:
    """Status, body and fields of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


class Metrics:
    """One page of metrics."""

    def __init__(self, text: str):
        self.text = text
        self.samples: list[tuple[str, dict[str, str], float]] = []
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            found = SAMPLE.match(line)
            assert found, f"not a sample: {line}"
            labels = {
                name: re.sub(r'\\[\\"n]', lambda escape: UNESCAPED[escape[0]], value)
                for name, value in LABEL.findall(found["labels"] or "")
            }
            self.samples.append((found["name"], labels, float(found["value"])))

    def all(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Every sample of that name that has these labels."""
        return [
            (has, value)
            for sample, has, value in self.samples
            if sample == name and all(has.get(label) == wanted for label, wanted in labels.items())
        ]

    def sum(self, name: str, **labels: str) -> float:
        found = self.all(name, **labels)
        assert found, f"no {name} with {labels}"
        return sum(value for _, value in found)

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        """Cumulative counts by upper bound, of one histogram or the sum of several."""
        counts: dict[float, float] = {}
        for has, value in self.all(f"{name}_bucket", **labels):
            bound = float(has["le"].replace("+Inf", "inf"))
            counts[bound] = counts.get(bound, 0) + value
        assert counts, f"no {name} with {labels}"
        return counts


def scrape(port: int) -> Metrics:
    status, text, fields = fetch(port, "/metrics")
    assert status == 200 and fields["content-type"].startswith("text/plain; version=0.0.4"), fields
    return Metrics(text)
