#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every fuzz target for so many seconds (default 60), from its seeds, as many at a time as there are
# processors. What it finds stays in build/clang.
set -eu
cd "$(dirname "$0")/.."
sh tests/packages.sh check
cmake --preset clang >/dev/null
cmake --build --preset clang --target fuzz_targets
cd build/clang
# shellcheck disable=SC2016 # the inner shell expands it
printf '%s\n' ../../tests/fuzz/fuzz_*.c | xargs -P "$(nproc)" -n 1 sh -c '
    name=$(basename "$2" .c)
    mkdir -p "corpus/$name"
    bin/"$name" -max_total_time="$1" -print_final_stats=1 -artifact_prefix="$name-" \
        "corpus/$name" "../../tests/fuzz/corpus/${name#fuzz_}" 2>"$name.log" ||
        { tail -40 "$name.log" >&2; exit 1; }
    echo "$name: $(grep number_of_executed_units "$name.log")"' fuzz "${1:-60}"
