# SPDX-License-Identifier: Apache-2.0
"""hold.py ADDRESS PROGRAM [WORD...]: holds a listening socket open while a program comes and goes.

ADDRESS is PORT (TCP on 127.0.0.1; 0: any) or the path of a Unix socket. First prints "port N" or "path".
Each line "start" on standard input starts the program with the socket handed over as systemd does it
(LISTEN_FDS) and --ready-fd; it prints "ready PID" when it is. When the program ends it prints
"ended STATUS": the exit code, or minus the signal. The program ends with this one.
"""
import os
import select
import signal
import socket
import sys

SOCKET_FD = 3  # as systemd hands it over
READY_FD = 4


def listen(address):
    if address.isdigit():
        held = socket.create_server(("127.0.0.1", int(address)), backlog=4096)
        say("port %d" % held.getsockname()[1])
        return held
    held = socket.socket(socket.AF_UNIX)
    held.bind(address)
    held.listen(4096)
    say("path")
    return held


def say(words):
    print(words, flush=True)


def start(held, words):
    """The program's process and the descriptor that gets a byte when it is ready."""
    ready, its_ready = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.dup(its_ready), READY_FD)
        os.dup2(held.fileno(), SOCKET_FD)
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
        os.execv(words[0], [*words, "--ready-fd=%d" % READY_FD])
    os.close(its_ready)
    return child, ready


def main():
    address, *words = sys.argv[1:]
    held = listen(address)
    os.set_inheritable(held.fileno(), True)
    wake, its_wake = os.pipe()
    os.set_blocking(its_wake, False)
    signal.set_wakeup_fd(its_wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = ready = None
    commands = sys.stdin.buffer.raw
    try:
        while True:
            fds = [wake, commands] + ([ready] if ready is not None else [])
            readable = select.select(fds, [], [])[0]
            if ready in readable:
                if os.read(ready, 1):
                    say("ready %d" % child)
                os.close(ready)
                ready = None
            if wake in readable:
                os.read(wake, 64)
                if child and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                    child = None
                    say("ended %d" % status)
            if commands in readable:
                lines = commands.read(64)
                if not lines:
                    return
                assert lines == b"start\n" and child is None, lines
                child, ready = start(held, words)
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


main()
