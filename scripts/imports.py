"""Holds every `import` under Sources to the table in Sources/README.md, and every file to its opening comment.

It must not know the modules itself: the table is the one place where they are written down.
"""

import pathlib
import re
import sys

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "Sources"
ROW = re.compile(r"^\| *`(?P<module>\w+)` *\|(?P<job>[^|]*)\|(?P<imports>[^|]*)\|$")
EVERYWHERE = re.compile(r"^Every module may import (?P<imports>.*)$", re.MULTILINE)
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|typealias|func|let|var)\s+)?(?P<module>\w+)"
)
NAME = re.compile(r"`(\w+)`")


def read_table(text: str) -> tuple[dict[str, set[str]], set[str]]:
    """Each module's allowed imports, and those that all may have."""
    modules = {}
    for line in text.splitlines():
        if row := ROW.match(line):
            modules[row["module"]] = set(NAME.findall(row["imports"]))
    everywhere = EVERYWHERE.search(text)
    return modules, set(NAME.findall(everywhere["imports"])) if everywhere else set()


def imports_of(text: str):
    """(line number, module) of each import in a Swift file."""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := IMPORT.match(line):
            yield number, found["module"]


def opening_problem(text: str) -> str | None:
    """What is wrong with the comment of (at least) two lines that a file opens with, if anything."""
    lines = text.splitlines()[:2]
    if len(lines) == 2 and all(re.match(r"//(?!/) ?\S", line) for line in lines):
        return None
    return "must open with a comment of two lines: what it is for, what it must not know"


def problems() -> list[str]:
    """Every breach, one line each, with its place and what to do."""
    modules, everywhere = read_table((SOURCES / "README.md").read_text())
    found = []
    for folder in sorted(path for path in SOURCES.iterdir() if path.is_dir()):
        name = folder.name
        if name not in modules:
            found.append(f"Sources/{name}: is not in the table of Sources/README.md: add its row")
            continue
        if not (folder / "README.md").exists() and not (folder / "module.modulemap").exists():
            found.append(f"Sources/{name}: has no README.md")
        for file in sorted(folder.rglob("*.swift")):
            place = file.relative_to(SOURCES.parent)
            text = file.read_text()
            if problem := opening_problem(text):
                found.append(f"{place}:1: {problem}")
            for line, module in imports_of(text):
                if module not in modules[name] | everywhere:
                    found.append(f"{place}:{line}: {name} may not import {module} (Sources/README.md)")
    found += [f"Sources/README.md: `{name}` has a row and no folder" for name in modules if not (SOURCES / name).is_dir()]
    return found


def cycle(modules: dict[str, set[str]]) -> list[str]:
    """Rooms whose dependencies lead back to themselves: none, if the table is a table of layers."""

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        for next_room in modules.get(start, set()) - seen:
            seen.add(next_room)
            if next_room == goal or reaches(next_room, goal, seen):
                return True
        return False

    looped = [module for module in modules if reaches(module, module, set())]
    return [f"Sources/README.md: the dependencies of `{module}` lead back to it" for module in looped]


if __name__ == "__main__":
    breaches = problems() + cycle(read_table((SOURCES / "README.md").read_text())[0])
    print("\n".join(breaches), end="\n" if breaches else "")
    sys.exit(1 if breaches else 0)
