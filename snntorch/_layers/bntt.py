"""Batch normalization through time."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn


class _BatchNormTT(nn.ModuleList):
    """One batch normalization for each time step, without a shift."""

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
        """Normalize one time step.

        :param x: input of this time step, ``[B, features]`` or ``[B, channels, ...]``
        :param step: number of the time step, from 0
        :returns: the normalized input, of the same shape
        :raises ValueError: ``step`` is not one of the time steps
        """
        if not 0 <= step < len(self):
            raise ValueError(
                f"{type(self).__name__}: step={step} is not one of the {len(self)} time steps, "
                f"which count from 0; build it with time_steps={step + 1} or more"
            )
        return self[step](x)


class BatchNormTT1d(_BatchNormTT):
    r"""Batch normalization through time, with separate statistics and scales for each time step.

    .. math:: Y[t] = \gamma[t]\, \frac{X[t] - \mu[t]}{\sqrt{\sigma^2[t] + \epsilon}}

    where :math:`\mu[t]` and :math:`\sigma^2[t]` are the mean and variance of each feature over the
    batch in training mode, and their running averages in evaluation mode. There is no shift, which
    would act like another threshold.

    It is a list of :math:`T` layers ``nn.BatchNorm1d`` without ``bias``: ``bntt(x, step)`` calls
    the layer of one time step, and ``bntt[step]`` returns it.

    :param input_features: number of features
    :param time_steps: number of time steps :math:`T`
    :param eps: :math:`\epsilon`, added to the variance. Default: ``1e-5``
    :param momentum: weight of the newest batch in the running averages. Default: ``0.1``
    :param affine: whether the scale :math:`\gamma` is learned; otherwise it is 1. Default: ``True``

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
    :param time_steps: number of time steps :math:`T`
    :param eps: added to the variance. Default: ``1e-5``
    :param momentum: weight of the newest batch in the running averages. Default: ``0.1``
    :param affine: whether the scale is learned; otherwise it is 1. Default: ``True``
    """

    _norm = nn.BatchNorm2d
