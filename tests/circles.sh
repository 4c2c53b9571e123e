#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# circles.sh BUILD: no file of the product needs a file that needs it, directly or through others.
# That is read from the object files: who defines a function, and who calls it. Those of the static
# library for apps are the same once more.
set -eu
cd "$1"
pairs=$(mktemp)
trap 'rm -f "$pairs" "$pairs.circles"' EXIT
find proto client sidecar -name '*.c.o' ! -path '*/examples/*' ! -path '*/sponson_objects.dir/*' | sort | xargs nm -A |
    awk '
    {
        file = $1
        sub(/:.*/, "", file)
        sub(/CMakeFiles\/[^\/]*\.dir\//, "", file)
        sub(/\.o$/, "", file)
        symbol = $NF
        kind = $(NF - 1)
    }
    kind ~ /^[TDBRC]$/ && symbol != "main" { owner[symbol] = file }
    kind == "U" { calls[file, symbol] = 1 }
    { files[file] = 1 }
    END {
        for (call in calls) {
            split(call, part, SUBSEP)
            if (part[2] in owner && owner[part[2]] != part[1])
                print part[1], owner[part[2]]
        }
        for (file in files)
            print file, file
    }' | sort -u >"$pairs"
count=$(awk '$1 == $2' "$pairs" | wc -l)
needs=$(awk '$1 != $2' "$pairs" | wc -l)
if ! tsort "$pairs" >/dev/null 2>"$pairs.circles" || [ -s "$pairs.circles" ]; then
    echo "files that need each other:"
    sed 's/^tsort: [^:]*: */    /; s/^tsort: /    /' "$pairs.circles"
    exit 1
fi
if [ "$count" -lt 2 ] || [ "$needs" -lt 2 ]; then
    echo "there are no object files in $1"
    exit 1
fi
echo "circles: $count files, $needs pairs of one that calls the other, none in a circle"
