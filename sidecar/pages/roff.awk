# SPDX-License-Identifier: Apache-2.0
# roff.awk: what the writers of pages share.
# Roff takes a backslash, and a dot or an apostrophe at the beginning of a line. A hyphen is one to copy.
function plain(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/\n\./, "\n\\\\\\&.", text)
    sub(/^[.']/, "\\\\\\&&", text)
    return text
}

# Options in bold.
function with_options(text,    out, word) {
    out = ""
    while (match(text, /(^|[ (:;])\\-\\-[a-z\\-]*[a-z]/)) {
        word = substr(text, RSTART, RLENGTH)
        out = out substr(text, 1, RSTART - 1)
        if (word !~ /^\\/) {
            out = out substr(word, 1, 1)
            word = substr(word, 2)
        }
        out = out "\\fB" word "\\fR"
        text = substr(text, RSTART + RLENGTH)
    }
    return out text
}

# Plain text, with `code` and options in bold.
function prose(text,    parts, count, i, out) {
    count = split(plain(text), parts, "`")
    out = ""
    for (i = 1; i <= count; i++)
        out = out (i % 2 ? with_options(parts[i]) : "\\fB" parts[i] "\\fR")
    return out
}

function quoted(text) {
    gsub(/"/, "\\(dq", text)
    return "\"" text "\""
}

# name and section as man shows them, and what stands below the page.
function print_title(name, section, version) {
    printf ".TH %s %s \"\" %s Sponson\n.nh\n.ad l\n", quoted(plain(toupper(name))), section, quoted(plain(version))
}

# "name(1) other(8)", but for the page itself.
function print_others(list, page,    parts, count, i, name, out) {
    count = split(list, parts, " ")
    out = ""
    for (i = 1; i <= count; i++) {
        name = parts[i]
        sub(/\([0-9]\)$/, "", name)
        if (name != page)
            out = out (out == "" ? "" : " ,\n") ".BR " plain(name) " " substr(parts[i], length(name) + 1)
    }
    print ".SH SEE ALSO\n" out
}
