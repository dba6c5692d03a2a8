"""Prove on release 1.0.0 what the tests of compatibility claim about it.

    proof.py failed tests/compat    # what it gets wrong: every test fails
    proof.py passed tests/kept      # what code written for it relies on: every test passes

Run by the Python of an environment with release 1.0.0 and pytest; ``make compat-proof`` does it.
"""

import sys
from importlib.metadata import version

import pytest


class Unproved:
    """A pytest plugin that collects the tests with another outcome than claimed, and why."""

    def __init__(self, claimed):
        self.claimed = claimed
        self.tests = {}

    def pytest_itemcollected(self, item):
        self.tests[item.nodeid] = "did not run"

    def pytest_runtest_logreport(self, report):
        if report.when != "call":
            if not report.passed:
                self.tests[report.nodeid] = f"{report.outcome} in its {report.when}"
        elif report.outcome != self.claimed:
            self.tests[report.nodeid] = report.outcome
        elif report.failed and "AttributeError: module 'snntorch" in report.longreprtext:
            self.tests[report.nodeid] = "uses a name that 1.0.0 does not have"
        else:
            del self.tests[report.nodeid]


# The project's settings would turn a warning of 1.0.0 into a failure.
OPTIONS = [
    "-q",
    "--tb=no",
    "--no-summary",
    "--noconftest",
    "-p",
    "no:cacheprovider",
    "-W",
    "ignore",
]


def prove(claimed, folder):
    """Run the tests in a folder; raise SystemExit unless all of them end as claimed."""
    unproved = Unproved(claimed)
    code = pytest.main([*OPTIONS, folder], plugins=[unproved])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.exit("the tests did not run to their end")
    if unproved.tests:
        sys.exit("\n".join(f"{name}: {what}" for name, what in unproved.tests.items()))
    print(f"Release 1.0.0: every test in {folder} {claimed}.")


if __name__ == "__main__":
    if version("snntorch") != "1.0.0":
        sys.exit(f"this is snntorch {version('snntorch')}; run with an environment of 1.0.0")
    prove(*sys.argv[1:])
