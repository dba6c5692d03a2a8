"""What every time step asks of the backends, without loading them."""

from __future__ import annotations

from contextvars import ContextVar

from torch import Tensor

from .._torch import is_compiling

chosen: ContextVar[str | None] = ContextVar("backend", default=None)
"""The backend of ``use_backend``."""


def may_be_fused(x: Tensor) -> bool:
    """Tell whether a backend may take a single time step from this input: on the CPU none does, but
    by a name given to ``use_backend``."""
    return not is_compiling() and (not x.is_cpu or chosen.get() is not None)
