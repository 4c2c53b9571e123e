# SPDX-License-Identifier: Apache-2.0
# values.awk: what the completions share. Reads the records (records.c) of a program, and of its verbs if it has
# some, into:
#     subjects[1 ...]                 "sponson", "sponson publish" ...
#     option_names[subject, 1 ...]    each long option; option_count[subject] of them
#     takes[subject, option]          its value as --help writes it; "" if it takes none
#     tells[subject, option]          its text
#     arguments[subject]              the words after the options, as --help writes them
#     verb_names[1 ...]               in the order of --help; verb_tells[name]
#     program, name                   at the end: the first subject, and a function that is called so
BEGIN { FS = "\t" }

$1 == "program" {
    subject = $2
    subjects[++subject_count] = subject
    heading = ""
}
$1 == "args" { arguments[subject] = arguments[subject] (arguments[subject] == "" ? "" : " ") $2 }
$1 == "group" { heading = $2 }
$1 == "word" && heading == "Verbs:" && subject !~ / / {
    split($2, word, " ")
    verb_names[++verb_count] = word[1]
    verb_tells[word[1]] = $3
}
$1 == "option" { note_option($2, $3, $4) }

function note_option(list, value, text,    parts, count, i) {
    count = split(list, parts, ",")
    for (i = 1; i <= count; i++) {
        if (parts[i] !~ /^--/)
            continue
        option_names[subject, ++option_count[subject]] = parts[i]
        takes[subject, parts[i]] = value
        tells[subject, parts[i]] = text
    }
}

# Every program has them.
function note_help(    i) {
    for (i = 1; i <= subject_count; i++) {
        subject = subjects[i]
        note_option("--help", "", "print all options")
        note_option("--usage", "", "print a short usage message")
        note_option("--version", "", "print the version")
    }
}

# "sse|jsonl" -> "sse jsonl"; "keep|prefix=P" -> "keep prefix="; "" if there is nothing to choose from.
function choices(value) {
    if (value !~ /\|/)
        return ""
    gsub(/[\[\]]/, "", value)
    gsub(/\|/, " ", value)
    gsub(/=[^ ]*/, "=", value)
    return value
}

# What the value is: choices, file, directory, group, or other.
function kind_of(value) {
    if (choices(value) != "")
        return "choices"
    if (value ~ /^(FILE|PATH)$/)
        return "file"
    if (value == "DIR")
        return "directory"
    if (value == "GROUP")
        return "group"
    return "other"
}

# The same of the words after the options: "choices", "session", "file", or several of them.
function kinds_of_arguments(subject,    words, count, i, out) {
    count = split(arguments[subject], words, " ")
    for (i = 1; i <= count; i++) {
        if (words[i] ~ /^-/) {
            i += words[i + 1] ~ /^[A-Z]+$/
            continue
        }
        if (words[i] ~ /\|/)
            out = out " choices"
        if (words[i] ~ /^\[?SESSION\]?$/)
            out = out " session"
        if (words[i] ~ /^\[?(FILE|PATH)\]?$/)
            out = out " file"
        if (words[i] ~ /^\[?VERB\]?$/)
            out = out " verb"
    }
    return substr(out, 2)
}

# The beginning of a text, up to the first pause after some words.
function brief(text) {
    gsub(/[`\f]/, " ", text)
    if (match(text, /(\. | \(|; )/))
        text = substr(text, 1, RSTART - 1)
    sub(/\.$/, "", text)
    return text
}

# In the shells' single quotes.
function quoted(text) {
    gsub(/'/, "'\\''", text)
    return "'" text "'"
}

END {
    note_help()
    program = subjects[1]
    name = "_" program
    gsub(/-/, "_", name)
}
