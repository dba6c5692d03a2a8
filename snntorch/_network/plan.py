"""Decide how each layer of a network runs over time, once, before it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

from torch import nn

from .._neurons.neurons import SpikingNeuron
from .._neurons.sequence import WholeSequence
from .._table import table
from .._torch import class_of, has_global_hooks
from .graph import layers
from .rules import UNKNOWN, Stage, decide, takes_sequences


class Plan(tuple[Stage, ...]):
    """How a network is run: one :class:`Stage` for each layer, or for each operation of a compiled
    network; a table when printed."""

    flushes: tuple[str, ...] = ()
    """Where a compiled network had to work out values before its end."""
    plain: str | None = None
    """Why a compiled network runs as it is from now on; None if it does not."""

    def __str__(self) -> str:
        rows: list[tuple[str, ...]]
        if any(stage.line for stage in self):
            rows = [("layer", "operation", "line", "how", "steps", "backend", "why not faster")]
            rows += [
                (s.path, s.name, s.line or "", s.how, str(s.steps), s.backend or "", s.reason or "")
                for s in self
            ]
        else:
            rows = [("layer", "class", "how", "backend", "why not faster")]
            rows += [(s.path, s.name, s.how, s.backend or "", s.reason or "") for s in self]
        notes = [f"Values were asked for: {each}" for each in self.flushes]
        if self.plain:
            notes.append(f"It runs as it is from now on: {self.plain}")
        if any(stage.how == "loop" and stage.reason == UNKNOWN for stage in self):
            notes.append("A loop over time in forward runs layer by layer with snn.compile(net).")
        return "\n".join([table(rows), *notes])

    __repr__ = __str__


def make_plan(net: nn.Module, static: bool) -> Plan:
    """Decide how each layer of a network runs."""
    stages: list[Stage] = []
    for path, layer in layers(net):
        stages.append(decide(path, layer, static))
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
    if has_global_hooks():
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
