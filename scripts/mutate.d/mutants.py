"""The mutants as Tests/Mutants has them, and sources with all mutants of a module compiled in."""

import dataclasses
import pathlib
import re
import tomllib
import zlib

KINDS = {"expression", "statement", "alone"}
KEYS = {"id", "file", "text", "replacement", "context", "how", "kind", "effect", "survives"}


class MutantError(Exception):
    """A mutant that is not well described."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One mistake: `text` of a file becomes `replacement`."""

    module: str
    tests: str
    id: str
    file: str
    text: str
    replacement: str
    # A longer text that stands once in the file and has `text` in it once.
    context: str
    # `expression` and `statement` are compiled in behind a condition; `alone` is built by itself.
    how: str
    # What kind of mistake it is, and what a user would notice.
    kind: str
    effect: str
    # Why no test can tell, or nil.
    survives: str | None

    @property
    def name(self) -> str:
        return f"{self.module}/{self.id}"

    @property
    def number(self) -> int:
        """What the environment variable is set to: the same whatever other mutants there are."""
        return zlib.crc32(self.name.encode()) & 0x7FFF_FFFF


def read(file: pathlib.Path, root: pathlib.Path) -> list[Mutant]:
    """The mutants of one module."""
    data = tomllib.loads(file.read_text())
    module = file.stem
    found, ids = [], set()
    for entry in data.get("mutant", []):
        name = f"{file.name}: {entry.get('id', 'a mutant without an id')}"
        if unknown := entry.keys() - KEYS:
            raise MutantError(f"{name}: unknown key {', '.join(sorted(unknown))}")
        if missing := {"id", "file", "text", "replacement", "kind", "effect"} - entry.keys():
            raise MutantError(f"{name}: lacks {', '.join(sorted(missing))}")
        how = entry.get("how", "expression")
        if how not in KINDS:
            raise MutantError(f"{name}: how is {how}, not one of {', '.join(sorted(KINDS))}")
        if entry["id"] in ids:
            raise MutantError(f"{name}: there are two of that id")
        ids.add(entry["id"])
        files = [path.relative_to(root).as_posix() for path in (root / "Sources" / module).rglob(entry["file"])]
        # A file that is not there, or twice, is reported when the mutant is asked for.
        path = files[0] if len(files) == 1 else f"Sources/{module}/{entry['file']}"
        found.append(Mutant(
            module, data.get("tests", f"{module}Tests"), entry["id"], path, entry["text"], entry["replacement"],
            entry.get("context", entry["text"]), how, entry["kind"], entry["effect"], entry.get("survives")))
    return found


def read_all(root: pathlib.Path) -> list[Mutant]:
    found = [mutant for file in sorted((root / "Tests" / "Mutants").glob("*.toml")) for mutant in read(file, root)]
    numbers: dict[int, str] = {}
    for mutant in found:
        if (other := numbers.setdefault(mutant.number, mutant.name)) != mutant.name:
            raise MutantError(f"{mutant.name} and {other} have the same number: rename one")
    return found


def place(mutant: Mutant, source: str) -> tuple[int, int]:
    """Where the mutant's text stands."""
    for what, text, whole in (("context", mutant.context, source), ("text", mutant.text, mutant.context)):
        if whole.count(text) != 1:
            raise MutantError(f"{mutant.name}: its {what} stands {whole.count(text)} times in {mutant.file}, not once")
    start = source.index(mutant.context) + mutant.context.index(mutant.text)
    return start, start + len(mutant.text)


def alone(mutant: Mutant, source: str) -> str:
    """The source with this one mutant in place of its text."""
    start, end = place(mutant, source)
    return source[:start] + mutant.replacement + source[end:]


def guarded(mutants: list[Mutant], source: str) -> str:
    """The source with every mutant behind its condition. A mutant may stand inside another one's text."""
    places: dict[tuple[int, int], list[Mutant]] = {}
    for mutant in mutants:
        places.setdefault(place(mutant, source), []).append(mutant)
    ordered = sorted(places, key=lambda span: (span[0], -span[1]))

    def render(start: int, end: int, spans: list[tuple[int, int]]) -> str:
        """`source[start:end]` with what `spans`, which lie within it, become."""
        text, at = "", start
        while spans:
            span, *rest = spans
            inner = [other for other in rest if other[0] < span[1]]
            for other in inner:
                if other[1] > span[1]:
                    raise MutantError(f"{places[span][0].name} and {places[other][0].name} overlap")
            text += source[at:span[0]] + condition(places[span], render(*span, inner))
            at, spans = span[1], rest[len(inner):]
        return text + source[at:end]

    return render(0, len(source), ordered)


def condition(mutants: list[Mutant], original: str) -> str:
    """All in one line where the parts are, so that the compiler's messages keep their line."""
    if len({mutant.how for mutant in mutants}) > 1:
        raise MutantError(f"{mutants[0].name} and {mutants[1].name} have one text and two ways")
    text = original
    for mutant in mutants:
        if mutant.how == "expression":
            text = f"(mutantIsActive({mutant.number}) ? ({mutant.replacement}) : ({text}))"
        else:
            text = f"if mutantIsActive({mutant.number}) {{ {mutant.replacement} }} else {{ {text} }}"
    return text


def mutants_at(text: str, line: int) -> set[int]:
    """The numbers of the mutants whose condition begins in that line of a guarded source, or in the nearest one before."""
    lines = text.split("\n")[:line]
    while lines:
        if found := re.findall(r"mutantIsActive\((\d+)\)", lines[-1]):
            return {int(number) for number in found}
        lines.pop()
    return set()


SWITCH = """\
// Written by scripts/mutate: which mutant is active.
import Glibc

@usableFromInline
nonisolated(unsafe) let activeMutant: Int32 = getenv("TACHOGRAPH_MUTANT").map { atoi($0) } ?? 0

@inline(__always) @usableFromInline
func mutantIsActive(_ number: Int32) -> Bool { unsafe activeMutant == number }
"""
