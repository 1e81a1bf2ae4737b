"""Prints the figures that suites have written, and puts them into the table of Tests/README.md.

    python3 scripts/figures.py FOLDER           prints the table of what suites have kept in FOLDER
    python3 scripts/figures.py FOLDER --write   and puts it into Tests/README.md; other suites keep their rows
    python3 scripts/figures.py FOLDER --write --keep-rows   other rows of the same suite are kept, too

A suite writes `{"suite": "…", "rows": [["what", "figure"], …]}` into the folder $TACHOGRAPH_FIGURES (harness/figures.py).
"""

import datetime
import json
import os
import pathlib
import platform
import re
import sys

README = pathlib.Path(__file__).resolve().parents[1] / "Tests" / "README.md"
BEGIN = "<!-- figures: scripts/test --write and scripts/soak --write fill this in -->"
END = "<!-- figures: end -->"

Rows = list[tuple[str, str]]


def kept(folder: pathlib.Path) -> dict[str, Rows]:
    """The rows of each suite."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {suite["suite"]: [(str(what), str(figure)) for what, figure in suite["rows"]] for suite in found}


def machine() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def where() -> str:
    what = f"{machine()}, {os.cpu_count()} cores, Linux {platform.release()}, load average {os.getloadavg()[0]:.1f}"
    return f"{datetime.date.today().isoformat()}: {what}"


def table(suites: dict[str, tuple[str, Rows]]) -> str:
    """The Markdown table: each suite's rows, with the day of its run."""
    lines = ["| suite | what | figure | run |", "|---|---|---|---|"]
    for suite, (day, rows) in sorted(suites.items()):
        lines += [f"| `{suite}` | {cell(what)} | {cell(figure)} | {day} |" for what, figure in rows]
    return "\n".join(lines)


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def standing(text: str) -> dict[str, tuple[str, Rows]]:
    """The suites of the table that is in the README."""
    found: dict[str, tuple[str, Rows]] = {}
    for line in text.splitlines():
        parts = [part.strip().replace("\\|", "|") for part in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(parts) == 4 and parts[0].startswith("`"):
            found.setdefault(parts[0].strip("`"), (parts[3], []))[1].append((parts[1], parts[2]))
    return found


def write(fresh: dict[str, Rows], keeps_rows: bool) -> None:
    """Replaces the rows of these suites in Tests/README.md, or only those that say of the same thing something else."""
    old = README.read_text()
    before, begin, rest = old.partition(BEGIN)
    section, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{README} lacks the marks {BEGIN} and {END}")
    today = datetime.date.today().isoformat()
    old_suites = standing(section)
    if keeps_rows:
        fresh = {suite: merged(old_suites.get(suite, ("", []))[1], rows) for suite, rows in fresh.items()}
    suites = old_suites | {suite: (today, rows) for suite, rows in fresh.items()}
    README.write_text(f"{before}{BEGIN}\n\n{table(suites)}\n\nLast run on {where()}.\n\n{END}{after}")


def merged(old: Rows, fresh: Rows) -> Rows:
    """The old rows, but for those about the same thing: up to the colon a row says what it is about."""
    about = {what.split(":")[0] for what, _ in fresh}
    return sorted([(what, figure) for what, figure in old if what.split(":")[0] not in about] + fresh)


def main() -> None:
    fresh = kept(pathlib.Path(sys.argv[1]))
    if "--write" in sys.argv[2:]:
        write(fresh, "--keep-rows" in sys.argv[2:])
    for suite, rows in sorted(fresh.items()):
        for what, figure in rows:
            print(f"{suite:14} {what}: {figure}")


if __name__ == "__main__":
    main()
