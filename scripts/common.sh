# Functions and paths for all scripts here, which source it. It changes nothing by itself.
# shellcheck shell=bash
set -euo pipefail

# A bare environment (cron, CI, `env -i`) has neither of these.
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
[ -n "${HOME:-}" ] || HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
export HOME
command -v swift >/dev/null || PATH="$PATH:/opt/swift/usr/bin"

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What takes long to make and serves every checkout: the Python packages of the tests, llama.cpp's server.
cache="${TACHOGRAPH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tachograph}"
me=$(basename "$0")

# Results go to stdout, messages to stderr.
say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "$*"; exit 1; }

# quietly LOG COMMAND…: runs COMMAND with its output in LOG, and shows the end of that only if it fails.
quietly() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 </dev/null && return
  tail -n 60 "$log" >&2
  die "failed: $*"
}

# Builds the release binary if a source is newer than the last build, and sets `binary` to its path.
build_release() {
  local stamp="$top/.build/release.stamp" log="$top/.build/release.log" pid
  binary="$top/.build/release/tachograph"
  if [ -x "$binary" ] && [ -e "$stamp" ] &&
    [ -z "$(find "$top/Package.swift" "$top/Sources" -newer "$stamp" -print -quit)" ]; then
    return
  fi
  mkdir -p "$top/.build"
  touch "$stamp.next"
  quietly "$log" swift build --package-path "$top" -c release --product tachograph --static-swift-stdlib &
  pid=$!
  # A message only if the build takes longer than three seconds.
  for _ in 1 2 3 4 5 6; do
    sleep 0.5
    kill -0 "$pid" 2>/dev/null || break
  done
  ! kill -0 "$pid" 2>/dev/null || say "building the release (the first time takes some minutes; log: $log)"
  wait "$pid" || return
  mv "$stamp.next" "$stamp"
}
