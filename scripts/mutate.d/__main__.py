"""Builds the mutants, runs the tests of their modules, and reports which test killed which."""

import argparse
import fcntl
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import mutants as data
from mutants import Mutant, MutantError
from tree import BuildError, Copy

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".build-mutate"


def say(text: str) -> None:
    print(f"mutate: {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutate")
    for name in ("--only", "--id"):
        parser.add_argument(name, type=lambda text: text.split(","))
    for name in ("--resume", "--list", "--write"):
        parser.add_argument(name, action="store_true")
    return parser.parse_args()


def chosen(options: argparse.Namespace, everything: list[Mutant]) -> list[Mutant]:
    known = {mutant.module for mutant in everything} | {mutant.name for mutant in everything}
    for name in (options.only or []) + (options.id or []):
        if name not in known:
            raise MutantError(f"there is no {name} in Tests/Mutants")
    return [
        mutant for mutant in everything
        if (not options.only or mutant.module in options.only) and (not options.id or mutant.name in options.id)
    ]


def fingerprint(mutant: Mutant, copy: Copy) -> str:
    """Changes with the mutant, its module and its module's tests."""
    digest = hashlib.sha256(repr(mutant).encode())
    for folder in (f"Sources/{mutant.module}", *(f"Tests/{target}" for target in mutant.tests.split("|")), "Tests/Support"):
        for name in sorted(copy.originals):
            if name.startswith(folder + "/") and name.endswith(".swift"):
                digest.update(copy.originals[name])
    return digest.hexdigest()[:16]


def check_texts(copy: Copy, mutants: list[Mutant]) -> None:
    """Every text has to be found before anything is built."""
    problems = []
    for mutant in mutants:
        try:
            data.place(mutant, copy.text(mutant.file))
        except MutantError as error:
            problems.append(str(error))
        except FileNotFoundError:
            problems.append(f"{mutant.name}: there is no {mutant.file}, or there are two files of that name")
    if problems:
        raise MutantError("\n".join(problems))
    sources(copy, [mutant for mutant in mutants if mutant.how != "alone"])


def build_guarded(copy: Copy, mutants: list[Mutant]) -> tuple[list[Mutant], list[Mutant]]:
    """Builds all that can be guarded: those that compiled, and those that have to be built alone."""
    inside = [mutant for mutant in mutants if mutant.how != "alone"]
    apart = [mutant for mutant in mutants if mutant.how == "alone"]
    while True:
        copy.fill(sources(copy, inside))
        say(f"building {len(inside)} mutants at once (log: {copy.folder / 'build.log'})")
        try:
            copy.build()
            return inside, apart
        except BuildError as error:
            errors = copy.errors(str(error))
            guilty = set()
            for file, line, message in errors:
                numbers = data.mutants_at((copy.tree / file).read_text(), line) if (copy.tree / file).is_file() else set()
                guilty |= {mutant.number for mutant in inside if mutant.number in numbers and mutant.file == file}
                say(f"  {file}:{line}: {message}")
            if not guilty:
                raise
            apart += [mutant for mutant in inside if mutant.number in guilty]
            inside = [mutant for mutant in inside if mutant.number not in guilty]
            say(f"{len(guilty)} do not compile behind a condition, and are built alone")


def sources(copy: Copy, mutants: list[Mutant]) -> dict[str, str]:
    """The files that differ from the repository's."""
    changed = {}
    for file in {mutant.file for mutant in mutants}:
        changed[file] = data.guarded([mutant for mutant in mutants if mutant.file == file], copy.text(file))
    for module in {mutant.module for mutant in mutants}:
        changed[f"Sources/{module}/MutantSwitch.swift"] = data.SWITCH
    return changed


class Session:
    """The results of this run and of earlier ones."""

    def __init__(self, copy: Copy):
        self.copy = copy
        self.file = FOLDER / "results.json"
        self.results: dict[str, dict] = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.limits: dict[str, float] = {}

    def baseline(self, tests: str) -> None:
        """The tests without a mutant have to pass; they show how long a run takes."""
        if tests in self.limits:
            return
        seconds: list[float] = []
        failures = 0
        while len(seconds) < 2:
            run = self.copy.run(tests, None, 600)
            if run.count and not run.killer:
                seconds.append(run.seconds)
                continue
            (FOLDER / "baseline.log").write_text(run.text)
            failures += 1
            say(f"{tests} without a mutant: {run.killer or 'no test ran'} (log: {FOLDER / 'baseline.log'})")
            # A test that fails now and then is a nuisance; one that fails twice makes every result worthless.
            if failures == 2:
                raise MutantError(f"{tests} fail without a mutant")
        self.limits[tests] = 20 + 4 * max(seconds)
        say(f"{tests}: {run.count} tests pass in {max(seconds):.1f} s without a mutant")

    def try_mutant(self, mutant: Mutant, active: bool) -> None:
        run = self.copy.run(mutant.tests, mutant.number if active else None, self.limits[mutant.tests])
        self.keep(mutant, {"killed": run.killer is not None, "by": run.killer, "seconds": round(run.seconds, 1)})

    def keep(self, mutant: Mutant, result: dict) -> None:
        self.results[mutant.name] = result | {"fingerprint": fingerprint(mutant, self.copy)}
        self.file.write_text(json.dumps(self.results, indent=2, ensure_ascii=False) + "\n")
        say(f"{word(result):8} {mutant.name}: {result.get('by') or result.get('error') or mutant.survives or mutant.effect}")

    def has(self, mutant: Mutant) -> bool:
        result = self.results.get(mutant.name, {})
        return result.get("fingerprint") == fingerprint(mutant, self.copy) and "error" not in result


def word(result: dict) -> str:
    return "ERROR" if "error" in result else "killed" if result["killed"] else "SURVIVED"


def run_all(session: Session, mutants: list[Mutant]) -> None:
    copy = session.copy
    inside, apart = build_guarded(copy, mutants)
    for tests in sorted({mutant.tests for mutant in mutants}):
        session.baseline(tests)
    for mutant in inside:
        session.try_mutant(mutant, active=True)
    for mutant in apart:
        copy.fill({mutant.file: data.alone(mutant, copy.text(mutant.file))})
        try:
            copy.build()
        except BuildError as error:
            messages = sorted(message for _, _, message in copy.errors(str(error)))
            session.keep(mutant, {"error": f"does not compile: {messages[0] if messages else 'see build.log'}"})
            continue
        session.try_mutant(mutant, active=False)


def rows(everything: list[Mutant], results: dict[str, dict]) -> list[tuple[str, str]]:
    """The figures: all, each module, and each survivor with its explanation. What was never tried is left out."""
    everything = [mutant for mutant in everything if mutant.name in results]

    def killed(mutants: list[Mutant]) -> str:
        count = sum(results[mutant.name].get("killed", False) for mutant in mutants)
        return f"{count} of {len(mutants)}"

    found = [("mutants killed by the tests of their own module", killed(everything))]
    for module in sorted({mutant.module for mutant in everything}):
        found.append((f"{module}: killed", killed([mutant for mutant in everything if mutant.module == module])))
    for mutant in everything:
        if not results[mutant.name].get("killed"):
            found.append((f"{mutant.name}: not killed ({mutant.effect})", mutant.survives or "no explanation yet"))
    return found


def write_table(everything: list[Mutant], results: dict[str, dict]) -> None:
    lines = ["| mutant | kind | what a user would notice | killed by |", "|---|---|---|---|"]
    for mutant in everything:
        result = results.get(mutant.name)
        by = "not tried" if result is None else result.get("error") or result["by"] or f"**survived**: {mutant.survives or '?'}"
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (mutant.name, mutant.kind, mutant.effect, by)) + " |")
    (FOLDER / "results.md").write_text("\n".join(lines) + "\n")


def main() -> int:
    options = arguments()
    everything = data.read_all(ROOT)
    selected = chosen(options, everything)
    copy = Copy(ROOT, FOLDER)
    check_texts(copy, selected)
    if options.list:
        for mutant in selected:
            print(f"{mutant.name}\t{mutant.kind}\t{mutant.file}\t{mutant.effect}")
        return 0
    FOLDER.mkdir(exist_ok=True)
    lock = (FOLDER / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another run uses .build-mutate: waiting for its end")
        fcntl.flock(lock, fcntl.LOCK_EX)
    session = Session(copy)
    if options.resume:
        selected = [mutant for mutant in selected if not session.has(mutant)]
    if selected:
        run_all(session, selected)
    write_table(everything, session.results)
    figures = rows(everything, session.results)
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "mutants.json").write_text(json.dumps({"suite": "mutants", "rows": figures}))
        extra = ["--write"] if options.write else []
        subprocess.run([sys.executable, str(ROOT / "scripts" / "figures.py"), folder, *extra], check=True)
    bad = [
        mutant.name for mutant in selected
        if "error" in session.results[mutant.name] or session.results[mutant.name]["killed"] == bool(mutant.survives)
    ]
    if bad:
        say(f"to look at: {', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main())
    except (MutantError, BuildError) as error:
        say(str(error)[-4000:])
        sys.exit(2)
