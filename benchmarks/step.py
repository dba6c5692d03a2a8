"""One eager time step, forward and backward, of 128 x 1000 neurons in float32."""

from collections.abc import Callable

import torch

import snntorch as snn

BATCH, NEURONS = 128, 1000


def _step(neuron: torch.nn.Module, states: int) -> Callable[[], None]:
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH, NEURONS)
    leaves = [torch.randn(shape, generator=generator).requires_grad_() for _ in range(1 + states)]
    grad = torch.randn(shape, generator=generator)

    def work() -> None:
        spk, *_, mem = neuron(*leaves)
        torch.autograd.grad([spk, mem], [leaves[0], leaves[-1]], [grad, grad])

    return work


def leaky() -> Callable[[], None]:
    return _step(snn.Leaky(beta=0.9), 1)


def leaky_zero() -> Callable[[], None]:
    return _step(snn.Leaky(beta=0.9, reset_mechanism="zero"), 1)


def leaky_learnable() -> Callable[[], None]:
    return _step(snn.Leaky(beta=torch.rand(NEURONS), learn_beta=True, learn_threshold=True), 1)


def lapicque() -> Callable[[], None]:
    return _step(snn.Lapicque(beta=0.9), 1)


def synaptic() -> Callable[[], None]:
    return _step(snn.Synaptic(alpha=0.9, beta=0.8), 2)


def alpha() -> Callable[[], None]:
    neuron = snn.Alpha(alpha=0.9, beta=0.8)
    generator = torch.Generator().manual_seed(0)
    x, exc, inh, mem = (
        torch.randn(BATCH, NEURONS, generator=generator).requires_grad_() for _ in range(4)
    )
    grad = torch.randn(BATCH, NEURONS, generator=generator)

    def work() -> None:
        # The new membrane does not depend on the old one.
        spk, _, _, new = neuron(x, exc, inh, mem)
        torch.autograd.grad([spk, new], [x, exc], [grad, grad])

    return work


def rleaky() -> Callable[[], None]:
    return _step(snn.RLeaky(beta=0.9, all_to_all=False), 2)


def rsynaptic() -> Callable[[], None]:
    return _step(snn.RSynaptic(alpha=0.9, beta=0.8, all_to_all=False), 3)
