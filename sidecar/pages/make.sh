#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make.sh OUT LIBRARY VERSION SPONSOND SPONSON SPONSON_HTTP SPN_ERR_H SPONSON_H: writes the manual pages and the
# completions of all programs to OUT, one folder for each program and one for the library.
#
# LIBRARY is records.c: under it `PROGRAM --help` prints the program's table. Nothing is listed here but the programs:
# the verbs are those of `sponson --help`. A page that is not made of --help, like one for a configuration file, is a
# file man/NAME.SECTION beside this one, and is copied.
set -eu
out=$1 library=$2 version=$3 sponsond=$4 sponson=$5 http=$6 errors=$7 header=$8
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$out"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "make.sh: $*" >&2
    exit 1
}

# A program built with a sanitizer wants its runtime first, which the library has in itself.
records() { # name for the file, program and words
    name=$1
    shift
    LC_ALL=C LD_PRELOAD="$library" ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 "$@" --help >"$work/$name" ||
        fail "$* --help"
    grep -q "^program	" "$work/$name" || fail "no table of options: $*"
}

# What a program does, out of its first sentence.
summary() {
    sed -n 's/^doc	\(.\)\([^.:]*\).*/\1	\2/p' "$1" | awk -F '\t' '{ print tolower($1) $2 }'
}

page() { # folder, name, section, summary, other pages, exit codes
    mkdir -p "$out/$1/man/man$3"
    awk -v section="$3" -v summary="$4" -v others="$5" -v exits="${6-}" -f "$here/roff.awk" \
        -f "$here/man.awk" "$work/$2" \
        >"$out/$1/man/man$3/$2.$3"
}

# The page of a program's configuration file, if it reads one: the program itself prints what may stand there.
settings_page() { # folder, name of the records, program, other pages, name of the file
    grep -q '^option	--print-config	' "$work/$2" || return 0
    env -i "$3" --no-config --print-config >"$work/settings" || fail "$3 --print-config"
    mkdir -p "$out/$1/man/man5"
    awk -v page="$5" -v others="$4" -f "$here/roff.awk" -f "$here/yaml.awk" "$work/$2" "$work/settings" \
        >"$out/$1/man/man5/$5.5"
}

completion() { # folder, name, files of records
    folder=$1 name=$2
    shift 2
    mkdir -p "$out/$folder/bash" "$out/$folder/zsh" "$out/$folder/fish"
    awk -v body="$here/bash.in" -f "$here/values.awk" -f "$here/bash.awk" "$@" >"$out/$folder/bash/$name"
    awk -f "$here/values.awk" -f "$here/zsh.awk" "$@" >"$out/$folder/zsh/_$name"
    awk -f "$here/values.awk" -f "$here/fish.awk" "$@" >"$out/$folder/fish/$name.fish"
}

records sponsond "$sponsond"
records sponson "$sponson"
records sponson-http "$http"
awk -F '\t' '
    $1 == "group" { heading = $2 }
    $1 == "word" && heading == "Verbs:" { split($2, word, " "); print word[1] "\t" $3 }' "$work/sponson" >"$work/verbs"
awk -F '\t' '
    $1 == "group" { heading = $2 }
    $1 == "word" && heading == "Exit codes:"' "$work/sponson" >"$work/exits"
[ -s "$work/verbs" ] && [ -s "$work/exits" ] || fail "sponson --help has no verbs, or no exit codes"
pages=""
files=""
tab=$(printf '\t')
while IFS="$tab" read -r verb text; do
    records "sponson-$verb" "$sponson" "$verb"
    page sponson "sponson-$verb" 1 "$text" "sponson(1) sponsond(8)" "$work/exits"
    pages="$pages sponson-$verb(1)"
    files="$files $work/sponson-$verb"
done <"$work/verbs"
page sponson sponson 1 "$(summary "$work/sponson")" "$pages sponsond(8) sponson-http(8) libsponson(3)" "$work/exits"
page sponson sponsond 8 "$(summary "$work/sponsond")" "sponson(1) sponson-http(8) libsponson(3)"
page http sponson-http 8 "$(summary "$work/sponson-http")" "sponsond(8) sponson(1) sponson-token(1)"
settings_page sponson sponsond "$sponsond" "sponsond(8)" sponson.yaml
settings_page http sponson-http "$http" "sponson-http(8) sponson.yaml(5)" sponson-http.yaml
# shellcheck disable=SC2086 # a list of names
completion sponson sponson "$work/sponson" $files
completion sponson sponsond "$work/sponsond"
completion http sponson-http "$work/sponson-http"

mkdir -p "$out/library/man/man3"
awk -v version="$version" -f "$here/roff.awk" -f "$here/header.awk" "$errors" "$header" >"$out/library/man/man3/libsponson.3"
# `man spn_publish` shows the library's page.
sed -n 's/^SPN_API .*[ *]\(spn_[a-z0-9_]*\)(.*/\1/p' "$header" | while read -r name; do
    echo ".so man3/libsponson.3" >"$out/library/man/man3/$name.3"
done
for written in "$here"/man/*.[1-8]; do
    [ -e "$written" ] || continue
    section=${written##*.}
    mkdir -p "$out/sponson/man/man$section"
    cp "$written" "$out/sponson/man/man$section/"
done
