#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What tests/storeys.sh finds, each in a tree of two storeys and one wrong line.
set -eu
check="$(cd "$(dirname "$0")" && pwd)/storeys.sh"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/sidecar/low/room" "$tree/sidecar/high" "$tree/sidecar/other"

make_tree() {
    printf 'spn_storey(low MODULES a)\nspn_storey(high SEES low MODULES b)\nspn_storey(other SEES low MODULES c)\n' \
        >"$tree/sidecar/CMakeLists.txt"
    printf '#include "low/a.h"\n#include "wire.h"\n#include <stdint.h>\n' >"$tree/sidecar/low/a.c"
    printf '#include "low/a.h"\n#include "low/room/d.h"\n' >"$tree/sidecar/low/room/d.c"
    printf '#include "high/b.h"\n#include "low/a.h"\n#include "low/room/d.h"\n' >"$tree/sidecar/high/b.c"
    printf '#include "other/c.h"\n' >"$tree/sidecar/other/c.c"
}

# finds FILE LINE WORDS: with this line in this file the check fails and says these words.
finds() {
    make_tree
    printf '%s\n' "$2" >>"$tree/sidecar/$1"
    if said=$(sh "$check" "$tree" 2>&1); then
        echo "passes: $2 in $1"
        exit 1
    fi
    case $said in
    *"$3"*) ;;
    *) echo "$2 in $1: it said: $said" && exit 1 ;;
    esac
}

make_tree
sh "$check" "$tree" >/dev/null
finds low/a.c '#include "high/b.h"' 'low/a.c:4: low does not see high: high/b.h'
finds high/b.c '#include "other/c.h"' 'high does not see other'
finds low/room/d.c '#include "high/b.h"' 'low does not see high: high/b.h'
finds high/b.c '#include "other/room/e.h"' 'high does not see other'
finds high/b.c '#include "low/../other/c.h"' 'an include names its storey'
finds low/room/d.c '#include "room/d.h"' 'an include names its storey'
finds high/b.c '#include "b.h"' 'an include names its storey: b.h'
finds high/b.c '#include "../low/a.h"' 'an include names its storey'
finds high/b.c '#include "nowhere/a.h"' 'an include names its storey'
finds high/b.c '#include <zmq.h>' 'only net and mail include zmq.h'
finds high/b.c '#include <microhttpd.h>' 'only http/web_parts.h includes microhttpd.h'
finds high/b.c '#include "http/web_parts.h"' 'only the files of http/web include web_parts.h'
finds high/b.c '#include <openssl/evp.h>' 'only token includes openssl'
finds high/b.c '#include <lmdb.h>' 'only store includes lmdb.h'
finds CMakeLists.txt 'spn_storey(low SEES high MODULES a)' 'low is there twice'
finds CMakeLists.txt 'spn_storey(third SEES fourth MODULES d)' 'third would see fourth'
echo "storeys: each wrong line is found"
