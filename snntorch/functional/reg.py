"""Regularization of outputs recorded over time."""

import torch
from torch import Tensor

__all__ = ["l1_rate_sparsity"]


class l1_rate_sparsity:
    r"""Penalty on the number of spikes, to be added to a loss.

    With the spikes :math:`S` of all time steps, samples and neurons,

    .. math::

        \mathcal{L} = \lambda \sum_{t, b, k} S_{t, b}^{(k)} ,

    which is the L1 norm of the record, as spikes are not negative.

    :param Lambda: weight :math:`\lambda` of the penalty. Default: ``1e-5``

    Calling it:

    :param spk_out: recorded spikes of any shape, such as [T, B, ...].
    :returns: the penalty, a scalar, float64 for float64 spikes and float32 for all others.
    :raises TypeError: if ``spk_out`` is not a tensor of real numbers.
    """

    def __init__(self, Lambda: float = 1e-5) -> None:
        self.Lambda = Lambda
        self.__name__ = type(self).__name__

    def __call__(self, spk_out: Tensor) -> Tensor:
        if not isinstance(spk_out, Tensor) or spk_out.is_complex():
            kind = getattr(spk_out, "dtype", type(spk_out).__name__)
            raise TypeError(
                f"spk_out is a {kind}; expected one tensor of spikes: stack the recorded steps "
                f"with torch.stack(steps)."
            )
        # Half precision cannot count.
        return self.Lambda * spk_out.sum(dtype=torch.promote_types(spk_out.dtype, torch.float32))
