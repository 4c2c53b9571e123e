#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Faults that were here once, each put back by a patch: the simulation must find it. They are built in one copy of
# the sources, one after the other.
# faults.sh SOURCE BUILD [apply]: with the word, looks only whether the patches apply.
set -eu
source=$(cd "$1" && pwd)
mkdir -p "$2"
work=$(cd "$2" && pwd)/sim-faults
found=0
if [ "${3:-}" != apply ]; then
    rm -rf "$work"
    mkdir -p "$work"
    (cd "$source" && tar cf - CMakeLists.txt CMakePresets.json proto client sidecar tests) | (cd "$work" && tar xf -)
    (cd "$work" && cmake --preset dev >/dev/null)
fi
put() { (cd "$work" && patch --no-backup-if-mismatch -s -p1 "$@" <"$patch"); }
for patch in "$source"/tests/sim/faults/*.patch; do
    name=$(basename "$patch" .patch)
    found=$((found + 1))
    if [ "${3:-}" = apply ]; then
        (cd "$source" && patch --dry-run -s -p1 <"$patch")
        continue
    fi
    put
    (cd "$work" && cmake --build --preset dev --target test_simulation >/dev/null)
    if said=$("$work/build/dev/bin/test_simulation" 1 1000 2>&1); then
        echo "$name: the simulation does not find it"
        exit 1
    fi
    echo "$name: $(echo "$said" | grep -m 1 'ERROR: seed')"
    put -R
done
if [ "${3:-}" = apply ]; then
    echo "simulation: $found patches apply"
else
    rm -rf "$work"
    echo "simulation: $found faults found"
fi
test "$found" -gt 0
