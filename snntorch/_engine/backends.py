"""Which backend solves a problem."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .._torch import is_compiling
from ..dynamics import Dynamics
from . import compiled, cpu, cuda, operators, reference, single
from .choice import chosen as _chosen
from .problem import Problem, Solution

# Each is chosen on its types of device. Where it refuses, the reference runs, which takes all.
BACKENDS: dict[str, ModuleType] = {each.NAME: each for each in (cpu, cuda, compiled, reference)}

# Those that take single steps faster than PyTorch's operations do.
_STEPS: dict[str, Callable[..., Any]] = {cuda.NAME: single.step}


def check(name: str | None) -> str | None:
    """Return the name of a backend, or raise ValueError."""
    if name is not None and name not in BACKENDS:
        raise ValueError(f"backend={name!r} must be one of {', '.join(map(repr, BACKENDS))}")
    return name


@contextmanager
def use_backend(name: str | None) -> Iterator[None]:
    """Use one backend for every sequence inside the ``with`` block.

    :param name: ``"numba"``, ``"triton"``, ``"torch.compile"`` or ``"reference"``; None for that of
        the device
    :raises ValueError: an unknown name
    """
    token = _chosen.set(check(name))
    try:
        yield
    finally:
        _chosen.reset(token)


def explicit(name: str | None = None) -> str | None:
    """Return the backend that was chosen: by name, by use_backend or by the environment."""
    # torch.compile cannot read a context variable.
    chosen = None if is_compiling() else _chosen.get()
    return check(name) or chosen or check(os.environ.get("SNNTORCH_BACKEND") or None)


def _of(device: torch.device) -> list[str]:
    """Return the names of the backends that are chosen on a device."""
    return [name for name, each in BACKENDS.items() if device.type in each.DEVICES]


def choose(problem: Problem, name: str | None = None) -> tuple[str, str | None]:
    """Return the name of the backend for a problem, and why a preferred one cannot take it.

    :param name: an explicit choice; else that of :func:`use_backend`, of the environment variable
        ``SNNTORCH_BACKEND``, or the one for the input's device if it does not refuse
    :raises ValueError: an unknown name, or an explicit choice that refuses
    """
    chosen, reason = explicit(name), None
    device = problem.x.device
    own = _of(device)
    if not own and not chosen:
        reason = f"there are no kernels for tensors on {device}"
    for each in [chosen] if chosen else [*own, reference.NAME]:
        refusal = BACKENDS[each].refuses(problem)
        if refusal is None:
            return each, reason
        reason = reason or refusal
    raise ValueError(f"backend={chosen!r} cannot run this layer: {reason}; leave the choice out")


def solve(problem: Problem, name: str | None = None) -> Solution:
    """Solve a problem on the chosen backend."""
    chosen, _ = choose(problem, name)
    if is_compiling() and chosen in operators.RUNS:
        return operators.solve(problem, chosen)
    return BACKENDS[chosen].solve(problem)


def solve_step(dynamics: Dynamics, x: Tensor, *others: Any) -> tuple[Tensor, ...] | None:
    """Take a single step on the chosen backend, as :func:`.single.step`; None if it takes none."""
    name = explicit()
    if name is None:
        name = next(iter(_of(x.device)), "")
    take = _STEPS.get(name)
    return None if take is None else take(dynamics, x, *others)
