"""How the layers between neurons handle the time dimension, by class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils import parametrize

from .._checks import check_count
from .._layers.graded_spikes import GradedSpikes
from .._layers.scale import Scale
from .._neurons.neurons import SpikingNeuron
from .._neurons.sequence import WholeSequence
from .._neurons.states import Stateful
from .._torch import class_of, is_compiling, touched
from ..surrogate import SpikeGrad, StochasticSpikeOperator
from .functions import ROWS


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


def _each(names: str, dims: int | None = None) -> dict[type[nn.Module], Rule]:
    return {getattr(nn, name): Rule(dims) for name in names.split()}


def _of_rows(
    names: str, unless: Callable[[Any], str | None] = lambda layer: None
) -> dict[type[nn.Module], Rule]:
    """Return the rules of layers by those of the functions that they call."""
    rules = {}
    for each in names.split():
        layer, _, function = each.partition("=")
        rules[getattr(nn, layer)] = Rule(ROWS[function] - 1, unless)
    return rules


_RULES: dict[type[nn.Module], Rule] = {
    **_each("Identity ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Sigmoid"),
    **_each("LogSigmoid Softplus Softsign Softshrink Tanh Tanhshrink"),
    **_each("Hardshrink Hardtanh Hardsigmoid Hardswish Threshold LayerNorm ZeroPad2d"),
    **_each("Linear", 1),
    **_of_rows("Conv1d=conv1d Conv2d=conv2d Conv3d=conv3d PReLU=prelu Upsample=interpolate"),
    **_of_rows("ConvTranspose1d=conv_transpose1d ConvTranspose2d=conv_transpose2d"),
    **_of_rows("ConvTranspose3d=conv_transpose3d GroupNorm=group_norm Dropout=dropout"),
    **_of_rows("AvgPool1d=avg_pool1d AvgPool2d=avg_pool2d AvgPool3d=avg_pool3d"),
    **_of_rows("AdaptiveAvgPool1d=adaptive_avg_pool1d AdaptiveAvgPool2d=adaptive_avg_pool2d"),
    **_of_rows("AdaptiveAvgPool3d=adaptive_avg_pool3d"),
    **_of_rows("MaxPool1d=max_pool1d MaxPool2d=max_pool2d MaxPool3d=max_pool3d", _indices),
    **_of_rows("AdaptiveMaxPool1d=adaptive_max_pool1d", _indices),
    **_of_rows("AdaptiveMaxPool2d=adaptive_max_pool2d", _indices),
    **_of_rows("AdaptiveMaxPool3d=adaptive_max_pool3d", _indices),
    **_of_rows("BatchNorm1d=batch_norm BatchNorm2d=batch_norm", _batch_statistics),
    **_of_rows("BatchNorm3d=batch_norm", _batch_statistics),
    **dict.fromkeys((nn.Flatten, nn.Unflatten), Rule(-1, _batch_dimension)),
    **_each("Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout", -1),
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


UNKNOWN = "not known to be stateless"
"""Why a layer of the user's own is called step by step."""


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


@dataclass(frozen=True)
class Stage:
    """How one layer, or one operation in the code of a compiled network, is run."""

    path: str
    """Path of the layer, such as ``"2"`` or ``"block.1"``; ``""`` is the whole network."""
    module: Any
    """The layer; None for an operation without parameters."""
    how: str
    """``"hoist"``, ``"fold"``, ``"scan"``, ``"whole"``, ``"step"``, or ``"loop"`` for the whole
    network; of an operation, also ``"once"``, or ``"cycle"`` if it goes back to itself over
    time."""
    reason: str | None = None
    """Why it does not run faster; None if nothing is faster."""
    backend: str | None = None
    """The backend that runs a scan, once it is known."""
    ordered: bool = False
    """Whether the layer may draw random numbers step by step, alternating with others."""
    rule: Rule | None = field(default=None, repr=False)
    """How the layer handles time, if it has no states and that is known."""
    function: str = ""
    """The operation, in a compiled network."""
    line: str | None = None
    """The line of the user's code that calls it."""
    steps: int | None = None
    """How many times it was recorded."""

    @property
    def name(self) -> str:
        """The operation, or the layer's class."""
        return self.function or class_of(self.module).__name__

    def __str__(self) -> str:
        return f"{self.path} ({self.name})" if self.path else self.name


def _changing(layer: nn.Module) -> list[nn.Module]:
    """Return the parts of a parametrization that may change from step to step."""
    if not layer.training or not parametrize.is_parametrized(layer):
        return []
    parts = layer.get_submodule("parametrizations").modules()
    rules = (part for part in parts if type(part) is not parametrize.ParametrizationList)
    return [rule for rule in rules if rule._buffers or isinstance(rule, _DropoutNd)]


def fires_at_random(neuron: SpikingNeuron) -> bool:
    """Tell whether the spikes of a neuron are random."""
    grad = neuron.spike_grad
    if is_compiling() or not isinstance(grad, SpikeGrad):  # torch.compile cannot compare functions
        return False
    return grad.function is StochasticSpikeOperator


def _may_draw(layer: nn.Module) -> bool:
    """Tell whether a layer may draw random numbers in an order that is kept.

    Dropout layers do not count, as they may draw in another order than the loop. Any ``spike_grad``
    except the random one of this library is assumed to be deterministic.
    """
    if any("forward" in part.__dict__ for part in layer.modules()):
        return True
    if isinstance(layer, SpikingNeuron):
        return fires_at_random(layer) or bool(layer._snn_overridden)
    if type(layer) is nn.Sequential:
        return any(map(_may_draw, layer.children()))
    return rule_of(layer) is None or any(isinstance(p, _DropoutNd) for p in _changing(layer))


def _overrides(neuron: SpikingNeuron) -> list[str]:
    """Return the parts of a neuron that are not the library's own."""
    neuron._snn_changed_part()
    return sorted(neuron._snn_overridden)


def why_neuron_stepped(neuron: SpikingNeuron) -> str | None:
    """Return why the steps of a neuron have to be taken one by one, or None."""
    if own := [name for name in _overrides(neuron) if name != "forward"]:
        return f"overrides {', '.join(own)}"
    if not neuron._modules:
        return None
    if added := next((each for part in neuron.children() for each in _all_touched(part)), None):
        return f"{added} in it"
    return "its parametrization changes over time" if _changing(neuron) else None


def _all_touched(layer: nn.Module) -> list[str]:
    return [reason for reason in map(touched, layer.modules()) if reason]


def _why_stepped(layer: nn.Module, rule: Rule | None, parts: list[nn.Module]) -> str | None:
    """Return why a layer has to be called step by step, or None."""
    # A layer that is called once for all steps gathers sharded parameters itself.
    sharding = rule is None
    if added := next(filter(None, (touched(part, sharding) for part in parts)), None):
        return added
    if _changing(layer):
        return "its parametrization changes over time"
    if isinstance(layer, SpikingNeuron):
        own = _overrides(layer)
        return f"overrides {', '.join(own)}" if own else None
    if rule is None:
        return UNKNOWN
    rules = ((part, rule if part is layer else rule_of(part)) for part in parts)
    reasons = (each.unless(part) for part, each in rules if each is not None)
    return next(filter(None, reasons), None)


def decide(path: str, layer: nn.Module, static: bool) -> Stage:
    """Decide how one layer runs; its input is the same at each step if ``static``."""
    rule, parts = rule_of(layer), list(layer.modules())
    if takes_sequences(layer):
        return Stage(path, layer, "whole", rule=rule)
    if reason := _why_stepped(layer, rule, parts):
        return Stage(path, layer, "step", reason, ordered=_may_draw(layer), rule=rule)
    if rule is None:
        return Stage(path, layer, "scan", ordered=_may_draw(layer))
    for part in parts:
        if isinstance(part, Stateful):
            raise TypeError(
                f"layer {Stage(path, layer, 'fold')} is registered as stateless, but has "
                f"{class_of(part).__name__} in it; leave its class unregistered, or register it as "
                "'sequence' if one call runs through all time steps"
            )
    if static and any(part.training and isinstance(part, _DropoutNd) for part in parts):
        return Stage(path, layer, "fold", "draws anew at each step", rule=rule)
    return Stage(path, layer, "hoist" if static else "fold", rule=rule)


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
