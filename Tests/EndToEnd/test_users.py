"""Whose tokens: rules of identity, tokens with signatures, what is hidden of a name, tasks, and metrics by user."""

import base64
import json
import re
import subprocess
import time

import pytest
from harness.metrics import Metrics, fetch
from harness.said import answer_plainly
from harness.wire import connect
from test_admin import admin_port


def send(proxy, *fields: bytes, body: bytes = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'):
    """Sends one chat request."""
    wire = connect(proxy.port)
    head = b"\r\n".join([b"POST /v1/chat/completions HTTP/1.1", b"Host: llm", b"Content-Length: %d" % len(body), *fields])
    wire.send(head + b"\r\n\r\n" + body)
    wire.message()


def ask(proxy, *fields: bytes, **body):
    """The record of one chat request, the first of this proxy."""
    send(proxy, *fields, **body)
    return proxy.record()


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed(tmp_path, algorithm: str, claims: dict) -> tuple[str, bytes]:
    """A public key's file and a token that openssl has signed."""
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    kind = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if algorithm == "RS256" else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "genpkey", "-algorithm", *kind, "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    message = b64(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()) + b"." + b64(json.dumps(claims).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", private], input=message, check=True, capture_output=True).stdout
    if algorithm == "ES256":  # DER to two numbers of 32 bytes (RFC 7518 §3.4).
        first = 4 + signature[3]
        numbers = [signature[4:first], signature[first + 2 :]]
        signature = b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in numbers)
    return str(public), message + b"." + b64(signature)


@pytest.mark.parametrize(
    "rules, expected",
    [
        ("header:x-team,body:user", ("blue", "header:x-team")),
        ("body:prompt_cache_key,header:x-team", ("cache-1", "body:prompt_cache_key")),
        ("body:safety_identifier,fixed:everybody", ("everybody", "fixed")),
        ("librechat", ("bob", "body:user")),
        ("openwebui,client_ip", ("u-7", "header:x-openwebui-user-id")),
        ("api_key,client_ip", ("127.0.0.1", "client_ip")),
        ("header:x-nobody", (None, "none")),
    ],
)
def test_the_first_rule_that_names_somebody_counts(serve, scripted, rules, expected):
    body = b'{"model":"m","user":"bob","prompt_cache_key":"cache-1"}'
    proxy = serve(scripted(answer_plainly).url, "--set", f"identity.rules={rules}")
    record = ask(proxy, b"X-Team: blue", b"X-OpenWebUI-User-Id: u-7", b"X-Correlation-ID: s-1", body=body)
    assert (record["user"], record["user_from"]) == expected and record["session"] == "s-1"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_token_counts_by_the_signature_of_the_configured_key(serve, scripted, tmp_path, algorithm):
    key, token = signed(tmp_path, algorithm, {"sub": "ann", "exp": time.time() + 600})
    settings = ["--set", "identity.rules=jwt:sub,client_ip", "--set", f"identity.jwt_algorithm={algorithm}"]
    proxy = serve(scripted(answer_plainly).url, "--admin", "127.0.0.1:0", *settings, "--set", f"identity.jwt_key_file={key}")
    record = ask(proxy, b"Authorization: Bearer " + token)
    assert (record["user"], record["user_from"]) == ("ann", "jwt:sub")
    none = b64(b'{"alg":"none"}') + b"." + token.split(b".")[1] + b"."
    for forged in (token[:-8] + b"AAAAAAAA", none):
        send(proxy, b"Authorization: Bearer " + forged)
    assert {record["user_from"] for record in proxy.records(3)[1:]} == {"client_ip"}
    failures = Metrics(fetch(admin_port(proxy), "/metrics")[1])
    assert failures.sum("tachograph_identity_token_failures_total", reason="algorithm") == 1
    assert failures.sum("tachograph_identity_token_failures_total", reason="signature") == 1
    text = proxy.log.read_text() + proxy.child.output
    assert token.decode() not in text and token.split(b".")[1].decode() not in text


def test_a_token_without_a_key_is_marked(serve, scripted, tmp_path):
    _, token = signed(tmp_path, "ES256", {"email": "ann@example.com"})
    proxy = serve(scripted(answer_plainly).url, "--set", "identity.rules=jwt:email@x-token,client_ip")
    record = ask(proxy, b"X-Token: " + token)
    assert (record["user"], record["user_from"]) == ("ann@example.com", "jwt_unverified:email")


@pytest.mark.parametrize("mode, expected", [("hash", r"user_[0-9a-f]{12}"), ("drop", None)])
def test_names_are_hidden_but_not_those_that_are_allowed(serve, scripted, mode, expected):
    proxy = serve(scripted(answer_plainly).url, "--set", f"identity.names={mode}", "--set", "identity.allow=team-*")
    for name in (b"alice", b"team-blue"):
        send(proxy, b"X-User-Id: " + name)
    hidden, allowed = proxy.records(2)
    assert hidden["user"] is None if expected is None else re.fullmatch(expected, hidden["user"])
    assert allowed["user"] == "team-blue" and "alice" not in proxy.log.read_text()


def test_open_webuis_own_calls_are_tasks(serve, scripted):
    proxy = serve(scripted(answer_plainly).url)
    send(proxy, b"X-OpenWebUI-Task: title_generation")
    prompt = "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history, secret-word"
    send(proxy, body=json.dumps({"model": "m", "messages": [{"role": "user", "content": prompt}]}).encode())
    send(proxy, body=json.dumps({"model": "m", "messages": [{"role": "user", "content": "### Task:\nMine"}]}).encode())
    assert [record["task"] for record in proxy.records(3)] == ["title_generation", "tags_generation", None]
    assert "secret-word" not in proxy.log.read_text()


def test_headers_and_rules_together_are_refused_with_the_remedy(tmp_path):
    from test_operation import run

    (tmp_path / "t.yaml").write_text("upstream: http://127.0.0.1:1\nidentity:\n  headers: [x-a]\n  rules: ['header:x-b']\n")
    done = run("config", "--check", "t.yaml", cwd=tmp_path)
    assert done.returncode == 2 and "as header:NAME" in done.stdout + done.stderr


def test_metrics_name_users_only_if_they_may(serve, scripted):
    upstream = scripted(answer_plainly).url
    for limit, expected in (("0", {}), ("1", {"alice": 2, "other": 1})):
        proxy = serve(upstream, "--admin", "127.0.0.1:0", "--set", f"admin.users={limit}")
        for name in (b"alice", b"alice", b"bob"):
            send(proxy, b"X-User-Id: " + name)
        proxy.records(3)
        shown = Metrics(fetch(admin_port(proxy), "/metrics")[1]).all("tachograph_user_exchanges_total")
        assert {labels["user"]: value for labels, value in shown} == expected
