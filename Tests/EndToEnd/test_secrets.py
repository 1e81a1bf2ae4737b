"""Who a request is from: credentials stay secret, headers count from trusted peers, and no place is demanded for a secret."""

import os
import pathlib
import re
import subprocess

import pytest
from harness.said import answer_plainly, get
from harness.tachograph import binary, clean_environment
from harness.wire import connect

KEY = b"Authorization: Bearer sk-0123456789abcdef"


def user_of(proxy, *fields: bytes) -> tuple[str, str]:
    """The user of one request, the first of this proxy, and where the name is from."""
    wire = connect(proxy.port)
    wire.send(get("/", *fields))
    wire.message()
    record = proxy.record()
    return record["user"], record["user_from"]


@pytest.mark.parametrize(
    "field, value",
    [
        ("authorization", "Basic dXNlcjpwYXNzd29yZA=="),
        ("authorization", "dXNlcjpwYXNzd29yZA"),
        ("proxy-authorization", "Basic dXNlcjpwYXNzd29yZA=="),
        ("x-api-key", "dXNlcjpwYXNzd29yZA"),
        ("api-key", "dXNlcjpwYXNzd29yZA"),
        ("cookie", "sid=dXNlcjpwYXNzd29yZA; theme=dark"),
    ],
)
def test_a_credential_in_a_configured_header_is_never_a_name(serve, scripted, field, value):
    settings = ["--set", f"identity.headers={field}", "--set", f"identity.session_headers={field}"]
    proxy = serve(scripted(answer_plainly).url, *settings)
    name, source = user_of(proxy, f"{field}: {value}".encode())
    assert re.fullmatch(r"key_[0-9a-f]{12}", name) and source == f"header:{field}"
    assert proxy.record()["session"] == name
    assert "dXNlcjpw" not in proxy.log.read_text() + proxy.child.output


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "sk-bare", "Token abc"])
def test_every_authorization_that_stays_the_same_is_a_key(serve, scripted, value):
    name, source = user_of(serve(scripted(answer_plainly).url), f"Authorization: {value}".encode())
    assert name.startswith("key_") and source == "api_key"


@pytest.mark.parametrize(
    "trusted, expected",
    [(None, "header:x-user-id"), ("127.0.0.0/8", "header:x-user-id"), ("10.0.0.0/8,::1", "api_key")],
)
def test_headers_name_a_user_only_if_their_peer_is_trusted(serve, scripted, trusted, expected):
    settings = ["--set", f"identity.trust_headers_from={trusted}"] if trusted else []
    proxy = serve(scripted(answer_plainly).url, *settings)
    wire = connect(proxy.port)
    fields = [b"X-User-Id: alice", b"X-Session-Id: s-1", b"X-Forwarded-For: 10.0.0.1", KEY]
    for count in (1, 2):  # The second head is found in the cache.
        wire.send(get("/", *fields))
        wire.message()
        record = proxy.records(count)[-1]
        assert record["user_from"] == expected
        assert record["session"] == ("s-1" if expected.startswith("header") else None)


def test_replicas_with_one_secret_agree_on_who_is_who(serve, scripted, tmp_path):
    upstream = scripted(answer_plainly).url
    secret = "the secret of all replicas"
    (tmp_path / "secret").write_text(secret + "\n")
    (tmp_path / "secret").chmod(0o440)
    by_file = serve(upstream, "--set", f"identity.secret_file={tmp_path}/secret")
    by_variable = serve(upstream, environment={"TACHOGRAPH_IDENTITY_SECRET": secret})
    alone = serve(upstream)
    names = [user_of(proxy, KEY)[0] for proxy in (by_file, by_variable, alone)]
    assert names[0] == names[1] != names[2]
    for proxy in (by_file, by_variable):
        assert not (proxy.log.parent / "tachograph.secret").exists()
        assert secret not in proxy.child.output


@pytest.mark.parametrize("mode", [0o644, 0o460])
def test_a_secret_that_others_may_read_or_write_is_refused(tmp_path, mode):
    (tmp_path / "secret").write_text("the secret of all replicas")
    (tmp_path / "secret").chmod(mode)
    done = subprocess.run(
        [binary(), "serve", "--upstream", "http://127.0.0.1:1", "--set", "identity.secret_file=secret"],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=20,
    )
    assert done.returncode == 2 and "0440" in done.stderr and "of all replicas" not in done.stderr


@pytest.mark.parametrize("records", ["-", "/dev/stdout", "/dev/null"])
def test_records_to_no_file_need_no_place_for_a_secret(serve, scripted, records):
    proxy = serve(scripted(answer_plainly).url, records=records)
    warnings = [line for line in proxy.child.output.splitlines() if "fingerprints" in line]
    assert len(warnings) == 1 and "identity.secret_file" in warnings[0]
    wire = connect(proxy.port)
    wire.send(get("/", KEY))
    wire.message()
    proxy.stop()
    if records != "/dev/null":
        assert '"user_from":"api_key"' in proxy.child.output
    assert not pathlib.Path("/dev/tachograph.secret").exists()
    assert not list(proxy.log.parent.glob("*.secret"))


def mounted(options: str, folder: pathlib.Path, after: str = "true") -> list[str]:
    """A command that runs another in a mount namespace in which `folder` is a file system of its own."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("it needs a mount namespace")
    script = f"mount -t tmpfs {options} tmpfs {folder} && {after} && exec \"$@\""
    return ["unshare", "-m", "/bin/bash", "-c", script, "bash"]


def test_on_a_read_only_disk_it_serves_with_a_secret_in_memory(serve, scripted, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    # The log is there already, and is a mount of its own that can be written: its folder cannot.
    (tmp_path / "log").touch()
    after = f"touch {folder}/t.jsonl && mount --bind {tmp_path}/log {folder}/t.jsonl && mount -o remount,ro {folder}"
    under = mounted("-o size=1m", folder, after)
    proxy = serve(scripted(answer_plainly).url, records=str(folder / "t.jsonl"), under=under)
    assert proxy.child.output.count("fingerprints") == 1 and "Read-only file system" in proxy.child.output
    wire = connect(proxy.port)
    wire.send(get("/", KEY))
    wire.message()
    assert proxy.records(1, log=tmp_path / "log")[0]["user_from"] == "api_key"


def test_on_a_full_disk_it_serves_with_a_secret_in_memory(serve, scripted, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    under = mounted("-o size=64k,nr_inodes=20", folder, f"(head -c 1m /dev/zero > {folder}/zeros; true)")
    proxy = serve(scripted(answer_plainly).url, records=str(folder / "t.jsonl"), under=under)
    assert proxy.child.output.count("fingerprints") == 1 and "No space left on device" in proxy.child.output
    wire = connect(proxy.port)
    wire.send(get("/", KEY))
    assert b" 200 " in wire.message().start


@pytest.mark.parametrize("path, words", [("none/t.jsonl", "is not there"), ("plain/t.jsonl", "is not a folder")])
def test_a_missing_log_folder_is_reported_as_that(tmp_path, path, words):
    (tmp_path / "plain").touch()
    done = subprocess.run(
        [binary(), "serve", "--upstream", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--records", path],
        cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=20,
    )
    assert done.returncode == 1 and words in done.stderr and os.path.dirname(path) in done.stderr
    assert "secret" not in done.stderr
