"""Max pooling of images on the CPU in channels-last memory, which PyTorch vectorizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._torch import is_traced

Window = tuple[Any, ...]  # of F.max_pool2d, without return_indices


def window_of(layer: nn.MaxPool2d) -> Window:
    """Return the window of a layer."""
    return layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode


def window_in(args: Sequence[Any], kwargs: dict[str, Any]) -> Window | None:
    """Return the window in the arguments of ``F.max_pool2d``; None if it returns indices too."""
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    given = {**dict(zip(names, args[1:], strict=False)), **kwargs}
    if given.get("return_indices"):
        return None
    size = given["kernel_size"]
    rest = given.get("padding", 0), given.get("dilation", 1), given.get("ceil_mode", False)
    return size, given.get("stride") or size, *rest


def pays(x: Tensor) -> bool:
    """Tell whether :func:`max_pool` is faster than ``F.max_pool2d``, with bit-exact results."""
    return (
        x.dim() == 4
        and x.shape[1] > 1
        and x.is_contiguous()
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not is_traced()
    )


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window) -> Tensor:
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


def max_pool(window: Window, x: Tensor) -> Tensor:
    """Return the maxima of contiguous images, with ties broken as in ``F.max_pool2d``.

    The graph keeps the positions of the maxima instead of the images.
    """
    return _MaxPool.apply(x, window)
