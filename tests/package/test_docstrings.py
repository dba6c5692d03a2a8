"""What users can reach has a docstring, and the examples in docstrings run as they are written."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn

import snntorch as snn
from snntorch import functional, spikeplot, surrogate
from snntorch.functional.stdp_learner import STDPLearner

PACKAGE = Path(snn.__file__).parent


def is_ours(thing):
    return (getattr(thing, "__module__", None) or "").partition(".")[0] == "snntorch"


def reachable():
    """Yield the name and object of every module without an underscore, of every public name in it,
    and of every public method and property of its classes, inherited ones too."""
    yield "snntorch", snn
    modules = [snn]
    for info in pkgutil.walk_packages(snn.__path__, "snntorch."):
        if "._" not in info.name:
            modules.append(importlib.import_module(info.name))
            yield info.name, modules[-1]
    for module in modules:
        public = [name for name in dir(module) if not name.startswith("_")]
        for name in getattr(module, "__all__", public):
            thing = getattr(module, name)
            if inspect.ismodule(thing) or not is_ours(thing):
                continue
            yield f"{module.__name__}.{name}", thing
            for cls in filter(is_ours, inspect.getmro(thing) if inspect.isclass(thing) else ()):
                for part, value in vars(cls).items():
                    if not part.startswith("_") and hasattr(value, "__get__"):
                        yield f"{cls.__module__}.{cls.__qualname__}.{part}", value


def test_all_that_users_can_reach_has_a_docstring():
    things = dict(reachable())
    assert {
        "snntorch.Leaky",
        "snntorch.compile",
        "snntorch.surrogate.ATan.backward",
        "snntorch._neurons.states.Stateful.reset_hidden",
        "snntorch._neurons.neurons.SpikingNeuron.reset_mechanism",
    } <= things.keys()
    missing = []
    for name, thing in things.items():
        text = thing.__doc__ or ""
        made = text.startswith(f"{name.rpartition('.')[2]}(")  # by dataclass or NamedTuple
        if not text.strip() or made:
            missing.append(name)
    assert not missing


EXAMPLE = re.compile(r"^([^.\n].*)?::\n\n((?: {4}.*\n|\n)+)", re.MULTILINE)
# Sizes of one sample where an example does not take any.
SAMPLES = {
    "BatchNormTT1d": (20,),
    "AssociativeLeaky": (64,),
    "BRF": (100,),
    "LeakyParallel": (784,),
    "LinearLeaky": (784,),
    "SConv2dLSTM": (1, 12, 12),
    "SLSTM": (784,),
    "StateLeaky": (100,),
}


def examples():
    """Yield the name of what is documented, and the code after ``::``, formulas left out."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = (ast.get_docstring(node) or "") + "\n"
                for match in re.finditer(
                    r"^([^.\n].*)?::\n\n((?: {4}.*\n|\n)+)", text, re.MULTILINE
                ):
                    yield getattr(node, "name", path.stem), textwrap.dedent(match[2])


EXAMPLES = list(examples())


@pytest.mark.parametrize("name, code", EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_example(name, code):
    names = {
        "torch": torch,
        "nn": nn,
        "snn": snn,
        "surrogate": surrogate,
        "SF": functional,
        "splt": spikeplot,
        "STDPLearner": STDPLearner,
        "num_steps": 3,
        "x": torch.rand(3, 2, *SAMPLES.get(name, (10,))),
        # What single examples find in the code around them.
        "fc": nn.Linear(20, 100),
        "lif": snn.Leaky(beta=0.9, init_hidden=name == "STDPLearner"),
        "mem": torch.zeros(2, 100),
        "current": torch.full((2, 3), 10.0),
        "synapse": nn.Linear(4, 3, bias=False),
        "spikes": torch.ones(5, 2, 4),
        "loader": [(torch.rand(2), torch.rand(2))],
        "loss": 0.5,
        "accuracy": 0.9,
        "my_function": surrogate.atan(),
    }
    exec(code, names)
    plt.close("all")
    if "spk" in names:  # a neuron ran: its spikes are 0 or 1
        assert set(names["spk"].unique().tolist()) <= {0, 1}


def test_most_neurons_have_an_example():
    assert len(EXAMPLES) > 25
