"""Non-neuron layers."""

from .bntt import BatchNormTT1d, BatchNormTT2d
from .graded_spikes import GradedSpikes

__all__ = ["BatchNormTT1d", "BatchNormTT2d", "GradedSpikes"]
