"""Encoders that turn data into spike trains."""

import operator

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["rate", "rate_conv"]


def _floating(data: Tensor) -> Tensor:
    """The data as a floating tensor; integers and booleans take the default dtype."""
    if not isinstance(data, Tensor):
        raise TypeError(
            f"data is a {type(data).__name__}; expected a tensor: pass torch.as_tensor(data)."
        )
    if data.is_complex():
        raise TypeError(f"data has dtype {data.dtype}; expected real numbers.")
    return data if data.is_floating_point() else data.to(torch.get_default_dtype())


def _count(name: str, value: int, least: int) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        count = None
    if count is None or isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; expected an integer of at least {least}.")
    if count < least:
        raise ValueError(f"{name} is {value}; expected an integer of at least {least}.")
    return count


def _probability(data: Tensor) -> Tensor:
    """The data cut to [0, 1]."""
    if data.isnan().any():
        raise ValueError(
            "data holds NaN, which is no probability of a spike: clean it, for example with "
            "torch.nan_to_num(data)."
        )
    return data.clamp(0, 1)


def rate(
    data: Tensor,
    num_steps: int | bool = False,
    gain: float = 1,
    offset: float = 0,
    first_spike_time: int = 0,
    time_var_input: bool = False,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Rate code: a feature fires at each time step with a probability that is its value.

    The spikes are drawn independently of each other,

    .. math::

        P(S_t = 1) = \begin{cases}
        \min(\max(\text{gain} \cdot x_t + \text{offset}, 0), 1) & t \ge t_1 \\
        0 & t < t_1 ,
        \end{cases}

    with the first spike time :math:`t_1`, counting time steps :math:`t` from 0. Data that do not
    vary in time give every step the same :math:`x_t`. Data that do are preceded by :math:`t_1`
    silent steps, so that none are lost.

    :param data: features, shape [B, ...], or [T, B, ...] with ``time_var_input=True``. Values
        from 0 to 1 are probabilities; bytes from 0 to 255 become such with ``gain=1 / 255``.
        Integers and booleans are cast to the default dtype.
    :param num_steps: number of time steps T, needed unless ``time_var_input=True``.
        Default: ``False``
    :param gain: factor on the data. Default: ``1``
    :param offset: added to the data after the gain. Default: ``0``
    :param first_spike_time: first time step at which spikes may occur. Default: ``0``
    :param time_var_input: whether the first axis of the data is time. Default: ``False``
    :param generator: source of the random numbers, on the device of the data. Default: ``None``,
        for the global one
    :returns: spikes 0 and 1 in the dtype of the (cast) data, shape [T, B, ...], or
        [first_spike_time + T, B, ...] with ``time_var_input=True``.
    :raises TypeError: if the data are no real tensor or a number of steps is no integer.
    :raises ValueError: if the data hold NaN, ``num_steps`` is missing, given for data that vary
        in time, or less than 1, or no step is left from ``first_spike_time`` on.
    """
    data = _floating(data)
    first_spike_time = _count("first_spike_time", first_spike_time, 0)
    if time_var_input:
        if num_steps:
            raise ValueError(
                f"num_steps is {num_steps} with time_var_input=True, where the first axis of data "
                f"gives the number of steps: leave num_steps out."
            )
        if data.dim() == 0:
            raise ValueError("data is a scalar; with time_var_input=True its first axis is time.")
    else:
        if num_steps is False:
            raise ValueError(
                "num_steps is missing: pass the number of time steps, or time_var_input=True if "
                "the first axis of data is time."
            )
        num_steps = _count("num_steps", num_steps, 1)
        if first_spike_time >= num_steps:
            raise ValueError(
                f"first_spike_time is {first_spike_time}; expected at most num_steps - 1 = "
                f"{num_steps - 1}, so that a step is left in which to spike."
            )
    probability = _probability(gain * data + offset)
    if time_var_input:
        spikes = torch.bernoulli(probability, generator=generator)
        return F.pad(spikes, (0, 0) * (data.dim() - 1) + (first_spike_time, 0))
    # The silent steps are drawn as well: a seed gives the same later spikes with and without.
    spikes = torch.bernoulli(probability.expand(num_steps, *data.shape), generator=generator)
    spikes[:first_spike_time] = 0
    return spikes


def rate_conv(data: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    r"""Draw one spike or none for every element of a tensor, with its value as probability.

    .. math::

        P(S = 1) = \min(\max(x, 0), 1)

    :param data: probabilities of a spike, any shape, usually [T, B, ...]; values outside [0, 1]
        are cut to it, integers and booleans are cast to the default dtype.
    :param generator: source of the random numbers, on the device of the data. Default: ``None``,
        for the global one
    :returns: spikes 0 and 1 in the shape and dtype of the (cast) data.
    :raises TypeError: if the data are no real tensor.
    :raises ValueError: if the data hold NaN.
    """
    return torch.bernoulli(_probability(_floating(data)), generator=generator)
