#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""example.py SPONSON_FAKE CLIENT...: the sidecar that fails, driven by another language.

A batch is lost. The client must send it again in a higher round.
"""
import os
import subprocess
import sys
import tempfile


class Lines:
    """A program that is spoken to in lines."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, text=True, bufsize=1, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, **options)

    def read(self):
        return self.process.stdout.readline().rstrip("\n")

    def write(self, line):
        self.process.stdin.write(line + "\n")


class Fake(Lines):
    def __init__(self, program, directory):
        super().__init__([program, directory])
        self.received = []
        assert self.read() == "ready"

    def __call__(self, command):
        """Carries out a command and collects what was received meanwhile."""
        self.write(command)
        while (line := self.read()) != "ok":
            word, _, rest = line.partition(" ")
            assert word not in ("failed", "violation", ""), f"{command}: {line}"
            if word == "in":
                names, _, text = rest.partition(" | ")
                socket, kind, *fields = names.split()
                values = dict(field.split("=", 1) for field in fields)
                self.received.append((socket, kind, values, bytes.fromhex(text)))


def main(program, *client_command):
    with tempfile.TemporaryDirectory() as directory:
        fake = Fake(program, directory)
        client = Lines(client_command, env=dict(os.environ, SPONSON_SOCKET_DIR=directory))

        def ask(line, answer):
            client.write(line)
            assert (got := client.read()) == answer, f"{line}: {got}"

        ask("connect", "ok")
        ask("producer durable", "ok 0")
        fake("drop BATCH")
        ask("publish chat a1 - one", "ticket 1")
        ask("send", "ok")
        ask("publish chat a2 - two", "ticket 2")
        ask("send", "ok")
        ask("flush", "ok")
        fake("await ingest BATCH round=1 first=1")
        batches = [values for _, kind, values, _ in fake.received if kind == "BATCH"]
        assert [batch["round"] for batch in batches] == ["0", "1"], batches
        client.write("quit")
        assert client.process.wait(10) == 0
        fake.write("quit")
        assert fake.process.wait(10) == 0


main(*sys.argv[1:])
