#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every fuzz target for so many seconds (default 60), from its seeds. What it finds stays in build/clang.
set -eu
cd "$(dirname "$0")/.."
sh tests/packages.sh check
cmake --preset clang >/dev/null
cmake --build --preset clang
for target in tests/fuzz/fuzz_*.c; do
    name=$(basename "$target" .c)
    mkdir -p "build/clang/corpus/$name"
    (cd build/clang && bin/"$name" -max_total_time="${1:-60}" -print_final_stats=1 \
        "corpus/$name" "../../tests/fuzz/corpus/${name#fuzz_}" 2>"$name.log") ||
        { tail -40 "build/clang/$name.log" >&2; exit 1; }
    echo "$name: $(grep number_of_executed_units "build/clang/$name.log")"
done
