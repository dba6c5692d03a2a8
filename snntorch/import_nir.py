"""Import from NIR, under the module name of 1.0.0. Saved networks find their classes here."""

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
