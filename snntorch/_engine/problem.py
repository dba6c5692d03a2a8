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
    threshold: Tensor
    factor: Tensor
    """Graded spikes factor."""
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
        bare = _twin(self.neuron)
        empty = self.x.new_empty(0)
        return replace(self, x=empty, states=(), decays=(), weights=(), neuron=bare)

    def with_parameters(
        self, decays: States, V: Tensor | None, threshold: Tensor, factor: Tensor
    ) -> Problem:
        """Return the problem with tensors that stand for the neuron's parameters."""
        tensors = {"V": V, "threshold": threshold, "graded_spikes_factor": factor}
        none: dict[str, Any] = {"_parameters": {}, "_buffers": {}, "_decays": lambda: decays}
        return replace(self, neuron=_twin(self.neuron, **none, **tensors))


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
        neuron=neuron,
        feeds_back=neuron.states[0] == "spk",
        only_spikes=neuron.init_hidden and not neuron.output,
        model=lif._equation.__name__ if lif else None,
        decays=lif._decays() if lif else (),
        V=fed_back.V if fed_back and not fed_back.all_to_all else None,
        recurrent=recurrent,
        weights=weights,
        threshold=neuron.threshold,
        factor=neuron.graded_spikes_factor,
        reset=neuron.reset_mechanism if neuron._resets else "none",
        delay=neuron.reset_delay,
        spike_grad=neuron.spike_grad,
        inhibition=neuron.inhibition,
        state_quant=neuron.state_quant,
    )


def _twin(neuron: SpikingNeuron, **attributes: Any) -> SpikingNeuron:
    """Return a neuron that takes the same steps, without states; some of it may differ."""
    # A parametrized one takes its parameters from elsewhere than its attributes.
    twin: SpikingNeuron = object.__new__(class_of(neuron))
    modules = {n: part for n, part in neuron._modules.items() if n != "parametrizations"}
    twin.__dict__.update({**neuron.__dict__, "_modules": modules, **attributes})
    twin.__dict__.pop("_states", None)
    return twin
