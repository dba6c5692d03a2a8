"""Max pooling of images on the CPU in channels-last memory, which PyTorch vectorizes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .._torch import is_traced


def pays(layer: nn.Module, x: Tensor) -> bool:
    """Tell whether :func:`max_pool` is faster than a layer, with bit-exact results."""
    return (
        type(layer) is nn.MaxPool2d
        and x.dim() == 4
        and x.shape[1] > 1
        and x.is_contiguous()
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and not is_traced()
    )


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.MaxPool2d) -> Tensor:
        window = layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode
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


def max_pool(layer: nn.MaxPool2d, x: Tensor) -> Tensor:
    """Return the layer's output for contiguous images, with ties broken as in ``nn.MaxPool2d``.

    The graph keeps the positions of the maxima instead of the images.
    """
    return _MaxPool.apply(x, layer)
