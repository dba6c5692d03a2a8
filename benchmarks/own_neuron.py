"""Neurons of users against those of the library: whole sequences, forward and backward."""

from collections.abc import Callable
from typing import Any

import torch
from scaling import quartiles

import snntorch as snn

SHAPE = (100, 64, 1024)


class ALIF(snn.Neuron):
    states = ("mem", "adaptation")

    def __init__(self, beta: float, rho: float, gain: float, **options: Any) -> None:
        super().__init__(**options)
        self.parameter("beta", beta)
        self.parameter("rho", rho)
        self.parameter("gain", gain)

    @staticmethod
    def step(
        x: Any, mem: Any, adaptation: Any, beta: Any, rho: Any, gain: Any,
        threshold: Any, spike: Any, fired: Any,
    ) -> tuple[Any, ...]:  # fmt: skip
        reset = fired(mem - threshold - gain * adaptation)
        adaptation = rho * adaptation + (1 - rho) * reset
        mem = beta * mem + x - reset * threshold
        return spike(mem - threshold - gain * adaptation), mem, adaptation


class Mine(snn.Leaky):
    pass


def work(neuron: torch.nn.Module) -> Callable[[], None]:
    x = torch.randn(SHAPE).requires_grad_()
    grads = torch.randn(3, *SHAPE)

    def run() -> None:
        outs = snn.unroll(neuron, x)
        torch.autograd.grad(outs, x, list(grads[: len(outs)]))

    run()
    return run


PAIRS = {
    "adaptive LIF of a user / Synaptic": (ALIF(0.9, 0.95, 0.2), snn.Synaptic(0.9, 0.8)),
    "subclass of Leaky / Leaky": (Mine(0.9), snn.Leaky(0.9)),
}


def main() -> None:
    torch.set_num_threads(1)
    for name, pair in PAIRS.items():
        a, b = quartiles(*map(work, pair))
        print(f"{name:36}{a * 1e3:8.2f}ms{b * 1e3:8.2f}ms{a / b:8.2f}", flush=True)


if __name__ == "__main__":
    main()
