"""Spiking neural networks as PyTorch modules.

A neuron layer is used like an activation, steps through time by being called, and is trained by
backpropagation through surrogate gradients::

    import snntorch as snn

    net = nn.Sequential(nn.Linear(784, 100), snn.Leaky(beta=0.9, init_hidden=True))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from . import surrogate
from ._layers.bntt import BatchNormTT1d, BatchNormTT2d
from ._layers.graded_spikes import GradedSpikes
from ._neurons import (
    LIF,
    SLSTM,
    Alpha,
    AssociativeLeaky,
    DeltaLeaky,
    Lapicque,
    Leaky,
    LeakyParallel,
    LinearLeaky,
    RLeaky,
    RSynaptic,
    SConv2dLSTM,
    SpikingNeuron,
    StateLeaky,
    Synaptic,
)

if TYPE_CHECKING:
    from ._engine.backends import use_backend
    from ._network.compile import compile, lazy
    from ._network.rules import register_layer
    from ._network.summary import summary
    from ._network.unroll import Unroll, explain, unroll
    from ._neurons.adlif import AdLIF, SEAdLIF
    from ._neurons.alif import ALIF
    from ._neurons.equations import CustomNeuron, neuron_from_equations
    from ._neurons.exponential import EIF, AdEx
    from ._neurons.izhikevich import Izhikevich
    from ._neurons.neuron import Neuron
    from ._neurons.plif import PLIF
    from ._neurons.qif import QIF
    from ._neurons.resonate import BRF, RF
    from .nir import export_to_nir, import_from_nir

__version__ = "1.1.0"

_SUBMODULES = (
    "backprop",
    "datasets",
    "export",
    "export_nir",
    "functional",
    "import_nir",
    "nir",
    "saccades",
    "spikegen",
    "spikeplot",
    "spikevision",
    "surrogate",
    "testing",
    "utils",
)
# Code for 1.0.0 finds these modules here too.
_MODULES_OF_1_0_0 = {
    "_neurons": "alpha associative deltaleaky lapicque leaky leakyparallel linearleaky neurons "
    "rleaky rsynaptic sconv2dlstm slstm stateleaky synaptic",
    "_layers": "bntt graded_spikes",
}
# Names that are imported from their module when they are first used.
_LAZY = {
    "ALIF": "._neurons.alif",
    "AdEx": "._neurons.exponential",
    "AdLIF": "._neurons.adlif",
    "BRF": "._neurons.resonate",
    "CustomNeuron": "._neurons.equations",
    "EIF": "._neurons.exponential",
    "Izhikevich": "._neurons.izhikevich",
    "Neuron": "._neurons.neuron",
    "PLIF": "._neurons.plif",
    "QIF": "._neurons.qif",
    "RF": "._neurons.resonate",
    "SEAdLIF": "._neurons.adlif",
    "Unroll": "._network.unroll",
    "compile": "._network.compile",
    "explain": "._network.unroll",
    "export_to_nir": ".nir",
    "import_from_nir": ".nir",
    "lazy": "._network.compile",
    "neuron_from_equations": "._neurons.equations",
    "register_layer": "._network.rules",
    "summary": "._network.summary",
    "unroll": "._network.unroll",
    "use_backend": "._engine.backends",
}

# Code for 1.0.0 that imports everything finds torch, nn and surrogate too.
__all__ = [
    "ALIF",
    "BRF",
    "EIF",
    "LIF",
    "PLIF",
    "QIF",
    "RF",
    "SLSTM",
    "AdEx",
    "AdLIF",
    "Alpha",
    "AssociativeLeaky",
    "BatchNormTT1d",
    "BatchNormTT2d",
    "CustomNeuron",
    "DeltaLeaky",
    "GradedSpikes",
    "Izhikevich",
    "Lapicque",
    "Leaky",
    "LeakyParallel",
    "LinearLeaky",
    "Neuron",
    "RLeaky",
    "RSynaptic",
    "SConv2dLSTM",
    "SEAdLIF",
    "SpikingNeuron",
    "StateLeaky",
    "Synaptic",
    "Unroll",
    "compile",
    "explain",
    "export_to_nir",
    "import_from_nir",
    "lazy",
    "neuron_from_equations",
    "nn",
    "register_layer",
    "summary",
    "surrogate",
    "torch",
    "unroll",
    "use_backend",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    for package, names in _MODULES_OF_1_0_0.items():
        if name in names.split():
            return import_module(f"{__name__}.{package}.{name}")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_LAZY})
