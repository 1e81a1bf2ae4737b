"""Scratch memory is passed as a parameter: only the files of scratch.txt name it where its owner keeps it."""

import pathlib
import re
from collections.abc import Iterator
from fnmatch import fnmatch

from tree import Problem, Tree

LIST = pathlib.Path(__file__).with_name("scratch.txt")


def read_list(text: str) -> list[tuple[re.Pattern, list[str]]]:
    """Each pattern, and the files that may have it."""
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(re.compile(row[0]), row[1:]) for row in rows]


def problems(tree: Tree, text: str | None = None) -> Iterator[Problem]:
    for pattern, owners in read_list(LIST.read_text() if text is None else text):
        for file in tree.under("Sources", suffix=".swift"):
            if any(fnmatch(file, owner) for owner in owners):
                continue
            for number, line in enumerate(tree.swift(file).code, start=1):
                if found := pattern.search(line):
                    yield Problem(file, number, f"take it as a parameter: `{found[0]}` is for {', '.join(owners)} only")
