# SPDX-License-Identifier: Apache-2.0
"""What is measured: a sidecar, a Redis, and the programs that load them.

Each server gets a directory of its own on a disk, is started here and ended here, by its pid.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

READY_S = 120
SECTOR = 512  # bytes, in what the kernel tells of disks
RUN_S = 900


class NotAvailable(Exception):
    """There is no such figure, and why."""


class Failed(Exception):
    """There should be one."""


def run_json(words, env=None, timeout=RUN_S, skipped=None):
    """A program that prints one JSON object; or why not, and ends with the exit code `skipped`."""
    done = subprocess.run([str(word) for word in words], env=env, timeout=timeout, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == skipped:
        raise NotAvailable(done.stdout.decode().strip())
    if done.returncode != 0:
        print(done.stderr.decode(), file=sys.stderr)
        said = (done.stderr.decode().splitlines() or [""])[0]
        raise Failed(f"{pathlib.Path(words[0]).name} {words[1]}: exit {done.returncode}: {said}")
    return json.loads(done.stdout)


class Server:
    """A process with a directory, which go together."""

    def __init__(self, base, name):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"spn-bench-{name}-", dir=base))
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir)

    def end(self, signal_it):
        if self.process is None:
            return
        signal_it(self.process)
        try:
            self.process.wait(READY_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def stop(self):
        self.end(subprocess.Popen.terminate)

    def kill(self):
        self.end(subprocess.Popen.kill)

    def last_words(self):
        return ((self.dir / "log").read_text().splitlines() or ["it said nothing"])[-1]

    # -- what the kernel knows of it ---------------------------------------------------------------

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.process.pid}/{name}").read_text()

    def rss_anon(self):
        """Bytes. The database's map, which counts as resident, is left out."""
        return int(re.search(r"RssAnon:\s+(\d+) kB", self.proc("status")).group(1)) * 1024

    def passed(self):
        """Bytes that it passed to calls that write."""
        return int(re.search(r"^wchar: (\d+)", self.proc("io"), re.M).group(1))

    def written(self):
        """Bytes that the disk under its directory wrote, for others too: the file system's journal is
        in it. Not /proc/PID/io's write_bytes: that counts a whole folio, of up to megabytes, when a
        page of it changes. NotAvailable: it is no disk of its own."""
        device = os.stat(self.dir).st_dev
        stat = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
        try:
            return int(stat.read_text().split()[6]) * SECTOR
        except OSError as why:
            raise NotAvailable(f"no count of what was written: {why}") from why

    def wake_ups(self):
        """How often any of its threads was scheduled."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            for number in re.findall(r"ctxt_switches:\s+(\d+)", (task / "status").read_text()):
                total += int(number)
        return total


class Sidecar(Server):
    """sponsond; default settings but for the words given."""

    def __init__(self, lab, *words):
        super().__init__(lab.base, "sidecar")
        self.lab = lab
        self.words = words
        for name in ("data", "run"):
            (self.dir / name).mkdir()
        self.start()

    def start(self):
        """Returns the seconds until clients could connect."""
        ready, told = os.pipe()
        started = time.monotonic()
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.lab.bin / "sponsond", f"--data-dir={self.dir}/data",
                 f"--socket-dir={self.dir}/run", f"--ready-fd={told}", *self.words],
                pass_fds=(told,), stderr=log)
        os.close(told)
        byte = os.read(ready, 1)  # or its end, when the process dies
        took = time.monotonic() - started
        os.close(ready)
        if not byte:
            raise Failed(f"sponsond did not start: {self.last_words()}")
        return took

    def command(self, what, **options):
        words = [self.lab.bin / "sponson", "bench", what, "--json", "--keep", f"--socket-dir={self.dir}/run"]
        return words + [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]

    def bench(self, what, **options):
        options.setdefault("timeout", 60)
        return run_json(self.command(what, **options))


class Redis(Server):
    """Every write on disk before it is answered. No rewriting of the log while it is measured, which
    would only make it slower."""

    def __init__(self, lab):
        super().__init__(lab.base, "redis")
        self.lab = lab
        self.socket = self.dir / "redis.sock"
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.dir,
                 "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                 "--auto-aof-rewrite-percentage", "0", "--daemonize", "no"],
                stdout=log, stderr=log)
        self.wait_ready()

    def wait_ready(self):
        due = time.monotonic() + READY_S
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > due:
                raise Failed(f"redis-server: {self.last_words()}")
            time.sleep(0.01)

    def load(self, what, **options):
        words = [self.lab.bin / "redis_load", self.socket, what]
        return run_json(words + [f"{name}={value}" for name, value in options.items()])


def has_redis(lab):
    """Why there is no Redis to compare with; None when there is one."""
    if not shutil.which("redis-server"):
        return "redis-server is not installed"
    if not (lab.bin / "redis_load").exists():
        return "redis_load was not built: libhiredis-dev is not installed"
    return None


def version_of(words):
    try:
        done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT)
        return done.stdout.decode().splitlines()[0].strip()
    except (OSError, IndexError):
        return "not installed"
