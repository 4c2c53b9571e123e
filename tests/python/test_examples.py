# SPDX-License-Identifier: Apache-2.0
"""The programs of client/examples/python."""
import asyncio
import os
import pathlib
import subprocess
import sys

import pytest

from stage import WAIT_S, aio

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "client" / "examples" / "python"
RECORDED = ROOT / "tests" / "node" / "data"  # what both languages' examples are fed with
WORDS = ["The", " tide", " turns", " at", " noon", ": é", ", 潮", "."]


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_streams_of_models(stage, kind):
    words = [sys.executable, EXAMPLES / "model_streams.py", kind, RECORDED / f"{kind}.sse", "answer"]
    done = subprocess.run(words, timeout=WAIT_S, capture_output=True, text=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "".join(WORDS) + "\ncomplete\n", "")


@aio
async def test_a_chat_that_is_cut_off_and_resumed(stage, monkeypatch):
    web = pytest.importorskip("web")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setenv("ANSWER", str(RECORDED / "openai.sse"))
    import chat

    async with web.served(chat.app, lifespan="on") as http:
        answers = [(await http.post("/answers")).json()["answer"][1:] for _ in range(3)]
        whole = [asyncio.create_task(web.events_of(http, answer, None)) for answer in answers]
        cut = [await web.events_of(http, answer, 2) for answer in answers]
        await asyncio.to_thread(stage.kill)
        resumed = [
            asyncio.create_task(web.events_of(http, answer, None, last)) for answer, (_, last) in zip(answers, cut)
        ]
        await asyncio.to_thread(stage.start)
        for answer, (first, _), rest, all_of_it in zip(answers, cut, resumed, whole):
            rest, last = await rest
            events, _ = await all_of_it
            assert [event.data for event in events] == WORDS
            assert [event.id for event in first + rest] == [event.id for event in events]
            assert (await http.get(f"/{answer}", headers={"Last-Event-ID": last})).status_code == 204
