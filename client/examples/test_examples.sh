#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the examples against a daemon of their own and compares what they print.
#
#     test_examples.sh SPONSOND PRODUCER READER RESUME LATEST [LIBRARY]
#
# With LIBRARY it runs the ctypes example too.
set -eu
sponsond=$1 producer=$2 reader=$3 resume=$4 latest=$5 library=${6:-}
here=$(dirname "$0")
dir=$(mktemp -d)
daemon=
cleanup() {
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

if [ -n "$library" ]; then
    export SPONSON_LIBRARY="$library"
    expect "$(python3 "$here/ctypes_example.py" python eins zwei | cut -d ' ' -f 1,3)" "1 eins
2 zwei"
fi
