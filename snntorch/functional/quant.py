"""Quantization of neuron states."""

import math
from typing import Any

import torch
from torch import Tensor

from .._checks import check_integer
from .._torch import finite, is_written_out

__all__ = ["StateQuant", "state_quant"]


def _midpoints(levels: Tensor) -> Tensor:
    """Return the midpoints between sorted levels, rounded down.

    A number is above such a midpoint if and only if it is above the exact one.
    """
    low, high = levels[:-1], levels[1:]
    total = low + high
    part = total - low
    error = (low - (total - part)) + (high - part)  # Knuth's exact error of the rounded sum
    middle = total / 2
    return torch.where(error < 0, torch.nextafter(middle, low), middle)


def _round(values: Tensor, levels: Tensor, midpoints: Tensor) -> Tensor:
    """Return the sorted levels that are nearest to some values."""
    # One search among the midpoints: comparing every element with every level would take
    # as many times the memory of the input as there are levels.
    nearest = torch.bucketize(values.contiguous(), midpoints, out_int32=True)
    rounded = levels.index_select(0, nearest.flatten()).reshape(values.shape)
    return rounded.masked_fill_(values.isnan(), math.nan)


class StateQuant(torch.autograd.Function):
    r"""Round every element of a tensor to the nearest level.

    .. math::

        q(u) = \arg\min_{l \in L} |u - l| , \qquad \frac{\partial q}{\partial u} := 1 .

    Ties go to the lower level. The gradient passes straight through. NaN stays NaN.

    Call ``StateQuant.apply(input_, levels)``:

    - ``input_``: tensor of any shape;
    - ``levels``: the levels in any order, shape [L];
    - returns a tensor of the input's shape, device and dtype (integers become floating).
    """

    @staticmethod
    def forward(input_: Tensor, levels: Tensor) -> Tensor:
        """Round to the nearest levels."""
        if not input_.is_floating_point():
            input_ = input_.to(torch.get_default_dtype())
        levels = levels.to(input_).sort().values
        wide = torch.promote_types(levels.dtype, torch.float32)
        return _round(input_.to(wide), levels, _midpoints(levels.to(wide)))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        """Save nothing: the straight-through gradient does not depend on the input."""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        """Pass the gradient straight through."""
        return grad_output, None

    @staticmethod
    def jvp(ctx: Any, input_tangent: Tensor, levels_tangent: Tensor | None) -> Tensor:
        """Pass the tangent straight through."""
        return input_tangent.clone()

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, int | None], input_: Tensor, levels: Tensor
    ) -> tuple[Tensor, int | None]:
        """Round a batch of inputs under ``torch.func.vmap``."""
        if in_dims[1] is not None:
            raise NotImplementedError("StateQuant takes one set of levels for a whole batch")
        return StateQuant.apply(input_, levels), in_dims[0]


# Factor between neighboring steps of nonuniform levels, by number of bits; for more bits it is the
# last one. With more levels the steps may shrink more slowly.
_MULTIPLIERS = {1: 0.05, 2: 0.1, 3: 0.3, 4: 0.5, 5: 0.7, 6: 0.9, 7: 0.925, 8: 0.95}


def _shrinking_levels(start: float, end: float, count: int, multiplier: float) -> Tensor:
    """Return ``count`` levels from ``start`` towards ``end``, which would be the next one.

    Each step is ``multiplier`` times the one before.
    """
    # The softmax of a line is a geometric series that sums to 1, for every multiplier.
    steps = torch.softmax(torch.arange(count, dtype=torch.float64) * math.log(multiplier), 0)
    return start + (end - start) * (steps.cumsum(0) - steps)


def _crowded_levels(low: float, centre: float, high: float, count: int, factor: float) -> Tensor:
    """Return ``count`` levels that crowd around ``centre`` between ``low`` and ``high``."""
    below = math.floor(count * (centre - low) / (high - low))
    return torch.cat(
        (
            _shrinking_levels(low, centre, below, factor),
            _shrinking_levels(high, centre, count - below, factor).flip(0),
        )
    )


class state_quant:
    r"""Quantizer of a neuron's states, passed to the neuron as ``state_quant``.

    Of :math:`L = 2^{\text{bits}}` levels the lowest and the highest are

    .. math::

        l_0 = -\theta \, (1 + a) , \qquad l_{L-1} = \theta \, (1 + b) ,

    with the threshold :math:`\theta`, the lower limit :math:`a` and the upper limit :math:`b`.
    Uniform levels divide this range evenly. Nonuniform levels crowd around a center :math:`c`,
    which is the threshold or 0: from either end of the range towards the center, each step between
    levels is the previous one times the multiplier :math:`m`,

    .. math::

        l_i = l_0 + (c - l_0) \frac{1 - m^i}{1 - m^n} , \qquad
        l_{L-1-j} = l_{L-1} - (l_{L-1} - c) \frac{1 - m^j}{1 - m^{L - n}} ,

    for :math:`0 \le i < n` and :math:`0 \le j < L - n`, where
    :math:`n = \lfloor L \, (c - l_0) / (l_{L-1} - l_0) \rfloor` levels lie below the center. The
    center itself is not a level, nor is an end of the range on whose side of the center the
    formulas give no levels.

    The quantizer can be pickled and copied. Calling it with a tensor of any shape applies
    :class:`StateQuant`: it returns the nearest levels as a tensor of the same shape, device and
    dtype, whose gradient is that of the identity.

    :param num_bits: number of bits, 1 to 24. Default: ``8``
    :param uniform: whether the levels are evenly spaced. Default: ``True``
    :param thr_centered: whether nonuniform levels crowd around the threshold instead of 0.
        Default: ``True``
    :param threshold: firing threshold of the neuron. Default: ``1``
    :param lower_limit: how far the range extends below minus the threshold, as a fraction of the
        threshold. Default: ``0``
    :param upper_limit: how far the range extends above the threshold, as a fraction of the
        threshold. Default: ``0.2``
    :param multiplier: factor :math:`m > 0` between neighboring steps of nonuniform levels.
        Default: ``None``, for 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.925 with 1 to 7 bits and 0.95 with
        more
    :raises TypeError: if an argument has the wrong type.
    :raises ValueError: if an argument is out of range, or the limits leave no range or exclude the
        center.
    """

    def __init__(
        self,
        num_bits: int = 8,
        uniform: bool = True,
        thr_centered: bool = True,
        threshold: float = 1,
        lower_limit: float = 0,
        upper_limit: float = 0.2,
        multiplier: float | None = None,
    ) -> None:
        num_bits = check_integer("num_bits", num_bits, "an integer from 1 to 24")
        if not 1 <= num_bits <= 24:
            raise ValueError(f"num_bits is {num_bits}; expected an integer from 1 to 24.")
        if isinstance(threshold, Tensor) and threshold.numel() != 1:
            raise ValueError(
                f"threshold has shape {tuple(threshold.shape)}; expected a single number, since "
                f"all neurons share the levels: pass for example threshold.max()."
            )
        threshold = float(threshold)
        if not 0 < threshold < math.inf:
            raise ValueError(f"threshold is {threshold}; expected a finite number above 0.")
        if multiplier is None:
            multiplier = _MULTIPLIERS[min(num_bits, max(_MULTIPLIERS))]
        if not 0 < multiplier < math.inf:
            raise ValueError(f"multiplier is {multiplier}; expected a finite number above 0.")
        count = 2**num_bits
        low, high = -(threshold + lower_limit * threshold), threshold + upper_limit * threshold
        centre = threshold if thr_centered else 0.0
        limits = f"lower_limit {lower_limit} and upper_limit {upper_limit}"
        if not low < high:
            raise ValueError(
                f"{limits} give levels from {low} to {high}; expected an increasing range: "
                f"their sum must be above -2."
            )
        if not (uniform or low <= centre <= high):
            raise ValueError(
                f"{limits} give levels from {low} to {high}, which exclude their center "
                f"{centre}: widen the limits or pass uniform=True."
            )
        # Made in either precision: float32 levels are not the rounded float64 ones in the last
        # bit, and inputs halfway between two levels depend on that bit.
        self._levels = {
            dtype: torch.linspace(low, high, count, dtype=dtype)
            if uniform
            else _crowded_levels(low, centre, high, count, multiplier).to(dtype)
            for dtype in (torch.float32, torch.float64)
        }
        # Computed here, since a recording for an IPU cannot compute them.
        self._midpoints = {dtype: _midpoints(levels) for dtype, levels in self._levels.items()}

    def __call__(self, input_: Tensor) -> Tensor:
        if not isinstance(input_, Tensor):
            raise TypeError(f"input_ is a {type(input_).__name__}; expected a tensor of states.")
        precision = torch.float64 if input_.dtype == torch.float64 else torch.float32
        levels = self._levels[precision]
        if is_written_out():
            u = finite(input_.to(precision))
            tables = levels.to(u.device), self._midpoints[precision].to(u.device)
            return (_round(u.detach(), *tables) + (u - u.detach())).to(input_.dtype)
        return StateQuant.apply(input_, levels)

    def __repr__(self) -> str:
        levels = self._levels[torch.float64]
        low, high = levels[[0, -1]].tolist()
        return f"{type(self).__name__}({len(levels)} levels from {low:g} to {high:g})"
