#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`sponson token`: what it makes is signed and says what was asked for; what is wrong is refused.

token_cli.py SPONSON
"""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

SPONSON = sys.argv[1]
TIMEOUT_S = 60


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def run(*words):
    return subprocess.run([SPONSON, "token", *map(str, words)], capture_output=True, text=True, timeout=TIMEOUT_S)


def new_key(kid):
    done = run("--new-key", kid)
    assert done.returncode == 0, done.stderr
    name, _, secret = done.stdout.rstrip("\n").partition(":")
    assert name == kid and len(unpadded(secret)) == 32 and "=" not in secret, done.stdout
    return done.stdout


def check_token(words, line, grant, seconds):
    before = int(time.time())
    done = run(*words)
    after = int(time.time())
    assert done.returncode == 0 and done.stderr == "", done
    head, _, mac = done.stdout.rstrip("\n").rpartition(".")
    version, kid, payload = head.split(".")
    wanted_kid, secret = line.rstrip("\n").split(":")
    assert (version, kid) == ("v1", wanted_kid), done.stdout
    assert unpadded(mac) == hmac.digest(unpadded(secret), head.encode(), hashlib.sha256), done.stdout
    said = json.loads(unpadded(payload))
    assert before + seconds <= said.pop("exp") <= after + seconds, said
    assert said == grant, said


def check_good(keys, first, second):
    file = ("--key-file", keys)
    check_token(["chat/42", *file], first, {"n": "chat/42", "r": "r"}, 3600)
    check_token(["a", "--rights", "r,w,d,l", *file], first, {"n": "a", "r": "rwdl"}, 3600)
    check_token(["a", "--rights", "lw", *file], first, {"n": "a", "r": "wl"}, 3600)
    check_token(["é/\"\\", "--for", "24h", *file], first, {"n": "é/\"\\", "r": "r"}, 86400)
    check_token(["--prefix", "users/7/", "--for", "90s", *file], first, {"p": "users/7/", "r": "r"}, 90)
    check_token(["--prefix", "", "--for", "15m", *file], first, {"p": "", "r": "r"}, 900)
    check_token(["a", "--for", "1d", *file], first, {"n": "a", "r": "r"}, 86400)
    check_token(["a", "--for", "1.5h", *file], first, {"n": "a", "r": "r"}, 5400)
    check_token(["a", "--kid", "second", "--for", "1", *file], second, {"n": "a", "r": "r"}, 1)


def check_bad(folder, keys, public, loose):
    file = ("--key-file", keys)
    for words, exit_code, said in (
        ((), 2, "SESSION: missing"),
        (("a",), 2, "--key-file: missing"),
        (("a", "b", *file), 2, "'b': one argument too many"),
        (("a", "--prefix", "a/", *file), 2, "--prefix: cannot be combined with a session"),
        (("", *file), 2, "session '': session id is not"),
        (("n" * 256, *file), 2, "session id is not"),
        (("--prefix", "a", *file), 2, "--prefix 'a': the prefix does not end in /"),
        (("a", "--rights", "", *file), 2, "--rights '': there are no rights"),
        (("a", "--rights", "r,r", *file), 2, "--rights 'r,r': a right is there twice"),
        (("a", "--rights", "r,,w", *file), 2, "--rights 'r,,w': rights are letters of rwdl"),
        (("a", "--rights", ",r", *file), 2, "--rights ',r': rights are letters of rwdl"),
        (("a", "--rights", "r,", *file), 2, "--rights 'r,': rights are letters of rwdl"),
        (("a", "--rights", "rwdlrwdlrwdl", *file), 2, "a right is there twice"),
        *((("a", "--for", text, *file), 2, f"--for '{text}': not a time from 1s to 24h")
          for text in ("", "0", "0h", "s", "25h", "1441m", "86401", "2d", "999ms", "-1h", "1 h", "99999999999h")),
        (("a", "--kid", "third", *file), 1, "--kid 'third': no such key in the key file"),
        (("a", "--key-file", public), 1, "public: it has public keys only, which do not sign"),
        (("a", "--kid", "p", "--key-file", public), 1, "--kid 'p': a public key does not sign"),
        (("a", "--key-file", loose), 1, "loose: others can read or write it (chmod 600)"),
        (("a", "--key-file", folder), 1, "it is not a regular file"),
        (("a", "--key-file", folder / "none"), 3, "none: No such file or directory"),
        (("--new-key", "a.b"), 2, "--new-key 'a.b': not 1 to 64 of A-Z, a-z, 0-9, - and _"),
        (("--new-key", ""), 2, "--new-key '': not 1 to 64"),
        (("--new-key", "a", "b"), 2, "--new-key: cannot be combined"),
        (("--new-key", "a", "--rights", "r"), 2, "--new-key: cannot be combined"),
    ):
        done = run(*words)
        assert (done.returncode, done.stdout) == (exit_code, "") and said in done.stderr, f"{words}: {done}"
        assert done.stderr.count("\n") == 1, done.stderr


def main():
    os.umask(0o077)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        keys, public, loose = folder / "keys", folder / "public", folder / "loose"
        first, second = new_key("first"), new_key("second")
        public_line = "p:ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\n"
        keys.write_text(f"# ours\n{public_line}{first}{second}")
        public.write_text(public_line)
        loose.write_text(first)
        loose.chmod(0o644)
        check_good(keys, first, second)
        check_bad(folder, keys, public, loose)
    print("token_cli: tokens and keys are made as asked")


main()
