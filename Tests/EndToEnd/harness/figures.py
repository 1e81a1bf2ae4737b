"""Writes the figures of a suite into a JSON file, for scripts/figures.py."""

import collections
import json
import os
import pathlib
import re


def show(suite: str, *rows: tuple[str, str]) -> None:
    """Writes the figures of a suite into the folder $TACHOGRAPH_FIGURES; nowhere if that is not set."""
    if folder := os.environ.get("TACHOGRAPH_FIGURES"):
        pathlib.Path(folder, f"{suite}.json").write_text(json.dumps({"suite": suite, "rows": rows}) + "\n")


class Cases:
    """The numbered cases of HTTP, and what became of the tests that carry their numbers (`test_case_07_…`)."""

    COUNT = 60

    def __init__(self):
        # How many exchanges were told for them, one for each split.
        self.tellings = 0
        self._outcomes: dict[int, list[bool]] = collections.defaultdict(list)

    @staticmethod
    def _number(test: str) -> int | None:
        found = re.match(r"test_case_(\d+)_", test)
        return int(found[1]) if found else None

    def note(self, test: str, passed: bool) -> None:
        """A test has ended."""
        if number := self._number(test):
            self._outcomes[number].append(passed)

    def note_tellings(self, test: str, count: int) -> None:
        """A test has told stories, so many times over."""
        if self._number(test):
            self.tellings += count

    @property
    def were_asked_for(self) -> bool:
        return bool(self._outcomes)

    @property
    def held(self) -> str:
        """How many of them held: those of which every test has passed."""
        return f"{sum(map(all, self._outcomes.values()))} of {self.COUNT}"

    def show(self) -> None:
        show(
            "cases",
            ("cases of HTTPCases.md held, whole and split at every byte", self.held),
            ("exchanges told for them, one for each split", f"{self.tellings:,}"),
        )


class Dialects:
    """What the records of real servers have shown of each dialect; scripts/dialects makes the README's table of it."""

    def __init__(self):
        self._shown: dict[str, dict[str, set[str]]] = collections.defaultdict(lambda: collections.defaultdict(set))

    def note(self, server: str, record: dict) -> None:
        """A test has held this record to what that server says."""
        has_error = (record["error"] or "").startswith("server_error")
        self._shown[server][record["dialect"]] |= {
            column
            for column, is_shown in {
                "first token": record["ttft_ms"] is not None,
                "counts": record["output_tokens"] is not None and record["tokens_from"] != "events",
                "error": has_error,
                "terminator": record["stream"] and record["outcome"] == "ok",
                "server timings": record["server"] is not None,
            }.items()
            if is_shown
        }

    def show(self) -> None:
        for server, shown in self._shown.items():
            show(f"dialects-{server}", *((dialect, ", ".join(sorted(columns))) for dialect, columns in sorted(shown.items())))


cases = Cases()
dialects = Dialects()
