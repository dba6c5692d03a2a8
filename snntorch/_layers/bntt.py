from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn


class _BatchNormTT(nn.ModuleList):
    """One batch normalisation for each time step, without a shift."""

    _norm: ClassVar[type[nn.Module]]

    def __init__(
        self,
        input_features: int,
        time_steps: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
    ) -> None:
        norms: list[Any] = [
            self._norm(input_features, eps=eps, momentum=momentum, affine=affine)
            for _ in range(time_steps)
        ]
        for norm in norms:
            norm.bias = None
        super().__init__(norms)

    def __getitem__(self, index: Any) -> Any:
        chosen = list(self)[index]
        return nn.ModuleList(chosen) if isinstance(index, slice) else chosen

    def forward(self, x: Tensor, step: int) -> Tensor:
        """Normalise one time step.

        :param x: what comes in at this time step, as the batch normalisation takes it
        :param step: which time step it is, from 0
        :returns: likewise
        :raises ValueError: there is no such time step
        """
        if not 0 <= step < len(self):
            raise ValueError(
                f"{type(self).__name__}: step={step} is not one of the {len(self)} time steps, "
                f"which count from 0; build it with time_steps={step + 1} or more"
            )
        return self[step](x)


class BatchNormTT1d(_BatchNormTT):
    r"""Batch normalisation through time: each time step has statistics and a scale of its own.

    .. math:: Y[t] = \gamma[t]\, \frac{X[t] - \mu[t]}{\sqrt{\sigma^2[t] + \epsilon}}

    where :math:`\mu[t]` and :math:`\sigma^2[t]` are mean and variance of each feature over the
    batch, in training, or their running averages, in evaluation. There is no shift, which would
    act like another threshold.

    It is a list of :math:`T` layers, ``nn.BatchNorm1d`` without ``bias``: ``bntt(x, step)`` calls
    that of one time step, and ``bntt[step]`` gives it.

    :param input_features: number of features
    :param time_steps: number of time steps :math:`T`
    :param eps: what is added to the variance
    :param momentum: share of the newest batch in the running averages
    :param affine: whether the scale :math:`\gamma` is learned; otherwise it is 1

    Example::

        bntt = snn.BatchNormTT1d(100, time_steps=num_steps)
        for step in range(num_steps):
            spk, mem = lif(bntt(fc(x[step]), step), mem)

    Source: Y. Kim, P. Panda, "Revisiting Batch Normalization for Training Low-Latency Deep Spiking
    Neural Networks From Scratch", Frontiers in Neuroscience 15 (2021) 773954.
    """

    _norm = nn.BatchNorm1d


class BatchNormTT2d(_BatchNormTT):
    """:class:`BatchNormTT1d` for images, with ``nn.BatchNorm2d``.

    :param input_features: number of channels
    :param time_steps: as for :class:`BatchNormTT1d`, and so are the others
    """

    _norm = nn.BatchNorm2d
