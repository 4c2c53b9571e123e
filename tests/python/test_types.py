# SPDX-License-Identifier: Apache-2.0
"""The types: mypy --strict finds nothing in the package, what programs write is checked by it, and the stub has
what the extension has."""
import pathlib
import re
import subprocess
import sys

import pytest

from sponson import _sponson

PACKAGE = pathlib.Path(__file__).parents[2] / "client" / "python"
PROGRAM = """
import asyncio
import sponson

async def main() -> None:
    async with sponson.connect() as client:
        producer = await client.producer(level="durable")
        ack = await producer.publish("s", "x", id="1")
        reveal_type(ack)
        reveal_type(await producer.publish_many("s", ["a"]))
        async for item in client.subscribe("s", after=sponson.Cursor("", 1)):
            if item.kind == "event":
                reveal_type(item)
            elif isinstance(item, sponson.End):
                reveal_type(item.why)
        try:
            await client.last("s")
        except sponson.UnknownSessionError as error:
            reveal_type(error.code)
        await client.publish("s", 5)
        await client.producer(level="high")
"""


def mypy(*words, **how):
    pytest.importorskip("mypy", reason="mypy is not installed")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir=/dev/null", *words],
        timeout=200,
        capture_output=True,
        text=True,
        check=False,
        **how,
    )


def test_the_package():
    done = mypy("-p", "sponson", cwd=PACKAGE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = mypy(str(tmp_path / "program.py"), cwd=PACKAGE, env={"MYPYPATH": str(PACKAGE), "PATH": "/usr/bin:/bin"})
    revealed = re.findall(r'note: Revealed type is "(.*)"', done.stdout)
    assert [
        re.split(r"[\[,]", each.replace("builtins.", ""))[0 if "list" in each else -1] for each in revealed
    ], done.stdout
    text = " ".join(revealed)
    for part in ("sponson._records.Ack", "list[", "sponson._records.Event", "str"):
        assert part in text, done.stdout
    errors = re.findall(r"error: (.*)", done.stdout)
    assert len(errors) == 2 and '"publish"' in errors[0] and '"producer"' in errors[1], done.stdout


def test_the_stub_has_what_the_extension_has():
    stub = (PACKAGE / "sponson" / "_sponson.pyi").read_text()
    for name in [each for each in dir(_sponson) if not each.startswith("__")]:
        kind = getattr(_sponson, name)
        if not isinstance(kind, type):
            assert re.search(rf"^(def {name}\(|{name}: )", stub, re.M), name
            continue
        body = re.search(rf"^class {name}:\n(.*?)(?=^\S|\Z)", stub, re.S | re.M)[1]
        methods = {each for each in vars(kind) if not each.startswith("__")}
        assert methods == set(re.findall(r"def ((?!__)\w+)\(", body)), name
