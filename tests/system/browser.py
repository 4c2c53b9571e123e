# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, spoken with over a pipe (the DevTools protocol), for tests of pages.

Whatever does not come in time, and whatever the page throws, fails the test.
"""
import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

WAIT_S = 30
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--remote-debugging-pipe"]


def program():
    """The path of Chromium; None: it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="spn-browser-")
        to_child, self.write_fd = os.pipe()
        self.read_fd, from_child = os.pipe()

        def place():  # Chromium reads descriptor 3 and writes descriptor 4
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (to_child, from_child)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen([program(), *FLAGS, "--user-data-dir=" + self.directory, "about:blank"],
                                        preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        os.close(to_child)
        os.close(from_child)
        self.number = 0
        self.buffer = b""
        self.events = []
        target = self._call("Target.createTarget", None, url="about:blank")["targetId"]
        self.session = self._call("Target.attachToTarget", None, targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def _read(self, due):
        while b"\0" not in self.buffer:
            if not select.select([self.read_fd], [], [], max(0, due - time.monotonic()))[0]:
                raise AssertionError("the browser does not answer")
            more = os.read(self.read_fd, 65536)
            assert more, "the browser ended"
            self.buffer += more
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def _call(self, method, session, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        due = time.monotonic() + WAIT_S
        while True:
            got = self._read(due)
            if got.get("id") == self.number:
                assert "error" not in got, got
                return got["result"]
            self.events.append(got)

    def call(self, method, **params):
        return self._call(method, self.session, **params)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def run(self, text):
        """The value of a JavaScript expression."""
        got = self.call("Runtime.evaluate", expression=text, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def wait(self, text):
        due = time.monotonic() + WAIT_S
        while not self.run(text):
            assert time.monotonic() < due, "not in time: " + text + "\n" + self.run("document.body.innerText")
            time.sleep(0.02)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode={"Tab": 9, "Enter": 13, "ArrowDown": 40, "ArrowUp": 38}[key],
                      **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))

    def shoot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def complaints(self):
        """What the page threw, and what its policy kept out."""
        return [event for event in self.events if event.get("method") == "Runtime.exceptionThrown" or
                (event.get("method") == "Log.entryAdded" and event["params"]["entry"]["source"] == "security")]

    def wait_for_complaint(self):
        due = time.monotonic() + WAIT_S
        while not self.complaints():
            assert time.monotonic() < due, "the page's policy had nothing to say"
            self.run("1")
            time.sleep(0.02)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.write_fd)
        os.close(self.read_fd)
        shutil.rmtree(self.directory, ignore_errors=True)
