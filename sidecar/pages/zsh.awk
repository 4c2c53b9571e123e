# SPDX-License-Identifier: Apache-2.0
# zsh.awk: the records of a program and its verbs -> its completion for zsh. After values.awk.

# In a specification of _arguments.
function spec_text(text) {
    gsub(/\\/, "\\\\", text)
    gsub(/[\[\]:]/, "\\\\&", text)
    return text
}

function action_of(value,    kind) {
    kind = kind_of(value)
    if (kind == "choices")
        return "(" choices(value) ")"
    if (kind == "file")
        return "_files"
    if (kind == "directory")
        return "_files -/"
    return kind == "group" ? "_groups" : " "
}

function print_arguments(indent, subject, name,    j, option, value, often, kinds, count) {
    printf "%s_arguments -S", indent
    for (j = 1; j <= option_count[subject]; j++) {
        option = option_names[subject, j]
        value = takes[subject, option]
        often = tells[subject, option] ~ /[0-9]+ times/ ? "*" : ""
        if (option ~ /^--(help|usage|version)$/)
            often = "(- *)"
        printf " \\\n%s    %s", indent, quoted(often option (value == "" ? "" : "=") \
            "[" spec_text(brief(tells[subject, option])) "]" \
            (value == "" ? "" : ":" spec_text(value) ":" action_of(value)))
    }
    count = split(kinds_of_arguments(subject), kinds, " ")
    for (j = 1; j <= count; j++)
        if (kinds[j] == "choices")
            printf " \\\n%s    %s", indent, quoted(j ":word:(" choices(arguments[subject]) ")")
        else if (kinds[j] == "session")
            printf " \\\n%s    %s", indent, quoted(j ":session:" name "_sessions")
        else if (kinds[j] == "file")
            printf " \\\n%s    %s", indent, quoted(j ":file:_files")
    print ""
}

function print_verbs(name,    i) {
    print "# Names that need no quoting, of a sidecar that answers soon."
    print name "_sessions() {"
    print "    local -a sessions"
    print "    sessions=(${(f)\"$(_call_program sessions " subjects[1] " sessions --json --limit 1000 \\"
    print "        --timeout 0.3 --prefix ${(q)PREFIX} 2>/dev/null |"
    print "        sed -n 's/^{\"session\":\"\\([A-Za-z0-9._\\/@+-]*\\)\".*/\\1/p')\"})"
    print "    compadd -a sessions"
    print "}"
    print ""
    print name "_verbs() {"
    print "    local -a verbs"
    print "    verbs=("
    for (i = 1; i <= verb_count; i++)
        print "        " quoted(verb_names[i] ":" brief(verb_tells[verb_names[i]]))
    print "    )"
    print "    _describe verb verbs"
    print "}"
    print ""
    print name "_verb() {"
    print "    case $words[1] in"
    for (i = 2; i <= subject_count; i++) {
        sub(/^[^ ]* /, "", subjects[i])
        print "    " subjects[i] ")"
        print_arguments("        ", program " " subjects[i], name)
        print "        ;;"
    }
    print "    esac"
    print "}"
    print ""
}

END {
    print "#compdef " program
    print "# Completion of " program " for zsh, made of the tables of --help."
    print ""
    if (verb_count > 0) {
        print_verbs(name)
        print "_arguments -S '(- *)--help[print all verbs]' '(- *)--version[print the version]' \\"
        print "    '1:verb:" name "_verbs' '*::argument:" name "_verb'"
    } else {
        print_arguments("", program, name)
    }
}
