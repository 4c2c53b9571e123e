#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the sidecar with the bare limit of ZeroMQ and LMDB, with Redis, and with what it should be.

Writes report.md and two plots. Everything is measured with default settings and durable
acknowledgements unless a row says otherwise. Figures of one run are worth what the machine was worth at
that moment: the report says what it is, and how loaded it was.
"""
import argparse
import dataclasses
import math
import operator
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import measures
import plot
from quiet import DISTURBED_SHARE, Quiet
from http_servers import nginx, version_of_reference
from servers import Failed, NotAvailable, has_redis, version_of

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
MISSED = "**missed**"
NOT_AVAILABLE = "not available"
FAILED = "**failed**"


# -- what is wanted ----------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Target:
    """`figure` of `measure`, divided by `key` of `against` when there is one, has to be at least (or
    at most) `wanted`. None: reported only."""
    what: str
    measure: str
    figure: str
    unit: str
    wanted: float = None
    least: bool = True
    against: str = None
    key: str = None
    words: str = ""      # what it is compared with
    note: str = ""       # a format for what else the measurement found
    note_against: str = ""
    sizes: tuple = ()    # of measures.Sizes: with less than in a full run it says little


LOAD = "{in_flight} in flight, p99 {ack_p99_us:,.0f} us"
REDIS_LOAD = "{clients} clients, {pipeline} in flight each, p99 {ack_p99_us:,.0f} us"
REDIS = {"key": "events_per_second", "words": "Redis at its best", "note_against": REDIS_LOAD}
RATE = ("events_per_second", "events/s")
HTTP_NOTES = {"note": "median of {rounds} rounds, longest {last_max_us:,.0f} us; {readers} readers; "
                      "a bare commit {commit_p50_us:,.0f} us",
              "note_against": "longest {last_max_us:,.0f} us"}
POST_NOTES = {key: "p50 {answer_p50_us:,.0f} us, p99 {answer_p99_us:,.0f} us"
              for key in ("note", "note_against")}

TARGETS = (
    Target("durable publish, 256 B, 1,000 sessions", "publish_1000", *RATE, 4,
           against="redis_publish", note=LOAD, **REDIS),
    Target("", "publish_1000", *RATE, 0.6, against="bare_publish", key="events_per_second",
           words="the bare limit",
           note_against="batches of {batch}, {in_flight} in flight, p99 {ack_p99_us:,.0f} us"),
    Target("the same with a recorded stream as payload", "publish_stream", *RATE, 4,
           against="redis_stream", note="{size:.0f} B on average; " + LOAD, **REDIS),
    Target("the same with 100,000 sessions", "publish_many", *RATE, 0.7, against="publish_1000",
           key="events_per_second", words="1,000 sessions", note="{sessions} sessions; " + LOAD,
           sizes=("many_sessions",)),
    Target("new sessions, 1,000,000 of them", "new_sessions", "sessions_per_second", "sessions/s",
           150_000, note="{events} of them, p99 {ack_p99_us:,.0f} us", sizes=("new_sessions",)),
    Target("", "new_sessions", "sessions_per_second", "sessions/s", 3, against="redis_new",
           sizes=("new_sessions",), **REDIS),
    Target("ack, one event in flight, median", "latency", "ack_p50_us", "us", 1.25, False,
           against="bare_latency", key="sum_p50_us", words="a bare commit and a bare round trip",
           note="p99 {ack_p99_us:,.0f} us",
           note_against="{commit_p50_us:.0f} and {round_trip_p50_us:.0f} us; one after the other, "
                        "through threads: {chain_p50_us:.0f} us"),
    Target("a reader after that ack, median", "latency", "reader_after_ack_p50_us", "us", 100,
           False, note="reader p50 {reader_p50_us:,.0f} us, p99 {reader_p99_us:,.0f} us"),
    Target("one-shot, one in flight, median", "one_shot", "ack_p50_us", "us", 1.1, False,
           against="latency", key="ack_p50_us", words="a producer's event",
           note="p99 {ack_p99_us:,.0f} us", note_against="p99 {ack_p99_us:,.0f} us"),
    Target("50 producers, one in flight each, p99", "one_each", "ack_p99_us", "us", 1, False,
           against="redis_one_each", key="ack_p99_us", words="Redis with 50 clients",
           note="{events_per_second:,.0f} events/s, p50 {ack_p50_us:,.0f} us",
           note_against="{events_per_second:,.0f} events/s, p50 {ack_p50_us:,.0f} us"),
    Target("", "one_each", "ack_p99_us", "us", against="bare_one_each", key="ack_p99_us",
           words="the bare limit with 50 clients",
           note_against="{events_per_second:,.0f} events/s, p50 {ack_p50_us:,.0f} us"),
    Target("50 clients with one-shots, one in flight each, p99", "one_shot_each", "ack_p99_us", "us",
           against="one_each", key="ack_p99_us", words="50 producers",
           note="{events_per_second:,.0f} events/s, p50 {ack_p50_us:,.0f} us",
           note_against="{events_per_second:,.0f} events/s, p50 {ack_p50_us:,.0f} us"),
    Target("50,000 events/s offered, p99", "offered_50000", "ack_p99_us", "us", 5000, False,
           note="{events_per_second:,.0f} events/s came through, p50 {ack_p50_us:,.0f} us, "
                "p99.9 {ack_p999_us:,.0f} us"),
    Target("replay, 9 other sessions between", "replay_9", *RATE, 1_000_000,
           note="{events} events; slowest round {slowest_per_second:,.0f}"),
    Target("replay of a session alone", "replay_0", *RATE, 1, against="redis_xrange",
           key="events_per_second", words="XRANGE COUNT 1000", note="{events} events"),
    Target("replay, 999 other sessions between", "replay_999", *RATE, 400_000,
           note="{events} events; slowest round {slowest_per_second:,.0f}"),
    Target("1 event to 1,000 subscribers, the last one after the ack", "fanout", "last_p50_us", "us",
           10_000, False, note="median of {rounds} rounds, longest {last_max_us:,.0f} us, each one's "
           "median {each_p50_us:,.0f} us; {clients} connections in {processes} processes",
           sizes=("subscribers",)),
    Target("a follower of the log at full speed, median lateness", "follow", "follower_p50_us", "us",
           50_000, False, note="p99 {follower_p99_us:,.0f} us; acks p50 {ack_p50_us:,.0f} us, "
           "p99 {ack_p99_us:,.0f} us"),
    Target("", "follow", "of_alone_percent", "%", 90, note="{events_per_second:,.0f} events/s with it, "
           "{alone_per_second:,.0f} without"),
    Target("1 event to 10,000 subscriptions on one client, the last one after the ack", "fanout_shared",
           "last_p50_us", "us", 10_000, False, note="median of {rounds} rounds, longest "
           "{last_max_us:,.0f} us, each one's median {each_p50_us:,.0f} us; {subscribers} subscriptions",
           sizes=("shared",)),
    Target("HTTP: 1 event of 100 B to 5,000 readers, the last one, less a bare commit", "http_fanout",
           "less_commit_us", "us", 1.2, False, against="nchan_fanout", key="last_p50_us",
           words="nginx with nchan", sizes=("http_readers",), **HTTP_NOTES),
    Target("the same with 16 KiB", "http_fanout_16k", "last_p50_us", "us", 1.5, False,
           against="nchan_fanout_16k", key="last_p50_us", words="nginx with nchan",
           sizes=("http_readers",), **HTTP_NOTES),
    Target("HTTP: POSTs of single events, 50 connections", "http_post", *RATE, 1.5,
           against="reference_post", key="events_per_second",
           words="the Durable Streams reference server", **POST_NOTES),
    Target("HTTP: from a POST to a browser's onmessage", "http_browser", "message_p50_us", "us",
           note="p99 {message_p99_us:,.0f} us; the durable ack alone p50 {alone_p50_us:,.0f} us, "
           "p99 {alone_p99_us:,.0f} us; with the browser p50 {ack_p50_us:,.0f} us; {events} events"),
    Target("memory per session with 128 ids", "memory_per_session", "bytes", "B", 2 * 1024, False,
           note="growth over {sessions} sessions", sizes=("many_sessions",)),
    Target("1,000,000 sessions, 10,000 of them hot, idle", "memory_idle", "mb", "MB", 64, False,
           note="{known} and {hot}", sizes=("known_sessions",)),
    Target("start, 10,000,000 events, 1,000,000 sessions", "start_warm", "seconds", "s", 1, False,
           note="{events} events, {sessions} sessions", sizes=("log_events",)),
    Target("start after kill -9 at full load", "start_after_kill", "seconds", "s", 2, False,
           note="{events} events, {sessions} sessions before", sizes=("log_events",)),
    Target("idle: wake-ups", "idle", "per_s", "a second", 1, False, note="over {over_s:g} s",
           sizes=("idle_s",)),
    Target("idle: memory", "idle", "mb", "MB", 10, False),
    Target("bytes written per byte of payload, steady state", "write_amplification", "ratio", "",
           3, False, note="by the disk, over {events} events at {events_per_second:,.0f} events/s with a "
           "quota of {quota}; passed to write calls {passed:.2f}; before anything is trimmed "
           "{untrimmed:.2f}"),
)


# -- the lab -----------------------------------------------------------------------------------

class Lab:
    """Where measuring happens: programs, a directory on a disk, what was found."""

    def __init__(self, arguments, base):
        self.sizes = {"full": measures.FULL, "quick": measures.QUICK,
                      "tiny": measures.TINY}[arguments.effort]
        self.bin = arguments.build.resolve() / "bin"
        self.base = base
        self.env = {**os.environ, "TMPDIR": str(base)}
        self.stream = base / "stream.sse"
        self.best = {}
        self.quiet = Quiet(arguments.patience, self.say)
        self.join_streams(arguments.corpus)

    def join_streams(self, corpus):
        """All recorded streams of a directory as one. An unfinished event at the end of one must not
        swallow the beginning of the next."""
        files = sorted(corpus.glob("*.sse"))
        if not files:
            sys.exit(f"compare.py: no .sse file in {corpus}")
        with open(self.stream, "wb") as out:
            for path in files:
                out.write(path.read_bytes().removeprefix(b"\xef\xbb\xbf") + b"\n\n")

    def start(self, words):
        return subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    @staticmethod
    def say(words):
        print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def measure_all(lab, only):
    found = {}
    for group in measures.GROUPS:
        if only is None or any(name.startswith(only) for name in group):
            found.update(measures.run_group(lab, group))
    return found


# -- the report --------------------------------------------------------------------------------

def written(value, unit=""):
    if isinstance(value, float) and not math.isfinite(value):
        return "-"
    digits = 0 if abs(value) >= 1000 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def wanted(target):
    if target.wanted is None:
        return ""
    return f"{'≥' if target.least else '≤'} {written(target.wanted)}"


def judge(lab, target, value):
    if target.wanted is None:
        return ""
    good = (operator.ge if target.least else operator.le)(value, target.wanted)
    less = lab.sizes is measures.TINY or any(
        getattr(lab.sizes, size) < getattr(measures.FULL, size) for size in target.sizes)
    return ("met" if good else MISSED) + (", with less" if less else "")


def without(why):
    return NOT_AVAILABLE if isinstance(why, NotAvailable) else FAILED


def row(lab, target, found):
    """what | figure | compared with | ratio | wanted | verdict"""
    result = found.get(target.measure)
    if result is None:
        return None
    if isinstance(result, Exception):
        return [target.what, NOT_AVAILABLE, str(result), "", wanted(target), without(result)]
    value = result[target.figure]
    figure = written(value, target.unit) + note(target.note, result)
    if target.against is None:
        return [target.what, figure, "", "", wanted(target), judge(lab, target, value)]
    other = found[target.against]
    if isinstance(other, Exception):
        return [target.what, figure, f"{target.words}: {other}", "", wanted(target), without(other)]
    ratio = value / other[target.key] if other[target.key] else math.inf
    compared = f"{target.words}: {written(other[target.key], target.unit)}"
    return [target.what, figure, compared + note(target.note_against, other), f"{ratio:.2f}",
            wanted(target), judge(lab, target, ratio)]


def note(words, result):
    share = result["others_share"]
    parts = [words.format(**result)] if words else []
    if share > DISTURBED_SHARE:
        parts.append(f"disturbed: others used {share:.0%} of the processors")
    return f" ({'; '.join(parts)})" if parts else ""


def table(rows):
    head = ["what", "figure", "compared with", "ratio", "wanted", ""]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
                     for line in lines)


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def surroundings(lab, arguments):
    runs, shares, speeds = lab.sizes.runs, lab.quiet.shares or [0], lab.quiet.speeds or [0]
    return [
        f"{os.cpu_count()} cores, {cpu_model()}, {platform.system()} {platform.release()}. While "
        f"figures were taken others used {statistics.median(shares):.0%} of the processors (median), "
        f"at most {max(shares):.0%}; the kernel's own threads count as others. One processor hashed "
        f"{min(speeds):,.0f} to {max(speeds):,.0f} MB/s (SHA-256): how fast this machine was.",
        f"{version_of([lab.bin / 'sponsond', '--version'])}; " + (
            has_redis(lab) or version_of(["redis-server", "--version"]) +
            ", appendonly yes, appendfsync always, a Unix socket, on the same disk") + ".",
        f"{version_of([nginx() or 'nginx', '-v'])}, one worker, events in its memory; the Durable "
        f"Streams reference server {version_of_reference()}, its store of files.",
        f"Effort: {arguments.effort}; " + (f"the median of {runs} runs." if runs > 1
                                           else "one run, not a median."),
    ]


def write_report(path, lab, arguments, found, plots):
    rows = [cells for cells in (row(lab, target, found) for target in TARGETS) if cells]
    lines = ["# The sidecar compared", "", "  \n".join(surroundings(lab, arguments)), "",
             table(rows), ""]
    for title, name in plots:
        lines += [f"![{title}]({name})", ""]
    path.write_text("\n".join(lines))
    return sum(cells[-1].startswith(MISSED) for cells in rows)


# -- plots -------------------------------------------------------------------------------------

def curve(lab, values, measure, keys):
    """For each key the points (value, figure), as far as measuring goes."""
    points = {key: [] for key in keys}
    for value in values:
        lab.say(f"plot: {measure.__name__} {value}")
        try:
            found = lab.quiet.measure(lambda: measure(lab, value))
        except (NotAvailable, Failed) as why:
            lab.say(f"plot: {why}")
            break
        for key in keys:
            points[key].append((value, found[key]))
    return points


def publish_with(lab, sessions):
    return measures.publish(lab, sessions)


def redis_with(lab, keys):
    return measures.redis_publish(lab, keys=keys)


def plot_sessions(lab, found, path):
    sessions = lab.sizes.plot_sessions
    rate = "events_per_second"
    curves = [("sidecar", curve(lab, sessions, publish_with, [rate])[rate], ""),
              ("Redis at its best", curve(lab, sessions, redis_with, [rate])[rate], "")]
    bare = found.get("bare_publish")
    if isinstance(bare, dict):
        curves.append(("bare limit", [(sessions[0], bare[rate]), (sessions[-1], bare[rate])], "6 4"))
    plot.write(path, "Durable events per second", "active sessions", "events/s", curves,
               from_zero=True)


def plot_latency(lab, path):
    keys = ["ack_p50_us", "ack_p99_us", "ack_p999_us"]
    sidecar = curve(lab, lab.sizes.plot_rates, measures.offered, keys)
    redis = curve(lab, lab.sizes.plot_rates, measures.redis_offered, keys[:2])
    curves = [("sidecar p50", sidecar[keys[0]], ""), ("sidecar p99", sidecar[keys[1]], ""),
              ("sidecar p99.9", sidecar[keys[2]], ""), ("Redis p50", redis[keys[0]], ""),
              ("Redis p99", redis[keys[1]], "")]
    plot.write(path, "Time to a durable acknowledgement", "events offered per second",
               "microseconds", curves)


def draw(lab, found, output):
    plot_sessions(lab, found, output / "throughput.svg")
    plot_latency(lab, output / "latency.svg")
    return [("Durable events per second against active sessions", "throughput.svg"),
            ("Acknowledgement times against offered load", "latency.svg")]


# -- all of it ---------------------------------------------------------------------------------

def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build/bench",
                        help="a build tree with the programs in bin/ (default: build/bench)")
    parser.add_argument("--output", type=pathlib.Path, default=SOURCE / "build/bench/report",
                        help="a directory for report.md and the plots (default: "
                             "build/bench/report)")
    parser.add_argument("--corpus", type=pathlib.Path, default=SOURCE / "tests/data",
                        help="recorded streams, *.sse (default: tests/data)")
    parser.add_argument("--quick", dest="effort", action="store_const", const="quick",
                        default="full", help="one short run of each instead of a median of five")
    parser.add_argument("--tiny", dest="effort", action="store_const", const="tiny",
                        help="as little as possible, to see that all of it works")
    parser.add_argument("--patience", metavar="SECONDS", type=float, default=0,
                        help="wait so long in all for moments in which nobody else works on this "
                        "machine, and repeat what was disturbed")
    parser.add_argument("--only", metavar="NAME", help="figures whose name begins like this, and those "
                        "they are compared with; no plots")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    base = os.environ.get("TMPDIR", "/var/tmp")  # not /tmp, which is often memory
    with tempfile.TemporaryDirectory(prefix="spn-compare-", dir=base) as directory:
        lab = Lab(arguments, pathlib.Path(directory))
        found = measure_all(lab, arguments.only)
        plots = draw(lab, found, arguments.output) if arguments.only is None else []
        missed = write_report(arguments.output / "report.md", lab, arguments, found, plots)
    print((arguments.output / "report.md").read_text())
    print(f"{missed} missed; {arguments.output / 'report.md'}")


if __name__ == "__main__":
    main()
