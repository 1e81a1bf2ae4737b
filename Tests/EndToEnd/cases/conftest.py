"""Fixtures and figures of the numbered cases: one proxy for each choice of settings, and how many cases held."""

import collections
import json
import os
import pathlib
import re

import pytest
from harness.story import Tally, Teller

CASES = 60


@pytest.fixture(scope="session")
def teller_with(tmp_path_factory):
    """A teller whose proxy runs with these arguments; shared by all who ask for the same."""
    tellers: dict[tuple[str, ...], Teller] = {}

    def find(*arguments: str) -> Teller:
        if arguments in tellers and tellers[arguments].is_spoiled:
            tellers.pop(arguments).close()
        if arguments not in tellers:
            tellers[arguments] = Teller(tmp_path_factory.mktemp("teller"), *arguments)
        return tellers[arguments]

    yield find
    for teller in tellers.values():
        teller.close()


@pytest.fixture
def teller(teller_with) -> Teller:
    """A teller whose proxy runs with its defaults."""
    return teller_with()


# MARK: figures

_outcomes: dict[int, list[bool]] = collections.defaultdict(list)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    number = re.match(r"test_case_(\d+)_", item.name)
    if number and (report.when == "call" or not report.passed):
        _outcomes[int(number[1])].append(report.passed)
    return report


def _held() -> int:
    return sum(all(outcomes) for outcomes in _outcomes.values())


def pytest_terminal_summary(terminalreporter):
    if _outcomes:
        terminalreporter.write_line(f"cases held: {_held()} of {CASES}, in {Tally.tellings:,} tellings")


def pytest_sessionfinish():
    folder = os.environ.get("TACHOGRAPH_FIGURES")
    if not folder or not _outcomes:
        return
    rows = [
        ["cases of http.md held, whole and split at every byte", f"{_held()} of {CASES}"],
        ["exchanges told for them, one for each split", f"{Tally.tellings:,}"],
    ]
    pathlib.Path(folder, "cases.json").write_text(json.dumps({"suite": "cases", "rows": rows}) + "\n")
