#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Prometheus and Grafana get: `sponson stats --prometheus` and the gateway's /metrics have the same counters
of the daemon; the text file is whole, also without a daemon; the dashboard, the alerts and the documents name only
what there is; promtool reads all of it; the units that write the file are sound.

monitoring.py names|promtool|units SPONSOND SPONSON_HTTP SPONSON SOURCE BUILD
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import gateway_stage

SKIPPED = 77
WAIT_S = 60
SPONSOND, GATEWAY, SPONSON = sys.argv[2:5]
SOURCE = pathlib.Path(sys.argv[5])
MONITORING = SOURCE / "sidecar/monitoring"
UNITS = pathlib.Path(sys.argv[6]) / "units"
CASES = SOURCE / "tests/system/alerts.test.yaml"
WRITTEN_WHEN = "sponson_textfile_time_seconds"
GIVEN_BY_PROMETHEUS = {"job", "instance", "le"}
EXPOSURE_MAX = 1.0


def run(*words, stage=None, code=0, **more):
    env = dict(os.environ, **({"SPONSON_SOCKET_DIR": str(stage.path / "run")} if stage else {}))
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=WAIT_S, env=env, **more)
    assert done.returncode == code, (words, done)
    return done


def skip(why):
    print(why + ": not checked")
    sys.exit(SKIPPED)


class Text:
    """Prometheus' text, taken apart: families with help and type, and the names of values with their labels."""

    def __init__(self, text):
        self.families = {}
        self.labels = {}
        self.values = {}
        for line in text.splitlines():
            if line.startswith("# "):
                _, kind, name, words = line.split(" ", 3)
                self.families.setdefault(name, {})[kind] = words
            else:
                row, value = line.rsplit(" ", 1)
                name, _, labels = row.partition("{")
                self.values[row] = float(value)
                self.labels.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
        for name, family in self.families.items():
            assert set(family) == {"HELP", "TYPE"}, name

    def of_the_daemon(self):
        families = {name: family for name, family in self.families.items()
                    if not name.startswith("sponson_http_") and name != WRITTEN_WHEN}
        return families, {row for row in self.values if not row.startswith("sponson_http_")} - {WRITTEN_WHEN}


def both_have_the_same(stage):
    ours = Text(run(SPONSON, "stats", "--prometheus", stage=stage).stdout)
    gateways = Text(stage.admin("/metrics"))
    assert ours.of_the_daemon() == gateways.of_the_daemon()
    assert ours.values["sponson_up"] == gateways.values["sponson_up"] == 1
    assert ours.values["sponson_events_durable_total"] == 3
    assert ours.values["sponson_degraded"] == 0
    assert ours.values["sponson_database_quota_bytes"] > ours.values["sponson_database_used_bytes"] > 0
    assert ours.families["sponson_commit_seconds"]["TYPE"] == "histogram"
    assert 0 < ours.values["sponson_commit_seconds_sum"] < WAIT_S
    assert ours.values["sponson_commit_seconds_count"] == ours.values["sponson_commits_total"]
    # Nothing of what the daemon counts is missing; the nanoseconds are the histogram's sum.
    counted = set(json.loads(run(SPONSON, "stats", "--json", stage=stage).stdout))
    summed = {"sponson_commit_nanoseconds_total"}
    added = {"sponson_up", "sponson_commit_seconds_sum", "sponson_commit_seconds_count"}
    assert set(ours.values) - added == counted - summed
    for name in ours.families:
        assert not re.search(r"_(nanoseconds|milliseconds|ms|ns|kib|mib|kilobytes)(_|$)", name), name


def the_file_is_whole(stage):
    directory = stage.path / "textfiles"
    directory.mkdir()
    file = directory / "sponson.prom"
    run(SPONSON, "stats", "--textfile", file, stage=stage, umask=0o077)
    text = Text(file.read_text())
    assert text.of_the_daemon() == Text(stage.admin("/metrics")).of_the_daemon()
    assert abs(text.values[WRITTEN_WHEN] - file.stat().st_mtime) < 5
    assert file.stat().st_mode & 0o7777 == 0o644
    run(SPONSON, "stats", "--textfile", file, "--json", stage=stage, code=2)
    run(SPONSON, "stats", "--prometheus", "--json", stage=stage, code=2)
    link = directory / "link.prom"
    link.symlink_to(file)
    assert "not a regular file" in run(SPONSON, "stats", "--textfile", link, stage=stage, code=1).stderr
    run(SPONSON, "stats", "--textfile", directory / "none" / "x.prom", stage=stage, code=3)
    link.unlink()
    # A daemon that stands still, and one that is gone: nobody reads numbers that were true once.
    for number, code in ((signal.SIGSTOP, 4), (signal.SIGKILL, 5)):
        stage.processes["daemon"].send_signal(number)
        if number == signal.SIGKILL:
            stage.processes["daemon"].wait()
        run(SPONSON, "stats", "--textfile", file, "--timeout", "0.5", stage=stage, code=code)
        text = Text(file.read_text())
        assert set(text.values) == {"sponson_up", WRITTEN_WHEN} and text.values["sponson_up"] == 0
    assert [path.name for path in directory.iterdir()] == ["sponson.prom"]


def expressions(stage_text):
    """Every expression of the dashboard, as (where, expression)."""
    board = json.loads(stage_text)
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for note in board["annotations"]["list"]:
        yield note["name"], note["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


def check_names(where, text, live):
    """The counters that a text names are there, and have the labels that it selects by."""
    names = set(re.findall(r"\bsponson_\w+", text))
    for name in names:
        assert name in live.labels or name in live.families, f"{where}: {name} is not there"
    for name, selector in re.findall(r"\b(sponson_\w+)\{([^}]*)\}", text):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector)) - GIVEN_BY_PROMETHEUS
        assert labels <= live.labels[name], f"{where}: {name} has no {labels - live.labels[name]}"
    return names


def check_legends(board, live):
    """Each label that a legend shows is one that its expression leaves."""
    for panel in json.loads(board)["panels"]:
        for target in panel.get("targets", []):
            left = GIVEN_BY_PROMETHEUS.union(*(live.labels.get(name, ()) for name in
                                               re.findall(r"\bsponson_\w+", target["expr"])))
            for labels in re.findall(r"\bby \(([^)]*)\)", target["expr"]):
                left &= set(labels.split(", ")) - {"le"}
            shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert "instance" in shown and shown <= left, (panel["title"], shown - left)


def all_names_are_there(stage):
    text = stage.admin("/metrics") + f"# HELP {WRITTEN_WHEN} x\n# TYPE {WRITTEN_WHEN} gauge\n{WRITTEN_WHEN} 1\n"
    live = Text(text)
    board = (MONITORING / "dashboard.json").read_text()
    alerts = (MONITORING / "alerts.yaml").read_text()
    shown = [check_names(where, words, live) for where, words in expressions(board)]
    assert len(shown) > 30 and all(shown), "an expression without a counter"
    check_legends(board, live)
    assert len(check_names("alerts.yaml", alerts, live)) > 15
    check_names("alerts.test.yaml", CASES.read_text(), live)
    for place in ("sidecar/http/README.md", "sidecar/monitoring/README.md"):
        words = "".join(re.findall(r"`sponson_\w+`", (SOURCE / place).read_text()))
        assert check_names(place, words, live), place
    raised = re.findall(r"alert: (\w+)", alerts)
    assert len(raised) == len(set(raised)) > 0
    assert set(raised) == set(re.findall(r'alertname="(\w+)"', CASES.read_text())), "an alert without a case"


def names():
    stage = gateway_stage.Stage(SPONSOND, GATEWAY)
    try:
        stage.publish("s", [{"id": str(i), "data": "x"} for i in range(3)])
        for test in (both_have_the_same, all_names_are_there, the_file_is_whole):
            test(stage)
            print("ok", test.__name__)
    finally:
        stage.close()


def promtool():
    if not shutil.which("promtool"):
        skip("promtool is not installed (Debian's package prometheus)")
    stage = gateway_stage.Stage(SPONSOND, GATEWAY)
    try:
        stage.publish("s", [{"id": "1", "data": "x"}])
        file = stage.path / "x.prom"
        run(SPONSON, "stats", "--textfile", file, stage=stage)
        ours = run(SPONSON, "stats", "--prometheus", stage=stage).stdout
        for text in (ours, file.read_text(), stage.admin("/metrics")):
            done = run("promtool", "check", "metrics", input=text)
            assert done.stdout + done.stderr == "", done
        run("promtool", "check", "rules", "--lint=all", "--lint-fatal", MONITORING / "alerts.yaml")
        run("promtool", "test", "rules", CASES)
        # Grafana's variables are of no interest here; what is left has to be a query.
        rules = [{"record": f"panel_{i}", "expr": re.sub(r"\$__rate_interval", "5m", words)} for i, (_, words) in
                 enumerate(expressions((MONITORING / "dashboard.json").read_text())) if "label_values" not in words]
        board = stage.path / "board.yaml"
        board.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
        run("promtool", "check", "rules", board)
    finally:
        stage.close()


def calls_of(group):
    """The system calls of a group of systemd's, with those of the groups in it."""
    lines = [line.strip() for line in run("systemd-analyze", "syscall-filter", group).stdout.splitlines()[1:]]
    calls = {line for line in lines if line and not line.startswith(("#", "@"))}
    return calls.union(*(calls_of(line) for line in lines if line.startswith("@")))


def check_calls(unit, trace):
    """The unit forbids nothing that the program does."""
    allowed = calls_of("@default") | {"execve"}
    for refused, words in re.findall(r"^SystemCallFilter=(~?)(.*)$", unit, re.M):
        calls = set().union(*(calls_of(word) if word.startswith("@") else {word} for word in words.split()))
        allowed = allowed - calls if refused else allowed | calls
    made = set(re.findall(r"^(?:\d+ +)?(\w+)\(", trace, re.M))
    assert "sched_setscheduler" in made and made <= allowed, made - allowed
    assert set(re.findall(r"\bsocket\((\w+)", trace)) == {"AF_UNIX"}


def units():
    for tool in ("systemd-analyze", "strace"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    unit = (UNITS / "sponson-textfile.service").read_text()
    with tempfile.TemporaryDirectory(prefix="spn-units-") as place:
        copies = []
        for name in ("sponson-textfile.service", "sponson-textfile.timer"):
            copies.append(pathlib.Path(place) / name)
            copies[-1].write_text(re.sub(r"^ExecStart=\S+", "ExecStart=" + SPONSON, (UNITS / name).read_text(),
                                         flags=re.M))
        words = run("systemd-analyze", "verify", "--man=no", *copies)
        assert "sponson" not in words.stdout + words.stderr, words
        words = run("systemd-analyze", "security", "--offline=yes", copies[0]).stdout
        assert float(re.search(r"Overall exposure level .*: ([0-9.]+)", words).group(1)) <= EXPOSURE_MAX, words
    # Its command, on other paths. Without a daemon its code is one that the unit takes for a success.
    stage = gateway_stage.Stage(SPONSOND, GATEWAY)
    try:
        command = re.search(r"^ExecStart=\S+ (.*)$", unit, re.M).group(1)
        path = re.search(r"--textfile (\S+)/sponson.prom", command).group(1)
        for line in ("ConditionPathIsDirectory", "ReadWritePaths"):
            assert f"{line}={path}\n" in unit, line
        words = [SPONSON, *command.replace(path, str(stage.path)).split()]
        run("strace", "-f", "-qq", "-o", stage.path / "trace", *words, stage=stage)
        check_calls(unit, (stage.path / "trace").read_text())
        stage.processes["gateway"].kill()
        stage.processes["daemon"].kill()
        stage.processes["daemon"].wait()
        success = re.search(r"^SuccessExitStatus=(.*)$", unit, re.M).group(1).split()
        assert success == ["4", "5"]
        run(*words, stage=stage, code=5)
        assert Text((stage.path / "sponson.prom").read_text()).values["sponson_up"] == 0
    finally:
        stage.close()


{"names": names, "promtool": promtool, "units": units}[sys.argv[1]]()
