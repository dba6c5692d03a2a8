"""Record calls of common layers and of neurons without PyTorch's way through ``nn.Module``.

While a network is recorded, ``nn.Module`` calls what this puts where ``torch.compile`` puts a
compiled ``forward``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn

from .._neurons.states import is_ours
from .._torch import mode_at, modes
from .context import context
from .lazy import Lazy, Node, Site

# They call one function, with nothing but the input, their parameters, buffers and attributes.
_LAYERS = frozenset(
    (
        *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Flatten, nn.Dropout),
        *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
        *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    )
)


class Shortcuts:
    """What the calls of a network's layers come to during a recording."""

    def __init__(self) -> None:
        self.layers: list[nn.Module] = []
        self.last: dict[nn.Module, _Call] = {}

    def open(self, recorder: Any, networks: Sequence[nn.Module]) -> None:
        """Record calls of the layers of some networks directly."""
        for net in networks:
            for layer in net.modules():
                if layer.__class__ in _LAYERS:
                    self.add(layer, partial(_call_layer, recorder, layer))

    def open_neuron(self, recorder: Any, neuron: nn.Module, record: Callable[..., Any]) -> None:
        """Record calls of a neuron directly, if its ``forward`` only passes on what it takes.

        :param record: records a step, or returns None where it cannot
        """
        if is_ours(type(neuron).forward) and "forward" not in neuron.__dict__:
            self.add(neuron, partial(_call_neuron, recorder, record, neuron))

    def add(self, layer: Any, call: Callable[..., Any]) -> None:
        if layer._compiled_call_impl is None:
            layer.__dict__["_compiled_call_impl"] = call
            self.layers.append(layer)

    def close(self) -> None:
        """Let the layers be called as ever."""
        for layer in self.layers:
            layer.__dict__.pop("_compiled_call_impl", None)
        self.layers.clear()
        self.last.clear()


class _Call(NamedTuple):
    """How the last call of a layer was recorded, and with what."""

    site: Site
    source: tuple[Site, int]
    others: list[tuple[Node, int]]
    tensors: list[Node | None]
    """Of all parameters and buffers, those that are inputs."""
    attributes: list[Any]
    learns: bool


def _is_direct(recorder: Any, layer: Any) -> Any:
    """Tell whether a recorder sees the operations of this thread, and nothing before it."""
    place, attributes = modes(), layer.__dict__
    return (
        place
        and mode_at(place - 1) is recorder
        and not recorder.running
        and not attributes["_forward_hooks"]
        and not attributes["_forward_pre_hooks"]
        and not attributes["_backward_hooks"]
        and not attributes["_backward_pre_hooks"]
    )


def _call_layer(recorder: Any, layer: Any, *args: Any, **kwargs: Any) -> Any:
    if kwargs or len(args) != 1 or not _is_direct(recorder, layer):
        return layer._call_impl(*args, **kwargs)
    (x,) = args
    if x.__class__ is Lazy:
        node, output = x._node, x._index
    else:
        node, output = recorder.known_leaf(x), 0
    leaves, buffers = recorder.leaves, layer._buffers
    tensors = [leaves.get(id(each)) for each in layer._parameters.values()]
    if buffers:
        tensors += [leaves.get(id(each)) for each in buffers.values()]
    attributes = list(layer.__dict__.values())
    last = recorder.shortcuts.last.get(layer)
    if (
        last is not None
        and node is not None
        and last.source == (node.site, output)
        and last.tensors == tensors
        and last.attributes == attributes
        and last.site.context == context()
        and (last.site.kind != "effect" or _counts(recorder, layer, last))
    ):
        site = last.site
        grad = (node.grad or last.learns) and site.differentiable and torch.is_grad_enabled()
        made = recorder.add(site, [(node, output), *last.others], grad)
        if site.kind == "effect":
            recorder.effects.append(made)
        return recorder.out(made)
    number = recorder.number
    out = layer._call_impl(x)
    if node is not None and out.__class__ is Lazy and out._node.number == number:
        made = out._node
        first, *others = made.inputs
        if (
            recorder.number == number + 1
            and out is not x  # which a function in place returns
            and made.site.container is None
            and first == (node, output)
            and all(each in tensors for each, _ in others)
            and getattr(layer, "momentum", 0) is not None  # else it is another one each time
        ):
            recorder.shortcuts.last[layer] = _Call(
                made.site,
                (node.site, output),
                others,
                tensors,
                attributes,
                any(each.grad for each, _ in others),
            )
    return out


def _counts(recorder: Any, layer: Any, last: _Call) -> bool:
    """Count a call of a normalization that updates its statistics; False if others changed or may
    have read them since its last call."""
    buffers = layer._buffers
    count = buffers["num_batches_tracked"]
    statistics = buffers["running_mean"], buffers["running_var"]
    if id(count) in recorder.leaves or any(
        recorder.written.get(id(each)) is not last.site for each in statistics
    ):
        return False
    if count is not None:
        with torch._C.DisableTorchFunction():
            count.add_(1)
    return True


def _call_neuron(
    recorder: Any, record: Callable[..., Any], neuron: Any, *args: Any, **kwargs: Any
) -> Any:
    if args and not kwargs and _is_direct(recorder, neuron):
        out = record(args[0], args[1:])
        if out is not None:
            return out
    return neuron._call_impl(*args, **kwargs)
