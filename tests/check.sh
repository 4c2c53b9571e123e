#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What is checked without running: format, both compilers' warnings, clang-tidy, cppcheck.
set -eu
cd "$(dirname "$0")/.."
sh tests/packages.sh check
sources=$(git ls-files '*.c' '*.h')
# shellcheck disable=SC2086 # a list of names
clang-format --dry-run -Werror $sources
sh tests/storeys.sh
cmake --preset dev >/dev/null
cmake --build --preset dev
cmake --preset clang >/dev/null
cmake --build --preset clang
# Commands that are others after each configuration have everything compiled again.
cp build/clang/compile_commands.json build/clang/commands.first
cmake --preset clang >/dev/null
cmp build/clang/commands.first build/clang/compile_commands.json ||
    { echo "check: a second configuration changes what is compiled" >&2; exit 1; }
mkdir -p build/clang/once
python3 tests/each_once.py build/clang/compile_commands.json build/clang/once/compile_commands.json
git ls-files '*.c' | xargs -P "$(nproc)" -n 4 clang-tidy -p build/clang/once --quiet 2>build/clang/tidy.log ||
    { grep -v 'warnings generated' build/clang/tidy.log; exit 1; }
cppcheck --project=build/clang/once/compile_commands.json --std=c11 --enable=warning,performance,portability \
    --inline-suppr --suppress=missingIncludeSystem --error-exitcode=1 --quiet -j "$(nproc)"
echo "check: format, gcc, clang, clang-tidy and cppcheck are clean"
