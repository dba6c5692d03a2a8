"""Neuromorphic data sets, read through tonic. Deprecated: use tonic itself."""

from warnings import warn

from . import spikedata
from . import spikedata as data

warn(
    "The module snntorch.spikevision is deprecated. Use tonic.datasets, which has these data sets "
    "and many more; the documentation page on data has a recipe.",
    DeprecationWarning,
    stacklevel=2,
)

__all__ = ["data", "spikedata"]
