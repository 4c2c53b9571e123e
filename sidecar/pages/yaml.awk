# SPDX-License-Identifier: Apache-2.0
# yaml.awk: the records of a program, and what its --print-config says of the defaults -> the manual page of its
# configuration file. After roff.awk.
#
# -v page=NAME (the file's, without its folder), -v others="PAGE(N) ...". --print-config lists what may stand in the
# file; the records have the text of each.
BEGIN { FS = "\t" }
$1 == "program" { program = $2 }
$1 == "version" { version = $2 }
$1 == "option" {
    name = $2
    sub(/^.*--/, "", name)
    tells[name] = $4
}
/^[a-z-]+: .*  # default$/ {
    sub(/  # default$/, "")
    keys[++count] = $0
}

END {
    print_title(page, 5, version)
    print ".SH NAME\n" plain(page) " \\- settings of " plain(program)
    print ".SH SYNOPSIS\n\\fI" plain("/etc/sponson/" page) "\\fR"
    print ".SH DESCRIPTION"
    print prose("The file is YAML: each line has the long name of an option of `" program "` without its dashes, a " \
        "colon and a value as on the command line. An option that can be given several times has a list. A file " \
        "that is not there is no error; an unknown name or a bad value is one, and is reported with its place.")
    print ".PP\n" prose("The environment comes before the file, and the command line before both: `man " program \
        "`. `" program " --check-config` says whether the file is right, `" program " --print-config` what is in " \
        "force and where it comes from.")
    print ".SH SETTINGS\nWith their defaults."
    for (i = 1; i <= count; i++) {
        name = keys[i]
        sub(/:.*/, "", name)
        print ".TP\n\\fB" plain(keys[i]) "\\fR\n" prose(tells[name])
    }
    print_others(others, page)
}
