# SPDX-License-Identifier: Apache-2.0
"""units.py [--no-trace] UNITS SPONSOND SPONSON_HTTP SPONSON: what systemd says of the units, without one that runs.

They are correct, and exposed by at most 1.0 (of 10). systemd-socket-activate starts the daemon. What the sandbox
forbids is not what the programs do: each system call that they make is in SystemCallFilter=, each socket that they
open is a Unix socket, and nothing is mapped to be written and run. Sanitizers make other calls, and some cannot be
traced: --no-trace. Ends with 77 where a tool is missing.
"""
import http.client
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

EXPOSURE_MAX = 10  # tenths
SKIPPED = 77
SERVICES = ("sponson.service", "sponson@.service", "sponson-http.service")


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, **more)


def fail(words):
    sys.exit("units: %s" % words)


def copy_units(units, into, programs):
    """As they are, but for the paths of the programs, which are not installed."""
    for unit in units.iterdir():
        text = unit.read_text()
        for program in programs:
            text = re.sub(r"(?m)^ExecStart=\S*/%s(?!\S)" % program.name, "ExecStart=%s" % program, text)
        (into / unit.name).write_text(text)


def verify(folder):
    found = run("systemd-analyze", "verify", "--man=no", *sorted(str(unit) for unit in folder.iterdir()))
    if found.returncode != 0 or found.stderr or found.stdout:
        fail("verify: %s%s" % (found.stdout, found.stderr))


def check_exposure(folder, name):
    instance = folder / name.replace("@.", "@example.")
    if instance.name != name:
        instance.write_text((folder / name).read_text())
    found = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=%d" % EXPOSURE_MAX,
                str(instance))
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", found.stdout)
    if not level:
        fail("security: %s%s" % (found.stdout, found.stderr))
    print("%s: exposure %s" % (name, level[1]))
    if found.returncode != 0 or float(level[1]) * 10 > EXPOSURE_MAX:
        fail("%s is exposed by %s:\n%s" % (name, level[1], found.stdout))


def calls_of(group):
    """The system calls of a group, with those of the groups in it."""
    calls = set()
    found = run("systemd-analyze", "syscall-filter", group, check=True)
    for line in found.stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            calls |= calls_of(word)
        elif word and not word.startswith("#"):
            calls.add(word)
    return calls


def allowed(service):
    """What SystemCallFilter= lets through, as systemd reads its lines."""
    calls = calls_of("@default")
    for value in re.findall(r"(?m)^SystemCallFilter=(.*)$", service.read_text()):
        words = value.lstrip("~").split()
        named = set().union(*(calls_of(word) if word.startswith("@") else {word} for word in words))
        calls = calls - named if value.startswith("~") else calls | named
    return calls


def check_trace(name, text, calls):
    for line in text.splitlines():
        made = re.match(r"(?:\d+ +)?(\w+)\(", line)
        if not made:
            continue
        if made[1] not in calls | {"execve"}:
            fail("%s makes a call that its unit forbids: %s" % (name, line))
        if made[1] == "socket" and "AF_UNIX" not in line:
            fail("%s opens a socket that its unit forbids: %s" % (name, line))
        if made[1] in ("mmap", "mprotect") and "PROT_WRITE|PROT_EXEC" in line:
            fail("%s maps what its unit forbids: %s" % (name, line))


def wait_for(path):
    for _ in range(2000):
        if path.exists():
            return
        time.sleep(0.01)
    fail("%s does not come" % path)


def ask(path, *words):
    """The status of one request to the gateway."""
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    connection.request(*words)
    return connection.getresponse().status


def trace(folder, programs, place):
    """The main job under strace: publish, read, end in peace."""
    daemon, gateway, cli = programs
    (place / "data").mkdir(mode=0o700)
    (place / "run").mkdir(mode=0o755)
    dirs = {"SPONSON_SOCKET_DIR": str(place / "run"), "SPONSON_DATA_DIR": str(place / "data")}
    traced = []
    try:
        for program, words, sign in ((daemon, [], "read.sock"),
                                     (gateway, ["--socket=%s/http.sock" % place, "--state-dir=%s/state" % place],
                                      "../http.sock")):
            (place / "state").mkdir(mode=0o700, exist_ok=True)
            output = place / (program.name + ".trace")
            traced.append((program.name, output, subprocess.Popen(
                ["strace", "-f", "-qq", "-o", str(output), str(program), *words], env=dirs,
                stderr=subprocess.DEVNULL)))
            wait_for(place / "run" / sign)
        for round in range(3):
            done = run(str(cli), "record", "s%d" % round, env=dirs, input="data: x\n\n" * 200)
            if done.returncode != 0:
                fail("record: %s" % done.stderr)
            if ask(place / "http.sock", "POST", "/v1/sessions/h", "1") != 200:
                fail("the gateway does not publish")
            if ask(place / "http.sock", "GET", "/v1/sessions/h") != 200:  # a stream, which is left
                fail("the gateway does not read")
        for verb in (("replay", "s1"), ("info", "s1"), ("stats",), ("close", "s1"), ("delete", "s2")):
            run(str(cli), *verb, env=dirs)
    finally:
        for _, _, process in reversed(traced):
            children = pathlib.Path("/proc/%d/task/%d/children" % (process.pid, process.pid)).read_text().split()
            for child in children:
                subprocess.run(["kill", "-TERM", child], check=False)
            process.wait(30)
    for name, output, process in traced:
        if process.returncode != 0:
            fail("%s ended with %d" % (name, process.returncode))
        service = folder / {"sponsond": "sponson.service", "sponson-http": "sponson-http.service"}[name]
        check_trace(name, output.read_text(), allowed(service))


def check_activation(programs, place):
    """systemd's own tool listens, and starts the daemon when a client comes."""
    daemon, _, cli = programs
    place.mkdir()
    (place / "data").mkdir(mode=0o700)
    sockets = [place / name for name in ("ingest.sock", "read.sock")]
    variables = {"SPONSON_SOCKET_DIR": str(place), "SPONSON_DATA_DIR": str(place / "data")}
    words = [word for path in sockets for word in ("--listen", str(path))]
    sanitizers = {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
    for variable in (*variables.items(), *sanitizers.items()):
        words += ["--setenv", "=".join(variable)]
    with open(place / "log", "wb") as log:
        process = subprocess.Popen(["systemd-socket-activate", *words, str(daemon)], stderr=log)
    try:
        for path in sockets:
            wait_for(path)
        done = run(str(cli), "record", "s", env=variables, input="data: x\n\n")
        if done.returncode != 0:
            fail("activated: %s%s" % (done.stderr, (place / "log").read_text()))
        process.terminate()  # the daemon took its place
        if process.wait(30) != 0 or not all(path.exists() for path in sockets):
            fail("activated: its end: %s" % (place / "log").read_text())
    finally:
        process.kill()


def main():
    words = [word for word in sys.argv[1:] if word != "--no-trace"]
    units, *programs = (pathlib.Path(word).absolute() for word in words)
    for tool in ("systemd-analyze", "systemd-socket-activate", "strace"):
        if not shutil.which(tool):
            print("units: no %s" % tool)
            sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory(prefix="spn-") as name:
        place = pathlib.Path(name)
        folder = place / "units"
        folder.mkdir()
        copy_units(units, folder, programs)
        verify(folder)
        for service in SERVICES:
            check_exposure(folder, service)
        check_activation(programs, place / "activated")
        if "--no-trace" not in sys.argv:
            trace(folder, programs, place)


main()
