"""The Triton backend: whole sequences on CUDA devices in one kernel each way."""

from __future__ import annotations

import hashlib
import linecache
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._torch import constant, is_compiling
from ..dynamics import LEAKY
from . import fused
from .kernels import Spec, Task, arrays, reads, whole, writes
from .problem import Problem, Solution
from .triton_source import source
from .writer import TRITON

NAME, DEVICES = "triton", ("cuda",)

# One warp loads four bytes in each of its threads at once, of several steps ahead.
WARPS, STAGES = 4, 4


def interpreted() -> bool:
    """Tell whether Triton's interpreter runs kernels, on the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def refuses(problem: Problem, quiet: bool = False) -> str | None:
    """Return why this backend cannot solve a problem, or None if it can.

    :param quiet: do not warn where Triton or its compiler fails
    """
    if (reason := fused.refuses(problem)) is not None:
        return reason
    x = problem.x
    if x.device.type not in DEVICES and not (x.device.type == "cpu" and interpreted()):
        return f"tensors are on {x.device}; Triton takes CUDA, or the CPU under TRITON_INTERPRET=1"
    if (reason := fused.refuses_mixed(problem)) is not None:
        return reason
    if problem.dynamics is None:
        return None
    if is_compiling():
        return _unusable_by_name(x.device, x.dtype, *fused.names_of(problem))
    return _unusable(x.device, fused.spec_of(problem, TRITON), quiet)


@constant
def _unusable_by_name(device: torch.device, dtype: torch.dtype, *names: Any) -> str | None:
    return _unusable(device, fused.spec_by_name(TRITON, dtype, *names))


def _unusable(device: torch.device, spec: Spec, quiet: bool = False) -> str | None:
    if reason := _unavailable(device, interpreted()):
        advice = "Installing a fitting triton and driver makes them fast"
    elif (reason := _underivable(spec)) or interpreted():
        return reason
    elif reason := _uncompilable(spec, device):
        advice = "Please report the neuron"
    if reason and not quiet:
        fused.warn(reason, advice)
    return reason


@cache
def _unavailable(device: torch.device, interpreted: bool) -> str | None:
    """Try Triton on a small kernel; return why it cannot be used."""
    spec = Spec("float32", LEAKY.dynamics("none", True), frozenset(), language=TRITON)
    error = _failure(spec, device)
    return error and f"Triton cannot be used here ({error})"


@cache
def _underivable(spec: Spec) -> str | None:
    """Return why no kernel can be made from a step, or None if one can."""
    try:
        for back in (False, True):
            source(whole(spec, back), back, 1)
    except Exception as error:
        return f"its step cannot be compiled ({error})"
    return None


@cache
def _uncompilable(spec: Spec, device: torch.device) -> str | None:
    """Try the kernels of a step; return why the compiler fails."""
    error = _failure(spec, device)
    return error and f"Triton fails to compile its step ({error})"


def _failure(spec: Spec, device: torch.device) -> str | None:
    """Run both kernels of a step for one neuron; return the error, if there is one."""
    # In a separate thread, where no tracer makes the tensors fake ones.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_run_once, spec, device).result()


def _run_once(spec: Spec, device: torch.device) -> str | None:
    number = torch.zeros(1, dtype=getattr(torch, spec.dtype), device=device)
    try:
        for back in (False, True):
            tried = whole(spec, back)
            kinds = arrays(tried, back)
            timed = {name: number.clone()[None] for name in (*kinds["timed"], *kinds["before"])}
            before, kept = ({n: number.clone() for n in kinds[kind]} for kind in ("before", "kept"))
            parameters = [number] * len(spec.dynamics.parameters)
            slope = (1.0,) * spec.count if back else ()
            task = Task(tried, back, timed, before, kept, kept, parameters, slope, 1)
            Run(task).take(0, 1)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def solve(problem: Problem) -> Solution:
    """Run a layer's sequence in one kernel each way."""
    return fused.solve(problem, Run)


class Run:
    """A kernel with its arrays, ready to take time steps."""

    language = TRITON

    @staticmethod
    def laid_out(
        parameter: Tensor, depth: int, shape: torch.Size, order: list[int] | None
    ) -> Tensor:
        """Return a parameter that has a value for each neuron, without copying it."""
        return fused.in_order(parameter.expand(shape), order)

    def __init__(self, task: Task) -> None:
        spec, backward, timed, before, kept, initial, parameters, slope, _ = task
        (timed_in, others), (timed_out, results) = reads(spec, backward), writes(spec, backward)
        like = next(iter(kept.values()))
        shape = like.shape
        named = dict(zip(spec.dynamics.parameters, parameters, strict=True))
        self.sums = {
            f"sum_{p}": torch.zeros(shape, dtype=getattr(torch, spec.dtype), device=like.device)
            for p in spec.learns
            if backward
        }
        self.vectors = {f"sum_{p}" for p in spec.vectors}
        every = {**timed, **kept, **self.sums}
        every |= {f"first_{name}": each for name, each in {**before, **initial}.items()}
        every |= {f"p_{name}": each for name, each in named.items()}
        strides, times = {}, {}
        for name in (*timed_in, *others):
            strides[name] = every[name].stride()[every[name].dim() - len(shape) :]
        for name in (*timed_in, *timed_out):
            times[name] = every[name].stride(0) if every[name].dim() > len(shape) else 0
        sizes, merged = _merged(tuple(shape), tuple(strides.values()))
        self.kernel = _kernel(spec, backward, len(sizes), interpreted())
        arguments: list[Any] = []
        for name in (*timed_in, *timed_out):
            arguments += [every[name], times[name]]
        arguments += [every[name] for name in (*others, *results)]
        arguments += [stride for each in merged for stride in each]
        arguments += sizes[1:]
        arguments += [p for name, p in named.items() if name not in spec.vectors]
        arguments += slope
        self.total = shape.numel()
        self.arguments = (*arguments, self.total)
        self.device = like.device
        narrowest = min(every[name].element_size() for name in (*timed_in, *timed_out))
        self.size = 32 * WARPS * max(1, 4 // narrowest)

    def take(self, begin: int, steps: int) -> None:
        """Take the steps from ``begin`` on, forward or backward."""
        with _on(self.device):
            self.kernel[(-(-self.total // self.size),)](
                *self.arguments,
                begin,
                steps,
                SIZE=self.size,
                STAGES=STAGES,
                num_warps=WARPS,
                # A product and a sum in one operation would round otherwise than PyTorch.
                enable_fp_fusion=False,
            )

    def summed(self) -> list[Tensor]:
        """Return the sums of gradients over time and, for parameters that have one value, over all
        neurons; in an order that does not change from run to run."""
        return [
            each if name in self.vectors else each.sum().reshape(1)
            for name, each in self.sums.items()
        ]


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """Make a device the one that kernels run on."""
    if device.type == "cpu":  # the interpreter computes for neurons that are not there too
        return np.errstate(all="ignore")
    if device.index == torch.cuda.current_device():  # as in most calls
        return nullcontext()
    return torch.cuda.device(device)


@cache
def _merged(
    shape: tuple[int, ...], strides: tuple[tuple[int, ...], ...]
) -> tuple[list[int], list[list[int]]]:
    """Merge neighboring dimensions that are one in memory in all arrays.

    :returns: the sizes that are left, and the strides of each array
    """
    sizes: list[int] = []
    merged: list[list[int]] = [[] for _ in strides]
    for d, size in enumerate(shape):
        if size == 1:
            continue
        if sizes and all(
            left[-1] == each[d] * size for left, each in zip(merged, strides, strict=True)
        ):
            sizes[-1] *= size
            for left, each in zip(merged, strides, strict=True):
                left[-1] = each[d]
        else:
            sizes.append(size)
            for left, each in zip(merged, strides, strict=True):
                left.append(each[d])
    return (sizes, merged) if sizes else ([1], [[1] for _ in strides])


_lock = threading.Lock()
_kernels: dict[tuple[Any, ...], Callable[..., None]] = {}


def _kernel(spec: Spec, backward: bool, rank: int, interpreted: bool) -> Any:
    with _lock:
        key = spec, backward, rank, interpreted
        if key not in _kernels:
            _kernels[key] = load(source(*key))
        return _kernels[key]


def load(text: str) -> Any:
    """Return the kernel of a text."""
    # Triton reads the text of a function again; there is no file that it could be in.
    name = f"<snntorch kernel {hashlib.sha256(text.encode()).hexdigest()[:24]}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    space: dict[str, Any] = {"__name__": "snntorch_kernel"}
    exec(compile(text, name, "exec"), space)
    return space["scan"]
