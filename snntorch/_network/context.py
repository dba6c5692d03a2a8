"""The line of the user's code, and the modes it runs under."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from .._torch import saved_tensor_hooks

_any_autocast: Callable[[], bool] = getattr(
    torch._C, "_is_any_autocast_enabled", torch.is_autocast_enabled
)
_grad, _inference = torch.is_grad_enabled, torch.is_inference_mode_enabled
_OURS = tuple(each.__path__[0] + os.sep for each in (torch, sys.modules["snntorch"]))
BASES: set[Any] = set()  # code that calls the user's, from which positions count


def context() -> Any:
    """Return under what an operation is to run: whether gradients are on, or more, if there is
    more; None if it cannot be run later."""
    if saved_tensor_hooks(True) is not None:
        return None
    if _inference():
        return None if _any_autocast() else (False, "inference")
    if _any_autocast():
        return (_grad(), *_autocast())
    return _grad()


def _autocast() -> tuple[Any, ...]:
    cpu = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
    return *cpu, torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")


def entered(wanted: Any) -> AbstractContextManager[None]:
    """Run operations as they were recorded."""
    return nullcontext() if wanted == context() else _changed(wanted)


@contextmanager
def _changed(wanted: Any) -> Iterator[None]:
    if isinstance(wanted, tuple) and wanted[-1] == "inference":
        with torch.inference_mode():
            yield
    else:
        grad, *casts = wanted if isinstance(wanted, tuple) else (wanted,)
        cpu, cpu_dtype, cuda, cuda_dtype = casts or (False, None, False, None)
        with (
            torch.inference_mode(False),
            torch.set_grad_enabled(grad),
            torch.autocast("cpu", cpu_dtype or torch.bfloat16, enabled=cpu),
            torch.autocast("cuda", cuda_dtype or torch.float16, enabled=cuda),
        ):
            yield


def user_line() -> tuple[str, int] | None:
    """Return the file and line of the user's code that is running."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def position() -> tuple[Any, ...]:
    """Return the position in the user's code."""
    frame: Any = sys._getframe(2)
    found = []
    while frame is not None and frame.f_code not in BASES:
        found.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(found)
