# SPDX-License-Identifier: Apache-2.0
"""The gateway, and the servers that speak HTTP that it is compared with.

Each is loaded by http_load, in the same way. What is not installed is said to be so.
"""
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import time

from servers import READY_S, Failed, NotAvailable, Server, run_json

HERE = pathlib.Path(__file__).resolve().parent
WEB = HERE.parent / "web"
REFERENCE = WEB / "node_modules/@durable-streams/server"
SKIPPED = 77  # the exit code of a program of tests/web that lacks something
NCHAN = "ngx_nchan_module.so"
MODULE_DIRS = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/local/lib/nginx/modules")

# One worker, all in its memory, nothing logged.
NGINX = """daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
load_module {module};
pid {dir}/pid;
error_log {dir}/log;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_buffer_size 64k;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    keepalive_requests 1000000;
    server {{
        listen unix:{dir}/http.sock backlog=4096;
        location = /write {{ nchan_publisher; nchan_channel_id bench; }}
        location = /read {{
            nchan_subscriber eventsource;
            nchan_subscriber_first_message newest;
            nchan_channel_id bench;
        }}
    }}
}}
"""


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


class HttpServer(Server):
    """One that http_load can connect to: `at` is a socket's path or a port."""

    def __init__(self, lab, name, at=None):
        super().__init__(lab.base, name)
        self.lab = lab
        self.at = at or self.dir / "http.sock"

    def run(self, words, output=None):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen([str(word) for word in words], stdout=output or log, stderr=log)
        due = time.monotonic() + READY_S
        while not self.accepts():
            if self.process.poll() is not None or time.monotonic() > due:
                raise Failed(f"{words[0]}: {self.last_words()}")
            time.sleep(0.01)

    def accepts(self):
        is_path = isinstance(self.at, pathlib.Path)
        with socket.socket(socket.AF_UNIX if is_path else socket.AF_INET) as tried:
            return tried.connect_ex(str(self.at) if is_path else ("127.0.0.1", self.at)) == 0

    def fanout(self, read, write, **options):
        return self.load("fanout", self.at, read, self.at, write, **options)

    def load(self, what, *where, **options):
        words = [self.lab.bin / "http_load", what, *where]
        return run_json(words + [f"{name}={value}" for name, value in options.items()])


class Gateway(HttpServer):
    def __init__(self, lab, sidecar, port=None):
        super().__init__(lab, "gateway", port)
        door = [f"--listen=127.0.0.1:{port}", "--insecure-loopback"] if port else []
        self.run([lab.bin / "sponson-http", f"--socket-dir={sidecar.dir}/run",
                  f"--socket={self.dir}/http.sock", *door])


class Nchan(HttpServer):
    def __init__(self, lab):
        super().__init__(lab, "nchan")
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        descriptors = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
        (self.dir / "nginx.conf").write_text(NGINX.format(
            dir=self.dir, module=nchan_module(), descriptors=descriptors,
            connections=descriptors - 100))
        self.run([nginx(), "-c", self.dir / "nginx.conf"])


def nginx():
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def nchan_module():
    return next((path for path in (pathlib.Path(where) / NCHAN for where in MODULE_DIRS)
                 if path.exists()), None)


def need_nchan():
    if nginx() is None:
        raise NotAvailable("nginx is not installed")
    if nchan_module() is None:
        raise NotAvailable("nginx's nchan is not installed")


class Reference(HttpServer):
    """The Durable Streams reference server, with its store of files."""

    def __init__(self, lab):
        super().__init__(lab, "reference", free_port())
        (self.dir / "data").mkdir()
        self.run(["node", HERE / "reference.mjs", REFERENCE / "dist/index.js", self.at,
                  self.dir / "data"])


def need_node():
    if shutil.which("node") is None:
        raise NotAvailable("node is not installed")


def browser(lab, rounds, events):
    """How long an event takes to a browser's onmessage: see bench_browser.mjs."""
    need_node()
    words = ["node", WEB / "bench_browser.mjs", rounds, events]
    return run_json(words, env={**lab.env, "SPONSON_BIN": str(lab.bin)}, skipped=SKIPPED)


def need_reference():
    need_node()
    if not REFERENCE.exists():
        raise NotAvailable("@durable-streams/server is not installed: npm ci in tests/web")


def version_of_reference():
    try:
        text = (REFERENCE / "package.json").read_text()
        return re.search(r'"version":\s*"([^"]+)"', text).group(1)
    except (OSError, AttributeError):
        return "not installed"
