"""The tests in compat and kept: that none is missing, and that the proof of them can fail."""

import re
import subprocess
import sys

from project import TESTS

COMPAT = TESTS / "compat"

# What 1.0.0 gets wrong is numbered, and then what code written for it relies on.
WRONG, KEPT = set(range(1, 43)), set(range(50, 66))


def test_every_row_has_a_test():
    folders = {"compat": set(), "kept": set(), "neurons": set()}
    for folder, rows in folders.items():
        for path in (COMPAT.parent / folder).glob("test_*.py"):
            found = re.findall(r"^def test_(?:row_(\d\d)_)?", path.read_text(), re.MULTILINE)
            assert folder == "neurons" or "" not in found, path
            rows.update(int(row) for row in found if row)
    assert folders["compat"] == WRONG
    # What surrounds a fix is kept too.
    assert (folders["kept"] | folders["neurons"]) - WRONG == KEPT


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
