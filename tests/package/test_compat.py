"""The proof of the tests in compat and kept, which runs on release 1.0.0, can fail."""

import re
import subprocess
import sys

import pytest
from project import TESTS

COMPAT = TESTS / "compat"


def prove(claimed, tmp_path, tests):
    (tmp_path / "test_sample.py").write_text("import snntorch, pytest\n" + tests)
    code = f"import proof; proof.prove({claimed!r}, {str(tmp_path)!r})"
    run = [sys.executable, "-c", code]
    return subprocess.run(run, cwd=COMPAT, capture_output=True, text=True, check=False)


PASSING = "def test_a(): pass\n"
FAILING = "def test_b(): assert False\n"
OTHERS = """
def test_c(): pytest.skip()
def test_d(no_such_fixture): pass
@pytest.fixture
def untidy():
    yield
    assert False
def test_e(untidy): pass
"""


def test_the_proof_holds_if_all_are_as_claimed(tmp_path):
    assert prove("failed", tmp_path, FAILING).returncode == 0
    assert prove("passed", tmp_path, PASSING).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("claimed, other", [("failed", "a: passed"), ("passed", "b: failed")])
def test_the_proof_names_every_test_that_is_not_as_claimed(tmp_path, claimed, other):
    done = prove(claimed, tmp_path, PASSING + FAILING + OTHERS)
    found = re.findall(r"::test_(\w: .*)", done.stderr)
    assert done.returncode == 1 and found == [
        other,
        "c: skipped",
        "d: failed in its setup",
        "e: failed in its teardown",
    ]


def test_a_name_that_1_0_0_lacks_proves_nothing(tmp_path):
    done = prove("failed", tmp_path, "def test_a(): snntorch.news\n")
    assert done.returncode == 1 and "test_a: uses a name that 1.0.0 does not have" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "1 / 0"], ids=["empty", "broken"])
def test_a_proof_needs_tests(tmp_path, content):
    done = prove("passed", tmp_path, content)
    assert done.returncode == 1 and "did not run to their end" in done.stderr


def test_the_proof_needs_release_1_0_0():
    run = [sys.executable, COMPAT / "proof.py", "failed", COMPAT]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "run with an environment of 1.0.0" in done.stderr
