"""Run the examples of a page of the documentation, and compare what they print.

The examples run from top to bottom, in one module. ``>>>`` examples are compared with the output
below each; a text block of the class ``output`` is what the block above it prints. ``...`` is any
text. A block of the class ``needs-MODULE`` runs where this module is installed; one of the class
``not-run`` never: it needs data or a device that tests do not have.
"""

import doctest
import io
import linecache
import sys
import types
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec

import matplotlib.pyplot as plt
import torch
from project import ROOT, code_blocks

from snntorch import ipu

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def can_run(block):
    """Tell whether a block can run here."""
    kind = block.options.get("class", "")
    if kind.startswith("needs-"):
        return find_spec(kind.removeprefix("needs-")) is not None
    return kind != "not-run"


def run_code(block, place, names):
    """Run a block of Python, and return what it prints."""
    filename = block.options.get("caption", place)
    linecache.cache[filename] = (len(block.code), None, block.code.splitlines(True), filename)
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(block.code, filename, "exec"), names)
    return printed.getvalue()


def run_session(block, place, names):
    """Run ``>>>`` examples, and compare their output."""
    session = doctest.DocTestParser().get_doctest(block.code, names, place, place, 0)
    report = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(session, out=report.append, clear_globs=False)
    names.update(session.globs)
    assert not report, "".join(report)


@contextmanager
def example_module():
    """A module for the examples, whose classes can be pickled; what they change is put back."""
    module = sys.modules["page"] = types.ModuleType("page")
    was_on_ipu = ipu.is_enabled()
    try:
        yield module
    finally:
        ipu.enable(was_on_ipu)
        del sys.modules["page"]
        plt.close("all")


def run_page(path, folder, monkeypatch):
    """Run the examples of a page in a folder, which gets the examples of a clone.

    :returns: the names that the examples define
    """
    (folder / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    monkeypatch.chdir(folder)
    torch.manual_seed(0)
    with example_module() as module:
        names, printed = vars(module), ""
        for block in filter(can_run, code_blocks(path)):
            place = f"{path.name}, line {block.line}"
            if block.language == "python":
                printed = run_code(block, place, names)
            elif block.language == "pycon":
                run_session(block, place, names)
            elif block.options.get("class") == "output":
                same = doctest.OutputChecker().check_output(block.code, printed, OPTIONS)
                assert same, f"{place}: expected\n{block.code}\nbut this was printed:\n{printed}"
        return dict(names)
