"""How the time of ``unroll(Leaky)``, forward and backward, grows with each size of its input.

What is printed is its ratio to that of a fresh copy of the input, measured in the same turn.
"""

import math
import time
from collections.abc import Callable
from multiprocessing import get_context

import torch

import snntorch as snn

SIZES = {
    "T": [(steps, 8, 1024) for steps in (10, 30, 100, 300, 1000, 3000, 10000)],
    "B": [(100, batch, 1024) for batch in (1, 4, 16, 64, 256)],
    "N": [(100, 64, neurons) for neurons in (16, 64, 256, 1024, 4096)],
}


def quartiles(*works: Callable[[], object], seconds: float = 3, turns: int = 7) -> list[float]:
    """Return the lower quartiles of pieces of work that take turns for so many seconds or more."""
    times: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    while sum(map(sum, times)) < seconds or len(times[0]) < turns:
        for work, mine in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            mine.append(time.perf_counter() - start)
    return [sorted(each)[len(each) // 4] for each in times]


def measure(shape: tuple[int, ...]) -> list[float]:
    """Return the times of a pass both ways and of a copy of the input."""
    torch.set_num_threads(1)
    neuron, x = snn.Leaky(beta=0.9), torch.randn(shape)
    leaf, grads = x.clone().requires_grad_(), [torch.randn(shape) for _ in range(2)]
    return quartiles(lambda: torch.autograd.grad(snn.unroll(neuron, leaf), leaf, grads), x.clone)


def main() -> None:
    print(f"{'varied':8}{'shape':>20}{'unroll':>12}{'an update':>12}{'copy':>12}{'ratio':>8}")
    # Each in a separate process: whether memory is fresh depends on what was freed before.
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for varied, shapes in SIZES.items():
            for shape, (ours, copy) in zip(shapes, pool.imap(measure, shapes), strict=True):
                each = ours / math.prod(shape) * 1e9
                print(
                    f"{varied:8}{' x '.join(map(str, shape)):>20}{ours * 1e3:10.3f}ms"
                    f"{each:10.2f}ns{copy * 1e3:10.3f}ms{ours / copy:8.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
