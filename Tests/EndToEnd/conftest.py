"""Fixtures: the real server once a session, proxies and scripted upstreams as a test asks; figures at the end."""

import os

import pytest
from harness import vllm
from harness.figures import cases, dialects
from harness.llama import LlamaServer
from harness.story import Teller
from harness.tachograph import Tachograph
from harness.wire import ScriptedUpstream


@pytest.fixture(scope="session")
def llama():
    """The real llama.cpp server, shared by every test that asks for it."""
    server = LlamaServer()
    yield server
    server.stop()


@pytest.fixture
def serve(tmp_path):
    """Starts `tachograph serve` in front of a URL; each one must end with exit status 0."""
    started = []

    def start(upstream: str | None, *arguments: str, **options) -> Tachograph:
        folder = tmp_path / f"proxy-{len(started)}"
        folder.mkdir()
        started.append(Tachograph(upstream, folder, *arguments, **options))
        return started[-1]

    yield start
    try:
        for proxy in started:
            if proxy.child.process.poll() is None:
                proxy.stop()
    finally:
        for proxy in started:
            proxy.child.kill()


@pytest.fixture(scope="session")
def teller_with(tmp_path_factory):
    """A teller of stories whose proxy runs with these arguments; shared by all who ask for the same."""
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
    """A teller of stories whose proxy runs with its defaults."""
    return teller_with()


@pytest.fixture
def scripted():
    """Starts an upstream that follows a script, one call a connection."""
    started = []

    def start(script, **place) -> ScriptedUpstream:
        started.append(ScriptedUpstream(script, **place))
        return started[-1]

    yield start
    for upstream in started:
        upstream.close()


def pytest_collection_modifyitems(config, items):
    """Leaves out what is not asked for: vLLM is 3 GB to install (scripts/test --vllm), and recordings are not in the repository."""
    asked = {"vllm": vllm.python(), "recordings": os.environ.get("TACHOGRAPH_RECORDINGS")}
    left = {item for item in items for name, wanted in asked.items() if item.get_closest_marker(name) and not wanted}
    config.hook.pytest_deselected(items=list(left))
    items[:] = [item for item in items if item not in left]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    before = Teller.told
    try:
        return (yield)
    finally:
        cases.note_tellings(item.name, Teller.told - before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if not report.skipped and (report.when == "call" or report.failed):
        cases.note(item.name, report.passed)
    return report


def pytest_terminal_summary(terminalreporter):
    if cases.were_asked_for:
        terminalreporter.write_line(f"cases held: {cases.held}, in {cases.tellings:,} tellings")


def pytest_sessionfinish():
    if cases.were_asked_for:
        cases.show()
    dialects.show()
