# SPDX-License-Identifier: Apache-2.0
"""Every code block of client/python/README.md works as it is written, and so does that of the main README. What is
started is a new process; the block with an app is served and used, and what the shell blocks build is in
test_wheel.py."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

from stage import WAIT_S, aio

ROOT = pathlib.Path(__file__).parents[2]
TEXT = (ROOT / "client" / "python" / "README.md").read_text()
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.S | re.M)
BLOCKS = BLOCK.findall(TEXT)
MAIN_BLOCKS = BLOCK.findall((ROOT / "README.md").read_text())
APPS = [block for block in BLOCKS if "\napp = " in block]
# What each block prints, in part.
PRINTS = {
    "# A reader that got": ["2 or \n3 not\nthe end: SPN_E_CLOSED\n"],
    "def claim": ["mine", "taken, it stands at 1", "Last(id="],
    "publish_many": ["10000 ", "['line 9998', 'line 9999']", "log 10000 live"],
    "SessionManager": ["SessionManager object"],
    "with sync.connect": ["1001", "verdict\nevent\n", "caught_up\nend\n"],
    "os.fork": ["open one in this process", "\n1\n"],
}


def test_nothing_is_left_out():
    fences = re.findall(r"^```(\w*)$", TEXT, re.M)
    assert len(BLOCKS) == len(PRINTS) + 1 and len(APPS) == 1
    assert sorted(set(fences)) == ["", "python", "sh"] and len(fences) == 2 * (len(BLOCKS) + 2)


def printed_by(block):
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{ROOT / 'tests/python/mcp_sdk'}",
    }
    done = subprocess.run(
        [sys.executable, "-c", block], timeout=WAIT_S, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("mark", PRINTS)
def test_a_block(stage, mark):
    (block,) = [block for block in BLOCKS if mark in block]
    output = printed_by(block)
    for part in PRINTS[mark]:
        assert part in output, output


def test_the_block_of_the_main_page(stage):
    (block,) = MAIN_BLOCKS
    assert printed_by(block) == "1 world\n"


@aio
async def test_the_app(stage):
    web = pytest.importorskip("web")
    names = {}
    exec(compile(APPS[0], "README.md", "exec"), names)
    async with web.served(names["app"], lifespan="on") as http:
        first = await http.post("/chats/7", content="one")
        await http.post("/chats/7", content="two")
        events, _ = await web.events_of(http, "chats/7", 1, first.json()["id"])
        assert [event.data for event in events] == ["two"]
