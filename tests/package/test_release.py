"""What `make release-check` looks at, and the source of snntorch-ipu."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from datetime import date, timedelta

import pytest
from project import ROOT, load_script

pytestmark = pytest.mark.skipif(not (ROOT / "snntorch").is_dir(), reason="needs the source")


check = load_script(ROOT / "tools" / "release_check.py")


@pytest.fixture
def tree(tmp_path):
    """The files that are looked at, to be changed."""
    names = ["snntorch/__init__.py", "pyproject.toml", "HISTORY.rst", "recipe/recipe.yaml"]
    for name in [*names, "CITATION.cff"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_version_stands_in_one_place(tree):
    assert list(check.check_version(tree)) == []
    change(tree / "snntorch" / "__init__.py", check.version(tree), "9.8.7")
    assert [problem[-5:] for problem in check.check_version(tree)] == ["9.8.7", "9.8.7"]


def test_history_begins_with_the_version(tree):
    version = check.version(tree)
    history = tree / "HISTORY.rst"
    newest = next(line for line in history.read_text().splitlines() if line.startswith(version))
    assert list(check.check_history(tree)) == []

    def problem(heading, tag="v1"):
        text = (ROOT / "HISTORY.rst").read_text().replace(newest, heading, 1)
        history.write_text(text)
        return "".join(check.check_history(tree, tag))

    today = date.today()
    assert problem(f"{version} ({today})") == ""
    assert "no date" in problem(f"{version} (unreleased)")
    assert "yet to come" in problem(f"{version} ({today + timedelta(days=2)})")
    assert "begins with 0.0.1" in problem(f"0.0.1 ({today})")
    assert "expected" in problem(version)


def test_a_tag_is_the_version(tree, monkeypatch):
    monkeypatch.setattr(check, "tracked", lambda root: [])
    version = check.version(tree)
    assert any("the tag is v9" in problem for problem in check.problems(tree, "v9"))
    assert not any("the tag is" in problem for problem in check.problems(tree, f"v{version}"))


def test_imports_are_declared(tree):
    module = tree / "snntorch" / "module.py"
    module.write_text("def f():\n    from requests.api import get\n    import os, tonic.io\n")
    problems = list(check.check_requirements(tree))
    assert "requests is imported but not declared in pyproject.toml" in problems
    assert "numba is declared in pyproject.toml but not imported" in problems
    assert not any("os " in problem or "tonic" in problem for problem in problems)
    assert {"torch", "numpy", "numba"} <= check.imported(ROOT)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository")
def test_links_lead_somewhere():
    assert list(check.check_links(ROOT)) == []


def test_a_broken_link_is_found(tree, monkeypatch):
    page = tree / "page.rst"
    page.write_text(
        "`A <HISTORY.rst>`_ `B <gone.rst>`_ `C <https://example.org>`_\n\n"
        ".. image:: none.png\n.. _name: HISTORY.rst#top\n"
    )
    monkeypatch.setattr(check, "tracked", lambda root: ["page.rst"])
    assert [problem.split()[3] for problem in check.check_links(tree)] == ["gone.rst,", "none.png,"]


def test_the_source_of_snntorch_ipu(tmp_path):
    load_script(ROOT / "tools" / "ipu_wheel.py").write_source(tmp_path)
    text = (tmp_path / "pyproject.toml").read_text()
    assert 'name = "snntorch-ipu"' in text
    assert text.count('"snntorch-ipu[') == 3 and '"snntorch[' not in text
    code = "import snntorch as s; print(s.__file__, s.ipu.is_enabled(), s.Leaky(0.9).spike_grad)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    where = str(tmp_path / "snntorch" / "__init__.py")
    assert done.stdout.split() == [where, "True", "StraightThroughEstimator()"]


def test_archives_hold_what_they_should(tree, monkeypatch):
    package, version = ["snntorch/__init__.py"], check.version(tree)
    monkeypatch.setattr(check, "tracked", lambda root: [*package, "README.rst", ".github/a.yml"])
    dist = tree / "dist"
    dist.mkdir()

    def pack(*wheel, sdist=("README.rst", *package), metadata=""):
        info = "METADATA", "RECORD", "WHEEL", "licenses/LICENSE", "top_level.txt"
        with zipfile.ZipFile(dist / f"snntorch-{version}-py3-none-any.whl", "w") as archive:
            for name in (*wheel, *(f"snntorch-{version}.dist-info/{each}" for each in info)):
                archive.writestr(name, metadata if name.endswith("METADATA") else "")
        with tarfile.open(dist / f"snntorch-{version}.tar.gz", "w:gz") as archive:
            for name in sdist:
                archive.addfile(tarfile.TarInfo(f"snntorch-{version}/{name}"))
        return [problem.split(" ", 1)[1] for problem in check.check_archives(tree)]

    assert pack(*package) == []
    assert pack(*package, "tests/a.py") == ["has tests/a.py"]
    assert pack() == ["lacks snntorch/__init__.py"]
    assert pack(*package, sdist=package) == ["lacks README.rst"]
    needs = 'Requires-Dist: torch\nRequires-Dist: {}[data]; extra == "all"\n'
    assert pack(*package, metadata=needs.format("snntorch")) == []
    assert pack(*package, metadata=needs.format("snntorch-ipu")) == ["requires snntorch-ipu"]
    pack(*package)
    shutil.copy(dist / f"snntorch-{version}.tar.gz", dist / "snntorch-0.9.tar.gz")
    assert pack(*package) == [f"is of another version than {version}"]
