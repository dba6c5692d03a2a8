"""Import from NIR: code for 1.0.0 finds it here, and saved networks find their classes."""

from ._layers.scale import Scale
from .nir import (
    Delay,
    Last,
    Network,
    NetworkWithState,
    NIRLeaky,
    NIRSynaptic,
    State,
    import_from_nir,
)
from .nir.importing import convert
from .nir.wiring import Wiring, wire, wiring

__all__ = [
    "Delay",
    "Last",
    "NIRLeaky",
    "NIRSynaptic",
    "Network",
    "NetworkWithState",
    "Scale",
    "State",
    "Wiring",
    "convert",
    "import_from_nir",
    "wire",
    "wiring",
]
