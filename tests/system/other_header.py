# SPDX-License-Identifier: Apache-2.0
"""Makes sponson.h of another version: other_header.py HEADER OUTPUT older|later

Older: what an app passes in and what it is given lack their last fields. Later: options have one
more, which the library of now does not know.
"""
import re
import sys

# From this field on they are taken off: of what apps pass in, and of what the library fills.
LAST_FIELDS = {
    "spn_event": "struct spn_life life",
    "spn_client_options": "bool at_once",
    "spn_producer_options": "int send_timeout_ms",
    "spn_subscription_options": "size_t window_bytes",
}
LAST_ANSWERED = {
    "spn_last": "uint64_t position",
    "spn_session": "uint64_t last_ms",
    "spn_session_info": "uint64_t markers",
    "spn_health": "uint64_t uptime_ms",
    "spn_item": "struct spn_life after_life",
}


def replace(pattern, by, text):
    changed, count = re.subn(pattern, by, text, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"other_header.py: {pattern} is there {count} times")
    return changed


def main(header, output, version):
    with open(header, encoding="utf-8") as file:
        text = file.read()
    fields = LAST_FIELDS | LAST_ANSWERED if version == "older" else LAST_FIELDS
    for name, field in fields.items():
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
