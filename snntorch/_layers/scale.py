"""Multiplication by a factor."""

from torch import Tensor, nn


class Scale(nn.Module):
    """Multiply by a factor, :math:`Y = s X`.

    :param scale: :math:`s`, a tensor that broadcasts to one sample; learnable
    """

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Scale an input.

        :param x: input ``[B, ...]``
        :returns: the product, of the same shape
        """
        return self.scale * x
