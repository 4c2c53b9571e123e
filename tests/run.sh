#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# All tests: install what they need, build, run. An argument names another preset: asan, tsan, clang.
set -eu
cd "$(dirname "$0")/.."
preset="${1:-dev}"
case "$preset" in
clang) sh tests/packages.sh check ;;
*) sh tests/packages.sh test ;;
esac
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset"
exec ctest --preset "$preset" -j 2
