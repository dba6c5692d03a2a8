"""Neuromorphic data sets: deprecated in favour of tonic, on which these classes only sit."""

from . import spikedata
from . import spikedata as data

__all__ = ["data", "spikedata"]
