"""Every document, heading, case and source file that a comment or a README names is in the repository."""

import posixpath
import re
from collections.abc import Iterator

from tree import Problem, Tree

# `Documentation.docc/Metrics.md, "Clocks" and "Outcomes"`, or `…/HTTPCases.md, cases 40 to 43`.
CITATION = re.compile(
    r"(?P<file>[\w./-]*\w\.(?:md|swift))\b(?P<headings>,?\s+\"[^\"]+\"(?:(?:,| and|, and)\s+\"[^\"]+\")*)?"
    r"(?P<cases>,\s+cases? \d+(?:(?:,| and| to)\s+\d+)*)?"
)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ +(?P<title>.*?) *$", re.MULTILINE)
CASE = re.compile(r"^\| *(?P<number>\d+) *\|", re.MULTILINE)
COMMAND = "Sources/tachograph"


def problems(tree: Tree) -> Iterator[Problem]:
    names = {posixpath.basename(file) for file in tree.files}
    for file in tree.under("Sources", "Tests", suffix=".swift"):
        for line, block in blocks(tree.swift(file).comments, r"^\s*/{2,3} ?"):
            yield from in_comment(tree, names, file, line, block)
    for file in tree.under("Tests", suffix=".py"):
        yield from in_comment(tree, names, file, 1, tree.text(file))
    for file in tree.files:
        if file.endswith(".md"):
            yield from in_markdown(tree, names, file)


def blocks(comments: list[str], mark: str) -> Iterator[tuple[int, str]]:
    """Each run of comment lines, without its marks, and the number of its first line."""
    start, lines = 0, []
    for number, line in enumerate([*comments, ""], start=1):
        if line.strip():
            start = start if lines else number
            lines.append(re.sub(mark, "", line).strip())
        elif lines:
            yield start, "\n".join(lines)
            lines = []


def in_comment(tree: Tree, names: set[str], file: str, first: int, text: str) -> Iterator[Problem]:
    for match in CITATION.finditer(text):
        line = first + text.count("\n", 0, match.start())
        name = match["file"]
        if name.endswith(".swift"):
            if posixpath.basename(name) not in names:
                yield Problem(file, line, f"name a file that is there: no {name} is in the repository")
            continue
        document = resolve(tree, file, name)
        if document is None:
            yield Problem(file, line, f"cite a document that is in the repository: {name} is not")
            continue
        titles = {title.strip() for title in HEADING.findall(tree.text(document))}
        for title in re.findall(r"\"([^\"]+)\"", match["headings"] or ""):
            if re.sub(r"\s+", " ", title) not in titles:
                yield Problem(file, line, f'cite a heading of {name}: it has no "{title}"')
        numbers = CASE.findall(tree.text(document))
        for number in re.findall(r"\d+", match["cases"] or ""):
            if number not in numbers:
                yield Problem(file, line, f"cite a case of {name}: it has no case {number}")


def resolve(tree: Tree, file: str, name: str) -> str | None:
    """The path of a document that `file` cites: from its own folder, its module's, the root's or the catalogue's."""
    folders = [posixpath.dirname(file), "/".join(file.split("/")[:2]), "", COMMAND, f"{COMMAND}/Documentation.docc"]
    for folder in folders:
        path = posixpath.normpath(posixpath.join(folder, name))
        if tree.exists(path):
            return path
    return None


def in_markdown(tree: Tree, names: set[str], file: str) -> Iterator[Problem]:
    text = tree.text(file)
    for match in LINK.finditer(text):
        target, _, anchor = match["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        line = 1 + text.count("\n", 0, match.start())
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), target)) if target else file
        if not tree.exists(path):
            yield Problem(file, line, f"mend the link: {target} is not there")
        elif anchor and path.endswith(".md") and anchor not in anchors(tree.text(path)):
            yield Problem(file, line, f"mend the link: {path} has no heading #{anchor}")
    for number, line in enumerate(text.splitlines(), start=1):
        for name in re.findall(r"[\w+]+\.swift\b", line):
            if name not in names:
                yield Problem(file, number, f"name a file that is there: no {name} is in the repository")


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(text)}
