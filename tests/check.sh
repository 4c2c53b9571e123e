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
git ls-files '*.c' | xargs -P 2 -n 4 clang-tidy -p build/clang --quiet 2>build/clang/tidy.log ||
    { grep -v 'warnings generated' build/clang/tidy.log; exit 1; }
cppcheck --project=build/clang/compile_commands.json --std=c11 --enable=warning,performance,portability \
    --inline-suppr --suppress=missingIncludeSystem --error-exitcode=1 --quiet -j 2
echo "check: format, gcc, clang, clang-tidy and cppcheck are clean"
