#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line as a person meets it: help, examples, a terminal of some width, questions; and that a pipe gets
what it always got.

people.py SPONSOND SPONSON
"""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unicodedata

SPONSOND, SPONSON = map(os.path.abspath, sys.argv[1:3])
TIMEOUT_S = 60
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Stage:
    """A sidecar in a directory of its own."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="spn-people-")
        self.path = pathlib.Path(self.directory.name)
        for name in ("data", "run"):
            (self.path / name).mkdir(mode=0o700)
        self.environ = {
            "PATH": f"{os.path.dirname(SPONSON)}:/usr/bin:/bin",
            "SPONSON_SOCKET_DIR": str(self.path / "run"),
            "SPONSON_DATA_DIR": str(self.path / "data"),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
            "TMPDIR": str(self.path),
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.environ[name] = os.environ[name]
        self.log = open(self.path / "log", "ab")
        self.start()

    def start(self):
        reading, writing = os.pipe()
        self.daemon = subprocess.Popen([SPONSOND, f"--ready-fd={writing}"], pass_fds=[writing], env=self.environ,
                                       stderr=self.log)
        os.close(writing)
        with os.fdopen(reading, "rb") as ready:
            assert ready.readline() == b"ready\n", (self.path / "log").read_text()

    def __enter__(self):
        return self

    def stop(self):
        self.daemon.kill()
        self.daemon.wait()

    def __exit__(self, *_):
        self.stop()
        self.log.close()
        self.directory.cleanup()

    def run(self, *words, code=0, text=""):
        done = subprocess.run([SPONSON, *map(str, words)], input=text, capture_output=True, text=True,
                              env=self.environ, timeout=TIMEOUT_S)
        assert done.returncode == code, (words, done)
        assert "\x1b" not in done.stdout + done.stderr, done
        return done

    def type_at(self, *words, width=80, answers=(), code=0, **environ):
        """Runs it at a terminal. answers: (text to wait for, what is typed then). Returns what was on the screen."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        process = subprocess.Popen([SPONSON, *map(str, words)], stdin=theirs, stdout=theirs, stderr=theirs,
                                   env={**self.environ, **environ}, start_new_session=True)
        os.close(theirs)
        seen = b""
        left = list(answers)
        until = time.monotonic() + TIMEOUT_S
        while True:
            assert select.select([ours], [], [], max(0, until - time.monotonic()))[0], (words, seen)
            try:
                more = os.read(ours, 65536)
            except OSError:  # the other side was closed
                break
            if not more:
                break
            seen += more
            if left and left[0][0].encode() in seen:
                os.write(ours, left.pop(0)[1].encode())
        os.close(ours)
        assert process.wait(TIMEOUT_S) == code, (words, process.returncode, seen)
        assert not left, (words, left, seen)
        return seen.decode().replace("\r\n", "\n")

    def publish(self, session, count=1, data="x"):
        text = "".join(f"data: {data}\n\n" for _ in range(count))
        self.run("record", session, text=text)


def plain(text):
    return ESCAPE.sub("", text)


def columns(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def names_of(done):
    return [json.loads(line)["session"] for line in done.stdout.splitlines()]


# -- help ----------------------------------------------------------------------------------------


def verbs(stage):
    text = stage.run("--help").stdout
    rows = text[text.index("Verbs:"):text.index("Exit codes:")].splitlines()
    return [row.split()[0] for row in rows if re.match(r"  \w", row)]


def examples(stage):
    for verb in verbs(stage):
        text = stage.run("help", verb).stdout
        assert text == stage.run(verb, "--help").stdout == stage.run(verb, "-h").stdout
        _, found, part = text.partition("\nExamples:\n")
        lines = re.findall(r"^  (\S.*)$", part, re.MULTILINE)
        assert found and lines, text
        for line in lines:
            assert re.search(rf"\bsponson {verb}\b", line), (verb, line)
            yield line


def check_examples(stage):
    """Each works, pasted into a shell after the others."""
    todo = list(examples(stage))
    order = ["open", "publish", "record", "replay", "tail", "last", "info", "sessions", "touch", "close", "delete"]
    todo.sort(key=lambda line: next((i for i, verb in enumerate(order) if f"sponson {verb}" in line), len(order)))
    for line in todo:
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, env=stage.environ,
                              cwd=stage.path, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S)
        assert done.returncode == 0, (line, done)


def check_meant(stage):
    for words, said in (
        (("repaly",), "verb 'repaly': unknown; did you mean replay?"),
        (("ls",), "did you mean sessions?"),
        (("help", "dunp"), "did you mean dump?"),
        (("frobnicate",), "unknown; sponson --help lists the verbs"),
        (("tail", "x", "--erliest"), "option '--erliest': unknown; did you mean --earliest?"),
        (("sessions", "--jason"), "did you mean --json?"),
        (("record", "x", "--time-out", "3"), "did you mean --timeout?"),
        (("tail", "x", "--all=1"), "option '--all': takes no value"),
        (("tail", "x", "--e"), "option '--e': could be --earliest or --exit-when-caught-up"),
        (("tail", "x", "--count"), "option '--count': needs a value"),
        (("tail", "-x"), "option '-x': unknown; --help lists the options"),
        (("sessions", "--sort", "size"), "--sort 'size': not one of name|events"),
        (("sessions", "--state", "open"), "--state 'open': not one of live|closed|damaged"),
        (("sessions", "--older-than", "old"), "--older-than 'old': "),
        (("sessions", "--sort", "name", "--after", "a"), "--after: cannot be combined"),
        (("delete", "a", "--prefix", "a"), "SESSION: cannot be combined"),
        (("delete", "--closed", "--offline", "--yes"), "--offline: cannot be combined"),
        (("delete", "--prefix", ""), "--yes: missing, and there is no terminal"),
        (("delete", "a", "--offline", "--yes", "--dry-run"), "--offline: cannot be combined with --dry-run"),
        (("replay", "a", "--since", "yesterday"), "--since 'yesterday': neither a span"),
        (("replay", "a", "--since", "2026-02-30"), "--since '2026-02-30': neither"),
    ):
        done = stage.run(*words, code=2)
        assert said in done.stderr and done.stderr.count("\n") == 1, done
    assert stage.run("tail", "absent", "--exit-when", "--timeout", "5", code=3).stderr  # a beginning is enough
    assert "'--x'" in stage.run("replay", "--", "--x", code=3).stderr  # a name like an option


# -- sessions --------------------------------------------------------------------------------------

LONG = "long/" + "name-" * 20 + "終" * 10  # each of the last is two columns wide


def fill(stage):
    stage.publish("a", 3, "x" * 1000)
    stage.publish("b/many", 1234)
    stage.publish("b/one")
    stage.publish(LONG, 2)
    stage.run("close", "b/one")


def check_picked(stage):
    def listed(*words):
        return names_of(stage.run("sessions", "--json", *words))

    assert listed() == sorted(["a", "b/many", "b/one", LONG])
    assert listed("--sort", "events") == ["b/many", "a", LONG, "b/one"]
    assert listed("--sort", "events", "--reverse") == ["b/one", LONG, "a", "b/many"]
    assert listed("--sort", "bytes", "--limit", "2") == ["a", "b/many"]
    assert listed("--sort", "newest") == [LONG, "b/one", "b/many", "a"]
    assert listed("--sort", "opened") == [LONG, "b/one", "b/many", "a"]
    assert listed("--reverse") == [LONG, "b/one", "b/many", "a"]
    assert listed("--state", "closed") == ["b/one"]
    assert listed("--state", "live", "--prefix", "b/") == ["b/many"]
    assert listed("--older-than", "1h") == []
    assert sorted(listed("--older-than", "1ms")) == sorted(["a", "b/many", "b/one", LONG])
    assert listed("--data-dir", stage.path / "data", "--sort", "events", "--limit", "1") == ["b/many"]


def check_table(stage):
    """At a terminal no line is wider, numbers are short, and names are cut; a pipe has all of them."""
    piped = stage.run("sessions").stdout.splitlines()
    assert piped[0] == ("    EVENTS         BYTES  DUPLICATES  CONFLICTS  STATE    NEWEST AT                 SESSION")
    assert re.fullmatch(r"         3          3000           0          0  live     20..-..-..T..:..:..\....Z  a", piped[1])
    assert len(piped) == 5 and piped[4].endswith(LONG)
    for width in (40, 60, 80, 120, 300):
        screen = stage.type_at("sessions", width=width, NO_COLOR="1")
        assert "\x1b" not in screen
        lines = screen.splitlines()
        assert all(columns(line) <= width for line in lines), (width, screen)
        assert lines[0].split()[0] == "STATE" and lines[0].split()[-1] == "SESSION", screen
        assert (LONG in screen) == (width == 300) and ("…" in screen) == (width < 300), screen
        assert ("CONFLICTS" in screen) == (width >= 120), screen
        assert re.search(r"^live +1,234 .* b/many$", screen, re.MULTILINE), screen
        assert lines[-1] == "4 sessions, 1,240 events, 4.14 KiB", screen
    screen = stage.type_at("sessions", width=120)
    assert "\x1b[32mlive" in screen and ("s ago" in screen or "now" in screen), screen
    assert "2.93 KiB" in screen
    assert "\x1b" not in stage.type_at("sessions", TERM="dumb")
    assert "\x1b" in stage.type_at("sessions", NO_COLOR="")
    ascii_only = stage.type_at("sessions", width=60, LC_ALL="C", NO_COLOR="1")
    assert "..." in ascii_only and "…" not in ascii_only, ascii_only
    assert stage.type_at("sessions", "--prefix", "none", NO_COLOR="1") == "no sessions\n"


def check_pages(stage):
    """info, health and stats at a terminal and in a pipe."""
    piped = stage.run("info", "b/many").stdout
    assert "events           1234\n" in piped and "bytes            1234\n" in piped and " ago" not in piped, piped
    screen = plain(stage.type_at("info", "b/many"))
    assert "events           1,234\n" in screen and "bytes            1.21 KiB\n" in screen, screen
    assert re.search(r"^opened +20\S+Z  (now|\d+ s ago)$", screen, re.MULTILINE), screen
    assert re.search(r"^  uptime      \d+\.\d s$", stage.run("health").stdout, re.MULTILINE)
    assert "\x1b[32mok" in stage.type_at("health")
    counter = r"^sponson_events_durable_total +"
    assert re.search(counter + r"124\d$", stage.run("stats").stdout, re.MULTILINE), stage.run("stats").stdout
    assert re.search(counter + r"1,24\d$", stage.type_at("stats"), re.MULTILINE)


# -- deleting --------------------------------------------------------------------------------------


def check_delete(stage):
    for name in ("d/1", "d/2", "d/3", "e/1"):
        stage.publish(name, 2)
    stage.run("close", "d/2")

    def left():
        return names_of(stage.run("sessions", "--json", "--prefix", "d/"))

    assert stage.run("delete", "--prefix", "d/", "--dry-run").stdout == "d/1\nd/2\nd/3\n"
    assert stage.run("delete", "--prefix", "d/", "--closed", "--dry-run").stdout == "d/2\n"
    assert stage.run("delete", "d/1", "--dry-run").stdout == "d/1\n"
    screen = plain(stage.type_at("delete", "--prefix", "d/", "--dry-run"))
    assert screen == "d/1\nd/2\nd/3\nwould delete 3 sessions with 6 events, 6 B\n", screen
    assert left() == ["d/1", "d/2", "d/3"]
    question = "delete 3 sessions with 6 events, 6 B? [y/N] "
    screen = plain(stage.type_at("delete", "--prefix", "d/", answers=[(question, "n\n")], code=1))
    assert screen.endswith("sponson delete: nothing was deleted\n"), screen
    assert left() == ["d/1", "d/2", "d/3"]
    done = stage.run("delete", "--prefix", "d/", "--older-than", "1h", "--yes")
    assert done.stdout == "" and "no session: nothing is to be deleted" in done.stderr
    done = stage.run("delete", "--prefix", "d/", "--closed", "--yes")
    assert (done.stdout, done.stderr) == ("", "") and left() == ["d/1", "d/3"]
    screen = plain(stage.type_at("delete", "--prefix", "d/", "--older-than", "1ms", answers=[("[y/N] ", "yes\n")]))
    assert screen.endswith("deleted 2 sessions\n") and left() == [], screen
    assert names_of(stage.run("sessions", "--json", "--prefix", "e/")) == ["e/1"]
    screen = plain(stage.type_at("delete", "e/1", answers=[("delete 'e/1' with 2 events? [y/N] ", "y\n")]))
    assert screen.endswith("deleted session 'e/1'\n"), screen


def check_delete_keeps_what_changed(stage):
    """A session that got an event while the question was open is kept; with --prefix alone it is not."""
    stage.publish("kept", 1)
    stage.publish("gone", 1)
    ours = []

    class Late(str):  # what is typed, once the session has another event
        def encode(self, *_):
            if not ours:
                stage.publish("kept", 1)
                ours.append(True)
            return str.encode(self)

    screen = plain(stage.type_at("delete", "--older-than", "1ms", answers=[("[y/N] ", Late("y\n"))]))
    assert "deleted" in screen and "kept: 1 session, which changed meanwhile" in screen, screen
    assert names_of(stage.run("sessions", "--json")) == ["kept"], screen
    many = 3000  # more than are under way at a time
    for i in range(0, many, 1000):
        stage.run("bench", "sessions", "--count", 1000, "--running", "--keep")
    stage.run("delete", "--prefix", "bench-", "--yes")
    assert names_of(stage.run("sessions", "--json")) == ["kept"]


# -- since -----------------------------------------------------------------------------------------


def check_since(stage):
    stage.publish("s", 1, "old")
    stage.publish("other", 1, "old")
    time.sleep(0.3)
    middle = time.time()
    stage.publish("s", 1, "new")
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(middle)) + f".{int(middle * 1000 % 1000):03}"

    def data(*words):
        lines = [json.loads(line) for line in stage.run(*words).stdout.splitlines()]
        return [line["data"] for line in lines if line.get("data")]

    tail = ("--exit-when-caught-up",)
    dump = ("dump", "--data-dir", stage.path / "data")
    for since, wanted in (("1h", ["old", "new"]), (moment + "Z", ["new"]), ("2000-01-01", ["old", "new"])):
        assert data("replay", "s", "--since", since) == wanted, since
        assert data("tail", "s", *tail, "--since", since) == wanted, since
        assert data("tail", "--prefix", "s", *tail, "--since", since) == wanted, since
        assert data(*dump, "--session", "s", "--since", since) == wanted, since
    there = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(middle + 5400)) + f".{int(middle * 1000 % 1000):03}+01:30"
    assert data("replay", "s", "--since", there) == ["new"]
    assert data(*dump, "--since", moment + "Z") == ["new"]
    assert data("tail", "--all", *tail, "--since", moment + "Z") == ["new"]
    assert data("replay", "s", "--since", "2999-01-01") == []
    assert data("tail", "s", *tail) == []  # begins with what comes


# -- clients ---------------------------------------------------------------------------------------


def begin(stage, *words):
    """A verb that goes on, with pipes."""
    return subprocess.Popen([SPONSON, *words], env=stage.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def clients(stage, **how):
    done = stage.run("clients", "--json", **how)
    return {row["pid"]: row for row in map(json.loads, done.stdout.splitlines())}


def until_client(stage, process, **wanted):
    until = time.monotonic() + TIMEOUT_S
    while True:
        row = clients(stage).get(process.pid, {})
        if all(row.get(key) == value for key, value in wanted.items()):
            return row
        assert time.monotonic() < until, (wanted, row)


def check_clients(stage):
    """Who is there, what it does, and how far one that does not read is behind."""
    started = [begin(stage, "tail", "followed"), begin(stage, "tail", "--all"), begin(stage, "record", "made")]
    try:
        reader, follower, writer = started
        uid = os.geteuid()
        row = until_client(stage, reader, subscriptions=1, behind=0, lag=0)
        assert row == {"pid": reader.pid, "uid": uid, "program": "sponson", "connections": 1, "publishes": False,
                       "subscriptions": 1, "behind": 0, "lag": 0, "waiting": row["waiting"]}, row
        until_client(stage, follower, subscriptions=1, publishes=False)
        until_client(stage, writer, subscriptions=0, publishes=True, connections=2)
        for i in range(200):  # more than a pipe and the credit of a subscription hold
            stage.publish("followed", 1, "x" * 100000)
            row = clients(stage)[reader.pid]
            if row["behind"] == 1 and row["lag"] > 2:
                break
        assert row["behind"] == 1 and row["lag"] > 2, row
        assert clients(stage)[follower.pid]["behind"] == 1
        screen = stage.type_at("clients", NO_COLOR="1")
        assert re.search(rf"^ *{reader.pid}  \S+ +no +1 +1 ", screen, re.MULTILINE), screen
        assert all(columns(line) <= 80 for line in screen.splitlines()), screen
        while clients(stage)[reader.pid]["behind"] == 1:  # it is read now
            os.read(reader.stdout.fileno(), 1 << 20)
        if uid == 0:
            check_clients_of_others(stage, started)
    finally:
        for process in started:
            process.kill()
            process.communicate()
    assert not {process.pid for process in started} & set(clients(stage))


def check_clients_of_others(stage, started):
    """Another user sees itself, and how many there are beside."""
    stage.path.chmod(0o711)
    (stage.path / "run").chmod(0o711)
    (stage.path / "run" / "read.sock").chmod(0o666)
    done = subprocess.run([SPONSON, "clients", "--json"], env=stage.environ, capture_output=True, text=True, user=65534,
                          group=65534, extra_groups=[], timeout=TIMEOUT_S)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["uid"] for row in rows] == [65534] and done.returncode == 0, done
    assert re.search(r"which are not shown: \d+\n", done.stderr), done
    assert int(done.stderr.split()[-1]) >= len(started), done


# -- success, terminals ----------------------------------------------------------------------------


def check_said(stage):
    for words, said in (
        (("open", "said", "--ttl", "7d"), "session 'said' is open"),
        (("touch", "said"), "touched session 'said'"),
        (("close", "said"), "closed session 'said'"),
    ):
        assert plain(stage.type_at(*words)) == said + "\n"
        stage.run("open", "quiet")
        done = stage.run(words[0], "quiet", *words[2:])
        assert (done.stdout, done.stderr) == ("", ""), done
    assert "\x1b[31msponson info:\x1b[0m session 'none': no such session" in stage.type_at("info", "none", code=3)
    assert "\x1b" not in stage.type_at("info", "none", code=3, NO_COLOR="1")


def check_record(stage):
    says = "reading an event stream from the terminal: end it with Ctrl-D"

    class Slow(str):  # typed after the time that other inputs show their progress after
        def encode(self, *_):
            time.sleep(1.3)
            return str.encode(self)

    screen = stage.type_at("record", "typed", answers=[(says, "data: hello\n\n"), ("hello", Slow("\x04"))])
    assert says in plain(screen) and '"stored":1' in screen and "on disk" not in screen, screen
    done = stage.run("record", "empty", "--fail-if-empty", text="", code=1)
    assert "contains no events" in done.stderr and '"events":0' in done.stdout
    stage.run("record", "empty", "--fail-if-empty", text=": comment\n\n", code=1)
    stage.run("record", "empty", text="")
    stage.run("record", "empty", "--fail-if-empty", text="data: x\n\n")


def check_progress(stage):
    """Long work shows a line at a terminal, which is gone afterwards; but not while a person types there."""
    source = stage.path / "source"
    os.mkfifo(source)
    writing = os.open(source, os.O_RDWR)
    os.write(writing, b"data: hello\n\n")

    class End(str):  # what is typed when the line was there: nothing, but the input ends
        def encode(self, *_):
            os.close(writing)
            return b"\n"

    screen = stage.type_at("record", "slow", source, answers=[("1 events on disk,", End())])
    assert re.search(r"\r\x1b\[K1 events on disk, \d+/s", screen) and '"stored":1' in screen, screen
    assert screen.index("\r\x1b[K", screen.rindex("events on disk")) < screen.index('{"session"'), screen
    screen = stage.type_at("bench", "publish", "--rate", "1000", "--count", "1600")
    assert re.search(r"\r\x1b\[K\[#+\.*\] +\d+ % 1,\d\d\d of 1,600 events, [\d,]+/s", screen), screen


def main():
    os.umask(0o077)
    with Stage() as stage:
        check_meant(stage)
        fill(stage)
        check_picked(stage)
        check_table(stage)
        check_pages(stage)
    with Stage() as stage:
        check_delete(stage)
        check_delete_keeps_what_changed(stage)
    with Stage() as stage:
        check_since(stage)
        check_said(stage)
        check_record(stage)
        check_progress(stage)
    with Stage() as stage:
        check_clients(stage)
    with Stage() as stage:
        check_examples(stage)


if __name__ == "__main__":
    main()
