"""Every `import` under Sources is in the table of Sources/README.md, and the table is one of layers."""

import re
from collections.abc import Iterator

from tree import Problem, Tree

TABLE = "Sources/README.md"
ROW = re.compile(r"^\| *`(?P<module>\w+)` *\|(?P<job>[^|]*)\|(?P<imports>[^|]*)\|$")
EVERYWHERE = re.compile(r"^Every module may import (?P<imports>.*)$", re.MULTILINE)
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|typealias|func|let|var)\s+)?(?P<module>\w+)"
)
NAME = re.compile(r"`(\w+)`")


def read_table(text: str) -> tuple[dict[str, tuple[int, set[str]]], set[str]]:
    """Each module's line and allowed imports, and the imports that all may have."""
    modules = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if row := ROW.match(line):
            modules[row["module"]] = number, set(NAME.findall(row["imports"]))
    everywhere = EVERYWHERE.search(text)
    return modules, set(NAME.findall(everywhere["imports"])) if everywhere else set()


def problems(tree: Tree) -> Iterator[Problem]:
    modules, everywhere = read_table(tree.text(TABLE))
    folders = sorted({file.split("/")[1] for file in tree.files if file.startswith("Sources/") and file.count("/") > 1})
    for name in folders:
        if name not in modules:
            yield Problem(f"Sources/{name}", 1, f"add a row for `{name}` to the table of {TABLE}")
        elif not tree.exists(f"Sources/{name}/README.md") and not tree.exists(f"Sources/{name}/module.modulemap"):
            yield Problem(f"Sources/{name}", 1, "write its README.md")
    for name, (line, _) in modules.items():
        if name not in folders:
            yield Problem(TABLE, line, f"remove the row of `{name}`, which has no folder")
    yield from cycles(modules)
    for file in tree.under("Sources", suffix=".swift"):
        module = file.split("/")[1]
        if module not in modules:
            continue
        for number, line in enumerate(tree.swift(file).code, start=1):
            found = IMPORT.match(line)
            if found and found["module"] not in modules[module][1] | everywhere:
                yield Problem(file, number, f"do not import {found['module']}, or add it to the row of `{module}` in {TABLE}")


def cycles(modules: dict[str, tuple[int, set[str]]]) -> Iterator[Problem]:
    """Modules whose dependencies lead back to themselves."""

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        for following in modules.get(start, (0, set()))[1] - seen:
            seen.add(following)
            if following == goal or reaches(following, goal, seen):
                return True
        return False

    for module, (line, _) in modules.items():
        if reaches(module, module, set()):
            yield Problem(TABLE, line, f"break the cycle: the dependencies of `{module}` lead back to it")
