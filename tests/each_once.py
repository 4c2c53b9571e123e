#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a compilation database that has each source once: each_once.py FROM TO.

A source of several targets is in CMake's database once for each, and clang-tidy and cppcheck check it as often.
One that is compiled with other macros is other code, and is kept for each set of them. Macros that are paths,
and the one that CMake defines in shared libraries, do not count: no code is chosen by them.
"""
import json
import shlex
import sys


def chooses_code(word):
    name, _, value = word.removeprefix("-D").partition("=")
    return word.startswith("-D") and not name.endswith("_EXPORTS") and not value.startswith('"')


def main(source, target):
    with open(source, encoding="utf-8") as file:
        commands = json.load(file)
    kept = {}
    for command in commands:
        macros = frozenset(filter(chooses_code, shlex.split(command["command"])))
        kept.setdefault((command["file"], macros), command)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(list(kept.values()), file, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
