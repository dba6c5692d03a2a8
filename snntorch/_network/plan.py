"""Decide how each layer of a network runs over time, once, before it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils import parametrize

from .._neurons.neurons import SpikingNeuron
from .._neurons.sequence import WholeSequence
from .._neurons.states import Stateful
from .._table import table
from .._torch import HOOKS, class_of, is_compiling, touched
from ..surrogate import SpikeGrad, StochasticSpikeOperator
from .graph import layers
from .rules import Rule, rule_of, takes_sequences


@dataclass(frozen=True)
class Stage:
    """What :func:`unroll` does with one layer."""

    path: str
    """Path of the layer, such as ``"2"`` or ``"block.1"``; ``""`` is the whole network."""
    module: nn.Module
    """The layer."""
    how: str
    """``"hoist"``, ``"fold"``, ``"scan"``, ``"whole"``, ``"step"``, or ``"loop"`` for the whole
    network."""
    reason: str | None = None
    """Why it does not run faster; None if nothing is faster."""
    backend: str | None = None
    """The backend that runs a scan, once it is known."""
    ordered: bool = False
    """Whether the layer may draw random numbers step by step, alternating with others."""
    rule: Rule | None = field(default=None, repr=False)
    """How the layer handles time, if it has no states and that is known."""

    @property
    def name(self) -> str:
        """The layer's class."""
        return class_of(self.module).__name__

    def __str__(self) -> str:
        return f"{self.path} ({self.name})" if self.path else self.name


class Plan(tuple[Stage, ...]):
    """What :func:`unroll` does with a network: one :class:`Stage` for each layer; a table when
    printed."""

    def __str__(self) -> str:
        rows = [("layer", "class", "how", "backend", "why not faster")]
        rows += [(s.path, s.name, s.how, s.backend or "", s.reason or "") for s in self]
        return table(rows)

    __repr__ = __str__


def _changing(layer: nn.Module) -> list[nn.Module]:
    """Return the parts of a parametrization that may change from step to step."""
    if not layer.training or not parametrize.is_parametrized(layer):
        return []
    parts = layer.get_submodule("parametrizations").modules()
    rules = (part for part in parts if type(part) is not parametrize.ParametrizationList)
    return [rule for rule in rules if rule._buffers or isinstance(rule, _DropoutNd)]


def _may_draw(layer: nn.Module) -> bool:
    """Tell whether a layer may draw random numbers in an order that is kept.

    Dropout layers do not count, as they may draw in another order than the loop. Any ``spike_grad``
    except the random one of this library is assumed to be deterministic.
    """
    if any("forward" in part.__dict__ for part in layer.modules()):
        return True
    if isinstance(layer, SpikingNeuron):
        grad = layer.spike_grad
        if not is_compiling() and isinstance(grad, SpikeGrad):  # torch.compile cannot compare them
            return grad.function is StochasticSpikeOperator or bool(layer._snn_overridden)
        return bool(layer._snn_overridden)
    if type(layer) is nn.Sequential:
        return any(map(_may_draw, layer.children()))
    return rule_of(layer) is None or any(isinstance(p, _DropoutNd) for p in _changing(layer))


def _why_stepped(layer: nn.Module, rule: Rule | None, parts: list[nn.Module]) -> str | None:
    """Return why a layer has to be called step by step, or None."""
    if added := next(filter(None, map(touched, parts)), None):
        return added
    if _changing(layer):
        return "its parametrization changes over time"
    if isinstance(layer, SpikingNeuron):
        layer._snn_changed_part()
        return (
            f"overrides {', '.join(sorted(layer._snn_overridden))}"
            if layer._snn_overridden
            else None
        )
    if rule is None:
        return "not known to be stateless"
    rules = ((part, rule if part is layer else rule_of(part)) for part in parts)
    reasons = (each.unless(part) for part, each in rules if each is not None)
    return next(filter(None, reasons), None)


def _stage(path: str, layer: nn.Module, static: bool) -> Stage:
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


def make_plan(net: nn.Module, static: bool) -> Plan:
    """Decide how each layer of a network runs."""
    stages: list[Stage] = []
    for path, layer in layers(net):
        stages.append(_stage(path, layer, static))
        static = static and stages[-1].how == "hoist"
    for stage, following in pairwise(stages):
        takes_any = following.how == "step" and following.rule is None
        neuron = isinstance(stage.module, SpikingNeuron) and stage.how != "step"
        if neuron and not _only_spikes(stage.module) and not takes_any:
            hidden = "" if stage.how == "whole" else "init_hidden=True and "
            raise TypeError(
                f"layer {stage} would pass spikes and states on to layer {following}; build it "
                f"with {hidden}output=False"
            )
    if reason := _inseparable(stages):
        stages = [Stage("", net, "loop", reason)]
    elif len(stages) == 1 and stages[0].module is net and stages[0].how == "step":
        stages = [replace(stages[0], how="loop")]
    for stage in stages:
        for part in stage.module.modules():
            if stage.how in ("step", "loop") and takes_sequences(part):
                raise TypeError(
                    f"{class_of(part).__name__} takes a whole sequence at each call, but "
                    f"{stage.name} has to be run step by step: {stage.reason}"
                )
    return Plan(stages)


def _only_spikes(layer: Any) -> bool:
    return (layer.init_hidden or isinstance(layer, WholeSequence)) and not layer.output


def _inseparable(stages: list[Stage]) -> str | None:
    """Return why layers cannot run one after the other, each over all steps; None if they can."""
    if any(getattr(torch_module, f"_global_{hooks}") for hooks in HOOKS):
        return "there are hooks on all modules"
    ordered = [stage for stage in stages if stage.ordered]
    # With a layer that takes whole sequences, no loop exists whose order could be kept.
    if len(ordered) > 1 and not any(stage.how == "whole" for stage in stages):
        order = "may draw random numbers, whose order in time is kept"
        return f"{ordered[0]} and {ordered[1]} {order}"
    apart = [stage for stage in stages if stage.how in ("scan", "whole", "step")]
    uses = Counter(part for stage in apart for part in stage.module.modules())
    twice = (stage for stage in apart if any(uses[part] > 1 for part in stage.module.modules()))
    return f"{stage} is shared with another layer" if (stage := next(twice, None)) else None
