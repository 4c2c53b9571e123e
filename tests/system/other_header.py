# SPDX-License-Identifier: Apache-2.0
"""Makes sponson.h of another version: other_header.py HEADER OUTPUT older|later

Older: the options lack their last fields. Later: they have one more, which the library of now does
not know.
"""
import re
import sys

# From this field on they are taken off.
LAST_FIELDS = {
    "spn_client_options": "bool at_once",
    "spn_producer_options": "int send_timeout_ms",
    "spn_subscription_options": "size_t window_bytes",
}


def replace(pattern, by, text):
    changed, count = re.subn(pattern, by, text, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"other_header.py: {pattern} is there {count} times")
    return changed


def main(header, output, version):
    with open(header, encoding="utf-8") as file:
        text = file.read()
    for name, field in LAST_FIELDS.items():
        body = rf"(struct {name} {{\n(?:(?!\n}};).)*?)"
        if version == "older":
            text = replace(rf"{body}    {field};(?:(?!\n}};).)*\n}};", r"\1};", text)
        else:
            text = replace(rf"(struct {name} {{\n(?:(?!\n}};).)*)\n}};",
                           r"\1\n    size_t of_a_later_version[4];\n};", text)
    if version == "older":
        text = replace(r"    options\.send_timeout_ms = 100;\n", "", text)
    with open(output, "w", encoding="utf-8") as file:
        file.write(text)


main(*sys.argv[1:])
