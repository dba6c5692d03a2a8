"""Feedback from all neurons to all: a product at each step, and one for its weights at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def same_padding(kernel_size: int | tuple[int, int]) -> tuple[int, int]:
    """Return the padding after which an image is as large as before, or one larger."""
    height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    return height // 2, width // 2


def crop(image: Tensor, like: Tensor) -> Tensor:
    """Cut off the first row and column, which an even kernel adds."""
    return image[..., -like.shape[-2] :, -like.shape[-1] :]


class LinearFeedback:
    """The product of ``nn.Linear``, over states of the given shape ``[..., N]``."""

    def __init__(self, weights: Sequence[Tensor], shape: torch.Size) -> None:
        self.weight, self.bias = weights[0], weights[1] if len(weights) > 1 else None
        out, into = self.weight.shape
        self.shape, self.out_shape = torch.Size((-1, into)), torch.Size((-1, out))

    def forward(self, spikes: Tensor, out: Tensor) -> None:
        """Write the feedback of flat spikes."""
        spikes, out = spikes.view(self.shape), out.view(self.out_shape)
        if self.bias is None:
            torch.mm(spikes, self.weight.t(), out=out)
        else:
            torch.addmm(self.bias, spikes, self.weight.t(), out=out)

    def backward(self, d_feedback: Tensor, out: Tensor) -> None:
        """Write the gradient of flat spikes."""
        torch.mm(d_feedback.view(self.out_shape), self.weight, out=out.view(self.shape))

    def d_weights(self, d_feedback: Tensor, spikes: Tensor) -> list[Tensor]:
        """Return the gradients of weight and bias over all steps.

        :param d_feedback: ``[T, ...]``
        :param spikes: those of the step before, of the same shape
        """
        d_feedback = d_feedback.reshape(self.out_shape)
        return [d_feedback.t() @ spikes.reshape(self.shape), d_feedback.sum(0)]


class ConvFeedback:
    """The product of ``nn.Conv2d``, over states of the given shape ``[..., C, H, W]``."""

    def __init__(
        self, weights: Sequence[Tensor], padding: tuple[int, ...], shape: torch.Size
    ) -> None:
        self.weight, self.bias = weights[0], weights[1] if len(weights) > 1 else None
        self.shape = torch.Size((-1, *shape[-3:]))
        self.out_shape = torch.Size((-1, len(self.weight), *shape[-2:]))
        self.padding = list(padding)
        # An even kernel makes the image one larger, which is cut off in front.
        self.cut = [1 - k % 2 for k in self.weight.shape[2:]]

    def forward(self, spikes: Tensor, out: Tensor) -> None:
        """Write the feedback of flat spikes."""
        spikes = spikes.view(self.shape)
        image = F.conv2d(spikes, self.weight, self.bias, padding=self.padding)
        out.view(self.out_shape).copy_(crop(image, spikes))

    def backward(self, d_feedback: Tensor, out: Tensor) -> None:
        """Write the gradient of flat spikes."""
        out = out.view(self.shape)
        out.copy_(self._gradients(d_feedback.view(self.out_shape), out, [True, False, False])[0])

    def d_weights(self, d_feedback: Tensor, spikes: Tensor) -> list[Tensor]:
        """Return the gradients of weight and bias over all steps.

        :param d_feedback: ``[T, ...]``
        :param spikes: those of the step before, of the same shape
        """
        d_feedback, spikes = d_feedback.reshape(self.out_shape), spikes.reshape(self.shape)
        return list(self._gradients(d_feedback, spikes, [False, True, True])[1:])

    def _gradients(self, grad: Tensor, image: Tensor, wanted: list[bool]) -> tuple[Tensor, ...]:
        grad = F.pad(grad, (self.cut[1], 0, self.cut[0], 0))
        ones = [1, 1]
        return torch.ops.aten.convolution_backward(
            grad, image, self.weight, [len(self.weight)],
            ones, self.padding, ones, False, [0, 0], 1, wanted,
        )  # fmt: skip


def refuses(layer: Any) -> str | None:
    """Return why the product of a layer is not taken between the steps of a kernel, or None."""
    if type(layer) not in (nn.Linear, nn.Conv2d):
        return f"its feedback is a {type(layer).__name__}"
    if isinstance(layer, nn.Conv2d) and (
        {*layer.stride, *layer.dilation, layer.groups} != {1}
        or isinstance(layer.padding, str)
        or layer.padding_mode != "zeros"
    ):
        return "its feedback is a convolution with more than a kernel and a padding by zeros"
    return None


def padding_of(layer: Any) -> tuple[int, ...]:
    """Return the padding of a convolution; of a linear layer, an empty one."""
    return tuple(map(int, layer.padding)) if isinstance(layer, nn.Conv2d) else ()


def feedback(
    weights: Sequence[Tensor], padding: tuple[int, ...], shape: torch.Size
) -> LinearFeedback | ConvFeedback:
    """Return the product by a weight and a bias over states of the given shape.

    :param padding: of the convolution; empty if the product is that of ``nn.Linear``
    """
    return ConvFeedback(weights, padding, shape) if padding else LinearFeedback(weights, shape)
