"""Record calls of common layers and of neurons without PyTorch's way through ``nn.Module``.

While a network is recorded, ``nn.Module`` calls what this puts where ``torch.compile`` puts a
compiled ``forward``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from .._neurons.states import is_ours
from .._torch import mode_at, modes
from .context import context
from .lazy import Lazy, Site

_grad_is_on = torch.is_grad_enabled

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
        self.last: list[list[Any]] = []  # what the calls remember
        self.found: list[tuple[dict[str, Any], str]] = []  # attributes that were added

    def open(self, recorder: Any, networks: Sequence[nn.Module]) -> None:
        """Record calls of the layers of some networks directly."""
        for net in networks:
            for layer in net.modules():
                if layer.__class__ in _LAYERS:
                    self.last.append([])
                    self.add(layer, _layer_call(recorder, layer, self.last[-1]))
                elif layer._modules:
                    self.find(layer)

    def find(self, module: Any) -> None:
        """Let Python find the parts of a module without ``nn.Module.__getattr__``; whoever assigns
        another part takes it out again."""
        cls, attributes = type(module), module.__dict__
        if cls.__getattr__ is not nn.Module.__getattr__:
            return
        for name, part in module._modules.items():
            if name not in attributes and not hasattr(cls, name):
                attributes[name] = part
                self.found.append((attributes, name))

    def open_neuron(self, recorder: Any, neuron: nn.Module, record: Callable[..., Any]) -> None:
        """Record calls of a neuron directly, if its ``forward`` only passes on what it takes.

        :param record: records a step, or returns None where it cannot
        """
        if is_ours(type(neuron).forward) and "forward" not in neuron.__dict__:
            self.add(neuron, _neuron_call(recorder, neuron, record))

    def add(self, layer: Any, call: Callable[..., Any]) -> None:
        if layer._compiled_call_impl is None:
            layer.__dict__["_compiled_call_impl"] = call
            self.layers.append(layer)

    def close(self) -> None:
        """Let the layers be called as ever."""
        for layer in self.layers:
            layer.__dict__.pop("_compiled_call_impl", None)
        for attributes, name in self.found:
            attributes.pop(name, None)
        for each in (*self.last, self.last, self.layers, self.found):
            each.clear()


def _is_direct(recorder: Any, attributes: dict[str, Any]) -> Any:
    """Tell whether a recorder sees the operations of this thread, and nothing before it.

    :param attributes: those of the layer that is called
    """
    place = modes()
    return (
        place
        and mode_at(place - 1) is recorder
        and not recorder.running
        and not attributes["_forward_hooks"]
        and not attributes["_forward_pre_hooks"]
        and not attributes["_backward_hooks"]
        and not attributes["_backward_pre_hooks"]
    )


def _layer_call(recorder: Any, layer: Any, last: list[Any]) -> Callable[..., Any]:
    """Return what calls of a layer come to.

    :param last: how the last call was recorded, and with what: its site; the site and the output
        that the input comes from; the other inputs; of all parameters and buffers, those that are
        inputs; the attributes; whether an input other than the first has a gradient
    """
    attributes, leaf_of = layer.__dict__, recorder.leaves.get

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != 1 or not _is_direct(recorder, attributes):
            return layer._call_impl(*args, **kwargs)
        (x,) = args
        if x.__class__ is Lazy:
            node, output = x._node, x._index
        else:
            node, output = recorder.known_leaf(x), 0
        parameters, buffers = attributes["_parameters"], attributes["_buffers"]
        tensors = list(map(leaf_of, map(id, parameters.values())))
        if buffers:
            tensors += map(leaf_of, map(id, buffers.values()))
        values = list(attributes.values())
        if last and node is not None:
            site, source, place, others, old_tensors, old_values, learns = last
            if (
                node.site is source
                and output == place
                and tensors == old_tensors
                and values == old_values
                and context() == site.context
                and (site.kind != "effect" or _counts(recorder, layer, site))
            ):
                grad = (node.grad or learns) and site.differentiable and _grad_is_on()
                made = recorder.add(site, [(node, output), *others], grad)
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
                learns = any(each.grad for each, _ in others)
                last[:] = made.site, node.site, output, others, tensors, values, learns
        return out

    return call


def _counts(recorder: Any, layer: Any, site: Site) -> bool:
    """Count a call of a normalization that updates its statistics; False if others changed or may
    have read them since its last call."""
    buffers = layer._buffers
    count = buffers["num_batches_tracked"]
    statistics = buffers["running_mean"], buffers["running_var"]
    if id(count) in recorder.leaves or any(
        recorder.written.get(id(each)) is not site for each in statistics
    ):
        return False
    if count is not None:
        with torch._C.DisableTorchFunction():
            count.add_(1)
    return True


def _neuron_call(recorder: Any, neuron: Any, record: Callable[..., Any]) -> Callable[..., Any]:
    attributes = neuron.__dict__

    def call(*args: Any, **kwargs: Any) -> Any:
        if args and not kwargs and _is_direct(recorder, attributes):
            out = record(args[0], args[1:])
            if out is not None:
                return out
        return neuron._call_impl(*args, **kwargs)

    return call
