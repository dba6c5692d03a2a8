"""The neuron models of 1.0.0, and what all share. The others are loaded when first used."""

from .alpha import Alpha
from .associative import AssociativeLeaky
from .deltaleaky import DeltaLeaky
from .lapicque import Lapicque
from .leaky import Leaky
from .leakyparallel import LeakyParallel
from .linearleaky import LinearLeaky
from .neurons import LIF, SpikingNeuron
from .rleaky import RLeaky
from .rsynaptic import RSynaptic
from .sconv2dlstm import SConv2dLSTM
from .slstm import SLSTM
from .stateleaky import StateLeaky
from .synaptic import Synaptic

__all__ = [
    "LIF",
    "SLSTM",
    "Alpha",
    "AssociativeLeaky",
    "DeltaLeaky",
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
]
