"""One proxy for each choice of settings, through which the numbered cases are told."""

import pytest
from harness.story import Teller


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
