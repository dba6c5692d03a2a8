"""The reference backend: the plain loop over time. It never refuses, and is the truth."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..surrogate import heaviside_step
from .problem import Problem, Solution, States

NAME = "reference"


def refuses(problem: Problem) -> str | None:
    """Return why this backend cannot solve a problem, or None if it can."""
    return None


def solve(problem: Problem) -> Solution:
    """Step through time."""
    states, spikes, traces = problem.states, [], []
    step = problem.neuron._snn_step if problem.neuron is not None else _elementwise(problem)
    recurrent = problem.dynamics is not None and problem.dynamics.recurrent
    # Not x[t], whose gradient would be as large as all of x at each step.
    for x in [problem.x] * problem.num_steps if problem.static else problem.x.unbind():
        spk, new = step(x, states)
        states = (spk, *new) if recurrent else new
        spikes.append(spk)
        traces.append(new)
    return Solution(
        torch.stack(spikes),
        None if problem.only_spikes else tuple(map(torch.stack, zip(*traces, strict=True))),
        states,
    )


def _elementwise(problem: Problem) -> Callable[[Tensor, States], tuple[Tensor, States]]:
    """Return the step of a problem that was put away without its neuron."""
    dynamics, spike_grad = problem.dynamics, problem.spike_grad
    assert dynamics is not None

    def fired(u: Tensor) -> Tensor:
        return heaviside_step(u.detach())

    def step(x: Tensor, states: States) -> tuple[Tensor, States]:
        out = dynamics.step(x, *states, *problem.parameters, spike=spike_grad, fired=fired)
        return out[0], out[1 + dynamics.recurrent :]

    return step
