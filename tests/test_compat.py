"""The tests in compat: that none is missing, and that the proof of them can fail."""

import re
import subprocess
import sys
from pathlib import Path

COMPAT = Path(__file__).parent / "compat"

# What 1.0.0 gets wrong is numbered.
ROWS = set(range(1, 43))


def test_every_row_has_a_test():
    source = "".join(path.read_text() for path in COMPAT.glob("test_*.py"))
    names = re.findall(r"^def (test_\w+)", source, re.MULTILINE)
    rows = {int(re.match(r"test_row_(\d\d)_", name)[1]) for name in names}
    assert rows == ROWS


def prove(tmp_path, tests):
    (tmp_path / "test_sample.py").write_text("import snntorch, pytest\n" + tests)
    code = f"import proof; proof.prove({str(tmp_path)!r})"
    run = [sys.executable, "-c", code]
    return subprocess.run(run, cwd=COMPAT, capture_output=True, text=True, check=False)


FAILING = "def test_a(): assert False\n"


def test_the_proof_holds_if_all_fail(tmp_path):
    assert prove(tmp_path, FAILING).returncode == 0


def test_the_proof_names_every_test_that_does_not_fail(tmp_path):
    done = prove(
        tmp_path,
        FAILING
        + "def test_b(): pass\n"
        + "def test_c(): pytest.skip()\n"
        + "def test_d(): snntorch.news\n"
        + "def test_e(no_such_fixture): assert False\n",
    )
    assert done.returncode == 1
    assert re.findall(r"::test_(\w): (\w+)", done.stderr) == [
        ("b", "passed"),
        ("c", "skipped"),
        ("d", "uses"),
        ("e", "failed"),
    ]


def test_the_proof_needs_release_1_0_0():
    run = [sys.executable, COMPAT / "proof.py"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "run with an environment of 1.0.0" in done.stderr
