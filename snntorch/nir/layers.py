"""Non-neuron layers: for each, a function that writes it as a node and one that reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._layers.scale import Scale
from .._neurons.states import Stateful
from .common import KEY, Converter, Shape, array, ints, own_metadata, spread


class Delay(Stateful):
    r"""Delay by some steps, :math:`Y[t] = X[t - d]`, with zeros before the first.

    :param steps: :math:`d`, a tensor of non-negative integers that broadcasts to one sample
    """

    states = ("past",)

    steps: Tensor

    def __init__(self, steps: Tensor) -> None:
        super().__init__()
        self.register_buffer("steps", steps.long())
        self.length = int(steps.max())
        self._snn_begin()

    def _initial_state(self, *sizes: int) -> Tensor:
        return torch.zeros(sizes, device=self.steps.device)

    def forward(self, x: Tensor) -> Tensor:
        """Store an input, and return an earlier one.

        :param x: input ``[B, ...]`` of one time step
        :returns: the input of :math:`d` steps ago, of the same shape
        """
        past = self._snn_newest("past")
        if past is None:
            past = x.new_zeros(self.length, *x.shape)
        past = torch.cat([x[None], past])
        self._snn_remember((past[:-1],))
        return past.gather(0, self.steps.expand(1, *x.shape))[0]

    def extra_repr(self) -> str:
        """Return the number of steps as ``print(net)`` shows it."""
        return f"steps={self.steps.unique().tolist()}"


def _write_linear(layer: nn.Linear, shape: Shape, dt: float, lead: int) -> Any:
    import nir

    if layer.bias is None:
        return nir.Linear(array(layer.weight))
    return nir.Affine(array(layer.weight), array(layer.bias))


def _read_linear(node: Any, c: Converter) -> nn.Module:
    if node.weight.ndim != 2:
        raise NotImplementedError(f"a weight of shape {node.weight.shape}; it must be a matrix")
    out, in_ = node.weight.shape
    layer = nn.Linear(in_, out, device="meta")
    return c.layer(layer, node.weight, getattr(node, "bias", None))


def _write_conv(layer: Any, shape: Shape, dt: float, lead: int) -> Any:
    import nir

    if layer.padding_mode != "zeros":
        raise NotImplementedError(f"padding_mode={layer.padding_mode!r} has no counterpart in NIR")
    sizes: list[Any] = [layer.stride, layer.padding, layer.dilation]
    kind: Any = nir.Conv2d
    size: Any = shape[1:]
    if isinstance(layer, nn.Conv1d):
        kind, size = nir.Conv1d, shape[1]
        sizes = [value if isinstance(value, str) else value[0] for value in sizes]
    if layer.bias is not None:
        return kind(size, array(layer.weight), *sizes, layer.groups, array(layer.bias))
    bias, own = array(layer.weight.new_zeros(layer.out_channels)), {KEY: {"bias": False}}
    return kind(size, array(layer.weight), *sizes, layer.groups, bias, metadata=own)


def _read_conv(node: Any, c: Converter) -> nn.Module:
    cls: Any = {3: nn.Conv1d, 4: nn.Conv2d}[node.weight.ndim]
    out, in_, *kernel = node.weight.shape
    stride, dilation = (ints(value, len(kernel)) for value in (node.stride, node.dilation))
    padding = node.padding if isinstance(node.padding, str) else ints(node.padding, len(kernel))
    groups = int(node.groups)
    layer = cls(in_ * groups, out, kernel, stride, padding, dilation, groups, device="meta")
    biased = bool(own_metadata(node).get("bias", True))
    return c.layer(layer, node.weight, node.bias if biased else None)


def _write_pool(layer: nn.AvgPool2d, shape: Shape, dt: float, lead: int) -> Any:
    import nir

    odd = {
        "ceil_mode": layer.ceil_mode,
        "count_include_pad": not layer.count_include_pad and np.any(layer.padding),
        "divisor_override": layer.divisor_override not in (None, 1),
    }
    for name in (name for name, is_odd in odd.items() if is_odd):
        raise NotImplementedError(f"{name}={getattr(layer, name)} has no counterpart in NIR")
    kind = nir.AvgPool2d if layer.divisor_override is None else nir.SumPool2d
    sizes = layer.kernel_size, layer.stride, layer.padding
    return kind(*(np.array(np.broadcast_to(size, (2,))) for size in sizes))


def _read_pool(node: Any, c: Converter) -> nn.Module:
    sizes = (node.kernel_size, node.stride, node.padding)
    kernel_size, stride, padding = ((v[0], v[1]) for v in (ints(size, 2) for size in sizes))
    divisor = 1 if type(node).__name__ == "SumPool2d" else None
    return nn.AvgPool2d(kernel_size, stride, padding, divisor_override=divisor)


def _write_flatten(layer: nn.Flatten, shape: Shape, dt: float, lead: int) -> Any:
    import nir

    dims = len(shape)
    # NIR counts dimensions without the batch.
    start, end = (
        (dim if dim >= 0 else dim + dims + lead) - lead for dim in (layer.start_dim, layer.end_dim)
    )
    if start < 0:
        raise NotImplementedError(f"start_dim={layer.start_dim} flattens the batch too")
    return nir.Flatten({"input": np.array(shape)}, start, -1 if end == dims - 1 else end)


def _read_flatten(node: Any, c: Converter) -> nn.Module:
    # NIR counts dimensions without the batch.
    start, end = (int(dim) + (dim >= 0) for dim in (node.start_dim, node.end_dim))
    return nn.Flatten(start, end)


def _write_scale(layer: Scale, shape: Shape, dt: float, lead: int) -> Any:
    import nir

    return nir.Scale(spread(layer.scale, shape))


def _write_delay(layer: Delay, shape: Shape, dt: float, lead: int) -> Any:
    import nir

    return nir.Delay(spread(layer.steps, shape) * dt)


def _read_delay(node: Any, c: Converter) -> nn.Module:
    if np.min(node.delay) < 0:
        raise ValueError(f"a negative delay, {np.min(node.delay):g} s")
    steps = np.asarray(node.delay) / c.dt
    if not np.allclose(steps, steps.round(), atol=1e-6, rtol=1e-6):
        c.approximate = f"its delay is rounded to {np.unique(steps.round())} steps"
    return Delay(torch.as_tensor(steps.round()))


WRITE: dict[type[nn.Module], Callable[[Any, Shape, float, int], Any]] = {
    nn.Linear: _write_linear,
    nn.Conv1d: _write_conv,
    nn.Conv2d: _write_conv,
    nn.AvgPool2d: _write_pool,
    nn.Flatten: _write_flatten,
    Scale: _write_scale,
    Delay: _write_delay,
}
"""For a layer's class, the function that returns its node, given the layer, the shape of one sample
of its input, the time step, and how many dimensions come before those of a sample."""

READ: dict[str, Callable[[Any, Converter], nn.Module]] = {
    "Affine": _read_linear,
    "Linear": _read_linear,
    "Scale": lambda node, c: Scale(c.tensor(node.scale)),
    "Conv1d": _read_conv,
    "Conv2d": _read_conv,
    "SumPool2d": _read_pool,
    "AvgPool2d": _read_pool,
    "Flatten": _read_flatten,
    "Delay": _read_delay,
}
"""For a node's type, the function that returns its layer."""

DIMS = {nn.Linear: 1, nn.Conv1d: 2, nn.Conv2d: 3, nn.AvgPool2d: 3}
"""How many dimensions one sample of a layer's input has."""
