"""How the layers between neurons take time, by their class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from .._layers.graded_spikes import GradedSpikes
from .._layers.scale import Scale
from .._torch import class_of


@dataclass(frozen=True)
class Rule:
    """How a layer without states takes all time steps in one call."""

    dims: int | None
    """Dimensions of a sample without batch, where time takes the place of the batch; -1 if the
    layer always has a batch, None if it takes any dimensions in front."""
    unless: Callable[[Any], str | None] = lambda layer: None
    """Why this layer, as it is set up, has to be called step by step."""
    random: bool = False
    """Whether the layer draws random numbers in training: never hoisted, each row draws its own."""


def _batch_statistics(norm: nn.BatchNorm2d) -> str | None:
    own = norm.training or norm.running_mean is None
    return "normalises each step by its own statistics" if own else None


def _indices(pool: nn.MaxPool2d) -> str | None:
    return "returns indices too" if pool.return_indices else None


def _batch_dimension(layer: nn.Flatten | nn.Unflatten) -> str | None:
    first = layer.start_dim if isinstance(layer, nn.Flatten) else layer.dim
    kept = isinstance(first, int) and first >= 1
    return None if kept else "may change the batch dimension"


def _each(names: str, rule: Rule) -> dict[type[nn.Module], Rule]:
    return {getattr(nn, name): rule for name in names.split()}


_RULES: dict[type[nn.Module], Rule] = {
    **_each("Identity ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Sigmoid", Rule(None)),
    **_each("LogSigmoid Softplus Softsign Softshrink Tanh Tanhshrink", Rule(None)),
    **_each("Hardshrink Hardtanh Hardsigmoid Hardswish Threshold LayerNorm ZeroPad2d", Rule(None)),
    **_each("Linear", Rule(1)),
    **_each("Conv1d ConvTranspose1d AvgPool1d AdaptiveAvgPool1d", Rule(2)),
    **_each("Conv2d ConvTranspose2d AvgPool2d AdaptiveAvgPool2d", Rule(3)),
    **_each("Conv3d ConvTranspose3d AvgPool3d AdaptiveAvgPool3d", Rule(4)),
    **_each("MaxPool1d AdaptiveMaxPool1d", Rule(2, _indices)),
    **_each("MaxPool2d AdaptiveMaxPool2d", Rule(3, _indices)),
    **_each("MaxPool3d AdaptiveMaxPool3d", Rule(4, _indices)),
    **_each("PReLU GroupNorm Upsample", Rule(-1)),
    **_each("Flatten Unflatten", Rule(-1, _batch_dimension)),
    **_each("BatchNorm1d BatchNorm2d BatchNorm3d", Rule(-1, _batch_statistics)),
    **_each("Dropout Dropout1d Dropout2d Dropout3d", Rule(-1, random=True)),
    **_each("AlphaDropout FeatureAlphaDropout", Rule(-1, random=True)),
    GradedSpikes: Rule(None),
    Scale: Rule(None),
}


def rule_of(layer: nn.Module) -> Rule | None:
    """Return how a layer takes time; None if that is not known."""
    return _RULES.get(class_of(layer))
