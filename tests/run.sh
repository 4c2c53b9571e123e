#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# All tests: install what they need, build, run. An argument names another preset: asan, tsan, clang.
# The last line says how many were skipped for want of something: whole programs, and tests of them.
set -eu
cd "$(dirname "$0")/.."
preset="${1:-dev}"
case "$preset" in
clang) sh tests/packages.sh check ;;
*) sh tests/packages.sh test ;;
esac
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset"
results="$PWD/build/$preset/Testing"
mkdir -p "$results"
status=0
# Places, see tests/CMakeLists.txt. With sanitizers each test computes several times as much.
case "$preset" in
asan | tsan) places=6 ;;
*) places=8 ;;
esac
ctest --preset "$preset" -j "$places" --output-junit "$results/junit.xml" || status=$?
programs=$(sed -n 's/^[[:space:]]*skipped="\([0-9]*\)".*/\1/p' "$results/junit.xml" | head -n 1)
parts=$(awk '/^ *[0-9]+ SKIPPED TEST\(S\)/ { sum += $1 } END { print sum + 0 }' \
    "$results/Temporary/LastTest.log")
echo "skipped: ${programs:-0} programs, $parts tests of others"
exit "$status"
