"""The neuron models, and what they share."""

from .adlif import AdLIF, SEAdLIF
from .alif import ALIF
from .alpha import Alpha
from .associative import AssociativeLeaky
from .deltaleaky import DeltaLeaky
from .equations import CustomNeuron, neuron_from_equations
from .exponential import EIF, AdEx
from .izhikevich import Izhikevich
from .lapicque import Lapicque
from .leaky import Leaky
from .leakyparallel import LeakyParallel
from .linearleaky import LinearLeaky
from .neuron import Neuron
from .neurons import LIF, SpikingNeuron
from .plif import PLIF
from .qif import QIF
from .resonate import BRF, RF
from .rleaky import RLeaky
from .rsynaptic import RSynaptic
from .sconv2dlstm import SConv2dLSTM
from .slstm import SLSTM
from .stateleaky import StateLeaky
from .synaptic import Synaptic

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
    "CustomNeuron",
    "DeltaLeaky",
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
    "neuron_from_equations",
]
