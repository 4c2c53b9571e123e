#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs in sidecar/http/TOKENS.md make the tokens of tests/data/tokens.json.

token_docs.py SOURCE: runs each that is written in a language which is installed here, and names the others
in its last line. The vectors are made anew too, and must be those that are in the file.
"""
import base64
import hashlib
import hmac
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(sys.argv[1])
DOCUMENT = SOURCE / "sidecar/http/TOKENS.md"
VECTORS = SOURCE / "tests/data/tokens.json"
TIMEOUT_S = 120

GO = """package main
import ("crypto/hmac"; "crypto/sha256"; "encoding/base64"; "encoding/json"; "fmt"; "os"; "strconv"; "strings")
func main() {
    line, session := os.Args[1], os.Args[2]
    exp, _ := strconv.Atoi(os.Args[3])
%s    fmt.Print(token)
}
"""

# The fence's word: the programs that may run it, the file's name, what stands around the lines.
LANGUAGES = {
    "python": (["python3"], "x.py",
               "import sys\nline, session, exp = sys.argv[1], sys.argv[2], int(sys.argv[3])\n%sprint(token, end='')\n"),
    "js": (["node"], "x.js",
           "const [line, session] = process.argv.slice(2); const exp = Number(process.argv[4]);\n"
           "%sprocess.stdout.write(token);\n"),
    "php": (["php"], "x.php", "<?php\n[, $line, $session, $exp] = $argv; $exp = (int)$exp;\n%secho $token;\n"),
    "go": (["go", "run"], "x.go", GO),
    "sh": (["sh"], "x.sh", "set -eu\nline=$1 session=$2 exp=$3\n%sprintf %%s \"$token\"\n"),
}


def snippets():
    """The code in fences of these languages that makes a token, by language."""
    found = {}
    for language, code in re.findall(r"```(\w+)\n(.*?)```", DOCUMENT.read_text(), re.S):
        if re.search(r"\btoken\b ?:?=", code):
            assert language not in found, f"two programs in {language}"
            assert code.count("\n") <= 5, f"{language} has more than five lines"
            found[language] = code
    assert found.keys() == LANGUAGES.keys(), f"TOKENS.md has {sorted(found)}"
    return found


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def is_as_good(token, row):
    """Another writer's JSON may escape more: then the MAC and what the JSON says must be right."""
    head, _, mac = token.rpartition(".")
    version, kid, payload = head.split(".")
    wanted_kid, key = row["line"].split(":")
    right = hmac.digest(unpadded(key), head.encode(), hashlib.sha256)
    grant = {"exp": row["exp"], "n": row["n"], "r": row["rights"]}
    return ((version, kid) == ("v1", wanted_kid) and hmac.compare_digest(unpadded(mac), right) and
            json.loads(unpadded(payload)) == grant and "=" not in token)


def rows_for(language):
    """The vectors that the five lines can make: one session, to read."""
    for row in json.loads(VECTORS.read_text())["good"]:
        if row["kind"] == "session" and row["rights"] == "r" and "n" in row:
            if language != "sh" or not re.search(r'["\\]', row["n"]):
                yield row


def is_plain(name):
    """True: every writer of JSON has the same bytes for it."""
    return re.fullmatch(r"[A-Za-z0-9/ _$();%+.-]*", name) is not None


def check(language, code, folder):
    program, name, around = LANGUAGES[language]
    path = pathlib.Path(folder) / name
    path.write_text(around % code)
    same = 0
    for row in rows_for(language):
        done = subprocess.run([*program, path, row["line"], row["n"], str(row["exp"])], capture_output=True, text=True,
                              timeout=TIMEOUT_S)
        assert done.returncode == 0, f"{language}: {done.stderr}"
        if is_plain(row["n"]):
            assert done.stdout == row["token"], f"{language}, {row['name']}: {done.stdout} is not {row['token']}"
            same += 1
        assert is_as_good(done.stdout, row), f"{language}, {row['name']}: {done.stdout}"
    assert same >= 3, f"{language}: {same} vectors"


def check_vectors(folder):
    made = pathlib.Path(folder) / "tokens.json"
    subprocess.run([sys.executable, SOURCE / "tests/data/tokens.py", made], check=True, timeout=TIMEOUT_S)
    assert made.read_bytes() == VECTORS.read_bytes(), "tokens.json is not what tokens.py makes"


def main():
    skipped = []
    with tempfile.TemporaryDirectory() as folder:
        if shutil.which("openssl"):
            check_vectors(folder)
        else:
            skipped.append("the vectors: openssl is not installed")
        for language, code in snippets().items():
            missing = [program for program in (LANGUAGES[language][0][0], *(["openssl"] if language == "sh" else []))
                       if not shutil.which(program)]
            if missing:
                skipped.append(f"{language}: {missing[0]} is not installed")
            else:
                check(language, code, folder)
                print(f"token_docs: the program in {language} makes the tokens of the table")
    for reason in skipped:
        print(f"token_docs: skipped {reason}")
    print(f"token_docs: {len(LANGUAGES) + 1 - len(skipped)} parts hold")
    if skipped:
        print(f"{len(skipped)} SKIPPED TEST(S)")  # run.sh counts such lines


main()
