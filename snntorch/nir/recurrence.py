"""Recurrent connections: part of a neuron here, a separate weight in a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._neurons.recurrent import same_padding
from . import layers
from .checks import refusal, run
from .common import Converter, Edges, Shape, ints, spread
from .neurons import kind


def write_weight(neuron: Any, shape: Shape, dt: float, lead: int) -> Any:
    """Return the node of a neuron's recurrent weight."""
    import nir

    if not neuron.all_to_all:
        V = spread(neuron.V, shape)
        return nir.Linear(np.diag(V)) if len(shape) == 1 else nir.Scale(V)
    layer: Any = neuron.recurrent
    if reason := refusal(layer):
        raise NotImplementedError(f"its recurrent layer ({type(layer).__name__}): {reason}")
    cls: Any = kind(layer)
    node = layers.WRITE[cls](layer, shape, dt, lead)
    run(layer, (layer.weight.new_zeros(1, *shape),), {})
    if neuron.conv2d_channels is not None:
        # An even kernel's output is cropped here; "same" pads less instead.
        node.padding = "same"
    return node


def arguments(node: Any) -> dict[str, Any] | None:
    """Return the neuron's arguments for a recurrent weight, or None if no neuron supports it."""
    kind = type(node).__name__
    if kind == "Scale":
        return {"all_to_all": False}
    if kind not in ("Affine", "Linear", "Conv2d") or node.weight.shape[0] != node.weight.shape[1]:
        return None
    out, _, *kernel = node.weight.shape
    if kind != "Conv2d":
        return None if kernel else {"linear_features": out}
    centred = all(size % 2 for size in kernel) and not isinstance(node.padding, str)
    same = centred and ints(node.padding, 2) == same_padding((kernel[0], kernel[1]))
    plain = ints(node.stride, 2) == ints(node.dilation, 2) == (1, 1) and int(node.groups) == 1
    if not plain or not (same or (isinstance(node.padding, str) and node.padding == "same")):
        return None
    return {"conv2d_channels": out, "kernel_size": tuple(kernel)}


def make(cls: Any, kwargs: dict[str, Any], loop: Any, c: Converter) -> Any:
    """Build a neuron with the recurrent weights of a graph."""
    how = None if loop is None else arguments(loop)
    if how is None:
        raise ValueError("there is no recurrent connection")
    was = kwargs.pop("V", None)
    weights = _one_to_one(loop, was is not None)
    if weights is not None:
        V = c.tensor(weights)
        same = was is not None and (was == V).all()
        return cls(all_to_all=False, V=was if same else V, **kwargs)
    neuron = cls(**how, **kwargs)
    layer: Any = layers.READ[type(loop).__name__](loop, c)
    neuron.recurrent.weight, neuron.recurrent.bias = layer.weight, layer.bias
    neuron.recurrent.requires_grad_(neuron.learn_recurrent)
    return neuron


def _one_to_one(loop: Any, was_so: bool) -> np.ndarray | None:
    """Return the weights of a one-to-one recurrent connection, None if it is of another kind."""
    if type(loop).__name__ == "Scale":
        return loop.scale
    if not was_so or type(loop).__name__ != "Linear":
        return None
    diagonal = np.diag(loop.weight)
    return diagonal if (loop.weight == np.diag(diagonal)).all() else None


def loops_of(nodes: dict[str, Any], edges: Edges) -> dict[str, str]:
    """Return for each neuron the one weight that connects it only to itself."""
    loops: dict[str, str] = {}
    for name in (name for name, node in nodes.items() if hasattr(node, "v_threshold")):
        weights = [
            b
            for a, b in edges
            if a == name and (b, name) in edges and sum(b in edge for edge in edges) == 2
        ]
        if len(weights) == 1 and arguments(nodes[weights[0]]):
            loops[name] = weights[0]
    return loops
