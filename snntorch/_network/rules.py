"""How the layers between neurons handle the time dimension, by class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from .._checks import check_count
from .._layers.graded_spikes import GradedSpikes
from .._layers.scale import Scale
from .._neurons.neurons import SpikingNeuron
from .._neurons.sequence import WholeSequence
from .._torch import class_of


@dataclass(frozen=True)
class Rule:
    """How one call of a layer without states handles all time steps."""

    dims: int | None
    """Number of dimensions of a sample that the layer also takes without a batch; -1 if it always
    has a batch dimension, None if it takes any number of leading dimensions."""
    unless: Callable[[Any], str | None] = lambda layer: None
    """Return why a layer has to be called step by step, or None."""
    sequence: bool = False
    """Whether the layer itself takes a sequence ``[T, B, ...]``."""


def _batch_statistics(norm: nn.BatchNorm2d) -> str | None:
    own = norm.training or norm.running_mean is None
    return "normalizes each step by its own statistics" if own else None


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
    **_each("Dropout Dropout1d Dropout2d Dropout3d", Rule(-1)),
    **_each("AlphaDropout FeatureAlphaDropout", Rule(-1)),
    GradedSpikes: Rule(None),
    Scale: Rule(None),
}


# A subclass may define these without changing what its parent computes.
_INERT = {"extra_repr", "reset_parameters"}
_SPECIAL = {"__call__", "__getattr__", "__getattribute__", "__setattr__"}


def overridden(cls: type, parent: type) -> list[str]:
    """Return the names with which a subclass changes what its parent computes."""
    mro = cls.__mro__
    own = {name for each in mro[: mro.index(parent)] for name in vars(each)} - _INERT
    return sorted(n for n in own if (n in _SPECIAL if n.startswith("__") else hasattr(parent, n)))


def rule_of(layer: nn.Module) -> Rule | None:
    """Return how a layer handles time, or None if that is not known."""
    cls = class_of(layer)
    if cls in _RULES:
        return _RULES[cls]
    parent = next((each for each in cls.__mro__ if each in _RULES), None)
    return None if parent is None or overridden(cls, parent) else _RULES[parent]


def takes_sequences(layer: nn.Module) -> bool:
    """Tell whether a layer takes all time steps of a sequence in one call."""
    rule = rule_of(layer)
    return isinstance(layer, WholeSequence) or (rule is not None and rule.sequence)


def register_layer(cls: type[nn.Module], rule: str, *, dims: int | None = None) -> None:
    """Tell :func:`unroll` how a layer that is not a neuron handles the time dimension.

    A layer of an unknown class is called step by step. Subclasses that override nothing inherit the
    rule of their parent.

    :param cls: the layer's class
    :param rule: ``"stateless"``, ``"batch"`` or ``"sequence"``

        - ``"stateless"``: each sample of the output depends only on the same sample of the input.
          The layer is called once, with all steps as one batch ``[T * B, ...]``. While a part of
          it depends on the batch, such as batch normalization in training mode, it is called at
          each step
        - ``"batch"``: the layer has no states, but a sample of the output depends on the others in
          its batch. The layer is called at each step with its batch
        - ``"sequence"``: the layer itself takes a sequence ``[T, B, ...]`` and returns one. It is
          called once

    :param dims: with ``"stateless"``, the number of dimensions of one sample, for a layer that also
        takes a sample without a batch. Default: ``None``, the layer always has a batch
    :raises TypeError: ``cls`` is not a class of layers, or ``dims`` is not an integer
    :raises ValueError: an unknown rule, or ``dims`` with a rule other than ``"stateless"``

    Do not register a layer that draws random numbers itself, other than through dropout layers
    inside it. A layer that contains neurons should only be registered as ``"sequence"``.
    """
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise TypeError(f"cls is {cls!r}; expected a class derived from nn.Module")
    if cls in (nn.Module, nn.Sequential) or issubclass(cls, SpikingNeuron):
        raise TypeError(
            f"cls is {cls.__name__}; expected the class of a layer that is not a neuron, such as "
            "your own class derived from nn.Module"
        )
    rules = {
        "stateless": Rule(-1 if dims is None else check_count("dims", dims, 0)),
        "batch": Rule(-1, lambda layer: "depends on the whole batch"),
        "sequence": Rule(None, sequence=True),
    }
    if rule not in rules:
        raise ValueError(f"rule is {rule!r}; expected one of {', '.join(map(repr, rules))}")
    if dims is not None and rule != "stateless":
        raise ValueError(f"dims is {dims} with rule={rule!r}; only 'stateless' takes dims")
    _RULES[cls] = rules[rule]
