"""The tutorials: the notebooks beside the scripts hold what the scripts do."""

import jupytext
import pytest
from project import ROOT

FOLDER = ROOT / "examples" / "tutorials"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def cells(path):
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_for_colab_is_that_of_the_script(script):
    notebook = script.with_suffix(".ipynb")
    assert cells(notebook) == cells(script), "run `make notebooks`"
    assert not any(cell.get("outputs") for cell in jupytext.read(notebook).cells)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_badge_opens_this_notebook(script):
    title, *cells = jupytext.read(script).cells
    install = next(cell for cell in cells if cell.cell_type == "code")
    assert title.source.startswith("# ")
    assert f"/blob/main/examples/tutorials/{script.stem}.ipynb)" in title.source
    assert install.source.startswith("%pip install --quiet ") and "snntorch" in install.source


def test_every_tutorial_is_on_the_index():
    index = (ROOT / "docs" / "tutorials" / "index.rst").read_text()
    for script in SCRIPTS:
        assert f":link: {script.stem}\n" in index, script.stem
