"""Walk through a network: its layers in order, and its modules with states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from .._checks import check_net
from .._neurons.states import Stateful
from .._torch import touched


def layers(net: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield each layer with its path, taking sequential containers apart."""
    if type(net) is not nn.Sequential or touched(net):
        yield path, net
        return
    for name, child in net._modules.items():  # named_children() leaves out repetitions
        yield from layers(child, f"{path}.{name}" if path else name)


def stateful(net: nn.Module) -> Iterator[Stateful]:
    """Return the modules of a network that have states."""
    check_net(net)
    return (module for module in net.modules() if isinstance(module, Stateful))


States = list[tuple[Stateful, dict[str, Any]]]


def states_of(net: nn.Module) -> States:
    """Return the states of a network, for :func:`restore`."""
    return [(each, dict(each._snn_kept())) for each in stateful(net)]


def restore(kept: States) -> None:
    """Restore the states that :func:`states_of` returned."""
    for module, states in kept:
        module._snn_kept().update(states)


@contextmanager
def undisturbed(net: nn.Module) -> Iterator[None]:
    """Restore states, buffers and random numbers afterwards."""
    states = states_of(net)
    buffers = [
        (part._buffers, name, buffer, buffer.clone())
        for part in net.modules()
        for name, buffer in part._buffers.items()
        if buffer is not None
    ]
    devices = {each.device for each in net.parameters() if each.is_cuda}
    try:
        with torch.random.fork_rng(sorted(devices, key=str)):
            yield
    finally:
        with torch.no_grad():
            for owner, name, buffer, before in buffers:
                owner[name] = buffer.copy_(before)
        restore(states)
