"""One neuron layer's sequence as plain data, for a backend to solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..dynamics import Dynamics

States = tuple[Tensor, ...]
Step = Callable[[Tensor, States], tuple[Tensor, States]]


class Problem(NamedTuple):
    """A layer's input, states and rule over some time steps."""

    x: Tensor
    """Input current ``[T, ...]``, or that of every step, ``[...]``, if static."""
    static: bool
    num_steps: int
    states: States
    """Where to start from, in the order of the neuron's call; each of the states' shape."""
    step: Step
    """One time step on tensors: from input and states to spikes and new states."""
    only_spikes: bool
    """Whether the traces of the states are not asked for."""
    dynamics: Dynamics | None
    """The step as a function of one neuron, if it is that."""
    parameters: tuple[Tensor, ...]
    """Its parameters, on the graph."""
    spike_grad: Callable[[Tensor], Tensor]
    inhibition: bool
    state_quant: Any
    recurrent: nn.Module | None
    """The layer of a feedback from all neurons to all."""
    weights: tuple[Tensor, ...]
    """Its weight and bias."""
    projection: Callable[[Tensor], tuple[Tensor, Step]] | None = None
    """For a neuron with gates: returns what the input gives to them, a product that is taken for
    all steps at once, and the step that takes this instead of the input."""


@dataclass(frozen=True)
class Solution:
    """What a backend returns."""

    spikes: Tensor
    """``[T, ...]``"""
    traces: tuple[Tensor, ...] | None
    """Every state over time, ``[T, ...]``; None if only spikes were asked for."""
    states: States
    """The last states, as separate tensors."""
