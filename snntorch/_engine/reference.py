"""The reference backend: the plain loop over time. It never refuses, and is the truth."""

from __future__ import annotations

import torch

from .problem import Problem, Solution

NAME = "reference"


def refuses(problem: Problem) -> str | None:
    """Return why this backend cannot solve a problem, or None if it can."""
    return None


def solve(problem: Problem) -> Solution:
    """Step through time."""
    states, spikes, traces = problem.states, [], []
    recurrent = problem.dynamics is not None and problem.dynamics.recurrent
    # Not x[t], whose gradient would be as large as all of x at each step.
    for x in [problem.x] * problem.num_steps if problem.static else problem.x.unbind():
        spk, new = problem.neuron._snn_step(x, states)
        states = (spk, *new) if recurrent else new
        spikes.append(spk)
        traces.append(new)
    return Solution(
        torch.stack(spikes),
        None if problem.only_spikes else tuple(map(torch.stack, zip(*traces, strict=True))),
        states,
    )
