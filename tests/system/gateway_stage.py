# SPDX-License-Identifier: Apache-2.0
"""A daemon and a gateway with an admin listener, for tests in Python."""
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import urllib.parse
import urllib.request


class Stage:
    """A daemon and a gateway in a directory of their own."""

    def __init__(self, sponsond, gateway):
        self.directory = tempfile.TemporaryDirectory(prefix="spn-gateway-")
        self.path = pathlib.Path(self.directory.name)
        for name in ("data", "run"):
            (self.path / name).mkdir(mode=0o700)
        self.sponsond, self.program = sponsond, gateway
        self.processes = {}
        self.start("daemon", sponsond, "--data-dir", self.path / "data", "--socket-dir", self.path / "run")
        self.start("gateway", gateway, "--socket", self.path / "http.sock", "--socket-dir", self.path / "run",
                   "--admin-listen", "127.0.0.1:0")

    def start(self, name, *words):
        reading, writing = os.pipe()
        with open(self.path / (name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen([*map(str, words), f"--ready-fd={writing}"], pass_fds=[writing],
                                                    stderr=log, stdout=log)
        os.close(writing)
        with os.fdopen(reading, "rb") as ready:
            assert ready.readline() == b"ready\n", (self.path / (name + ".log")).read_text()

    def url(self):
        return re.findall(r"event=page url=(\S+)", (self.path / "gateway.log").read_text())[-1]

    def admin(self, path):
        """What the admin listener answers to a GET."""
        place = urllib.parse.urlsplit(self.url())
        with urllib.request.urlopen(f"http://{place.netloc}{path}", timeout=60) as answer:
            return answer.read().decode()

    def publish(self, session, events):
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.path / "http.sock"))
        connection.request("POST", "/v1/sessions/" + urllib.parse.quote(session), json.dumps(events),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        connection.close()

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.directory.cleanup()
