"""Every Python example in the documentation runs, and prints what its page says."""

import pytest
from pages import run_page
from project import ROOT
from releases import needs_2_4, needs_2_5

PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in [ROOT / "README.rst", *(ROOT / "docs").glob("**/*.rst")]
    if "_build" not in page.parts
)
# Pages whose examples train networks.
MARKS = dict.fromkeys(["README.rst", "docs/how-to/surrogate.rst"], pytest.mark.slow)
# Pages that show what old releases lack.
MARKS |= dict.fromkeys(["docs/how-to/faster.rst", "docs/how-to/mixed_precision.rst"], needs_2_4)
MARKS |= {"docs/how-to/export.rst": needs_2_5}


@pytest.mark.parametrize("page", [pytest.param(page, marks=MARKS.get(page, ())) for page in PAGES])
@pytest.mark.filterwarnings(
    # torch.export tells of the states that neurons keep; nothing in the exported graph reads them.
    "ignore:The tensor attributes:UserWarning",
    "ignore:.*LeafSpec:FutureWarning",  # torch.onnx of itself
    "ignore:TypedStorage is deprecated:UserWarning",  # PyTorch 2.0's data loader of itself
    "ignore:.*The axis name:UserWarning",  # the same of three inputs with one batch size
    "ignore:a reader that knows only the core of NIR differs:UserWarning",
)
def test_examples_run(page, tmp_path, monkeypatch):
    run_page(ROOT / page, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "page, message",
    [
        (".. code-block:: python\n\n    1 / 0\n", "division by zero"),
        (".. code-block:: python\n    :caption: a.py\n\n    1 / 0\n", "division by zero"),
        ("- x:\n\n  .. code-block:: python\n\n      if True:\n\n          1 / 0\n", "by zero"),
        (".. code-block:: pycon\n\n    >>> 1 + 1\n    3\n", r"Got:\n\s+2\n"),
        (
            ".. code-block:: python\n\n    print(5)\n\n"
            ".. code-block:: text\n    :class: output\n\n    6\n",
            r"line 8: expected\s+6\s",
        ),
    ],
)
def test_a_wrong_example_fails(page, message, tmp_path, monkeypatch):
    path = tmp_path / "page.rst"
    path.write_text(page)
    with pytest.raises((ZeroDivisionError, AssertionError), match=message):
        run_page(path, tmp_path, monkeypatch)
