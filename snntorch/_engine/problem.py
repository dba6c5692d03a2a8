"""One neuron layer's sequence as plain data, for a backend to solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from .._torch import class_of
from ..dynamics import Dynamics

States = tuple[Tensor, ...]


@dataclass(slots=True)
class Problem:
    """A layer's input, states and rule over some time steps."""

    x: Tensor
    """Input current ``[T, ...]``, or that of every step, ``[...]``, if static."""
    static: bool
    num_steps: int
    states: States
    """Where to start from, in the order of the neuron's call; each of the states' shape."""
    neuron: Any
    """The module whose step it is: the reference backend runs it."""
    gated: bool
    """Whether that module has gates: an input projection, and a product at each step."""
    only_spikes: bool
    """Whether the traces of the states are not asked for."""
    dynamics: Dynamics | None
    """The step, where it is the same function for each neuron by itself."""
    parameters: tuple[Tensor, ...]
    """Its parameters, on the graph."""
    recurrent: nn.Module | None
    """The layer of a feedback from all neurons to all."""
    weights: tuple[Tensor, ...]
    """Its weight and bias."""
    threshold: Tensor
    reset: str
    delay: bool
    spike_grad: Callable[[Tensor], Tensor]
    inhibition: bool
    state_quant: Any

    def kept(self) -> Problem:
        """Return what a graph may hold: without tensors that are on one, and without the neuron,
        whose states hold the graph."""
        empty = self.x.new_empty(0)
        neuron = _twin(self.neuron) if self.gated else None
        return replace(self, x=empty, states=(), parameters=(), weights=(), neuron=neuron)


@dataclass(frozen=True)
class Solution:
    """What a backend returns."""

    spikes: Tensor
    """``[T, ...]``"""
    traces: tuple[Tensor, ...] | None
    """Every state but ``spk`` over time, ``[T, ...]``; None if only spikes were asked for."""
    states: States
    """The last states in the order of the neuron's call, as tensors of their own."""


def _twin(neuron: nn.Module) -> nn.Module:
    """Return a neuron that takes the same steps, without states."""
    # A parametrized one takes its parameters from elsewhere than its attributes.
    twin: nn.Module = object.__new__(class_of(neuron))
    modules = {n: part for n, part in neuron._modules.items() if n != "parametrizations"}
    twin.__dict__.update({**neuron.__dict__, "_modules": modules})
    twin.__dict__.pop("_snn_states", None)
    return twin
