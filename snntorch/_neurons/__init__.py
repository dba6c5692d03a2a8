"""The neuron models, and what they share."""

from .alpha import Alpha
from .associative import AssociativeLeaky
from .deltaleaky import DeltaLeaky
from .equations import CustomNeuron, neuron_from_equations
from .lapicque import Lapicque
from .leaky import Leaky
from .leakyparallel import LeakyParallel
from .linearleaky import LinearLeaky
from .neuron import Neuron
from .neurons import LIF, SpikingNeuron
from .plif import PLIF
from .rleaky import RLeaky
from .rsynaptic import RSynaptic
from .sconv2dlstm import SConv2dLSTM
from .slstm import SLSTM
from .stateleaky import StateLeaky
from .synaptic import Synaptic

__all__ = [
    "LIF",
    "PLIF",
    "SLSTM",
    "Alpha",
    "AssociativeLeaky",
    "CustomNeuron",
    "DeltaLeaky",
    "Lapicque",
    "Leaky",
    "LeakyParallel",
    "LinearLeaky",
    "Neuron",
    "RLeaky",
    "RSynaptic",
    "SConv2dLSTM",
    "SpikingNeuron",
    "StateLeaky",
    "Synaptic",
    "neuron_from_equations",
]
