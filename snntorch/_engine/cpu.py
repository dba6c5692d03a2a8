"""The Numba backend: whole sequences on the CPU in one compiled pass each way."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._torch import constant
from ..dynamics import LEAKY, Dynamics
from ..dynamics import REGISTERED as DYNAMICS
from . import fused, store
from .kernels import Spec, Task, arrays
from .numba_source import TOTAL, source
from .problem import Problem, Solution
from .writer import NUMBA

NAME, DEVICES = "numba", ("cpu",)

# A run is cut into at most so many parts, of at least so many updates.
PARTS, TASK = 8, 32_768
# Neurons that a kernel takes through time together: the more, the longer the stretches of memory
# that it reads and writes; yet their states are to stay in the cache, and every thread wants some.
LEAST, MOST = 8192, 16_384


def refuses(problem: Problem) -> str | None:
    """Return why this backend cannot solve a problem, or None if it can."""
    if (reason := fused.refuses(problem)) is not None:
        return reason
    x, tensors = problem.x, fused.tensors_of(problem)
    if any(tensor.device.type not in DEVICES for tensor in tensors):
        return f"tensors are on {x.device}"
    if x.dtype not in (torch.float32, torch.float64):
        return f"{x.dtype} is not compiled"
    if any(t.dtype != x.dtype for t in tensors if t.dim()):
        return "parameters or states have another dtype than the input"
    if problem.dynamics is None:
        return None
    return _unusable(problem.dynamics.key)


@constant
def _unusable(dynamics: str) -> str | None:
    return unavailable() or _underivable(DYNAMICS[dynamics])


@cache
def _underivable(dynamics: Dynamics) -> str | None:
    """Return why no kernel can be made from a step, or None if one can."""
    try:
        source(Spec("float32", dynamics, frozenset()), False, cache=False)
    except Exception as error:
        return f"its step cannot be compiled ({error})"
    return None


@cache
def unavailable() -> str | None:
    """Try Numba on a small kernel; return why it cannot be used, and warn once."""
    try:
        spec = Spec("float32", LEAKY.dynamics("none", True), frozenset())
        _kernel(spec, False)(
            *(np.zeros(1, np.float32), 0) * 2, *[np.zeros(1, np.float32)] * 5, 0, 1, 1, 1, 0, 1
        )
    except Exception as error:
        reason = f"Numba cannot be used here ({type(error).__name__}: {error})"
        warnings.warn(
            f"{reason}; whole sequences run on the slower reference backend. Installing a fitting "
            "numba makes them fast; so does SNNTORCH_BACKEND=torch.compile, after some seconds of "
            "compilation; SNNTORCH_BACKEND=reference silences this warning.",
            stacklevel=2,
        )
        return reason
    return None


def solve(problem: Problem) -> Solution:
    """Run a layer's sequence in one fused pass."""
    return fused.solve(problem, Run)


@cache
def _row(shape: torch.Size, depth: int) -> torch.Size:
    """Return the shape over which parameters with values in the last dimensions are laid out: a
    few samples, which a kernel can take together, or all of them."""
    neurons = shape[len(shape) - depth :]
    samples, size = shape.numel() // neurons.numel(), neurons.numel()
    together = next((n for n in range(MOST // size, 0, -1) if samples % n == 0), 1)
    return shape if together * size < 256 else torch.Size((together, *neurons))


# Running kernels -----------------------------------------------------------------------------


class Run:
    """A kernel with its arrays, ready to take time steps."""

    language = NUMBA

    @staticmethod
    def laid_out(
        parameter: Tensor, depth: int, shape: torch.Size, order: list[int] | None
    ) -> Tensor:
        """Return a parameter's values side by side: for as many neurons as repeat over a layer.

        :param depth: in how many dimensions, the last ones, any parameter has several values
        :param shape: that of the states
        :param order: the order of its dimensions in memory, None for their own
        """
        shape = _row(shape, depth) if order is None else shape
        return fused.in_order(parameter.expand(shape), order).reshape(-1)

    def __init__(self, task: Task) -> None:
        spec, backward, timed, before, kept, initial, parameters, slope, at_once = task
        self.kernel = _kernel(spec, backward)
        kinds = arrays(spec, backward)
        size = next(iter(kept.values())).numel()
        head: list[Any] = []
        for name in kinds["timed"]:
            head += _flat(timed[name], size)
        for name in kinds["before"]:
            head += [*_flat(timed[name], size), before[name].numpy().reshape(-1)]
        for name in kinds["kept"]:
            head += [each.numpy().reshape(-1) for each in (kept[name], initial[name])]
        number = getattr(np, spec.dtype)
        tail = [parameter.numpy() for parameter in parameters] + [number(q) for q in slope]
        vectors = [p.numel() for p in parameters if p.numel() > 1]
        neurons = max(vectors, default=size)
        lengths = [neurons if n[4:] in spec.vectors else 1 for n in kinds["sums"]]
        parts = _parts(neurons, size // neurons, at_once)
        self.sums = [[np.zeros(length, number) for length in lengths] for _ in parts]
        self.calls = [
            ((*head, *sums, *tail), part) for sums, part in zip(self.sums, parts, strict=True)
        ]

    def take(self, begin: int, steps: int) -> None:
        """Take the steps from ``begin`` on, forward or backward."""
        run_all(self.kernel, [(*arrays, begin, steps, *part) for arrays, part in self.calls])

    def summed(self) -> list[Tensor]:
        """Return the sums of gradients over time and batch."""
        return [torch.from_numpy(np.sum(each, 0)) for each in zip(*self.sums, strict=True)]


@cache
def _parts(neurons: int, rows: int, at_once: int) -> list[tuple[int, int, int, int]]:
    """Cut a run into parts, each with separate sums, by the problem alone: so its results do not
    depend on the number of threads."""
    chunk = min(MOST, max(LEAST, rows * neurons // 4))
    units = rows * -(-neurons // chunk)
    parts = max(1, min(PARTS, units, at_once * rows * neurons // TASK))
    edges = [units * i // parts for i in range(parts + 1)]
    return [(neurons, chunk, *edge) for edge in pairwise(edges)]


def run_all(kernel: Callable[..., None], calls: Sequence[tuple[Any, ...]]) -> None:
    """Call a kernel with each of some arguments, in as many threads as PyTorch may use."""
    threads = min(len(calls), torch.get_num_threads())
    if threads == 1:
        _run(kernel, calls)
        return
    shares = [calls[i::threads] for i in range(threads)]
    waiting = [_pool(threads - 1).submit(_run, kernel, each) for each in shares[1:]]
    _run(kernel, shares[0])
    for each in waiting:
        each.result()


def _run(kernel: Callable[..., None], calls: Sequence[tuple[Any, ...]]) -> None:
    for call in calls:
        kernel(*call)


def _flat(tensor: Tensor, size: int) -> tuple[np.ndarray, int]:
    """Return a tensor's memory as a flat array, and its stride in time."""
    if tensor.numel() == size:
        return tensor.reshape(-1).numpy(), 0
    if tensor.is_contiguous():
        return tensor.numpy().reshape(-1), size
    if not tensor[0].is_contiguous():
        tensor = (
            tensor[:1].contiguous().expand_as(tensor)
            if not tensor.stride(0)
            else tensor.contiguous()
        )
    stride = tensor.stride(0)
    extent = (len(tensor) - 1) * stride + size
    return tensor.as_strided((extent,), (1,)).numpy(), stride


_pools: dict[int, ThreadPoolExecutor] = {}


def _pool(threads: int) -> ThreadPoolExecutor:
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, "snntorch")
    return _pools[threads]


# Compiling -----------------------------------------------------------------------------------

_lock = threading.Lock()
_kernels: dict[tuple[Spec, bool], Callable[..., None]] = {}


def _kernel(spec: Spec, backward: bool) -> Callable[..., None]:
    kernel = _kernels.get((spec, backward))
    if kernel is not None:
        return kernel
    with _lock:
        if (spec, backward) not in _kernels:
            text = partial(source, spec, backward)
            sums = bool(arrays(spec, backward)["sums"])
            _kernels[spec, backward] = compiled("scan", text, **_sums() if sums else {})["scan"]
        return _kernels[spec, backward]


def _begin_anew() -> None:
    """In a child process: it has the pool without its threads, and the lock of a thread that may
    have held it."""
    global _lock
    _pools.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


@cache
def _sums() -> dict[str, Any]:
    return {"total": compiled("total", TOTAL.format)["total"]}


def compiled(kind: str, source: Callable[..., str], **given: Any) -> dict[str, Any]:
    """Return what a text defines, from the user's cache, or compiled for this process only.

    :param source: returns the text, for a ``cache`` of Numba's or for none
    :param given: what else the text calls
    """
    import numba

    text = source(cache=True)
    callees = [each.__module__ for each in given.values()]  # which are named after their texts
    versions = f"{numba.__version__} {np.__version__} {sys.version} {callees}"
    name = f"{kind}_{hashlib.sha256((versions + text).encode()).hexdigest()[:24]}"
    try:
        path = store.folder() / f"{name}.py"
        if not path.exists():
            store.write(path, text)
        module_spec = importlib.util.spec_from_file_location(f"snntorch_{name}", path)
        assert module_spec and module_spec.loader
        module = importlib.util.module_from_spec(module_spec)
        vars(module).update(given)
        # Numba finds the functions of a kernel by the name of their module.
        sys.modules[module_spec.name] = module
        module_spec.loader.exec_module(module)
        return vars(module)
    except (OSError, RuntimeError):
        space = dict(given)
        exec(compile(source(cache=False), f"<{name}>", "exec"), space)
        return space
