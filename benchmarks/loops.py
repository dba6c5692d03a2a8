"""Training steps and inference of networks that loop over time in ``forward`` (``patterns.py``).

Each is run in one of three ways: ``compiled``, which is plain where there is no ``snn.compile``;
``plain``; and ``unrolled``, the same network rewritten by hand for ``snn.unroll``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import networks
import patterns
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

import snntorch as snn
from snntorch import functional as SF

Loss = Callable[[Any], torch.Tensor]


def of_all(out: Any) -> torch.Tensor:
    """Return a loss that asks for every output."""
    return sum((leaf.square().mean() for leaf in tree_leaves(out)), torch.zeros(()))


def of_counts(out: tuple[torch.Tensor, ...]) -> torch.Tensor:
    targets = torch.arange(out[0].shape[1]) % patterns.CLASSES
    return nn.functional.cross_entropy(out[0].sum(0), targets)


def of_rates(out: tuple[torch.Tensor, ...]) -> torch.Tensor:
    targets = torch.arange(out[0].shape[1]) % patterns.CLASSES
    return SF.mse_count_loss(correct_rate=0.8, incorrect_rate=0.2)(out[0], targets)


# What is built, the size of its batch, its loss, and how it is compiled.
WORK: dict[str, tuple[Callable[[], nn.Module], int, Loss, dict[str, Any]]] = {
    name: (partial(net, 256, 50), 64, of_all, {}) for name, net in patterns.PATTERNS.items()
}
WORK["accumulator"] = (
    partial(patterns.Accumulator, 256, 50, 0.2),
    64,
    of_all,
    {"exact_random": False},
)
WORK["dense"] = partial(patterns.Static, 1000, networks.TIME, 784), networks.BATCH, of_counts, {}
WORK["quickstart"] = partial(patterns.Quickstart, 16, networks.TIME), networks.BATCH, of_rates, {}
WORK["traces"] = partial(patterns.Traces, 256, 100), 64, of_all, {}


class UnrolledTraces(patterns.Traces):
    """Unrolls layer by layer, since all states of all layers are wanted."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first = snn.unroll(nn.Sequential(self.fc1, self.lif1), x)
        second = snn.unroll(nn.Sequential(self.fc2, self.lif2), first[0])
        return *first, *second, *snn.unroll(nn.Sequential(self.fc3, self.lif3), second[0])


UNROLLED: dict[str, Callable[[], nn.Module]] = {
    "dense": lambda: snn.Unroll(networks.dense(), networks.TIME),
    "quickstart": lambda: snn.Unroll(networks.quickstart(), networks.TIME),
    "traces": partial(UnrolledTraces, 256, 100),
}


def prepared(name: str, way: str) -> tuple[nn.Module, tuple[torch.Tensor, ...], Loss]:
    """Return a network in one of the ways, what it is called with, and its loss."""
    torch.manual_seed(0)
    make, batch, loss, options = WORK[name]
    net = make()
    args = net.inputs(batch)
    if way == "unrolled":
        net = UNROLLED[name]()
    elif way == "compiled" and hasattr(snn, "compile"):
        net = snn.compile(net, **options)
    return net, args, loss


def training(name: str, way: str = "compiled") -> Callable[[], None]:
    net, args, loss = prepared(name, way)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

    def work() -> None:
        optimizer.zero_grad()
        loss(patterns.run(net, *args)).backward()
        optimizer.step()

    return work


def inference(name: str, way: str = "compiled") -> Callable[[], None]:
    net, args, _ = prepared(name, way)
    net.eval()

    @torch.no_grad()
    def work() -> None:
        patterns.run(net, *args)

    return work
