"""Reads the sources, and prints each place that breaks a rule and what to do there.

    python3 scripts/check.d          every rule
    python3 scripts/check.d RULE…    these rules only
"""

import pathlib
import sys
from collections.abc import Callable, Iterator

import citations
import files
import imports
import scratch
import words
from tree import Problem, Tree

RULES: dict[str, tuple[str, Callable[[Tree], Iterator[Problem]]]] = {
    "imports": ("imports as the table of Sources/README.md has them", imports.problems),
    "openings": ("each Swift file opens with a comment", files.openings),
    "lengths": (f"no Swift file has more than {files.MOST_LINES} lines", files.lengths),
    "words": ("no name of old-words.txt is left", words.problems),
    "scratch": ("scratch memory is passed as a parameter", scratch.problems),
    "citations": ("documents, headings and files that comments name are there", citations.problems),
}


def main(chosen: list[str]) -> int:
    unknown = [name for name in chosen if name not in RULES]
    if unknown:
        print(f"unknown rule {unknown[0]}; there are {', '.join(RULES)}", file=sys.stderr)
        return 2
    tree = Tree(pathlib.Path(__file__).resolve().parents[2])
    broken = False
    for name, (meaning, problems) in RULES.items():
        if chosen and name not in chosen:
            continue
        found = list(problems(tree))
        print(*found, sep="\n", end="\n" if found else "")
        print(f"{'FAILED' if found else 'ok':7} {name}: {meaning}", file=sys.stderr)
        broken = broken or bool(found)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
