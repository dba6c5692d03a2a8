"""The package as it is imported and installed."""

import ast
import importlib
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path
from types import ModuleType

import pytest

import snntorch as snn

HEAVY = ("numba", "matplotlib", "celluloid", "nir", "pandas", "tonic")


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_loads_nothing_heavy():
    loaded = run("import sys, snntorch; print(*{m.split('.')[0] for m in sys.modules})")
    assert "torch" in loaded
    assert not set(HEAVY) & set(loaded)


def test_submodules_load_when_first_used():
    assert run(
        "import sys, snntorch as snn\n"
        "print('snntorch.functional' in sys.modules)\n"
        "snn.functional.loss.ce_rate_loss, snn.surrogate.atan, snn.utils.reset, snn.spikegen.rate\n"
        "print('snntorch.functional' in sys.modules)"
    ) == ["False", "True"]
    assert {"functional", "surrogate", "utils", "spikegen", "Leaky"} <= set(dir(snn))
    with pytest.raises(AttributeError, match="'snntorch' has no attribute 'nothing'"):
        _ = snn.nothing


PACKAGE = Path(snn.__file__).parent


def test_no_import_hides_a_name_of_its_package():
    """A module or folder, once imported, becomes an attribute of the package it is in."""
    for init in PACKAGE.rglob("__init__.py"):
        package = importlib.import_module(".".join(init.parent.relative_to(PACKAGE.parent).parts))
        for path in init.parent.iterdir():
            held = vars(package).get(path.stem)
            assert held is None or isinstance(held, ModuleType), f"{path} hides {held}"


def modules():
    """Every module of the package by its name."""
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports():
    """For each module, which others of the package it imports, also inside functions."""
    names = dict(modules())
    graph = {}
    for name, path in names.items():
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                source = ".".join([*(above if node.level else []), *filter(None, [node.module])])
                inside = {f"{source}.{alias.name}" for alias in node.names}
                found |= {source} if inside - names.keys() else set()
                found |= inside & names.keys()
        graph[name] = found & names.keys()
    return graph


def circle(graph):
    """Return the names along a circle of a graph, or None."""
    path, done = [], set()

    def visit(name):
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return None
        path.append(name)
        found = next(filter(None, map(visit, sorted(graph[name]))), None)
        path.pop()
        done.add(name)
        return found

    return next(filter(None, map(visit, sorted(graph))), None)


def part_of(name):
    return name.split(".")[1] if "." in name else ""


def test_imports_are_found():
    graph = imports()
    assert "snntorch._engine.problem" in graph["snntorch._neurons.neurons"]  # from ..a.b import c
    assert "snntorch._engine.backends" in graph["snntorch._network.run"]  # from ..a import b
    assert "snntorch.spikeplot" in graph["snntorch._network.summary"]  # inside a function
    assert "snntorch.nir" in graph["snntorch.export_nir"]  # a package
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


ABOVE = {"_engine": ("_neurons", "_network", "nir"), "_neurons": ("_network", "nir")}


def test_the_engine_is_below_the_neurons_and_both_are_below_the_network():
    for name, others in imports().items():
        above = [each for each in others if part_of(each) in ABOVE.get(part_of(name), ())]
        assert not above, f"{name} imports {above}"


def test_modules_do_not_import_each_other_in_a_circle():
    assert circle(imports()) is None


def test_metadata():
    assert metadata.version("snntorch") == snn.__version__
    assert resources.files(snn).joinpath("py.typed").is_file()
