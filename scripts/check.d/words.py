"""No name of old-words.txt is left."""

import pathlib
import re
from collections.abc import Iterator

from tree import Problem, Tree

LIST = pathlib.Path(__file__).with_name("old-words.txt")


def read_list(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Each old name with the word to use: those that are forbidden anywhere, and those forbidden as an identifier only."""
    anywhere, code = {}, {}
    for line in text.splitlines():
        parts = line.split("#")[0].split(maxsplit=2)
        if parts:
            word, where, instead = parts
            {"all": anywhere, "code": code}[where][word] = instead
    return anywhere, code


def pattern(words) -> re.Pattern:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(sorted(map(re.escape, words))) or '(?!)'})(?![\w-])")


def problems(tree: Tree, text: str | None = None) -> Iterator[Problem]:
    anywhere, code = read_list(LIST.read_text() if text is None else text)
    advice = anywhere | code
    in_text, in_code = pattern(anywhere), pattern(advice)

    def found(file: str, lines: list[str], words: re.Pattern) -> Iterator[Problem]:
        for number, line in enumerate(lines, start=1):
            for match in words.finditer(line):
                yield Problem(file, number, f"write {advice[match[0]]} in place of `{match[0]}` (scripts/check.d/old-words.txt)")

    for file in tree.under("Sources", "Tests", suffix=".swift"):
        yield from found(file, tree.swift(file).code, in_code)
        yield from found(file, tree.swift(file).comments, in_text)
    prose = [file for file in tree.files if file.endswith(".md")] + tree.under("Tests", "scripts", suffix=".py")
    for file in prose:
        if not file.startswith("scripts/check.d/"):
            yield from found(file, tree.text(file).split("\n"), in_text)
