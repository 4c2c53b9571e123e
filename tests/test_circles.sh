#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_circles.sh COMPILER: what tests/circles.sh finds, in a build of three files.
set -eu
check="$(cd "$(dirname "$0")" && pwd)/circles.sh"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/proto/CMakeFiles/x.dir" "$tree/client" "$tree/sidecar/CMakeFiles/y.dir/high"

# compile FILE TEXT
compile() {
    printf '%s\n' "$2" | "$compiler" -x c -c -o "$tree/$1.o" -
}

compiler=$1
low=proto/CMakeFiles/x.dir/low.c
middle=sidecar/CMakeFiles/y.dir/high/middle.c
top=sidecar/CMakeFiles/y.dir/high/top.c
compile $low 'int low(void) { return 1; }'
compile $middle 'int low(void); int middle(void) { return low(); }'
compile $top 'int middle(void); int top(void) { return middle(); }'
sh "$check" "$tree"
compile $low 'int top(void); int low(void) { return top(); }'
if said=$(sh "$check" "$tree" 2>&1); then
    echo "passes: three files in a circle"
    exit 1
fi
for file in proto/low.c sidecar/high/middle.c sidecar/high/top.c; do
    case $said in
    *"$file"*) ;;
    *) echo "it does not name $file: $said" && exit 1 ;;
    esac
done
rm "$tree/$low.o" "$tree/$middle.o" "$tree/$top.o"
if sh "$check" "$tree" >/dev/null 2>&1; then
    echo "passes: nothing to read"
    exit 1
fi
echo "circles: found"
