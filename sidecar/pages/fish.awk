# SPDX-License-Identifier: Apache-2.0
# fish.awk: the records of a program and its verbs -> its completion for fish. After values.awk.
function action_of(value,    kind) {
    kind = kind_of(value)
    if (kind == "choices")
        return " -x -a " quoted(choices(value))
    if (kind == "file")
        return " -r -F"
    if (kind == "directory")
        return " -x -a '(__fish_complete_directories)'"
    if (kind == "group")
        return " -x -a '(__fish_complete_groups)'"
    return value == "" ? "" : " -x"
}

function print_subject(subject, condition, name,    j, option, kinds, count) {
    for (j = 1; j <= option_count[subject]; j++) {
        option = option_names[subject, j]
        print "complete -c " program condition " -l " substr(option, 3) action_of(takes[subject, option]) \
            " -d " quoted(brief(tells[subject, option]))
    }
    count = split(kinds_of_arguments(subject), kinds, " ")
    for (j = 1; j <= count; j++)
        if (kinds[j] == "choices")
            print "complete -c " program condition " -a " quoted(choices(arguments[subject]))
        else if (kinds[j] == "session")
            print "complete -c " program condition " -a '(" name "_sessions)'"
        else if (kinds[j] == "file")
            print "complete -c " program condition " -F"
}

function print_verbs(name,    i) {
    print "# The first word that is no option; without an argument: there is none yet."
    print "function " name "_verb"
    print "    set -l words (commandline -opc)"
    print "    for word in $words[2..-1]"
    print "        string match -q -- '-*' $word; and continue"
    print "        contains -- $word $argv"
    print "        return"
    print "    end"
    print "    test (count $argv) -eq 0"
    print "end"
    print ""
    print "# Of a sidecar that answers soon."
    print "function " name "_sessions"
    print "    " program " sessions --json --limit 1000 --timeout 0.3 --prefix (commandline -ct) 2>/dev/null |"
    print "        string replace -rf '^\\{\"session\":\"([A-Za-z0-9._/@+-]*)\".*' '$1'"
    print "end"
    print ""
    for (i = 1; i <= verb_count; i++)
        print "complete -c " program " -n " name "_verb -a " verb_names[i] \
            " -d " quoted(brief(verb_tells[verb_names[i]]))
}

END {
    name = "_" name
    print "# Completion of " program " for fish, made of the tables of --help."
    print "complete -c " program " -f"
    if (verb_count > 0)
        print_verbs(name)
    for (i = 1; i <= subject_count; i++) {
        condition = ""
        if (verb_count > 0) {
            verb = subjects[i]
            sub(/^[^ ]* ?/, "", verb)
            condition = " -n " quoted(name "_verb" (verb == "" ? "" : " " verb))
        }
        print_subject(subjects[i], condition, name)
    }
}
