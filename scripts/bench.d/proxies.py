"""The simulator, and what is put before it: nothing, nginx, HAProxy, tachograph. One worker each."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import urllib.request

import processes

SERVER_CORE = 0
PROXY_CORE = 1

# The proxy without its caches of heads and events.
NULL_CACHES = "tachograph-null-caches"

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log; {user}
worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
http {{
  access_log {folder}/nginx-access.log;
  client_body_temp_path {folder}/nginx-body; proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-f; uwsgi_temp_path {folder}/nginx-u; scgi_temp_path {folder}/nginx-s;
  keepalive_requests 10000000; tcp_nodelay on;
  upstream simulator {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 10000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://simulator; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 300s;
    }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn {half}
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option http-no-delay
  http-reuse always
  backlog 4096
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend bench
  bind 127.0.0.1:{port}
  default_backend simulator
backend simulator
  server simulator 127.0.0.1:{upstream}
"""


class Bench:
    """The binary under test, a folder for files, and the ports that are taken."""

    def __init__(self, binary, folder, files):
        self.binary = binary
        self.folder = pathlib.Path(folder)
        self.files = files
        self.count = 0

    def name(self, stem):
        """A file name not used before."""
        self.count += 1
        return self.folder / f"{self.count}-{stem}"

    def can_serve(self):
        """Whether the binary has `tachograph serve` yet."""
        done = subprocess.run([self.binary, "serve", "--help"], capture_output=True, text=True)
        return done.returncode == 0 and "--upstream" in done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Simulator:
    """A running simulator."""

    def __init__(self, port, truth):
        self.port = port
        self.truth = truth

    def state(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/sim/state", timeout=5) as answer:
            return json.load(answer)


@contextlib.contextmanager
def simulator(bench, with_truth, core=SERVER_CORE):
    """A fresh simulator on a port of its own."""
    log = bench.name("simulator.log")
    truth = bench.name("truth.jsonl") if with_truth else None
    arguments = [bench.binary, "simulate", "--spread"]
    if truth:
        arguments += ["--truth", truth]
    with processes.running(arguments, core, log) as process:
        found = processes.wait_until(
            lambda: process.poll() is not None or re.search(r"listening on \S+:(\d+)", log.read_text()),
            10, "the simulator",
        )
        if found is True:
            raise RuntimeError(f"the simulator ended: {log.read_text().strip()}")
        yield Simulator(int(found[1]), truth)
    if truth:
        truth.unlink(missing_ok=True)


class Proxy:
    """What a load is sent to: the port, the process (none when direct), tachograph's records."""

    def __init__(self, port, process=None, records=None):
        self.port = port
        self.process = process
        self.records = records

    def cpu(self):
        """CPU time so far in nanoseconds; nothing where there is no proxy."""
        return processes.cpu_nanoseconds(self.process.pid) if self.process else None


@contextlib.contextmanager
def proxy(bench, name, upstream, timeline=False):
    """A fresh proxy `name` before the port `upstream`."""
    if name == "direct":
        yield Proxy(upstream)
        return
    port = free_port()
    records = bench.name("records.jsonl") if name in ("tachograph", NULL_CACHES) else None
    log = bench.name(f"{name}.log")
    with processes.running(_arguments(bench, name, upstream, port, records, timeline), PROXY_CORE, log) as process:
        processes.wait_until(lambda: process.poll() is not None or listens(port), 10, name)
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended: {log.read_text().strip()[-2000:]}")
        yield Proxy(port, process, records)


def _arguments(bench, name, upstream, port, records, timeline):
    values = {
        "folder": bench.folder, "upstream": upstream, "port": port,
        "files": bench.files, "half": bench.files // 2 - 100,
        # Without root there is no other user to become.
        "user": "user root;" if os.getuid() == 0 else "",
    }
    if name == "nginx":
        file = bench.name("nginx.conf")
        file.write_text(NGINX.format(**values))
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-p", bench.folder, "-c", file]
    if name == "haproxy":
        file = bench.name("haproxy.cfg")
        file.write_text(HAPROXY.format(**values))
        return [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", file]
    # `env` becomes the program: the process that is counted is the same.
    arguments = ["/usr/bin/env", "TACHOGRAPH_NULL_CACHES=1"] if name == NULL_CACHES else []
    arguments += [bench.binary, "serve", "--workers", "1", "--upstream", f"http://127.0.0.1:{upstream}"]
    arguments += ["--listen", f"127.0.0.1:{port}", "--records", records]
    return arguments + (["--set", "records.timeline=true"] if timeline else [])
