"""One neuron layer's sequence as plain data, for a backend to solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from .._neurons.neurons import LIF, SpikingNeuron, States
from .._neurons.recurrent import RecurrentLIF
from .._neurons.slstm import SpikingLSTM
from .._torch import class_of
from ..dynamics import Dynamics


@dataclass(slots=True)
class Problem:
    """A layer's input, states and rule over some time steps."""

    x: Tensor
    """Input current ``[T, ...]``, or that of every step, ``[...]``, if static."""
    static: bool
    num_steps: int
    states: States
    """Where to start from, in the order of the neuron's call; each of the states' shape."""
    neuron: SpikingNeuron
    """Whose time step it is, for who takes steps as they are."""
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

    @property
    def cell(self) -> SpikingLSTM | None:
        """The neuron, if it has gates."""
        return self.neuron if isinstance(self.neuron, SpikingLSTM) else None

    def kept(self) -> Problem:
        """Return what a graph may hold: without tensors that are on one, and without the neuron,
        whose states hold the graph."""
        empty = self.x.new_empty(0)
        neuron: Any = _twin(self.neuron) if self.cell else None
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


def problem(
    neuron: SpikingNeuron, x: Tensor, num_steps: int, static: bool, states: States
) -> Problem:
    """State a neuron's problem; ``x`` and ``states`` are checked and of their final shape."""
    lif: Any = neuron if isinstance(neuron, LIF) else None
    cell = neuron if isinstance(neuron, SpikingLSTM) else None
    recurrent, weights = cell._snn_recurrence() if cell else (None, ())
    if isinstance(neuron, RecurrentLIF) and neuron._snn_by_layer:
        recurrent, weights = neuron.recurrent, tuple(neuron.recurrent.parameters())
    reset = neuron.reset_mechanism if neuron._snn_resets else "none"
    return Problem(
        x=x,
        static=static,
        num_steps=num_steps,
        states=states,
        neuron=neuron,
        only_spikes=neuron.init_hidden and not neuron.output,
        dynamics=lif._snn_model.dynamics(reset, neuron.reset_delay) if lif else None,
        parameters=lif._snn_step_parameters() if lif else (),
        recurrent=recurrent,
        weights=weights,
        threshold=neuron.threshold,
        reset=reset,
        delay=neuron.reset_delay,
        spike_grad=neuron.spike_grad,
        inhibition=neuron.inhibition,
        state_quant=neuron.state_quant,
    )


def _twin(neuron: SpikingNeuron) -> SpikingNeuron:
    """Return a neuron that takes the same steps, without states."""
    # A parametrized one takes its parameters from elsewhere than its attributes.
    twin: SpikingNeuron = object.__new__(class_of(neuron))
    modules = {n: part for n, part in neuron._modules.items() if n != "parametrizations"}
    twin.__dict__.update({**neuron.__dict__, "_modules": modules})
    twin.__dict__.pop("_snn_states", None)
    return twin
