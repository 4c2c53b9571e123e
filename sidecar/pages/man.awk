# SPDX-License-Identifier: Apache-2.0
# man.awk: the records of one program (records.c) -> its manual page. After roff.awk.
#
# -v section=1|8 -v summary=TEXT -v others="PAGE(N) ..." -v exits=FILE, the rows of `sponson --help` on exit
# codes, for a verb. A paragraph after the options goes to the section that its first word names: Exits, Exit codes,
# Examples. All others end the description.
BEGIN { FS = "\t" }

function title(text) {
    sub(/:$/, "", text)
    return text
}

# "-n,--name" and its value -> bold names, the value in italics.
function names(list, value,    parts, count, i, out) {
    count = split(list, parts, ",")
    out = ""
    for (i = 1; i <= count; i++)
        out = out (i > 1 ? ", " : "") "\\fB" plain(parts[i]) "\\fR"
    if (value != "")
        out = out (parts[count] ~ /^--/ ? "=" : " ") "\\fI" plain(value) "\\fR"
    return out
}

# Sorts what stands after the options. A paragraph that is indented goes on with the one before it.
function note_paragraphs(text,    i, name) {
    paragraph_count = split(text, paragraphs, "\f\f")
    name = "DESCRIPTION"
    for (i = 1; i <= paragraph_count; i++) {
        if (paragraphs[i] ~ /^Exit(s |\f| codes)/)
            name = "EXIT STATUS"
        else if (paragraphs[i] ~ /^Examples?:/)
            name = "EXAMPLES"
        else if (paragraphs[i] !~ /^ /)
            name = "DESCRIPTION"
        sections[i] = name
        sub(/^(Exit codes: |Examples?:\f*)/, "", paragraphs[i])
    }
}

# begun: the section has its heading already.
function print_paragraphs(name, begun,    i) {
    for (i = 1; i <= paragraph_count; i++) {
        if (sections[i] != name || paragraphs[i] == "")
            continue
        if (!begun++)
            print ".SH " quoted(name)
        if (name == "EXAMPLES")
            print_examples(paragraphs[i])
        else
            print_prose(paragraphs[i])
    }
}

function print_prose(text) {
    gsub(/\f/, " ", text)
    print ".PP\n" prose(text)
}

# A command, and what it does on lines that are indented further.
function print_examples(text,    lines, count, i, margin) {
    count = split(text, lines, "\f")
    match(lines[1], /^ */)
    margin = RLENGTH
    for (i = 1; i <= count; i++) {
        match(lines[i], /^ */)
        if (RLENGTH > margin)
            print ".RS 4\n" prose(substr(lines[i], RLENGTH + 1)) "\n.RE"
        else
            print ".PP\n.nf\n\\fB" plain(substr(lines[i], RLENGTH + 1)) "\\fR\n.fi"
    }
}

$1 == "program" { program = $2 }
$1 == "version" { version = $2 }
$1 == "args" { ways[++way_count] = $2 }
$1 == "doc" { doc = $2 }
$1 == "after" && $2 != "" { after = after (after == "" ? "" : "\f\f") $2 }
$1 == "group" { rows[++row_count] = "group\t" $2 }
$1 == "option" || $1 == "word" { rows[++row_count] = $0 }

END {
    page = program
    gsub(/ /, "-", page)
    print_title(page, section, version)
    print ".SH NAME"
    print plain(page) " \\- " plain(summary)
    print ".SH SYNOPSIS"
    for (i = 1; i <= way_count; i++) {
        if (i > 1)
            print ".br"
        print "\\fB" plain(program) "\\fR [\\fIOPTION\\fR]... " plain(ways[i])
    }
    print ".SH DESCRIPTION"
    note_paragraphs(after)
    print_prose(doc)
    print_paragraphs("DESCRIPTION", 1)
    print_rows()
    print_exits()
    print_paragraphs("EXAMPLES", 0)
    print_others(others, page)
}

# A heading is printed with its first row: the last one may have none.
function print_rows(    i, parts, heading, in_options) {
    heading = ""
    in_options = 0
    for (i = 1; i <= row_count; i++) {
        split(rows[i], parts, "\t")
        if (parts[1] == "group") {
            heading = title(parts[2])
            continue
        }
        if (heading == "Exit codes")
            continue
        if (parts[1] == "word") {
            if (heading != "") {
                print ".SH " quoted(toupper(plain(heading)))
                heading = ""
                in_options = 0
            }
            print ".TP"
            print "\\fB" plain(parts[2]) "\\fR"
        } else {
            if (!in_options++)
                print ".SH OPTIONS"
            if (heading != "" && heading != "Options")
                print ".SS " quoted(plain(heading))
            heading = ""
            print ".TP"
            print names(parts[2], parts[3])
        }
        print prose(parts[parts[1] == "word" ? 3 : 4])
    }
    if (!in_options)
        print ".SH OPTIONS"
    else
        print ".SS \"Help\""
    print ".TP\n\\fB\\-?\\fR, \\fB\\-\\-help\\fR\nPrint all options and exit."
    print ".TP\n\\fB\\-\\-usage\\fR\nPrint a short usage message and exit."
    print ".TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nPrint the version and exit."
}

# The codes of all verbs, then what this one says about them.
function print_exits(    line, parts, rows) {
    rows = ""
    while (exits != "" && (getline line < exits) > 0) {
        split(line, parts, "\t")
        rows = rows ".TP\n\\fB" parts[2] "\\fR\n" prose(parts[3]) "\n"
    }
    if (rows != "")
        printf ".SH \"EXIT STATUS\"\n%s", rows
    print_paragraphs("EXIT STATUS", rows != "")
}
