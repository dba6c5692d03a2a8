"""Exchange of networks with other simulators and chips by NIR: export, import, a report on each
node, and a plot of a graph."""

from .drawing import draw
from .exporting import export_to_nir
from .importing import import_from_nir, report
from .layers import Delay
from .network import Last, Network, NetworkWithState, State
from .neurons import NIRLeaky, NIRSynaptic
from .reporting import Report, Row

__all__ = [
    "Delay",
    "Last",
    "NIRLeaky",
    "NIRSynaptic",
    "Network",
    "NetworkWithState",
    "Report",
    "Row",
    "State",
    "draw",
    "export_to_nir",
    "import_from_nir",
    "report",
]
