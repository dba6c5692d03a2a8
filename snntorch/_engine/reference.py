"""The reference backend: the plain loop over time. It never refuses, and is the truth."""

from __future__ import annotations

import torch

from .problem import Problem, Solution

# It can be used on all devices, and is chosen where the others refuse.
NAME, DEVICES = "reference", ()


def refuses(problem: Problem) -> str | None:
    """Return why this backend cannot solve a problem, or None if it can."""
    return None


def solve(problem: Problem) -> Solution:
    """Step through time."""
    states, spikes, traces = problem.states, [], []
    # Not x[t], whose gradient would be as large as all of x at each step.
    for x in [problem.x] * problem.num_steps if problem.static else problem.x.unbind():
        spk, states = problem.step(x, states)
        spikes.append(spk)
        traces.append(states)
    over_time = None if problem.only_spikes else tuple(map(torch.stack, zip(*traces, strict=True)))
    return Solution(torch.stack(spikes), over_time, states)
