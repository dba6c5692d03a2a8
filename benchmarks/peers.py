"""The sequence that snnTorch and SpikingJelly can both run: a layer that resets at once."""

from collections.abc import Callable
from importlib.util import find_spec

import torch

TIME, BATCH, NEURONS = 100, 64, 1024


def _snntorch() -> Callable[[torch.Tensor], tuple[torch.Tensor, ...]]:
    import sequence

    import snntorch as snn

    neuron = snn.Leaky(beta=0.9, reset_delay=False)
    return lambda x: sequence.outputs(neuron, x)


def _spikingjelly() -> Callable[[torch.Tensor], tuple[torch.Tensor, ...]]:
    from spikingjelly.activation_based import functional, neuron, surrogate

    layer = neuron.LIFNode(
        tau=10.0,
        decay_input=False,
        v_reset=None,
        surrogate_function=surrogate.ATan(alpha=2.0),
        step_mode="m",
        store_v_seq=True,
    )

    def run(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        functional.reset_net(layer)
        return layer(x), layer.v_seq

    return run


def problem() -> tuple[Callable, torch.Tensor, list[torch.Tensor]]:
    """Return what to run in this environment, its input, and gradients of its outputs."""
    run = _spikingjelly() if find_spec("spikingjelly") else _snntorch()
    generator = torch.Generator().manual_seed(0)
    shape = (TIME, BATCH, NEURONS)
    x, *grads = (torch.randn(shape, generator=generator) for _ in range(3))
    return run, x.requires_grad_(), grads


def lif() -> Callable[[], None]:
    run, x, grads = problem()

    def work() -> None:
        torch.autograd.grad(run(x), x, grads)

    return work
