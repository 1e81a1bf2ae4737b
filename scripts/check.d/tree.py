"""The files that the rules read, and Swift sources split into code and comments."""

import dataclasses
import functools
import os
import pathlib
import re

SKIPPED = {".build", ".git", "__pycache__", "corpus"}


@dataclasses.dataclass(frozen=True)
class Problem:
    """A place that breaks a rule, and what to do there."""

    file: str
    line: int
    advice: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.advice}"


class Tree:
    """A checkout of the repository."""

    def __init__(self, root: pathlib.Path):
        self.root = root

    @functools.cached_property
    def files(self) -> list[str]:
        """Every file of the checkout, by its path from the root."""
        found = []
        for path, folders, files in os.walk(self.root):
            folder = pathlib.Path(path)
            folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith(".build"))
            found += [(folder / name).relative_to(self.root).as_posix() for name in sorted(files)]
        return found

    def under(self, *folders: str, suffix: str) -> list[str]:
        return [file for file in self.files if file.endswith(suffix) and file.startswith(tuple(f"{name}/" for name in folders))]

    @functools.cache
    def text(self, file: str) -> str:
        return (self.root / file).read_text(errors="replace")

    @functools.cache
    def swift(self, file: str) -> "Swift":
        return Swift(self.text(file))

    def exists(self, file: str) -> bool:
        return (self.root / file).exists()


TOKEN = re.compile(
    r"""(?P<line>//[^\n]*)"""
    r"""|(?P<block>/\*)"""
    r"""|(?P<string>(?P<hashes>\#*)(?P<quote>\"\"\"|\"))"""
    r"""|(?P<open>\()|(?P<close>\))""",
    re.VERBOSE,
)


class Swift:
    """A Swift source with its comments and its strings told apart.

    `code` and `comments` have the lines of the source, with blanks in place of what belongs to the other. What stands in
    a string is in neither; an interpolation is code.
    """

    def __init__(self, text: str):
        code, comments = list(text), [character if character == "\n" else " " for character in text]
        for start, end in spans(text, code):
            for at in range(start, end):
                comments[at] = text[at]
        self.code = "".join(code).split("\n")
        self.comments = "".join(comments).split("\n")


def spans(text: str, code: list[str]):
    """Where the comments are. Blanks them and the strings in `code`."""

    def blank(start: int, end: int) -> None:
        for at in range(start, end):
            if text[at] != "\n":
                code[at] = " "

    # One entry for each interpolation that is open: the parentheses open in it, and the quote that its string ends with.
    open_strings: list[list] = []
    at = 0
    while at < len(text):
        found = TOKEN.search(text, at)
        if not found:
            return
        start, at = found.start(), found.end()
        if found["line"]:
            blank(start, at)
            yield start, at
        elif found["block"]:
            depth = 1
            while depth and (mark := re.compile(r"/\*|\*/").search(text, at)):
                depth += 1 if mark[0] == "/*" else -1
                at = mark.end()
            at = at if not depth else len(text)
            blank(start, at)
            yield start, at
        elif found["string"]:
            at = string_end(text, at, found["quote"], found["hashes"], open_strings)
            blank(start, at)
        elif open_strings and found["open"]:
            open_strings[-1][0] += 1
        elif open_strings and found["close"]:
            open_strings[-1][0] -= 1
            if open_strings[-1][0] == 0:
                _, quote, hashes = open_strings.pop()
                at = string_end(text, at, quote, hashes, open_strings)
                blank(start, at)


def string_end(text: str, at: int, quote: str, hashes: str, open_strings: list[list]) -> int:
    """Behind the string that goes on at `at`, or behind the parenthesis that opens an interpolation in it."""
    escape = "\\" + hashes
    while at < len(text):
        if text.startswith(quote + hashes, at):
            return at + len(quote) + len(hashes)
        if text.startswith(escape, at):
            at += len(escape)
            if text.startswith("(", at):
                open_strings.append([1, quote, hashes])
                return at + 1
            at += 1
        elif text[at] == "\n" and quote == '"':
            return at
        else:
            at += 1
    return at
