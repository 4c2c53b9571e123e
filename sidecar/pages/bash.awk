# SPDX-License-Identifier: Apache-2.0
# bash.awk: the records of a program and its verbs -> its completion for bash. After values.awk.
function print_cases(what,    i, j, subject, option, text) {
    for (i = 1; i <= subject_count; i++) {
        subject = subjects[i]
        if (what == "options") {
            text = ""
            for (j = 1; j <= option_count[subject]; j++) {
                option = option_names[subject, j]
                text = text " " option (takes[subject, option] == "" ? "" : "=")
            }
            print "    " quoted(subject) ") REPLY=" quoted(substr(text, 2)) " ;;"
        }
        if (what == "arguments" && (text = words_of_arguments(subject)) != "")
            print "    " quoted(subject) ") REPLY=" quoted(text) " ;;"
        if (what == "values")
            for (j = 1; j <= option_count[subject]; j++) {
                option = option_names[subject, j]
                if ((text = words_of_value(takes[subject, option])) != "")
                    print "    " quoted(subject " " option) ") REPLY=" quoted(text) " ;;"
            }
    }
}

function words_of_value(value,    kind) {
    kind = kind_of(value)
    return kind == "choices" ? choices(value) : kind == "other" ? "" : "@" kind
}

function words_of_arguments(subject,    kinds, count, i, j, out) {
    count = split(kinds_of_arguments(subject), kinds, " ")
    for (i = 1; i <= count; i++) {
        if (kinds[i] == "choices")
            out = out " " choices(arguments[subject])
        else if (kinds[i] == "verb")
            for (j = 1; j <= verb_count; j++)
                out = out " " verb_names[j]
        else
            out = out " @" kinds[i]
    }
    return substr(out, 2)
}

function print_function(name, what) {
    print name "_" what "() {"
    print "    case $1 in"
    print_cases(what)
    print "    *) REPLY= ;;"
    print "    esac"
    print "}"
    print ""
}

END {
    print "# Completion of " program " for bash, made of the tables of --help."
    print ""
    print "# Options; those that take a value end in =."
    print_function(name, "options")
    print "# Values of an option; what begins with @ is looked up."
    print_function(name, "values")
    print "# Words that are no options."
    print_function(name, "arguments")
    while ((getline line < body) > 0) {
        gsub(/@NAME@/, name, line)
        gsub(/@PROGRAM@/, program, line)
        gsub(/@HAS_VERBS@/, verb_count > 0 ? 1 : 0, line)
        print line
    }
}
