# SPDX-License-Identifier: Apache-2.0
"""Browsers of example_http: test_http.py PORT PRODUCER FIRST-ID

The session "chat" has the events one, two, three and four; FIRST-ID is that of the first.
"""
import socket
import subprocess
import sys

DEADLINE_S = 30
PORT, PRODUCER, FIRST = int(sys.argv[1]), sys.argv[2], sys.argv[3]
PIECES, PIECE_EVENTS, EVENT_SIZE = 16, 400, 2000  # 12.8 MB: more than two sockets hold


def publish(session, *texts):
    subprocess.run([PRODUCER, session, *texts], check=True, stdout=subprocess.PIPE, timeout=DEADLINE_S)


def ask(path, after=None, room=None, method="GET"):
    browser = socket.socket()
    browser.settimeout(DEADLINE_S)
    if room:
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    browser.connect(("127.0.0.1", PORT))
    last = f"last-event-id: {after}\r\n" if after else ""
    browser.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{last}\r\n".encode())
    return browser


def status(browser):
    return browser.makefile("rb").readline().split(b" ", 1)[1].strip()


def data(stream, count):
    """The data of so many events."""
    found = []
    while len(found) < count:
        line = stream.readline()
        assert line, f"ended after {len(found)} of {count} events"
        if line.startswith(b"data: "):
            found.append(line[6:].strip().decode())
    return found


def check_resume():
    with ask("/chat", FIRST) as browser, browser.makefile("rb") as stream:
        assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
        assert data(stream, 3) == ["two", "three", "four"]
        publish("chat", "five")
        assert data(stream, 1) == ["five"]
    with ask("/chat?x=1") as browser, browser.makefile("rb") as stream:
        assert data(stream, 5) == ["one", "two", "three", "four", "five"]


def check_refused():
    for path, method, wanted in (("/nobody", "GET", b"404 Not Found"), ("/", "GET", b"404 Not Found"),
                                 ("/chat", "POST", b"404 Not Found")):
        with ask(path, method=method) as browser:
            assert status(browser) == wanted, (path, method)


def check_full_socket():
    """A browser that reads nothing holds nobody up and loses nothing."""
    texts = [f"{i} ".ljust(EVENT_SIZE, "x") for i in range(PIECES * PIECE_EVENTS)]
    publish("large", texts[0])
    with ask("/large", room=4096) as slow, slow.makefile("rb") as of_slow:
        assert data(of_slow, 1) == texts[:1]
        for piece in range(PIECES):
            publish("large", *texts[1 + piece * PIECE_EVENTS:1 + (piece + 1) * PIECE_EVENTS])
        with ask("/large") as fast, fast.makefile("rb") as of_fast:
            assert data(of_fast, len(texts)) == texts
        assert data(of_slow, len(texts) - 1) == texts[1:]


def check_gone():
    """Browsers that leave, with a full socket too, leave the others alone."""
    for _ in range(20):
        ask("/large", room=4096).close()
    with ask("/chat") as browser, browser.makefile("rb") as stream:
        assert data(stream, 1) == ["one"]


check_resume()
check_refused()
check_full_socket()
check_gone()
