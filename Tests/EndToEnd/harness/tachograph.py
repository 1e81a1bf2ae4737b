"""The built `tachograph` and its record log."""

import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import time

from harness.process import Child

TOP = pathlib.Path(__file__).resolve().parents[3]

KEYS = (
    "v id ts instance user user_from session client request_id trace_id response_id task method path dialect model "
    "response_model stream status outcome stage error finish_reason upstream upstream_reused in_flight request_read "
    "request_bytes response_bytes input_tokens cached_tokens cache_write_tokens output_tokens reasoning_tokens "
    "tool_calls late_tokens undelivered_tokens tokens_from "
    "output_chars choices events coalesced_events reads upload_ms connect_ms ttfb_ms ttfe_ms ttft_ms ttfa_ms "
    "ttlt_ms total_ms waited_ms tpot_ms tps tps_e2e cps gaps_ms itl_ms server delivery_us client_stalled_ms "
    "loop_lag_us clock encoding buffered stalls timeline"
).split()


def binary() -> str:
    """The program under test: $TACHOGRAPH_BIN, or the tree's own release build."""
    path = os.environ.get("TACHOGRAPH_BIN") or str(TOP / ".build" / "release" / "tachograph")
    assert os.access(path, os.X_OK), f"{path} is not there: run scripts/test, or build the release first"
    return path


def clean_environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment without a setting of Tachograph's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TACHOGRAPH_")}
    return kept | (more or {})


def check_record(record: dict) -> dict:
    """`record`, held to the keys of Documentation.docc/Record.md and their order."""
    if record.get("outcome") is not None:
        assert tuple(record) == tuple(KEYS), f"keys differ from Record.md: {[*record]}"
        assert record["v"] == 1
    return record


def read_records(path: pathlib.Path) -> list[dict]:
    """Every whole line of a log."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [check_record(json.loads(line)) for line in whole.splitlines()]


class HandingDown:
    """Sockets that a command is started with, as systemd does it (sd_listen_fds(3)): from descriptor 3 on."""

    def __init__(self, sockets: tuple[socket.socket, ...], **variables: str):
        # Far from where they are to be, so that none lies in another's way.
        self.descriptors = [fcntl.fcntl(each, fcntl.F_DUPFD, 100) for each in sockets]
        says = {"LISTEN_PID": "$$", "LISTEN_FDS": str(len(sockets))} | variables
        exports = " ".join(f"{name}={value}" for name, value in says.items())
        moves = " ".join(f"{3 + place}<&{each}" for place, each in enumerate(self.descriptors))
        closes = " ".join(f"{each}<&-" for each in self.descriptors)
        script = f'export {exports}; exec "$@" {moves} {closes}'
        self.command = ["/bin/bash", "-c", script, "bash"] if sockets or variables else []

    def close(self) -> None:
        for each in self.descriptors:
            os.close(each)


class Tachograph:
    """A running `tachograph serve` in front of one upstream, which the settings name where `upstream` is None."""

    def __init__(
        self,
        upstream: str | None,
        folder: pathlib.Path,
        *arguments: str,
        records: str | None = None,
        sockets: tuple[socket.socket, ...] = (),
        environment: dict[str, str] | None = None,
        under: list[str] | None = None,
    ):
        self.log = pathlib.Path(records) if records and records.startswith("/") else folder / "records.jsonl"
        handing = HandingDown(sockets)
        self.child = Child(
            (under or [])
            + handing.command
            + [binary(), "serve", *(["--upstream", upstream] if upstream else [])]
            + ["--listen", "127.0.0.1:0", "--workers", "1"]
            + ["--records", records or str(self.log), *arguments],
            cwd=folder,
            env=clean_environment(environment),
            pass_fds=handing.descriptors,
        )
        handing.close()
        found = self.child.wait_for(r"listening on (?:http://)?127\.0\.0\.1:(\d+)", timeout=20)
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def records(self, count: int, timeout: float = 10, log: pathlib.Path | None = None) -> list[dict]:
        """The log's records, as soon as there are `count`; fails if more come, or fewer in time."""
        deadline = time.monotonic() + timeout
        while len(found := read_records(log or self.log)) < count:
            late = f"{len(found)} of {count} records after {timeout} s\n{self.child.output}"
            assert time.monotonic() < deadline, late
            time.sleep(0.01)
        assert len(found) == count, f"{len(found)} records where {count} were awaited"
        return found

    def record(self) -> dict:
        """The one record of a test with one exchange."""
        return self.records(1)[0]

    def resident_kib(self) -> int:
        status = pathlib.Path(f"/proc/{self.child.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.child.process.pid}/fd"))

    def stop(self, timeout: float = 40) -> None:
        """Ends it as an operator would, and holds it to exit status 0."""
        self.child.signal(signal.SIGTERM)
        status = self.child.wait(timeout)
        assert status == 0, f"exit status {status} after SIGTERM\n{self.child.output}"
