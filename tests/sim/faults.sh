#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Faults that were here once, each put back by a patch: the simulation must find it. Each is built in
# a copy of the sources.
# faults.sh SOURCE BUILD
set -eu
source=$(cd "$1" && pwd)
mkdir -p "$2"
work=$(cd "$2" && pwd)/sim-faults
found=0
for patch in "$source"/tests/sim/faults/*.patch; do
    name=$(basename "$patch" .patch)
    rm -rf "$work"
    mkdir -p "$work"
    (cd "$source" && tar cf - CMakeLists.txt CMakePresets.json proto client sidecar tests) | (cd "$work" && tar xf -)
    (cd "$work" && patch -s -p1 <"$patch")
    (cd "$work" && cmake --preset dev >/dev/null && cmake --build --preset dev --target test_simulation >/dev/null)
    if said=$("$work/build/dev/bin/test_simulation" 1 1000 2>&1); then
        echo "$name: the simulation does not find it"
        exit 1
    fi
    echo "$name: $(echo "$said" | grep -m 1 'ERROR: seed')"
    found=$((found + 1))
done
rm -rf "$work"
echo "simulation: $found faults found"
test "$found" -gt 0
