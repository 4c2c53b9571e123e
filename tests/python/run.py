#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""run.py FILE [OPTION...]: runs one file of tests. 77: something that all of it needs is not installed."""
import sys

try:
    import pytest
except ImportError:
    print("skipped: python3-pytest is not installed")
    sys.exit(77)


class Count:
    """Counts the tests that ran."""

    ran = skipped = 0

    def pytest_runtest_logreport(self, report):
        self.ran += report.when == "call" and not report.skipped
        self.skipped += report.skipped

    def pytest_collectreport(self, report):
        self.skipped += report.skipped


count = Count()
code = pytest.main(["-q", "-rs", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[count])
if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and count.skipped and not count.ran:
    code = 77
sys.exit(code)
