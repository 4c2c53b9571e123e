# SPDX-License-Identifier: Apache-2.0
# header.awk: spn_err.h and sponson.h -> libsponson.3.
#
# The page is the header in its own order: comments as text, declarations as they are, a section for each
# `-- name --`. What is only for the compiler is left out. After roff.awk.
# Functions of the library in bold, as man shows them elsewhere.
function with_functions(text,    out) {
    text = plain(text)
    out = ""
    while (match(text, /spn_[a-z0-9_]+/)) {
        out = out substr(text, 1, RSTART - 1) "\\fB" substr(text, RSTART, RLENGTH) "\\fR"
        text = substr(text, RSTART + RLENGTH)
    }
    return out text
}

function end_code() {
    if (in_code)
        print ".fi\n.RE"
    in_code = 0
}

# A word and five spaces or so begin a paragraph of their own: Owns, Units, Errors ...
function print_comment_line(line,    word) {
    sub(/^ ?\/?\*+\/? ?/, "", line)
    sub(/ ?\*\/$/, "", line)
    if (line ~ /^[ ]*$/) {
        if (in_list)
            in_list = 0
        print ".PP"
        return
    }
    if (match(line, /^[A-Z][a-z]+  +/)) {
        word = line
        sub(/ .*/, "", word)
        print ".TP\n\\fB" word "\\fR"
        in_list = 1
        line = substr(line, RLENGTH + 1)
    }
    sub(/^ +/, "", line)
    print with_functions(line)
}

function print_code(line) {
    if (!in_code)
        print ".PP\n.RS 4\n.nf"
    in_code = 1
    # Without its first word, what follows on further lines moves too.
    if (sub(/^SPN_API /, "", line))
        moved = 1
    else if (moved && line ~ /^         /)
        line = substr(line, 9)
    else
        moved = 0
    sub(/ SPN_MUST_USE;/, ";", line)
    sub(/ +\\$/, "", line)
    print (line == "" ? "" : "\\&" plain(line))
}

# The list of codes stands in the other header.
FILENAME ~ /spn_err\.h$/ {
    if ($0 ~ /^    X\([A-Z_]+, [0-9]+, "/) {
        code = text = $0
        sub(/^    X\(/, "", code)
        sub(/,.*/, "", code)
        sub(/^[^"]*"/, "", text)
        sub(/".*/, "", text)
        errors = errors ".TP\n\\fBSPN_" code "\\fR\n" plain(text) "\n"
    }
    next
}

FNR == 1 {
    print_title("libsponson", 3, "libsponson " version)
    print ".SH NAME\nlibsponson \\- publish server\\-sent events to the sidecar on this host, and read them back"
    print ".SH SYNOPSIS\n.nf\n\\fB#include <sponson.h>\\fR\n.PP"
    print "cc app.c $(pkg\\-config \\-\\-cflags \\-\\-libs sponson)\n.fi\n.SH DESCRIPTION"
    next
}

/^#ifdef __cplusplus/ || /^#if defined\(__GNUC__\)/ { skipping = 1 }
/^#else/ || /^#endif/ {
    skipping = $0 ~ /^#else/ && after_gnuc
    next
}
/^#if/ { after_gnuc = $0 ~ /__GNUC__/ }
skipping || /^#(if|include)/ || /^#define SPONSON_H$/ { next }

!in_comment && /^\/\* -- / {
    end_code()
    sub(/^\/\* -- /, "")
    sub(/ --.*/, "")
    print ".SH \"" plain(toupper($0)) "\""
    next
}
!in_comment && /^\/\* sponson\.h: / {
    print "Publish server\\-sent events to the sidecar on this host, and read them back."
    in_comment = 1
    next
}
!in_comment && /^\/\*/ {
    end_code()
    print ".PP"
    in_comment = 1
}
in_comment {
    ends = $0 ~ /\*\/$/
    if ($0 !~ /^ \*\/$/)
        print_comment_line($0)
    in_comment = !ends
    next
}
/^$/ && !in_body {
    end_code()
    next
}
{
    if ($0 ~ /\{$/ && $0 !~ /^ /)
        in_body = 1
    if ($0 ~ /^}/)
        in_body = 0
    print_code($0)
}

END {
    end_code()
    print ".SH ERRORS"
    printf "%s", errors
    print_others("sponson(1) sponsond(8)", "libsponson")
}
