#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare.py runs to its end, says something about every target, and draws both plots.

With as little as possible of everything: what the figures are is nobody's business here.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True
import compare  # noqa: E402

BUILD = sys.argv[1]
DEADLINE_S = 240
EXPECTED = ("not installed", "was not built")  # why there may be no figure


def rows_of(report):
    """The cells of the table's lines, without its two head lines."""
    lines = [line for line in report.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def check_rows(rows):
    assert len(rows) == len(compare.TARGETS), f"{len(rows)} rows, {len(compare.TARGETS)} targets"
    for cells, target in zip(rows, compare.TARGETS):
        assert cells[0] == target.what, f"{cells[0]} is not {target.what}"
        verdict = cells[-1].split(",")[0]
        if target.wanted is None and verdict == "":
            verdict = "met"
        assert verdict in ("met", compare.MISSED, compare.NOT_AVAILABLE), f"no verdict: {cells}"
        if verdict == compare.NOT_AVAILABLE:
            assert any(why in cells[2] for why in EXPECTED), f"not available: {cells}"
        else:
            assert any(letter.isdigit() for letter in cells[1]), f"no figure: {cells}"
            assert bool(target.against) == bool(cells[3]), f"no ratio: {cells}"


def check_plot(path):
    root = xml.etree.ElementTree.parse(path).getroot()
    curves = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert curves and all(len(curve.get("points").split()) > 0 for curve in curves), path


def check_judging():
    """A ratio that is too low, one that is too high, and what has no target."""
    class Lab:
        sizes = compare.measures.FULL
    least = compare.Target("", "", "", "", wanted=2)
    most = compare.Target("", "", "", "", wanted=2, least=False)
    free = compare.Target("", "", "", "")
    for target, value, verdict in ((least, 1.99, compare.MISSED), (least, 2, "met"),
                                   (most, 2, "met"), (most, 2.01, compare.MISSED), (free, 1, "")):
        assert compare.judge(Lab, target, value) == verdict, (target, value)


def main():
    check_judging()
    with tempfile.TemporaryDirectory(prefix="spn") as directory:
        done = subprocess.run(
            [sys.executable, "-B", HERE / "compare.py", "--tiny", "--build", BUILD, "--output",
             directory], env={**os.environ, "TMPDIR": directory}, timeout=DEADLINE_S, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr.decode()
        output = pathlib.Path(directory)
        try:
            check_rows(rows_of((output / "report.md").read_text()))
        except AssertionError:
            print(done.stderr.decode())
            raise
        for name in ("throughput.svg", "latency.svg"):
            check_plot(output / name)
        left = sorted(path.name for path in output.iterdir())
        assert left == ["latency.svg", "report.md", "throughput.svg"], f"left behind: {left}"
    print(f"{len(compare.TARGETS)} targets have a row each")


main()
