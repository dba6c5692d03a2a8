"""Training steps and inference of networks that loop over time in ``forward`` (``patterns.py``).

Each is run in one of three ways: ``compiled``, which is plain where there is no ``snn.compile``;
``plain``; and ``unrolled``, the same network rewritten by hand for ``snn.unroll``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

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


class Work(NamedTuple):
    make: Callable[[int], nn.Module]  # from the number of steps
    time: int = 50
    batch: int = 64
    loss: Loss = of_all
    options: dict[str, Any] = {}  # noqa: RUF012


def of_width(net: Callable[..., nn.Module], width: int, **sizes: Any) -> Callable[[int], nn.Module]:
    return lambda time: net(width, time, **sizes)


WORK = {name: Work(of_width(net, 256)) for name, net in patterns.PATTERNS.items()}
WORK["traces"] = WORK["traces"]._replace(time=100)
WORK["accumulator"] = Work(
    of_width(patterns.Accumulator, 256, dropout=0.2), options={"exact_random": False}
)
WORK["dense"] = Work(
    of_width(patterns.Static, 1000, features=784), networks.TIME, networks.BATCH, of_counts
)
WORK["quickstart"] = Work(
    of_width(patterns.Quickstart, 16), networks.TIME, networks.BATCH, of_rates
)


class UnrolledTraces(patterns.Traces):
    """Unrolls layer by layer, since all states of all layers are wanted."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first = snn.unroll(nn.Sequential(self.fc1, self.lif1), x)
        second = snn.unroll(nn.Sequential(self.fc2, self.lif2), first[0])
        return *first, *second, *snn.unroll(nn.Sequential(self.fc3, self.lif3), second[0])


UNROLLED: dict[str, Callable[[int], nn.Module]] = {
    "dense": lambda time: snn.Unroll(networks.dense(), time),
    "quickstart": lambda time: snn.Unroll(networks.quickstart(), time),
    "traces": of_width(UnrolledTraces, 256),
}


def prepared(
    name: str, way: str, time: int | str | None
) -> tuple[nn.Module, tuple[torch.Tensor, ...], Loss]:
    """Return a network in one of the ways, what it is called with, and its loss."""
    torch.manual_seed(0)
    work = WORK[name]
    time = int(time or work.time)
    net = work.make(time)
    args = net.inputs(work.batch)
    if way == "unrolled":
        net = UNROLLED[name](time)
    elif way == "compiled" and hasattr(snn, "compile"):
        net = snn.compile(net, **work.options)
    return net, args, work.loss


def training(name: str, way: str = "compiled", time: int | str | None = None) -> Callable[[], None]:
    net, args, loss = prepared(name, way, time)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)

    def work() -> None:
        optimizer.zero_grad()
        loss(patterns.run(net, *args)).backward()
        optimizer.step()

    return work


def inference(
    name: str, way: str = "compiled", time: int | str | None = None
) -> Callable[[], None]:
    net, args, _ = prepared(name, way, time)
    net.eval()

    @torch.no_grad()
    def work() -> None:
        patterns.run(net, *args)

    return work
