#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job on sample data: install, build, start a sidecar in a temporary directory, record
# streams, kill it with -9, start it again, and show that everything is there.
set -eu
cd "$(dirname "$0")/.."
sh tests/packages.sh build
echo "== build"
build_log=$(mktemp)
if ! cmake --workflow --preset release >"$build_log" 2>&1; then
    cat "$build_log" >&2
    echo "quickstart: the build failed, see above" >&2
    rm -f "$build_log"
    exit 1
fi
rm -f "$build_log"
PATH="$PWD/build/release/bin:$PATH"

home=$(mktemp -d)
daemon=""
finish() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
    rm -rf "$home"
}
trap finish EXIT
mkdir "$home/data" "$home/sockets"
export SPONSON_DATA_DIR="$home/data" SPONSON_SOCKET_DIR="$home/sockets"
start() {
    sponsond &
    daemon=$!
    sponson health --wait 10
}

echo "== a sidecar"
start
echo "== record the sample streams"
for file in tests/data/*.sse; do
    sponson record "$(basename "$file" .sse)" "$file"
done
echo "== kill -9"
kill -9 "$daemon"
wait "$daemon" 2>/dev/null || true
echo "== what is on disk, with no sidecar running"
sponson dump >"$home/dump.jsonl"
stored=$(grep -cE '"kind":"(event|marker|reset)"' "$home/dump.jsonl")
echo "$(wc -l <"$home/dump.jsonl") entries, $stored of them events and markers"
echo "== start it again: everything is there"
start
sponson sessions
for file in tests/data/*.sse; do
    session=$(basename "$file" .sse)
    echo "$session: $(sponson replay "$session" | wc -l) events and markers, the last is $(sponson last "$session")"
done
replayed=$(for file in tests/data/*.sse; do sponson replay "$(basename "$file" .sse)"; done | wc -l)
[ "$replayed" -eq "$stored" ] && [ "$replayed" -gt 0 ] ||
    { echo "quickstart: $replayed events replayed, the log has another number" >&2; exit 1; }
echo "== all $replayed survived"
