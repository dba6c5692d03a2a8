"""Whole sequences, forward and backward, with all outputs and the gradients of all of them.

Where there is no ``unroll``, the documented loop over time does the same.
"""

from collections.abc import Callable

import torch

import snntorch as snn

TIME, BATCH, NEURONS = 100, 64, 1024


def outputs(neuron: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Run a neuron over time; return its spikes and states, each ``[T, ...]``."""
    if hasattr(snn, "unroll"):
        return snn.unroll(neuron, x)
    states = neuron.reset_mem()
    states = states if isinstance(states, tuple) else (states,)
    steps = []
    for current in x:
        steps.append(neuron(current, *states))
        # With feedback the spikes are a state too.
        states = steps[-1][-len(states) :]
    return tuple(map(torch.stack, zip(*steps, strict=True)))


def _sequence(neuron: torch.nn.Module, neurons: int = NEURONS, time: int = TIME) -> Callable:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(time, BATCH, neurons, generator=generator).requires_grad_()
    leaves = [x, *neuron.parameters()]
    grads = [torch.randn(out.shape, generator=generator) for out in outputs(neuron, x)]

    def work() -> None:
        torch.autograd.grad(outputs(neuron, x), leaves, grads)

    return work


def leaky() -> Callable[[], None]:
    return _sequence(snn.Leaky(beta=0.9))


def leaky_learnable() -> Callable[[], None]:
    beta, threshold = torch.rand(NEURONS), torch.ones(NEURONS)
    return _sequence(
        snn.Leaky(beta=beta, threshold=threshold, learn_beta=True, learn_threshold=True)
    )


def lapicque() -> Callable[[], None]:
    return _sequence(snn.Lapicque(beta=0.9))


def synaptic() -> Callable[[], None]:
    return _sequence(snn.Synaptic(alpha=0.9, beta=0.8))


def alpha() -> Callable[[], None]:
    return _sequence(snn.Alpha(alpha=0.9, beta=0.8))


def rleaky() -> Callable[[], None]:
    return _sequence(snn.RLeaky(beta=0.9, all_to_all=False))


def rleaky_dense() -> Callable[[], None]:
    return _sequence(snn.RLeaky(beta=0.9, linear_features=256), neurons=256)


def slstm() -> Callable[[], None]:
    return _sequence(snn.SLSTM(256, 256), neurons=256, time=50)
