#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The walls of the house: each include in sidecar/ names its storey, and one that its own storey sees. A folder in a
# storey belongs to it.
# Who sees whom is read from sidecar/CMakeLists.txt. An argument names another tree than this one.
set -eu
cd "${1:-"$(dirname "$0")/.."}"
find sidecar -name '*.[ch]' | sort | xargs awk '
    # "storey other" for each that is seen, from the lines spn_storey(storey SEES other ... MODULES
    function read_table(file,    line, words, count, i, listing) {
        while ((getline line < file) > 0) {
            if (line !~ /^spn_storey\(/)
                continue
            sub(/^spn_storey\(/, "", line)
            count = split(line, words, " ")
            listing = 0
            if (words[1] in storeys)
                complain(file ": " words[1] " is there twice")
            storeys[words[1]] = 1
            for (i = 2; i <= count; i++) {
                if (words[i] ~ /^(SEES|LIBS|MODULES)$/)
                    listing = words[i] == "SEES"
                else if (listing && words[i] in storeys && words[i] != words[1])
                    sees[words[1], words[i]] = 1
                else if (listing)
                    complain(file ": " words[1] " would see " words[i] ", which is not below it")
            }
        }
        close(file)
    }
    function complain(text) {
        print (FILENAME ? FILENAME ":" FNR ": " : "") text
        wrong++
    }
    BEGIN {
        storeys["pages"] = 1 # sees nothing
        read_table("sidecar/CMakeLists.txt")
        count = split("base token store index recover care", words, " ")
        for (i = 1; i <= count; i++)
            sees["cli", words[i]] = 1
        sees["http", "base"] = sees["http", "token"] = sees["http", "config"] = 1
        storeys["cli"] = storeys["http"] = 1
        anywhere["err.h"] = anywhere["spn_err.h"] = anywhere["wire.h"] = anywhere["sse.h"] = anywhere["utf8.h"] = 1
    }
    FNR == 1 {
        split(FILENAME, path, "/")
        storey = path[2]
        if (!(storey in storeys))
            complain("no storey is called " storey)
        files++
    }
    /^#include <zmq.h>/ && storey != "net" && storey != "mail" { complain("only net and mail include zmq.h") }
    /^#include <microhttpd.h>/ && FILENAME != "sidecar/http/web_parts.h" {
        complain("only http/web_parts.h includes microhttpd.h")
    }
    /^#include "http\/web_parts.h"/ && FILENAME !~ /^sidecar\/http\/web[a-z_]*\.c$/ {
        complain("only the files of http/web include web_parts.h")
    }
    /^#include <lmdb.h>/ && storey != "store" { complain("only store includes lmdb.h") }
    /^#include <yaml.h>/ && storey != "config" { complain("only config includes yaml.h") }
    /^#include <openssl\// && storey != "token" { complain("only token includes openssl") }
    /^#include "/ {
        name = $2
        gsub(/"/, "", name)
        if (name in anywhere || ((storey == "cli" || storey == "http") && name == "sponson.h"))
            next
        split(name, parts, "/")
        if (name !~ /^[a-z]+\/([a-z]+\/)?[^\/]+$/ || !(parts[1] in storeys))
            complain("an include names its storey: " name)
        else if (parts[1] != storey && !((storey, parts[1]) in sees))
            complain(storey " does not see " parts[1] ": " name)
    }
    END {
        if (files < 2)
            complain("there are no files")
        if (wrong)
            exit 1
        print "storeys: " files " files see only what they may"
    }'
