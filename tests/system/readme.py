#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every command and every program in README.md works, and every counter is described.

A command is either run here against a real sidecar, with its capitals filled in, or it is part of what
CI runs. One that is neither fails the test: so a new one cannot be forgotten.
"""
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time

SOURCE, BUILD, COMPILER = (pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
SANITIZE = sys.argv[4:]
DEADLINE_S = 60
COMMAND = re.compile(r"^(sponsond?|sh|cmake|ctest|curl|build/\S+|\.ci/run)\b")


def commands(text):
    """Code spans and shell blocks that begin like a command."""
    fenced = re.findall(r"```sh\n(.*?)```", text, re.S)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    for line in [l for block in fenced for l in block.splitlines()] + inline:
        line = line.replace("\\|", "|").strip()
        if COMMAND.match(line) and " " in line or line == ".ci/run":
            yield line


def ci_runs(command):
    """True if .ci/run, or a script that it calls, has this very command."""
    scripts = [SOURCE / ".ci/run", *SOURCE.glob("tests/*.sh")]
    if command == ".ci/run":
        return True
    return any(command in script.read_text() for script in scripts)


class Sidecar:
    def __init__(self, home):
        self.home = home
        self.env = {**os.environ, "PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}"}
        self.log = open(home / "log", "wb")
        self.daemon = None

    def start(self, arguments):
        self.daemon = subprocess.Popen(["sponsond", *arguments], env=self.env, stderr=self.log)

    def stop(self):
        if self.daemon:
            self.daemon.terminate()
            assert self.daemon.wait(DEADLINE_S) == 0, (self.home / "log").read_text()

    def kill(self):
        """After a failure: whoever waits for our output would wait for the daemon's, too."""
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()

    def run(self, command, stdin=None):
        done = subprocess.run(["sh", "-c", command], env=self.env, input=stdin, timeout=DEADLINE_S,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, cwd=self.home)
        assert done.returncode == 0, f"{command}: exit {done.returncode}: {done.stderr.decode()}"
        return done.stdout.decode()


def fill_in(command, sidecar, sample, last):
    sample = shlex.quote(str(sample))
    command = command.replace("curl -fsSN …", f"cat {sample}").replace("VERB", "record")
    data = shlex.quote(str(sidecar.home / "data"))
    for word, value in (("--data-dir DIR", f"--data-dir {data}"), ("SESSION", "chat"), ("FILE", sample), ("NAME", "chat"),
                        ("--after ID", f"--after {shlex.quote(last)}")):
        command = command.replace(word, value)
    return re.sub(r"bench publish$", "bench publish --count 2000 --sessions 10", command)


def start_as_written(text, sidecar):
    """The block that ends with the daemon in the background: here it is ours, to be stopped."""
    blocks = [b for b in re.findall(r"```sh\n(.*?)```", text, re.S) if "sponsond &" in b]
    assert len(blocks) == 1, "README.md does not say how to start a sidecar"
    block = blocks[0].replace("/tmp/spn", shlex.quote(str(sidecar.home)))
    before, after = block.split("sponsond &")
    named = sidecar.run(before + "echo \"$SPONSON_DATA_DIR:$SPONSON_SOCKET_DIR\"").strip()
    data, sockets = named.split(":")
    sidecar.env.update(SPONSON_DATA_DIR=data, SPONSON_SOCKET_DIR=sockets)
    sidecar.start([])
    sidecar.run(after)


def check_commands(text, sidecar, sample):
    ran = 0
    start_as_written(text, sidecar)
    sidecar.run(f"sponson record chat {shlex.quote(str(sample))}")
    last = sidecar.run("sponson last chat").strip()
    assert last, "no last id"
    sidecar.run("umask 077; sponson token --new-key k1 >http.keys")
    for command in commands(HTTP_BLOCK.sub("", text)):
        if command.startswith("sponsond &") or ci_runs(command):
            continue
        filled = fill_in(command, sidecar, sample, last)
        assert filled.startswith(("sponson", "cat")), f"README.md: nothing runs: {command}"
        sidecar.run(filled)
        ran += 1
    return ran


HTTP_BLOCK = re.compile(r"```sh\n(sponson-http .*?)```", re.S)


def check_http(text, sidecar):
    """The block that starts a gateway, as it is written but for the port; with its end after it."""
    blocks = HTTP_BLOCK.findall(text)
    assert len(blocks) == 1, "README.md does not say how to start a gateway"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    block = blocks[0].replace("8080", port).replace(" &\n", " 2>http.log &\n")
    got = sidecar.run(f"set -e; {block}kill $!; wait $!")
    assert '"stored":1' in got and "data: hello" in got, got


def check_program(text, sidecar):
    """The C program of the README, inside a main."""
    blocks = re.findall(r"```c\n(.*?)```", text, re.S)
    assert blocks, "README.md has no C program"
    source = sidecar.home / "program.c"
    body = "".join(f"    {line}\n" for line in blocks[0].splitlines())
    source.write_text(f'#include "sponson.h"\nint main(void)\n{{\n{body}'
                      "    return 0;\n}\n")
    program = sidecar.home / "program"
    subprocess.run([COMPILER, *SANITIZE, f"-I{SOURCE / 'client'}", f"-I{SOURCE / 'proto'}", str(source),
                    f"-L{BUILD / 'lib'}", "-lsponson", f"-Wl,-rpath,{BUILD / 'lib'}", "-o",
                    str(program)], check=True, timeout=DEADLINE_S)
    sidecar.run(shlex.quote(str(program)))
    assert "Hello" in sidecar.run("sponson replay chat-42")


def check_counters():
    """Every counter that there is has a row in the sidecar's README."""
    names = set(re.findall(r'"(sponson_\w+)', (SOURCE / "sidecar/base/metrics.h").read_text()))
    table = (SOURCE / "sidecar/README.md").read_text().split("## Counters")[1]
    told = set(re.findall(r"`(sponson_\w+)`", table))
    assert len(names) > 30 and names == told, f"counters and sidecar/README.md: {names ^ told}"


OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
OTHERS_OPTIONS = {  # of cmake, ctest, curl, pkg-config, useradd and scripts of this project
    "--cflags", "--install", "--libs", "--now", "--only", "--preset", "--quick", "--retry", "--retry-connrefused",
    "--retry-delay", "--system", "--test-dir", "--unix-socket", "--user-group", "--variable", "--workflow"}


def help_of(*words):
    done = subprocess.run([str(BUILD / "bin" / words[0]), *words[1:], "--help"], timeout=DEADLINE_S,
                          stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def check_options():
    """Every verb is in README.md, and every option that a document names is one."""
    text = help_of("sponson")
    verbs = re.findall(r"^  ([a-z]+) .*", text.split("Verbs:")[1].split("Exit codes:")[0], re.M)
    assert len(verbs) > 12, "sponson --help has no verbs"
    known = set(OPTION.findall(text + help_of("sponsond") + help_of("sponson-http")))
    for verb in verbs:
        known |= set(OPTION.findall(help_of("sponson", verb)))
    readme = (SOURCE / "README.md").read_text()
    missing = [verb for verb in verbs if f"sponson {verb}" not in readme]
    assert not missing, f"README.md does not have the verbs {missing}"
    for name in ("README.md", "sidecar/README.md", "sidecar/http/README.md", "sidecar/http/RECIPES.md",
                 "sidecar/monitoring/README.md", "sidecar/container/README.md", "proto/PROTOCOL.md"):
        told = set(OPTION.findall((SOURCE / name).read_text())) - OTHERS_OPTIONS
        assert told <= known, f"{name} has options that nothing has: {told - known}"


OTHERS_FILES = ("mdb.c", "fs/ext4/ext4.h")  # of LMDB and of Linux
WALK_ROW = r"^\| `(\w+/\w+\.c)` \| `(\w+)` \|"


def check_walk():
    """Each function of the walk of an event is in the file that the sidecar's README names."""
    text = (SOURCE / "sidecar/README.md").read_text()
    section = text.split("## An event, from socket to disk")[1].split("\n## ")[0]
    there, _, back = section.partition("A FETCH is answered")
    rows = re.findall(WALK_ROW, there, re.M)
    assert len(rows) > 15, "sidecar/README.md: no walk"
    assert len({name for name, _ in rows}) <= 14, "the walk is too long"
    back = re.findall(WALK_ROW, back, re.M)
    assert len(back) > 7, "sidecar/README.md: no walk of an answer"
    rows += back
    for name, function in rows:
        text = (SOURCE / "sidecar" / name).read_text()
        assert re.search(rf"^[a-z][\w *]*\b{function}\(", text, re.M), f"{name} has no {function}"


def find_file(name, roots):
    found = [SOURCE / root / name for root in roots if (SOURCE / root / name).exists()]
    return found[0] if found else None


def check_places():
    """What the table of changes names is there: files, and what stands after them in brackets."""
    text = (SOURCE / "sidecar/README.md").read_text()
    table = text.split("## To change something")[1].split("\n## ")[0]
    names = re.findall(r"`([\w/.]+\.(?:c|h|md|py|txt))`(?: \(`(\w+)`\))?", table)
    assert len(names) > 60, "sidecar/README.md: no table of changes"
    for name, function in names:
        path = find_file(name, ("sidecar", "tests", "."))
        assert path, f"there is no {name}"
        assert re.search(rf"\b{function}\b", path.read_text()), f"{name} has no {function}"


def check_comments():
    """Files that comments name are there."""
    tops = ("sidecar", "client", "proto", "tests")
    sources = [path for top in tops for path in (SOURCE / top).rglob("*.[ch]") if "node_modules" not in path.parts]
    there = [f"/{path.relative_to(SOURCE)}" for path in sources]
    count = 0
    for path in sources:
        for comment in re.findall(r"/\*.*?\*/", path.read_text(), re.S):
            for name in re.findall(r"(?<![\w/.*<])[a-z][\w/]*\.[ch]\b", comment):
                known = name in OTHERS_FILES or any(one.endswith(f"/{name}") for one in there)
                assert known, f"{path.relative_to(SOURCE)} names {name}, which is not there"
                count += 1
    assert count > 50, "no comment names a file"


def main():
    check_counters()
    check_options()
    check_walk()
    check_places()
    check_comments()
    text = (SOURCE / "README.md").read_text()
    sample = sorted((SOURCE / "tests/data").glob("*.sse"))[0]
    with tempfile.TemporaryDirectory(prefix="spn") as home:
        sidecar = Sidecar(pathlib.Path(home))
        started = time.monotonic()
        try:
            ran = check_commands(text, sidecar, sample)
            check_program(text, sidecar)
            check_http(text, sidecar)
            sidecar.stop()
        finally:
            sidecar.kill()
        assert ran >= 8, f"only {ran} commands of README.md were run"
        print(f"{ran} commands and a program of README.md work "
              f"({time.monotonic() - started:.1f} s)")


main()
