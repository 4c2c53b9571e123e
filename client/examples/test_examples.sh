#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the examples against a daemon of their own and compares what they print.
#
#     test_examples.sh SPONSOND PRODUCER READER RESUME LATEST MANY HTTP [LIBRARY]
#
# With LIBRARY it runs the ctypes example too.
set -eu
sponsond=$1 producer=$2 reader=$3 resume=$4 latest=$5 many=$6 http=$7 library=${8:-}
here=$(dirname "$0")
dir=$(mktemp -d)
daemon=
server=
cleanup() {
    if [ -n "$server" ]; then
        kill "$server" && wait "$server" || true
    fi
    if [ -n "$daemon" ]; then
        kill "$daemon" && wait "$daemon" || true
    fi
    rm -rf "$dir"
}
trap cleanup EXIT

expect() { # what was printed, what should have been
    if [ "$1" != "$2" ]; then
        printf 'expected:\n%s\nbut got:\n%s\n' "$2" "$1" >&2
        exit 1
    fi
}

fail() {
    echo "test_examples: $*" >&2
    exit 1
}

mkdir "$dir/data" "$dir/sockets"
mkfifo "$dir/ready"
export SPONSON_SOCKET_DIR="$dir/sockets"
"$sponsond" --data-dir "$dir/data" --socket-dir "$dir/sockets" --ready-fd 3 3> "$dir/ready" \
    2> "$dir/log" &
daemon=$!
read -r _ < "$dir/ready" || { cat "$dir/log" >&2; exit 1; }

"$producer" chat one two three > "$dir/published"
expect "$(grep -c ' is stored$' "$dir/published")" 3
first=$(sed -n 's/^event 1 has id //p' "$dir/published")
expect "$("$reader" chat | grep '^data: ')" "data: one
data: two
data: three"
expect "$("$reader" chat | sed -n 's/^id: //p' | head -n 1)" "$first"
expect "$("$reader" chat "$first" | grep '^data: ')" "data: two
data: three"
if "$reader" nobody 2> "$dir/refused"; then
    echo "a session that is not there was read" >&2
    exit 1
fi
grep -q SPN_E_UNKNOWN_SESSION "$dir/refused"

# However many events were stored, all are accounted for and the newest is there.
numbers=$(seq 1 1000)
for i in $numbers; do echo "busy $i"; done > "$dir/lines"
echo "quiet first" >> "$dir/lines"
said=$("$latest" < "$dir/lines")
expect "$(echo "$said" | awk '{ print $1 + $3 }')" 1001
expect "$("$reader" busy | grep '^data: ' | tail -n 1)" "data: 1000"
expect "$("$reader" quiet | grep '^data: ')" "data: first"
expect "$("$resume" chat "$first" 2 | grep '^data: ')" "data: two
data: three"
if "$resume" nobody > "$dir/resumed" 2>&1; then
    echo "a session that is not there was resumed" >&2
    exit 1
fi
expect "$(cat "$dir/resumed")" "no such session"

# Each of a hundred readers gets all of its session; the last two begin elsewhere.
{ for _ in $(seq 1 100); do echo chat; done; echo "chat $first"; echo quiet; } > "$dir/lines"
"$many" 303 < "$dir/lines" > "$dir/many" 2> "$dir/refused" && fail "a file was polled"
# shellcheck disable=SC2002 # a pipe can be polled, a file cannot
cat "$dir/lines" | "$many" 303 > "$dir/many"
expect "$(sort -n -s -k 1,1 "$dir/many" | cut -d ' ' -f 1,2,4)" "$(
    for i in $(seq 1 100); do printf '%s chat one\n%s chat two\n%s chat three\n' "$i" "$i" "$i"; done
    printf '101 chat two\n101 chat three\n102 quiet first')"
expect "$(echo nobody | "$many" 1)" "1 nobody: no such session"
# What is published while they wait comes to all of them.
third=$("$reader" chat | sed -n 's/^id: //p' | tail -n 1)
mkfifo "$dir/live"
"$many" 50 < "$dir/live" > "$dir/many" &
waiting=$!
for i in $(seq 1 50); do echo "chat $third"; done > "$dir/live"
"$producer" chat four > "$dir/published"
wait "$waiting"
expect "$(cut -d ' ' -f 2,4 "$dir/many" | sort | uniq -c | tr -s ' ')" " 50 chat four"

# The handler resumes, goes on, refuses, and waits for a browser that does not read.
mkfifo "$dir/port"
"$http" 0 > "$dir/port" &
server=$!
read -r port < "$dir/port"
python3 "$here/test_http.py" "$port" "$producer" "$first"

if [ -n "$library" ]; then
    export SPONSON_LIBRARY="$library"
    expect "$(python3 "$here/ctypes_example.py" python eins zwei | cut -d ' ' -f 1,3)" "1 eins
2 zwei"
fi
