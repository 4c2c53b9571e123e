#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""run.py FILE [OPTION...]: runs one file of tests. 77: something that all of it needs is not installed.

$SPONSON_ASAN is AddressSanitizer's library, which is then preloaded. Python itself keeps memory until its process
ends, so a leak counts if the extension is in its stack, in this process or in one that a test started.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import pytest
except ImportError:
    print("skipped: python3-pytest is not installed")
    sys.exit(77)

OURS = ("_sponson.abi3.so", "/client/", "/proto/")  # a frame without, and with the name of its source


class Count:
    """Counts the tests that ran."""

    ran = skipped = 0

    def pytest_runtest_logreport(self, report):
        self.ran += report.when == "call" and not report.skipped
        self.skipped += report.skipped

    def pytest_collectreport(self, report):
        self.skipped += report.skipped


def leaks_of(report):
    """Those that are ours. Other reports of the sanitizer end the process with a code of their own."""
    return [part for part in report.split("\n\n") if "leak of" in part and any(name in part for name in OURS)]


def run_with_asan(library):
    with tempfile.TemporaryDirectory(prefix="spn-asan-") as home:
        environment = {
            **os.environ,
            "LD_PRELOAD": library,
            "PYTHONMALLOC": "malloc",
            "SPONSON_ASAN": "",
            "ASAN_OPTIONS": f"detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=20:log_path={home}/log",
            "LSAN_OPTIONS": "exitcode=0:print_suppressions=0",
        }
        code = subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode
        leaks = []
        for path in pathlib.Path(home).iterdir():
            report = path.read_text(errors="replace")
            leaks += leaks_of(report)
            if "ERROR: AddressSanitizer" in report:
                print(report)
        print("\n\n".join(leaks[:20]))
        print(f"{len(leaks)} leaks of the extension")
        return code or bool(leaks)


def run():
    count = Count()
    code = pytest.main(["-q", "-rs", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[count])
    if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and count.skipped and not count.ran:
        return 77
    return code


sys.exit(run_with_asan(os.environ["SPONSON_ASAN"]) if os.environ.get("SPONSON_ASAN") else run())
