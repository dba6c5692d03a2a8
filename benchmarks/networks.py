"""Training steps and inference of whole networks, 128 samples that are shown for 25 time steps."""

from collections.abc import Callable
from itertools import repeat
from typing import Any

import torch
from torch import nn

import snntorch as snn
from snntorch import functional as SF
from snntorch import surrogate, utils

TIME, BATCH = 25, 128


def outputs(
    net: nn.Module, x: torch.Tensor, num_steps: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Show a batch for some steps, or a sequence; return spikes and membranes ``[T, B, ...]``."""
    if hasattr(snn, "unroll"):
        return snn.unroll(net, x, num_steps)
    utils.reset(net)
    steps = x if num_steps is None else repeat(x, num_steps)
    spikes, membranes = zip(*map(net, steps), strict=True)
    return torch.stack(spikes), torch.stack(membranes)


def quickstart() -> nn.Module:
    """Return the network of the quickstart."""
    neuron: dict[str, Any] = {
        "beta": 0.9,
        "spike_grad": surrogate.fast_sigmoid(),
        "init_hidden": True,
    }
    layers = [nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), snn.Leaky(**neuron)]
    layers += [nn.Conv2d(8, 16, 5), nn.MaxPool2d(2), snn.Leaky(**neuron)]
    layers += [nn.Flatten(), nn.Linear(16 * 4 * 4, 10), snn.Leaky(**neuron, output=True)]
    return nn.Sequential(*layers)


def dense() -> nn.Module:
    """Return a network of two dense layers."""
    hidden = snn.Leaky(beta=0.9, init_hidden=True)
    last = snn.Leaky(beta=0.9, init_hidden=True, output=True)
    return nn.Sequential(nn.Linear(784, 1000), hidden, nn.Linear(1000, 10), last)


def training(
    net: nn.Module, loss_fn: Callable, shape: tuple[int, ...], num_steps: int = TIME
) -> Callable[[], None]:
    """Return a training step with random images of a shape, the batch first."""
    x, targets = torch.rand(shape), torch.randint(10, shape[:1])
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

    def work() -> None:
        spikes, _ = outputs(net, x, num_steps)
        loss = loss_fn(spikes, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return work


def quickstart_training(batch: int = BATCH, num_steps: int = TIME) -> Callable[[], None]:
    torch.manual_seed(0)
    loss_fn = SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)
    return training(quickstart(), loss_fn, (batch, 1, 28, 28), num_steps)


def quickstart_inference() -> Callable[[], None]:
    torch.manual_seed(0)
    net, x = quickstart().eval(), torch.rand(BATCH, 1, 28, 28)

    @torch.no_grad()
    def work() -> None:
        outputs(net, x, TIME)

    return work


def dense_training() -> Callable[[], None]:
    torch.manual_seed(0)

    def loss_fn(spikes: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(spikes.sum(0), targets)

    return training(dense(), loss_fn, (BATCH, 784))
