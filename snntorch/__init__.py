"""Spiking neural networks as PyTorch modules.

A neuron layer is used like an activation, steps through time by being called, and is trained by
backpropagation through surrogate gradients::

    import snntorch as snn

    net = nn.Sequential(nn.Linear(784, 100), snn.Leaky(beta=0.9, init_hidden=True))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._layers.bntt import BatchNormTT1d, BatchNormTT2d
from ._layers.graded_spikes import GradedSpikes
from ._neurons.alpha import Alpha
from ._neurons.associative import AssociativeLeaky
from ._neurons.deltaleaky import DeltaLeaky
from ._neurons.lapicque import Lapicque
from ._neurons.leaky import Leaky
from ._neurons.leakyparallel import LeakyParallel
from ._neurons.linearleaky import LinearLeaky
from ._neurons.neurons import LIF, SpikingNeuron
from ._neurons.rleaky import RLeaky
from ._neurons.rsynaptic import RSynaptic
from ._neurons.sconv2dlstm import SConv2dLSTM
from ._neurons.slstm import SLSTM
from ._neurons.stateleaky import StateLeaky
from ._neurons.synaptic import Synaptic

if TYPE_CHECKING:
    from ._engine.backends import use_backend
    from ._engine.unroll import Unroll, explain, unroll

__version__ = "1.1.0"

_SUBMODULES = ("backprop", "functional", "spikegen", "surrogate", "utils")
# Names that are imported from their module when they are first used.
_LAZY = {
    "Unroll": "._engine.unroll",
    "explain": "._engine.unroll",
    "unroll": "._engine.unroll",
    "use_backend": "._engine.backends",
}

__all__ = [
    "LIF",
    "SLSTM",
    "Alpha",
    "AssociativeLeaky",
    "BatchNormTT1d",
    "BatchNormTT2d",
    "DeltaLeaky",
    "GradedSpikes",
    "Lapicque",
    "Leaky",
    "LeakyParallel",
    "LinearLeaky",
    "RLeaky",
    "RSynaptic",
    "SConv2dLSTM",
    "SpikingNeuron",
    "StateLeaky",
    "Synaptic",
    "Unroll",
    "explain",
    "unroll",
    "use_backend",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_LAZY})
