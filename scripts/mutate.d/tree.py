"""The copy of the tree in which mutants are built, and the tests that run there."""

import os
import pathlib
import re
import selectors
import signal
import subprocess
import time

COPIED = ("Sources", "Tests", "config", "README.md")


class BuildError(Exception):
    """What the compiler said."""


class Copy:
    """A copy of the repository as it is at the start. Files that do not change keep their times, so that builds are
    incremental."""

    def __init__(self, root: pathlib.Path, folder: pathlib.Path):
        self.root, self.folder = root, folder
        self.tree, self.build_folder = folder / "tree", folder / "build"
        # The repository may change while mutants that are built alone are still to come.
        self.originals = {
            file.relative_to(root).as_posix(): file.read_bytes()
            for top in COPIED for file in ([root / top] if (root / top).is_file() else sorted((root / top).rglob("*")))
            if file.is_file() and "__pycache__" not in file.parts
            and not file.relative_to(root).as_posix().startswith("Tests/EndToEnd")
        }
        self.bundle = self.build_folder / "debug" / "tachographPackageTests.xctest"

    def fill(self, changed: dict[str, str]) -> None:
        """Makes the copy equal to the originals, but for the texts of `changed`."""
        wanted = self.originals | {name: text.encode() for name, text in changed.items()}
        for name, content in wanted.items():
            self.put(name, content)
        for file in sorted(self.tree.rglob("*")):
            name = file.relative_to(self.tree).as_posix()
            if file.is_file() and name.startswith(COPIED) and name not in wanted:
                file.unlink()
        # A condition around an expression may well be a warning.
        package = self.text("Package.swift").replace(".treatAllWarnings(as: .error)", ".treatAllWarnings(as: .warning)")
        self.put("Package.swift", package.encode())

    def put(self, name: str, content: bytes) -> None:
        file = self.tree / name
        if file.is_file() and file.read_bytes() == content:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def text(self, name: str) -> str:
        if name in self.originals:
            return self.originals[name].decode()
        return (self.root / name).read_text()

    def build(self) -> None:
        command = ["swift", "build", "--package-path", str(self.tree), "--scratch-path", str(self.build_folder), "--build-tests"]
        log = self.folder / "build.log"
        with log.open("w") as output:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        if done.returncode:
            raise BuildError(log.read_text())

    def errors(self, output: str) -> set[tuple[str, int, str]]:
        """(file, line, message) of each error in what the compiler said."""
        found = re.findall(rf"^{re.escape(str(self.tree))}/(\S+?):(\d+):\d+: error: (.*)$", output, re.MULTILINE)
        return {(file, int(line), message) for file, line, message in found}

    def run(self, tests: str, mutant: int | None, limit: float) -> "Run":
        return Run(self.bundle, tests, mutant, limit)


class Run:
    """One run of a test target: until its end, the first failure, or the time limit."""

    def __init__(self, bundle: pathlib.Path, tests: str, mutant: int | None, limit: float):
        environment = os.environ | {"SWIFT_BACKTRACE": "enable=no", "NO_COLOR": "1"}
        environment.pop("TACHOGRAPH_MUTANT", None)
        if mutant is not None:
            environment["TACHOGRAPH_MUTANT"] = str(mutant)
        command = [str(bundle), "--testing-library", "swift-testing", "--filter", f"^({tests})\\."]
        started = time.monotonic()
        self.output = b""
        self.failed_test: str | None = None
        self.hung = False
        # A session of its own: whatever the tests start ends with them.
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True,
        ) as process:
            try:
                self.read(process, started + limit)
            finally:
                # After its end the group may still have members, but nobody else can have its number before `wait`.
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.status = process.wait()
        self.seconds = time.monotonic() - started

    def read(self, process: subprocess.Popen, deadline: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0, deadline - time.monotonic())):
                    self.hung = True
                    return
                read = os.read(process.stdout.fileno(), 65536)
                if not read:
                    break
                self.output += read
                if self.failed_test is None and (failure := FAILURE.search(self.text)):
                    self.failed_test = failure["test"]
                    return
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.hung = True

    @property
    def text(self) -> str:
        return COLOUR.sub("", self.output.decode(errors="replace"))

    @property
    def count(self) -> int:
        """How many tests ran, if all of them ended."""
        found = re.search(r"Test run with (\d+) tests?", self.text)
        return int(found[1]) if found else 0

    @property
    def killer(self) -> str | None:
        """What found the mutant: a test, a crash or a hang; nil if nothing did."""
        if self.failed_test is not None:
            return self.failed_test
        if self.hung:
            return f"hang in {self.unended()}"
        if self.status < 0:
            return f"crash (signal {-self.status}) in {self.unended()}"
        return "exit status " + str(self.status) if self.status else None

    def unended(self) -> str:
        """Tests that had begun and had not ended."""
        running: dict[str, None] = {}
        for mark, name in re.findall(r"^\S+ +Test (\"(?:[^\"\\]|\\.)*\"|\S+\(.*?\)) (started|passed|failed|skipped)", self.text, re.M):
            if name == "started":
                running[mark] = None
            else:
                running.pop(mark, None)
        names = list(running)
        return (", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")) or "no test"


# A failure is written when it happens, which is well before the test ends.
FAILURE = re.compile(r"^✘ +Test (?P<test>\"(?:[^\"\\]|\\.)*\"|\S+\(.*?\)) (?:recorded an issue|failed)", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
