"""The kernels of ``unroll(Leaky)`` alone, on arrays that exist, against copying as many bytes."""

import math
from typing import Any
from unittest import mock

import numpy as np
import torch
from scaling import quartiles

import snntorch as snn
from snntorch._engine import cpu

SHAPES = [(100, 8, 1024), (1000, 64, 1024)]


def runs(shape: tuple[int, ...]) -> list[cpu.Run]:
    """Return both kernels with their arrays, forward and backward."""
    made: list[cpu.Run] = []

    class Kept(cpu.Run):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    x = torch.randn(shape).requires_grad_()
    with mock.patch.object(cpu, "Run", Kept):
        outputs = snn.unroll(snn.Leaky(beta=0.9), x)
        torch.autograd.grad(outputs, x, [torch.randn(shape) for _ in outputs])
    return made


def measure(run: cpu.Run, shape: tuple[int, ...]) -> list[float]:
    """Return the times of a kernel and of a copy of as many bytes."""
    # Arrays of the whole sequence that it reads or writes, each counted once. A copy reads one such
    # array and writes another.
    arguments, _ = run.calls[0]
    arrays = {a.ctypes.data: a for a in arguments if isinstance(a, np.ndarray)}
    steps = shape[0] * sum(a.size == math.prod(shape) for a in arrays.values()) // 2
    source = torch.randn(steps, *shape[1:])
    target = torch.empty_like(source)
    return quartiles(lambda: run.take(0, shape[0]), lambda: target.copy_(source))


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'shape':20}{'kernel':10}{'time':>12}{'copy':>12}{'ratio':>8}")
    for shape in SHAPES:
        times = [measure(run, shape) for run in runs(shape)]
        times.append([sum(pair) for pair in zip(*times, strict=True)])
        for name, (ours, copy) in zip(("forward", "backward", "both"), times, strict=True):
            size = " x ".join(map(str, shape))
            print(
                f"{size:20}{name:10}{ours * 1e3:10.3f}ms{copy * 1e3:10.3f}ms{ours / copy:8.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
