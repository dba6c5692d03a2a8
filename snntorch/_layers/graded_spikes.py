"""Graded spikes."""

import torch
from torch import Tensor, nn


class GradedSpikes(nn.Module):
    r"""Scale the spikes of each neuron by a learnable factor.

    .. math:: Y_i = w_i S_i

    :param size: number of neurons, the last dimension of the input; 1 for one weight :math:`w`
        shared by all neurons
    :param constant_factor: initial value of all weights; None or 0 for values drawn uniformly from
        0.5 to 1.5

    Example::

        net = nn.Sequential(
            nn.Linear(784, 100), snn.Leaky(beta=0.9, init_hidden=True), snn.GradedSpikes(100, 1.0)
        )

    Source: G. Orchard et al., "Efficient Neuromorphic Signal Processing with Loihi 2", IEEE
    Workshop on Signal Processing Systems (2021).
    """

    def __init__(self, size: int, constant_factor: float | None) -> None:
        super().__init__()
        self.size = size
        weights = torch.full((size, 1), float(constant_factor)) if constant_factor else None
        self.weights = nn.Parameter(torch.rand(size, 1) + 0.5 if weights is None else weights)

    def forward(self, x: Tensor) -> Tensor:
        """Scale spikes.

        :param x: spikes ``[..., size]``
        :returns: scaled spikes of the same shape
        :raises ValueError: the last dimension is not ``size``, and ``size`` is not 1
        """
        if self.size != 1 and (x.dim() == 0 or x.shape[-1] != self.size):
            raise ValueError(
                f"GradedSpikes: the input of shape {tuple(x.shape)} must have size={self.size} "
                "neurons in its last dimension"
            )
        return x * self.weights.squeeze(-1)

    def extra_repr(self) -> str:
        """Return the size as ``print`` shows it."""
        return f"{self.size}"
