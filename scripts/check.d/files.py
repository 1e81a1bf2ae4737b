"""What holds for each Swift file: it opens with a comment, and it is not too long."""

import re
from collections.abc import Iterator

from tree import Problem, Tree

MOST_LINES = 400
OPENING = re.compile(r"//(?!/) ?\S")


def openings(tree: Tree) -> Iterator[Problem]:
    for file in tree.under("Sources", "Tests", suffix=".swift"):
        if not OPENING.match(tree.text(file)):
            yield Problem(file, 1, "open the file with a comment (`//`) that says what it is for")


def lengths(tree: Tree) -> Iterator[Problem]:
    for file in tree.under("Sources", "Tests", suffix=".swift"):
        count = tree.text(file).count("\n")
        if count > MOST_LINES:
            yield Problem(file, MOST_LINES + 1, f"split the file: it has {count} lines, {MOST_LINES} are allowed")
