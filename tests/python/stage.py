# SPDX-License-Identifier: Apache-2.0
"""What a test stands on: a directory of its own, and the daemon that it starts, stops and kills."""
from __future__ import annotations

import asyncio
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

BIN = pathlib.Path(os.environ.get("SPONSON_BIN", "build/dev/bin"))
WAIT_S = 30  # for what should happen soon
POLL = ("7", "271")  # poll and ppoll, on x86-64


class Stage:
    def __init__(self) -> None:
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="spn-py-"))
        self.sockets = self.directory / "sockets"
        self.data = self.directory / "data"
        self.sockets.mkdir()
        self.data.mkdir()
        self.daemon: subprocess.Popen[bytes] | None = None
        self.log = open(self.directory / "log", "ab")
        os.environ.update(SPONSON_SOCKET_DIR=str(self.sockets), SPONSON_DATA_DIR=str(self.data))

    def start(self, *words: str) -> None:
        """Starts the daemon and waits until it is ready."""
        read, write = os.pipe()
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        self.daemon = subprocess.Popen(
            [BIN / "sponsond", f"--ready-fd={write}", *words],
            pass_fds=[write],
            stdin=subprocess.DEVNULL,
            stderr=self.log,
            env=environment,
        )
        os.close(write)
        with open(read, "rb") as ready:
            assert ready.readline(), f"sponsond did not start: {self.text()}"

    def text(self) -> str:
        return (self.directory / "log").read_text()

    def kill(self) -> None:
        assert self.daemon
        self.daemon.kill()
        self.daemon.wait()

    def end(self) -> None:
        assert self.daemon
        self.daemon.terminate()
        assert self.daemon.wait(WAIT_S) == 0, self.text()

    def stop(self) -> None:
        """The daemon stands still until go_on."""
        assert self.daemon
        self.daemon.send_signal(signal.SIGSTOP)
        while pathlib.Path(f"/proc/{self.daemon.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            pass

    def go_on(self) -> None:
        assert self.daemon
        self.daemon.send_signal(signal.SIGCONT)

    def dump(self) -> list[dict]:
        """The log's entries, with the daemon or without."""
        done = subprocess.run(
            [BIN / "sponson", "dump", "--data-dir", self.data], stdout=subprocess.PIPE, check=True
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def close(self) -> None:
        if self.daemon and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        self.log.close()
        shutil.rmtree(self.directory)


def is_asleep(thread):
    """In poll, with nothing else to do. One that has ended is not."""
    try:
        with open(f"/proc/self/task/{thread.native_id}/syscall") as syscall:
            return syscall.read().split()[0] in POLL
    except OSError:
        return False


def aio(test):
    """A test that is a coroutine. It must leave no task behind, and no failure that nobody was told."""

    @functools.wraps(test)
    def run(*arguments, **named):
        heard = []

        async def whole():
            asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
            await asyncio.wait_for(test(*arguments, **named), 120)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

        asyncio.run(whole())
        assert not heard, heard

    return run
