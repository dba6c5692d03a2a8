"""Every name, parameter, position and default of release 1.0.0, from signatures.txt."""

import importlib
import inspect

import pytest
from project import TESTS
from torch import nn

import snntorch as snn


def read(text):
    """Yield module and line of each fact."""
    for line in text.splitlines():
        if line.startswith("["):
            module = line.strip("[]")
        elif line and not line.startswith("#"):
            yield module, line


FACTS = list(read((TESTS / "data" / "signatures.txt").read_text()))


def find(module, path):
    """Return the module, class or function of a name; AttributeError or ImportError where none."""
    found = importlib.import_module(module)
    for name in path.split("."):
        # A module is called by its forward.
        calls = name == "__call__" and inspect.isclass(found) and issubclass(found, nn.Module)
        found = getattr(found, "forward" if calls else name)
    return found


def parse(arguments):
    """Return the parameters of "a, b=1)"."""
    space = {}
    exec(f"def function({arguments}: pass", space)
    return list(inspect.signature(space["function"]).parameters.values())


def parameters(found):
    """Return what a caller passes: without ``self``."""
    given = list(inspect.signature(found).parameters.values())
    return given[1:] if given and given[0].name == "self" else given


def same_default(ours, theirs):
    if theirs is ...:
        return callable(ours)
    if isinstance(theirs, list | tuple):
        return list(ours) == list(theirs)
    return type(ours) is type(theirs) and ours == theirs


def check(ours, theirs):
    """Hold our parameters against theirs: a call that fits theirs fits ours and means the same."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    fixed = [p for p in theirs if p.kind not in variable]
    # DeltaLeaky hands on what it does not name.
    for p, q in zip(fixed, ours, strict=False):
        assert q.name == p.name
        assert q.kind is p.kind
        if p.default is not p.empty:
            assert same_default(q.default, p.default), f"{q} for {p}"
    assert len(ours) >= len(fixed), f"{fixed[len(ours)]} is missing"
    for q in ours[len(fixed) :]:
        assert q.default is not q.empty or q.kind in variable, f"{q} is required"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of modules on their way out
@pytest.mark.parametrize(("module", "line"), FACTS, ids=[f"{m}.{fact}"[9:] for m, fact in FACTS])
def test_fact(module, line):
    path = line.partition("(")[0].partition(" < ")[0]
    found = find(module, path)
    if " < " in line:
        assert issubclass(found, find(module, line.partition(" < ")[2]))
    elif "(" in line:
        check(parameters(found), parse(line.partition("(")[2]))


def test_every_module_is_reached_from_the_package():
    assert {m.split(".")[1] for m, _ in FACTS if "." in m} <= set(snn._SUBMODULES)
