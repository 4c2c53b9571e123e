#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`sponson top`: its screen in tmux, what its keys do, and --once in a pipe.

top.py SPONSOND SPONSON [SCREEN.txt]: where to keep the last screen of sessions.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time

import people

SKIPPED = 77
TIMEOUT_S = people.TIMEOUT_S


class Screen:
    """A terminal with `sponson top` in it. Each has a tmux of its own: one that ends is still there for a moment."""

    count = 0

    def __init__(self, stage, width, height, *words):
        self.stage = stage
        Screen.count += 1
        self.tmux = ["tmux", "-S", str(stage.path / f"tmux{Screen.count}"), "-f", "/dev/null"]
        environ = [f"{name}={value}" for name, value in stage.environ.items()]
        command = shlex.join(["env", "TERM=screen-256color", *(e for e in environ if not e.startswith("TERM=")),
                              people.SPONSON, "top", "--interval", "0.2", *words])
        self.run("new-session", "-d", "-x", str(width), "-y", str(height), f"{command}; echo ended with $?; cat")

    def run(self, *words):
        return subprocess.run([*self.tmux, *words], check=True, capture_output=True, text=True, timeout=TIMEOUT_S,
                              env={**self.stage.environ, "TERM": "screen"}).stdout

    def type(self, *keys):
        for key in keys:
            self.run("send-keys", key)

    def text(self):
        return self.run("capture-pane", "-p")

    def until(self, pattern, absent=None):
        """Waits for a screen with this, and without that."""
        until = time.monotonic() + TIMEOUT_S
        while True:
            text = self.text()
            if re.search(pattern, text, re.MULTILINE) and not (absent and re.search(absent, text, re.MULTILINE)):
                return text
            assert time.monotonic() < until, (pattern, absent, text)

    def close(self):
        self.run("kill-server")


def rows(text):
    """The names in the table, from the top."""
    lines = text.splitlines()
    heads = next(i for i, line in enumerate(lines) if line.rstrip().endswith("SESSION"))
    return [line.split()[-1] for line in lines[heads + 1:-1] if line.strip()]


def feed(stage):
    """A session that gets events all the time: the process, which ends with its input."""
    process = people.begin(stage, "record", "feed")
    script = "while printf 'event: tick\\ndata: {\"text\": \"gr\u00fc\u00dfe\\033[31m\"}\\n\\n'; do sleep 0.02; done"
    return process, subprocess.Popen(["/bin/sh", "-c", script], stdout=process.stdin, stderr=subprocess.DEVNULL)


def check_screen(stage, keep):
    screen = Screen(stage, 100, 24)
    try:
        text = screen.until(r"^in +[1-9][0-9.,]* events/s, .* of data", absent="no answer")
        assert re.search(r"^sponson \d+\.\d+\.\d+, pid \d+, up .*: ok$", text, re.MULTILINE), text
        assert re.search(r"^disk +[\d.,]+ commits/s of [\d.]+ ms   queue \d+ events, ", text, re.MULTILINE), text
        assert re.search(r"^has +4 sessions, live 3   subscriptions 0   processes 2 ", text, re.MULTILINE), text
        text = screen.until(r"^ +[1-9][0-9.]*  +\d.* live +feed$")  # the rate is the first order
        assert rows(text)[0] == "feed", text
        assert text.splitlines()[-1].startswith("? keys  q quit"), text
        if keep:
            pathlib.Path(keep).write_text(text)
        screen.type("b")
        screen.until(r"SESSION *\n.* large$")
        screen.type("n")
        screen.until(r"SESSION *\n.* closed +a/small$")
        screen.type("/", "l", "a", "r")
        text = screen.until(r"^only names with: lar_$")
        assert rows(text) == ["large"], text
        screen.type("Enter")
        screen.until(r"only names with \"lar\"")
        screen.type("Escape")
        screen.until(r"a/small$", absent="only names")
        screen.type("c")
        screen.until(rf"^ *\d+ +{os.geteuid()} +yes +0 +0 +0 +0 B +sponson$")
        screen.type("?")
        screen.until(r"^Keys")
        screen.type("Escape")
        screen.until(r"PROGRAM", absent="^Keys")
        screen.type("c", "r")
        screen.until(r"SESSION *\n.* feed$")
        screen.type("f")
        text = screen.until(r"EVENTS OF feed *\n(.*\n)* +\d+  \d\d:\d\d:\d\d\.\d{3}  tick: {\"text\": \"grüße \[31m\"}$")
        screen.type("p")
        screen.until("(paused)")
        screen.type("p", "Escape")
        screen.until(r"SESSION *$", absent="paused|EVENTS OF")
        screen.run("resize-window", "-x", "40", "-y", "8")
        text = screen.until(r"^ EVENTS/S .*SESSION$", absent="NEWEST")
        assert all(people.columns(line) <= 40 for line in text.splitlines()), text
        screen.type("q")
        screen.until(r"^ended with 0$")
    finally:
        screen.close()


def check_restart(stage):
    """A sidecar that goes is said, and one that comes is found."""
    screen = Screen(stage, 80, 12)
    try:
        screen.until(r": ok$")
        stage.stop()
        screen.until(r": no answer: ")
        stage.start()
        screen.until(r": ok$", absent="no answer")
        screen.type("q")
        screen.until(r"^ended with 0$")
    finally:
        screen.close()


def check_once(stage):
    text = stage.run("top", "--once", "--interval", "0.3", "--sort", "bytes", "--limit", "2").stdout
    assert re.search(r"^in +[\d.]+ events/s, [\d.]+/s of data ", text, re.MULTILINE), text
    lines = text.splitlines()
    assert re.fullmatch(r" +0\.0 +0\.0 +1 +500000  20\d\d-\S+Z  live     large", lines[5]), text
    assert len(lines) == 7 and lines[4].split() == "EVENTS/S BYTES/S EVENTS SIZE NEWEST STATE SESSION".split(), text
    assert stage.run("top", "--once", "--interval", "0.1", "--prefix", "a/").stdout.splitlines()[-1].endswith("a/small")
    assert "PROGRAM" in stage.run("top", "--once", "--interval", "0.1", "--clients").stdout
    assert "--once: missing" in stage.run("top", code=2).stderr
    assert "--sort 'size'" in stage.run("top", "--once", "--sort", "size", code=2).stderr
    screen = stage.type_at("top", TERM="no-such-terminal", code=1)
    assert "TERM names no terminal" in screen, screen


def main():
    os.umask(0o077)
    with people.Stage() as stage:
        stage.publish("large", 1, "x" * 500000)
        stage.publish("a/small", 1)
        stage.publish("other", 2)
        stage.run("close", "a/small")
        check_once(stage)
        if not shutil.which("tmux"):
            return SKIPPED
        processes = feed(stage)
        try:
            check_screen(stage, sys.argv[3] if len(sys.argv) > 3 else None)
        finally:
            for process in processes[::-1]:
                process.kill()
                process.wait()
        check_restart(stage)
    return 0


if __name__ == "__main__":
    sys.exit(main())
