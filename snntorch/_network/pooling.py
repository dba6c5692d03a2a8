"""Pooling on the CPU, faster than PyTorch's functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._engine import cpu, pools
from .._torch import is_batched, is_plain, is_traced

_MAX = "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"
_MEAN = "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"
LAYERS = {
    nn.MaxPool1d: "max_pool1d",
    nn.MaxPool2d: "max_pool2d",
    nn.AvgPool1d: "avg_pool1d",
    nn.AvgPool2d: "avg_pool2d",
}
# A kernel has a statement for each place in the window.
_PLACES = 16
# Below, the call takes longer than the work.
_LEAST = 4096


def pooled_by(layer: nn.Module, x: Tensor) -> Tensor | None:
    """Return what a layer returns, or None where :func:`pooled` does, and for any other layer."""
    name = LAYERS.get(type(layer))
    return None if name is None else pooled(name, vars(layer), x)


def options_in(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the options among the arguments of a function."""
    names = _MAX if name.startswith("max") else _MEAN
    return {**dict(zip(names, args[1:], strict=False)), **kwargs}


def pooled(name: str, options: Mapping[str, Any], x: Tensor) -> Tensor | None:
    """Return what a pooling function returns, bit for bit, or None where PyTorch's own is best.

    :param name: one of the values of ``LAYERS``
    :param options: the function's arguments after the first, those that are given
    :param x: images, the batch first
    """
    dims = int(name[-2])
    if (
        x.dim() != dims + 2
        or x.numel() < _LEAST
        or x.device.type != "cpu"
        or x.dtype not in (torch.float32, torch.float64)
        or not (x.is_contiguous() and is_plain(x))
        or options.get("return_indices")
        or is_traced()
    ):
        return None
    size = options["kernel_size"]
    stride = options.get("stride") or size
    padding, dilation = options.get("padding", 0), options.get("dilation", 1)
    ceil = options.get("ceil_mode", False)
    window = _each(size, dims)
    side_by_side = _each(stride, dims) == window and _each(dilation, dims) == (1,) * dims
    padded = ceil or any(_each(padding, dims)) or options.get("divisor_override")
    small = 1 < math.prod(window) <= _PLACES
    if side_by_side and not padded and small and not cpu.unavailable():
        images = x if dims == 2 else x.unsqueeze(-2)
        out = _Pool.apply(images, name.startswith("max"), window if dims == 2 else (1, *window))
        return out if dims == 2 else out.squeeze(-2)
    if name == "max_pool2d" and x.shape[1] > 1:
        return _ChannelsLast.apply(x, (size, stride, padding, dilation, ceil))
    return None


def _each(value: Any, dims: int) -> tuple[int, ...]:
    """Return an option for each dimension."""
    each = tuple(value) if isinstance(value, tuple | list) else (value,)
    return each * dims if len(each) == 1 else each


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, largest: bool, window: pools.Window) -> Tensor:
        out, places = pools.pool(largest, window, x)
        ctx.save_for_backward(places)
        ctx.how, ctx.shape = (largest, window), x.shape
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        run = _spread if torch.is_grad_enabled() or is_batched(grad) else pools.spread
        largest, window = ctx.how
        return run(largest, window, grad, places, ctx.shape), None, None


def _spread(
    largest: bool, window: pools.Window, grad: Tensor, places: Tensor, shape: torch.Size
) -> Tensor:
    """Return the same as :func:`pools.spread`, in PyTorch's operations."""
    height, width = shape[-2:]
    rows, columns = height // window[0], width // window[1]
    if not largest:
        share = grad / (window[0] * window[1])
        share = share.repeat_interleave(window[0], -2).repeat_interleave(window[1], -1)
        return F.pad(share, (0, width - share.shape[-1], 0, height - share.shape[-2]))
    row = torch.arange(rows)[:, None] * window[0] + places // window[1]
    column = torch.arange(columns) * window[1] + places % window[1]
    flat = *shape[:-2], -1  # flatten has no rule for batched gradients
    at = (row * width + column).reshape(flat)
    zeros = grad.new_zeros(*shape[:-2], height * width)
    return zeros.scatter(-1, at, grad.reshape(flat)).reshape(shape)


class _ChannelsLast(torch.autograd.Function):
    """Max pooling with channels side by side in memory, which PyTorch vectorizes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: tuple[Any, ...]) -> Tensor:
        side_by_side = x.contiguous(memory_format=torch.channels_last)
        out, indices = F.max_pool2d(side_by_side, *window, return_indices=True)
        ctx.save_for_backward(indices.flatten(2))
        ctx.shape = x.shape
        return out.contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (indices,) = ctx.saved_tensors
        flat = grad.new_zeros(*ctx.shape[:2], ctx.shape[2:].numel())
        return flat.scatter_add(2, indices, grad.flatten(2)).view(ctx.shape), None
