"""Prove what the tests of compatibility claim about 1.0.0: there, those beside this file, of what
it gets wrong, must all fail, and those in ../kept, of what is kept, must all pass.

Run by the Python of an environment with release 1.0.0 and pytest; ``make compat-proof`` does it.
"""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest


class Unproved:
    """A pytest plugin that collects the tests that do not fail, with what happened instead."""

    def __init__(self):
        self.tests = {}

    def pytest_itemcollected(self, item):
        self.tests[item.nodeid] = "did not run"

    def pytest_runtest_logreport(self, report):
        if report.when == "setup" and not report.passed:
            self.tests[report.nodeid] = f"{report.outcome} before it began"
        elif report.when == "call" and not report.failed:
            self.tests[report.nodeid] = report.outcome
        elif report.when == "call" and "AttributeError: module 'snntorch" in report.longreprtext:
            self.tests[report.nodeid] = "uses a name that 1.0.0 does not have"
        elif report.when == "call":
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


def prove(folder):
    """Run the tests in a folder; raise SystemExit unless all of them fail."""
    unproved = Unproved()
    code = pytest.main([*OPTIONS, str(folder)], plugins=[unproved])
    if code != pytest.ExitCode.TESTS_FAILED:
        sys.exit("the tests did not run to their end, or none of them fails")
    if unproved.tests:
        sys.exit("\n".join(f"{name}: {what}" for name, what in unproved.tests.items()))
    print("Release 1.0.0 fails every one of them.")


if __name__ == "__main__":
    if version("snntorch") != "1.0.0":
        sys.exit(f"this is snntorch {version('snntorch')}; run with an environment of 1.0.0")
    here = Path(__file__).parent
    prove(here)
    # In a process of its own: 1.0.0 keeps every neuron of the tests above.
    if subprocess.run([sys.executable, "-m", "pytest", *OPTIONS, here.parent / "kept"]).returncode:
        sys.exit("1.0.0 fails tests of what is kept")
    print("Release 1.0.0 passes every test of what is kept.")
