"""Fixtures and figures of the numbered cases: one proxy for each choice of settings, and how many cases held."""

import collections
import re

import pytest

from harness.figures import show
from harness.story import Teller

CASES = 60


@pytest.fixture(scope="session")
def teller_with(tmp_path_factory):
    """A teller whose proxy runs with these arguments; shared by all who ask for the same."""
    tellers: dict[tuple[str, ...], Teller] = {}

    def find(*arguments: str) -> Teller:
        if arguments in tellers and tellers[arguments].is_spoiled:
            spoiled = tellers.pop(arguments)
            _tellings.append(spoiled.tellings)
            spoiled.close()
        if arguments not in tellers:
            tellers[arguments] = Teller(tmp_path_factory.mktemp("teller"), *arguments)
        return tellers[arguments]

    yield find
    for teller in tellers.values():
        _tellings.append(teller.tellings)
        teller.close()


@pytest.fixture
def teller(teller_with) -> Teller:
    """A teller whose proxy runs with its defaults."""
    return teller_with()


# MARK: figures

_tellings: list[int] = []
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
        terminalreporter.write_line(f"cases held: {_held()} of {CASES}, in {sum(_tellings):,} tellings")


def pytest_sessionfinish():
    if _outcomes:
        show(
            "cases",
            ("cases of http.md held, whole and split at every byte", f"{_held()} of {CASES}"),
            ("exchanges told for them, one for each split", f"{sum(_tellings):,}"),
        )
