"""What is chosen by the user; and whether a single time step is for a backend."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from torch import Tensor

from .._torch import is_compiling

chosen: ContextVar[str | None] = ContextVar("backend", default=None)
"""The backend of ``use_backend``."""


def single(x: Tensor) -> Callable[..., Any] | None:
    """Return the function that takes a single time step in one kernel, if there is one for this
    input. No step on the CPU has one, but by a name given to ``use_backend``."""
    if is_compiling() or (x.is_cpu and chosen.get() is None):
        return None
    from . import backends  # which a step on the CPU does not load

    return backends.single(x)
