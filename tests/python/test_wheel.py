# SPDX-License-Identifier: Apache-2.0
"""The wheel, built as the README says, installed into a new environment without a network, and used there."""
import os
import pathlib
import re
import shlex
import subprocess

import pytest

from stage import WAIT_S

ROOT = pathlib.Path(__file__).parents[2]
TEXT = (ROOT / "client" / "python" / "README.md").read_text()
BUILD = os.environ.get("SPONSON_BUILD")
PROGRAM = """
import asyncio, pathlib, sponson, sponson.sync
async def main():
    async with sponson.connect() as client:
        await (await client.producer()).publish("s", "x")
        print(await client.last("s"), sponson.__file__)
asyncio.run(main())
assert (pathlib.Path(sponson.__file__).parent / "py.typed").exists()
"""


def run(command, **how):
    done = subprocess.run(command, timeout=300, capture_output=True, text=True, check=False, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment():
    """Without the build tree's package."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def install(home):
    """The README's lines, with this build for a new one, and another directory for the environment."""
    lines = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.S | re.M)[0].splitlines()
    packages, build, venv = lines
    assert packages == "sh tests/packages.sh python"
    assert re.search(r"^python\)", (ROOT / "tests/packages.sh").read_text(), re.M)
    configure, build = build.split(" && ")
    assert configure == "cmake --preset release"
    build = build.replace("--preset release", shlex.quote(BUILD))
    venv = venv.replace("~/app", shlex.quote(str(home))).replace("build/release", shlex.quote(BUILD))
    venv = re.sub(r"^python3 ", "/usr/bin/python3 ", venv)
    for line in (build, venv):
        run(["sh", "-c", line], cwd=ROOT, env=environment())


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    for name in ("build", "venv"):
        pytest.importorskip(name, reason=f"python3-{name} is not installed")
    home = tmp_path_factory.mktemp("app")
    install(home)
    return home / "bin" / "python"


def test_it_is_for_this_platform_and_every_python():
    assert re.search(r"cp311", (ROOT / "client/python/setup.py").read_text())


def test_it_works_where_it_is_installed(stage, python):
    (wheel,) = (pathlib.Path(BUILD) / "client/python/dist").glob("*.whl")
    assert wheel.name.endswith("-cp311-abi3-linux_x86_64.whl")
    printed = run([python, "-c", PROGRAM], env=environment())
    assert "Last(id=" in printed and str(python.parents[1]) in printed


def test_it_says_which_package_is_missing(python, tmp_path):
    (tmp_path / "libzmq.so.5").write_bytes(b"")
    done = subprocess.run(
        [python, "-c", "import sponson"],
        env={**environment(), "LD_LIBRARY_PATH": str(tmp_path)},
        timeout=WAIT_S,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "apt install libzmq5" in done.stderr, done.stderr
