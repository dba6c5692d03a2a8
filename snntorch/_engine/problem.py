"""One neuron layer's sequence as plain data, for a backend to solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from .._neurons.neurons import LIF, SpikingNeuron, States
from .._neurons.recurrent import RecurrentLIF
from .._neurons.slstm import SpikingLSTM


@dataclass(frozen=True)
class Problem:
    """A layer's input, states and rule over some time steps."""

    x: Tensor
    """Input current ``[T, ...]``, or that of every step, ``[...]``, if static."""
    static: bool
    num_steps: int
    states: States
    """Where to start from, in the order of the neuron's call; each of the states' shape."""
    step: Callable[[Tensor, States], tuple[Tensor, States]]
    """One time step: spikes and new states (without ``spk``) from input and old states."""
    feeds_back: bool
    """Whether the first state is the spikes of the last step."""
    only_spikes: bool
    """Whether the traces of the states are not asked for."""
    model: str | None
    """The equation's name, where the update is that equation for each neuron by itself."""
    decays: tuple[Tensor, ...]
    """What the equation takes after the states, on the graph."""
    V: Tensor | None
    """Weight of the one-to-one feedback."""
    recurrent: nn.Module | None
    """The layer of a feedback from all neurons to all."""
    weights: tuple[Tensor, ...]
    """Its weight and bias."""
    cell: SpikingLSTM | None
    """The neuron, if it has gates."""
    threshold: Tensor
    factor: Tensor
    """Graded spikes factor."""
    reset: str
    delay: bool
    spike_grad: Callable[[Tensor], Tensor]
    inhibition: bool
    state_quant: Any
    step_with: Callable[[States, Tensor | None, Tensor, Tensor], Callable[..., Any]]
    """The same step with other decays, V, threshold and factor."""


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
    fed_back = lif if isinstance(lif, RecurrentLIF) else None
    cell = neuron if isinstance(neuron, SpikingLSTM) else None
    recurrent, weights = cell._recurrence() if cell else (None, ())
    if fed_back and fed_back.all_to_all:
        recurrent, weights = fed_back.recurrent, tuple(fed_back.recurrent.parameters())
    return Problem(
        x=x,
        static=static,
        num_steps=num_steps,
        states=states,
        step=neuron._step,
        feeds_back=neuron.states[0] == "spk",
        only_spikes=neuron.init_hidden and not neuron.output,
        model=lif._equation.__name__ if lif else None,
        decays=lif._decays() if lif else (),
        V=fed_back.V if fed_back and not fed_back.all_to_all else None,
        recurrent=recurrent,
        weights=weights,
        cell=cell,
        threshold=neuron.threshold,
        factor=neuron.graded_spikes_factor,
        reset=neuron.reset_mechanism if neuron._resets else "none",
        delay=neuron.reset_delay,
        spike_grad=neuron.spike_grad,
        inhibition=neuron.inhibition,
        state_quant=neuron.state_quant,
        step_with=partial(_step_with, neuron),
    )


def _step_with(
    neuron: SpikingNeuron, decays: States, V: Tensor | None, threshold: Tensor, factor: Tensor
) -> Callable[[Tensor, States], tuple[Tensor, States]]:
    """Return a neuron's step as a function of tensors that stand for its parameters."""
    twin = object.__new__(type(neuron))
    tensors = {"V": V, "threshold": threshold, "graded_spikes_factor": factor}
    none: dict[str, Any] = {"_parameters": {}, "_buffers": {}, "_decays": lambda: decays}
    twin.__dict__.update({**neuron.__dict__, **none, **tensors})
    return twin._step
