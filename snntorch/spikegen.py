"""Encoders that turn data, targets and recordings of events into spike trains."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from ._checks import check_count, check_share
from ._torch import found

__all__ = [
    "delta",
    "events",
    "frames",
    "from_one_hot",
    "latency",
    "latency_code",
    "latency_code_linear",
    "latency_code_log",
    "latency_interpolate",
    "rate",
    "rate_conv",
    "rate_interpolate",
    "target_rate_code",
    "targets_convert",
    "targets_latency",
    "targets_rate",
    "to_one_hot",
    "to_one_hot_inverse",
]


def _real(name: str, value: Tensor) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name} is a {type(value).__name__}; expected a tensor: pass torch.as_tensor({name})."
        )
    if value.is_complex():
        raise TypeError(f"{name} has dtype {value.dtype}; expected real numbers.")
    return value


def _floating(data: Tensor) -> Tensor:
    """Return the data as a floating-point tensor; integers and booleans take the default dtype."""
    data = _real("data", data)
    return data if data.is_floating_point() else data.to(torch.get_default_dtype())


def _wide(numbers: Tensor) -> Tensor:
    """Return integers as int64, since a limit may exceed the range of their dtype."""
    return numbers if numbers.is_floating_point() else numbers.long()


def _first_step(first_spike_time: int, num_steps: int) -> int:
    return _within(check_count("first_spike_time", first_spike_time, 0), num_steps)


def _within(first_spike_time: Any, num_steps: int) -> Any:
    if first_spike_time > num_steps - 1:
        raise ValueError(
            f"first_spike_time is {first_spike_time}; expected at most num_steps - 1 = "
            f"{num_steps - 1}, so that a step is left in which to spike."
        )
    return first_spike_time


def _probability(data: Tensor) -> Tensor:
    """Return the data clamped to [0, 1]."""
    if found(data.isnan()):
        raise ValueError(
            "data holds NaN, which is not a probability of a spike: clean it, for example with "
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
    r"""Rate code: a feature fires at each time step with its value as the probability.

    The spikes are drawn independently of each other,

    .. math::

        P(S_t = 1) = \begin{cases}
        \min(\max(\text{gain} \cdot x_t + \text{offset}, 0), 1) & t \ge t_1 \\
        0 & t < t_1 ,
        \end{cases}

    with the first spike time :math:`t_1`, counting time steps :math:`t` from 0. Data that do not
    vary in time have the same :math:`x_t` at every step. Data that vary in time are preceded by
    :math:`t_1` silent steps, so that none are lost.

    :param data: features, shape [B, ...], or [T, B, ...] with ``time_var_input=True``. Values
        from 0 to 1 are probabilities; scale bytes from 0 to 255 with ``gain=1 / 255``.
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
    :raises TypeError: if the data are not a real tensor or a number of steps is not an integer.
    :raises ValueError: if the data hold NaN, ``num_steps`` is missing, given for data that vary
        in time, or less than 1, or no step is left from ``first_spike_time`` on.
    """
    data = _floating(data)
    first_spike_time = check_count("first_spike_time", first_spike_time, 0)
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
        num_steps = check_count("num_steps", num_steps, 1)
        _first_step(first_spike_time, num_steps)
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

    :param data: probabilities of a spike, any shape, usually [T, B, ...]; values outside [0, 1] are
        clamped, integers and booleans are cast to the default dtype.
    :param generator: source of the random numbers, on the device of the data. Default: ``None``,
        for the global one
    :returns: spikes 0 and 1 in the shape and dtype of the (cast) data.
    :raises TypeError: if the data are not a real tensor.
    :raises ValueError: if the data hold NaN.
    """
    return torch.bernoulli(_probability(_floating(data)), generator=generator)


# Latency -------------------------------------------------------------------------------------


def _latency_input(
    data: Tensor,
    num_steps: int | bool,
    threshold: float,
    tau: float,
    first_spike_time: float,
    normalize: bool,
) -> tuple[Tensor, float]:
    """Return the data, and the number of steps after the first spike time (0 if unknown)."""
    data = _floating(data)
    # Half precision cannot represent threshold + epsilon, nor the time steps.
    data = data.to(torch.promote_types(data.dtype, torch.float32))
    if not 0 < threshold < 1:
        raise ValueError(f"threshold is {threshold}; expected a number between 0 and 1.")
    if not tau > 0:
        raise ValueError(f"tau is {tau}; expected a number above 0.")
    if not first_spike_time >= 0:
        raise ValueError(f"first_spike_time is {first_spike_time}; expected a step from 0 on.")
    if not num_steps:
        if normalize:
            raise ValueError(
                "num_steps is missing; normalize=True needs it to spread the spikes over."
            )
        return data, 0
    if not num_steps >= 1:
        raise ValueError(f"num_steps is {num_steps}; expected at least 1.")
    return data, num_steps - 1 - _within(first_spike_time, num_steps)


def _unit_range(data: Tensor) -> None:
    if data.numel() == 0:
        raise ValueError(f"data has shape {tuple(data.shape)}; expected at least one feature.")
    if found(data.isnan()):
        raise ValueError("data holds NaN, which has no latency: clean it with torch.nan_to_num.")
    if data.min() < 0 or data.max() > 1:
        raise ValueError(
            f"data ranges from {data.min().item():g} to {data.max().item():g}; expected values "
            f"from 0 to 1: rescale it, or cut it with data.clamp(0, 1)."
        )


def _stretch(time: Tensor, room: float) -> Tensor:
    """Scale times so that the latest one is ``room``."""
    latest = time.max()
    return time * room / latest.where(latest > 0, latest.new_tensor(1))


def latency_code_linear(
    data: Tensor,
    num_steps: int | bool = False,
    threshold: float = 0.01,
    tau: float = 1,
    first_spike_time: float = 0,
    normalize: bool = False,
) -> Tensor:
    r"""Return spike times that decrease linearly with the feature.

    .. math::

        t = t_1 + \tau \, (1 - \max(x, \theta))

    With ``normalize=True``, :math:`\tau` is the number of steps after the first spike time, so that
    a feature of 1 fires at :math:`t_1` and a feature of 0 close to the last step. If features above
    1 lead to negative times, all times are mapped linearly onto the steps from :math:`t_1` on.

    :param data: features, any shape.
    :param num_steps: number of time steps, needed with ``normalize=True``. Default: ``False``
    :param threshold: the :math:`\theta` to which smaller features are raised, between 0 and 1.
        Default: ``0.01``
    :param tau: time constant :math:`\tau` in time steps. Default: ``1``
    :param first_spike_time: the :math:`t_1`, in time steps. Default: ``0``
    :param normalize: whether the spike times span all steps. Default: ``False``
    :returns: spike times in time steps, not rounded, shape of the data.
    :raises TypeError: if the data are not a real tensor.
    :raises ValueError: if an argument is out of its range or a needed one is missing.
    """
    data, room = _latency_input(data, num_steps, threshold, tau, first_spike_time, normalize)
    if normalize:
        tau = room
    time = torch.clamp_max(-tau * (data - 1), -tau * (threshold - 1))
    if normalize and time.min() < 0:
        time = _stretch(time - time.min(), room)
    return time + first_spike_time


def latency_code_log(
    data: Tensor,
    num_steps: int | bool = False,
    threshold: float = 0.01,
    tau: float = 1,
    first_spike_time: float = 0,
    normalize: bool = False,
    epsilon: float = 1e-07,
) -> Tensor:
    r"""Return the times at which an RC circuit, charged by a feature, reaches a threshold.

    .. math::

        t = t_1 + \tau \ln \frac{x}{x - \theta}

    The voltage :math:`x \, (1 - e^{-t / \tau})` never reaches the threshold if
    :math:`x \le \theta`. Such features count as :math:`\theta + \epsilon` and fire last. With
    ``normalize=True``, :math:`\tau` is chosen so that the latest feature fires at the last step.

    :param data: features, any shape.
    :param num_steps: number of time steps, needed with ``normalize=True``. Default: ``False``
    :param threshold: threshold :math:`\theta`, between 0 and 1. Default: ``0.01``
    :param tau: time constant :math:`\tau` in time steps. Default: ``1``
    :param first_spike_time: the :math:`t_1`, in time steps. Default: ``0``
    :param normalize: whether the spike times span all steps. Default: ``False``
    :param epsilon: margin :math:`\epsilon` above the threshold. Default: ``1e-7``
    :returns: spike times in time steps, not rounded, shape of the data.
    :raises TypeError: if the data are not a real tensor.
    :raises ValueError: if an argument is out of its range or a needed one is missing.
    """
    data, room = _latency_input(data, num_steps, threshold, tau, first_spike_time, normalize)
    least = torch.as_tensor(threshold + epsilon, dtype=data.dtype, device=data.device)
    if not least > threshold and found(data <= threshold):
        raise ValueError(
            f"epsilon is {epsilon}; expected a positive number that {data.dtype} can add to the "
            f"threshold {threshold}, for features that are not above it."
        )
    data = data.clamp(min=least)
    time = tau * torch.log(data / (data - threshold))
    # The order of additions is that of 1.0.0: it decides how a half is rounded.
    time = time + first_spike_time
    if not normalize:
        return time
    return _stretch(time - first_spike_time, room) + first_spike_time


def latency_code(
    data: Tensor,
    num_steps: int | bool = False,
    threshold: float = 0.01,
    tau: float = 1,
    first_spike_time: float = 0,
    normalize: bool = False,
    linear: bool = False,
    epsilon: float = 1e-07,
) -> tuple[Tensor, Tensor]:
    """Return the spike times of :func:`latency_code_log` or :func:`latency_code_linear`.

    :param data: features, any shape.
    :param num_steps: number of time steps, needed with ``normalize=True``. Default: ``False``
    :param threshold: threshold, between 0 and 1. Default: ``0.01``
    :param tau: time constant in time steps. Default: ``1``
    :param first_spike_time: earliest time of a spike, in time steps. Default: ``0``
    :param normalize: whether the spike times span all steps. Default: ``False``
    :param linear: whether times decrease linearly with the feature. Default: ``False``
    :param epsilon: margin above the threshold, see :func:`latency_code_log`. Default: ``1e-7``
    :returns: spike times in time steps, not rounded, and whether a feature is below the
        threshold, both in the shape of the data.
    :raises TypeError: if the data are not a real tensor.
    :raises ValueError: if an argument is out of its range or a needed one is missing.
    """
    data = _floating(data)
    options = (num_steps, threshold, tau, first_spike_time, normalize)
    if linear:
        return latency_code_linear(data, *options), data < threshold
    return latency_code_log(data, *options, epsilon), data < threshold


def latency(
    data: Tensor,
    num_steps: int | bool = False,
    threshold: float = 0.01,
    tau: float = 1,
    first_spike_time: float = 0,
    on_target: float = 1,
    off_target: float = 0,
    clip: bool = False,
    normalize: bool = False,
    linear: bool = False,
    interpolate: bool = False,
    bypass: bool = False,
    epsilon: float = 1e-07,
) -> Tensor:
    r"""Latency code: every feature fires once, larger features earlier.

    .. math::

        t = \text{round}\left(t_1 + \tau \ln \frac{x}{x - \theta}\right)
        \qquad \text{or, linear,} \qquad
        t = \text{round}\left(t_1 + \tau \, (1 - \max(x, \theta))\right)

    The logarithm is the time at which a capacitor, charged by the feature through a resistor,
    reaches the threshold :math:`\theta`; :func:`latency_code_log` and
    :func:`latency_code_linear` have the details. Halves are rounded to even.

    :param data: features from 0 to 1, shape [B, ...].
    :param num_steps: number of time steps T. Default: ``False``, only with ``bypass=True``, for as
        many as the latest spike time needs, including that of clipped features.
    :param threshold: threshold :math:`\theta`, between 0 and 1. Features below fire last.
        Default: ``0.01``
    :param tau: time constant :math:`\tau` in time steps. Default: ``1``
    :param first_spike_time: the :math:`t_1`, in time steps. Default: ``0``
    :param on_target: value at a spike. Default: ``1``
    :param off_target: value elsewhere. Default: ``0``
    :param clip: whether features below the threshold do not fire. Default: ``False``
    :param normalize: whether :math:`\tau` is chosen so that the spikes span all steps.
        Default: ``False``
    :param linear: whether times decrease linearly with the feature. Default: ``False``
    :param interpolate: whether values rise linearly from ``off_target`` at the first step to
        ``on_target`` at the spike. Default: ``False``
    :param bypass: whether spikes after the last step are left out without an error.
        Default: ``False``
    :param epsilon: margin above the threshold, see :func:`latency_code_log`. Default: ``1e-7``
    :returns: spikes in the default dtype, shape [T, B, ...].
    :raises TypeError: if the data are not a real tensor or a number of steps is not an integer.
    :raises ValueError: if an argument is out of its range, ``num_steps`` is missing, or a spike
        comes after the last step.
    """
    _unit_range(_floating(data))
    if num_steps:
        num_steps = check_count("num_steps", num_steps, 1)
    elif not bypass:
        raise ValueError(
            "num_steps is missing: pass the number of time steps, or bypass=True for as many as "
            "the latest spike needs."
        )
    time, below = latency_code(
        data, num_steps, threshold, tau, first_spike_time, normalize, linear, epsilon
    )
    time = time.round().long()
    num_steps = num_steps or int(time.max()) + 1
    fires = ~below if clip else torch.ones_like(below)
    if not bypass and (late := time[fires & (time >= num_steps)]).numel():
        raise ValueError(
            f"num_steps is {num_steps}, but the latest spike comes at step {late.max().item()}: "
            f"raise num_steps, lower tau, pass normalize=True to fit all spikes in, clip=True to "
            f"silence features below the threshold, or bypass=True to leave out late spikes."
        )
    spikes = _single_spikes(time, num_steps) & fires
    return _levels(spikes, on_target, off_target, interpolate)


def _single_spikes(time: Tensor, num_steps: int) -> Tensor:
    """Return True at the step of each spike, nowhere if its time is past the last step."""
    return time == torch.arange(num_steps, device=time.device).view(-1, *(1,) * time.dim())


def _levels(
    spikes: Tensor, on: float | Tensor, off: float | Tensor, interpolate: bool = False
) -> Tensor:
    """Return on at spikes and off elsewhere, or a ramp from off after a spike to on at the next."""
    dtype = torch.get_default_dtype()
    level = _ramps(spikes, dtype) if interpolate else spikes.to(dtype)
    off, on = (torch.as_tensor(end, dtype=dtype, device=level.device) for end in (off, on))
    # At 0 and 1, lerp returns its ends bit-exact.
    return torch.lerp(off, on, level)


def _ramps(spikes: Tensor, dtype: torch.dtype) -> Tensor:
    steps = len(spikes)
    step = torch.arange(steps, device=spikes.device).view(-1, *(1,) * (spikes.dim() - 1))
    # The last spike before each step, as if there had been one at -1, and the next from it on.
    start = step.where(spikes, step.new_tensor(-1)).cummax(0).values.roll(1, 0)
    start[0] = -1
    end = step.where(spikes, step.new_tensor(steps)).flip(0).cummin(0).values.flip(0)
    rising = (step - start - 1).to(dtype) / (end - start - 1)
    return rising.where(end < steps, rising.new_tensor(0)).where(~spikes, rising.new_tensor(1))


def latency_interpolate(
    spike_time: Tensor, num_steps: int, on_target: float = 1, off_target: float = 0
) -> Tensor:
    r"""Return values that rise linearly until a single spike.

    .. math::

        y_t = \begin{cases} y_\text{off} + (y_\text{on} - y_\text{off}) \, t / t_s & t \le t_s \\
        y_\text{off} & t > t_s \end{cases}

    :param spike_time: spike times :math:`t_s` in time steps, any shape; rounded. A time past the
        last step gives ``off_target`` throughout.
    :param num_steps: number of time steps T.
    :param on_target: value at the spike. Default: ``1``
    :param off_target: value at the start and after the spike. Default: ``0``
    :returns: the values, shape [T, ...].
    :raises TypeError: if the times are not a real tensor or ``num_steps`` is not an integer.
    :raises ValueError: if a time is negative or NaN, or ``num_steps`` is less than 1.
    """
    num_steps = check_count("num_steps", num_steps, 1)
    spike_time = _wide(_real("spike_time", spike_time)).round()
    if not (spike_time >= 0).all():
        raise ValueError("spike_time holds negative times or NaN; expected time steps from 0 on.")
    return _levels(_single_spikes(spike_time, num_steps), on_target, off_target, True)


# Changes -------------------------------------------------------------------------------------


def delta(
    data: Tensor, threshold: float | Tensor = 0.1, padding: bool = False, off_spike: bool = False
) -> Tensor:
    r"""Delta modulation: a feature fires when it has changed enough since the last step.

    .. math::

        S_t = [x_t - x_{t-1} \ge \theta] - [x_t - x_{t-1} \le -\theta]

    where a bracket is 1 if its condition holds and 0 otherwise. The second term, the off-spike, is
    included only with ``off_spike=True``.

    :param data: features that vary in time, shape [T, ...]. Integers and booleans are cast to the
        default dtype, since differences of bytes would wrap around.
    :param threshold: smallest change :math:`\theta` that fires; a number, or a tensor that
        broadcasts to one time step. Default: ``0.1``
    :param padding: whether the first step is compared with itself, and so does not fire, rather
        than with 0. Default: ``False``
    :param off_spike: whether a decrease fires a spike of -1. Default: ``False``
    :returns: spikes in the shape and dtype of the (cast) data.
    :raises TypeError: if the data are not a real tensor.
    :raises ValueError: if the data have no time step.
    """
    data = _floating(data)
    if data.dim() == 0 or len(data) == 0:
        raise ValueError(f"data has shape {tuple(data.shape)}; expected [T, ...] with T >= 1.")
    first = data[:1] if padding else torch.zeros_like(data[:1])
    change = data.diff(dim=0, prepend=first)
    spikes = (change >= threshold).to(data.dtype)
    return spikes - (change <= -threshold).to(data.dtype) if off_spike else spikes


# Targets -------------------------------------------------------------------------------------


def to_one_hot(targets: Tensor, num_classes: int) -> Tensor:
    """Return the one-hot code of class indices.

    :param targets: class indices from 0 to C - 1, shape [B].
    :param num_classes: number of classes C.
    :returns: 1 at the class of each sample and 0 elsewhere, shape [B, C].
    :raises TypeError: if the targets are not a real tensor or ``num_classes`` is not an integer.
    :raises ValueError: if the targets have another shape or hold something else.
    """
    targets = _real("targets", targets)
    num_classes = check_count("num_classes", num_classes, 1)
    if targets.dim() != 1:
        raise ValueError(
            f"targets has shape {tuple(targets.shape)}; expected one class index per sample, [B]: "
            f"from_one_hot gives them for a one-hot code."
        )
    targets = _wide(targets)
    wrong = targets[(targets < 0) | (targets >= num_classes) | (targets != targets.long())]
    if wrong.numel():
        raise ValueError(
            f"targets holds {wrong[0].item():g}; expected whole numbers from 0 to "
            f"num_classes - 1 = {num_classes - 1}."
        )
    return F.one_hot(targets.long(), num_classes).to(torch.get_default_dtype())


def from_one_hot(one_hot_label: Tensor) -> Tensor:
    """Return the class indices of a one-hot code.

    :param one_hot_label: one-hot code, shape [B, C] or, of a single sample, [C].
    :returns: class indices, integers of shape [B].
    :raises TypeError: if the code is not a real tensor.
    :raises ValueError: if it has no axis, or a row other than zeros and a single 1.
    """
    code = _real("one_hot_label", one_hot_label)
    if code.dim() == 0:
        raise ValueError("one_hot_label is a scalar; expected shape [B, C].")
    if not (((code == 0) | (code == 1)).all() and (code.sum(-1) == 1).all()):
        raise ValueError(
            "one_hot_label has a row that is not a single 1 among zeros; for scores or spike "
            "counts use argmax(-1)."
        )
    return torch.atleast_1d(code.int().argmax(-1))


def to_one_hot_inverse(one_hot_targets: Tensor) -> Tensor:
    """Return the inverse of a one-hot code: 0 at the class of each sample, 1 elsewhere.

    Every nonzero value becomes 0.

    :param one_hot_targets: one-hot code, shape [B, C].
    :returns: the inverse, in the shape and dtype of the code.
    :raises TypeError: if the code is not a real tensor.
    """
    code = _real("one_hot_targets", one_hot_targets)
    return (code == 0).to(code.dtype)


_PATTERNS = ("regular", "uniform", "poisson")


def _check_pattern(firing_pattern: str) -> None:
    if firing_pattern not in _PATTERNS:
        raise ValueError(f"firing_pattern is {firing_pattern!r}; expected one of {_PATTERNS}.")


def _trains(
    share: float,
    shape: Sequence[int],
    num_steps: int,
    first: int,
    firing_pattern: str,
    generator: torch.Generator | None,
    device: torch.device | None = None,
) -> Tensor:
    """Return boolean spike trains [num_steps, *shape] that fire at a fraction of the steps."""
    _check_pattern(firing_pattern)
    steps = num_steps - first
    if firing_pattern == "poisson":
        probability = torch.full(tuple(shape), float(share), device=device)
        return rate(probability, num_steps, first_spike_time=first, generator=generator).bool()
    # The small factors undo the rounding of rates, as in 0.07 * 100 = 7.000000000000001.
    count = math.ceil(share * steps * (1 - 1e-12))
    spikes = torch.zeros(num_steps, *shape, dtype=torch.bool, device=device)
    if firing_pattern == "uniform":
        order = torch.rand(steps, *shape, generator=generator, device=device).argsort(0)
        spikes[first:] = order < count
    elif count:
        times = torch.arange(count, dtype=torch.float64) / share * (1 + 1e-12)
        spikes[first + times.long().to(device)] = True
    return spikes


def target_rate_code(
    num_steps: int,
    first_spike_time: int = 0,
    rate: float = 1,
    firing_pattern: str = "regular",
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return a spike train that fires at a given fraction of the steps.

    Of the N steps from :math:`t_1` on,

    - ``"regular"`` fires at :math:`t_1 + \lfloor k / r \rfloor` for
      :math:`k = 0, \ldots, \lceil r N \rceil - 1`,
    - ``"uniform"`` at :math:`\lceil r N \rceil` different steps drawn at random,
    - ``"poisson"`` at each step independently with probability r.

    :param num_steps: number of time steps T.
    :param first_spike_time: the :math:`t_1`, first time step that may spike. Default: ``0``
    :param rate: fraction r of the steps, from 0 to 1. Default: ``1``
    :param firing_pattern: ``"regular"``, ``"uniform"`` or ``"poisson"``. Default: ``"regular"``
    :param generator: source of the random numbers. Default: ``None``, for the global one
    :returns: spikes 0 and 1, shape [T], and the time steps of the spikes.
    :raises TypeError: if a number of steps is not an integer.
    :raises ValueError: if an argument is out of its range.
    """
    num_steps = check_count("num_steps", num_steps, 1)
    first = _first_step(first_spike_time, num_steps)
    spikes = _trains(check_share("rate", rate), (), num_steps, first, firing_pattern, generator)
    return spikes.to(torch.get_default_dtype()), spikes.nonzero().flatten()


def rate_interpolate(
    spike_time: Tensor,
    num_steps: int,
    on_target: float = 1,
    off_target: float = 0,
    epsilon: float = 1e-07,
) -> Tensor:
    r"""Return values that rise linearly from one spike to the next.

    With the spike at or after step t at :math:`t_e`, and the one before t at :math:`t_s` (-1 if
    there is none),

    .. math::

        y_t = \begin{cases} y_\text{on} & t = t_e \\
        y_\text{off} + (y_\text{on} - y_\text{off}) \, \frac{t - t_s - 1}{t_e - t_s - 1}
        & t < t_e \\
        y_\text{off} & \text{after the last spike} \end{cases}

    :param spike_time: time steps of the spikes, from 0 to T - 1, in any order; fractions are
        truncated.
    :param num_steps: number of time steps T.
    :param on_target: value at the spikes. Default: ``1``
    :param off_target: value right after a spike. Default: ``0``
    :param epsilon: has no effect; accepted for compatibility with 1.0.0. Default: ``1e-7``
    :returns: the values, shape [T].
    :raises TypeError: if the times are not a real tensor or ``num_steps`` is not an integer.
    :raises ValueError: if a time is outside the steps or ``num_steps`` is less than 1.
    """
    num_steps = check_count("num_steps", num_steps, 1)
    spike_time = _wide(_real("spike_time", spike_time))
    if not ((spike_time >= 0) & (spike_time < num_steps)).all():
        raise ValueError(
            f"spike_time holds a time outside the steps 0 to num_steps - 1 = {num_steps - 1}."
        )
    spikes = torch.zeros(num_steps, dtype=torch.bool, device=spike_time.device)
    spikes[spike_time.long()] = True
    return _levels(spikes, on_target, off_target, interpolate=True)


def targets_rate(
    targets: Tensor,
    num_classes: int,
    num_steps: int | bool = False,
    first_spike_time: int = 0,
    correct_rate: float = 1,
    incorrect_rate: float = 0,
    on_target: float = 1,
    off_target: float = 0,
    firing_pattern: str = "regular",
    interpolate: bool = False,
    epsilon: float = 1e-07,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return target spike trains with one rate for the right class and another for the others.

    The trains are those of :func:`target_rate_code`; random trains are drawn independently for each
    sample and class. Targets that are the same at every step, as with the default rates and
    ``first_spike_time=0``, have no time axis.

    :param targets: class indices, shape [B].
    :param num_classes: number of classes C.
    :param num_steps: number of time steps T. Default: ``False``, if the targets do not vary in time
    :param first_spike_time: first time step that may spike. Default: ``0``
    :param correct_rate: fraction of the steps at which the right class fires. Default: ``1``
    :param incorrect_rate: fraction of the steps at which the others fire, at most ``correct_rate``.
        Default: ``0``
    :param on_target: value at a spike. Default: ``1``
    :param off_target: value elsewhere. Default: ``0``
    :param firing_pattern: ``"regular"``, ``"uniform"`` or ``"poisson"``. Default: ``"regular"``
    :param interpolate: whether values rise linearly from ``off_target`` after a spike, or at
        ``first_spike_time``, to ``on_target`` at the next, as in :func:`rate_interpolate`.
        Default: ``False``
    :param epsilon: has no effect, see :func:`rate_interpolate`. Default: ``1e-7``
    :param generator: source of the random numbers, on the device of the targets. Default: ``None``,
        for the global one
    :returns: targets, shape [T, B, C], or [B, C] if they do not vary in time.
    :raises TypeError: if the targets are not a real tensor or a number of steps is not an integer.
    :raises ValueError: if an argument is out of its range or ``num_steps`` is missing.
    """
    one_hot = to_one_hot(targets, num_classes).bool()
    check_share("correct_rate", correct_rate)
    check_share("incorrect_rate", incorrect_rate)
    if incorrect_rate > correct_rate:
        raise ValueError(
            f"incorrect_rate is {incorrect_rate}; expected at most correct_rate = {correct_rate}."
        )
    _check_pattern(firing_pattern)
    if (correct_rate, incorrect_rate, first_spike_time) == (1, 0, 0):
        return _levels(one_hot, on_target, off_target)
    if not num_steps:
        raise ValueError(
            "num_steps is missing; targets vary in time unless correct_rate is 1, incorrect_rate "
            "0 and first_spike_time 0."
        )
    num_steps = check_count("num_steps", num_steps, 1)
    first = _first_step(first_spike_time, num_steps)
    options = (one_hot.shape, num_steps, first, firing_pattern, generator, one_hot.device)
    correct = _trains(correct_rate, *options)
    incorrect = _trains(incorrect_rate, *options)
    spikes = correct.where(one_hot, incorrect)
    silent = _levels(spikes[:first], on_target, off_target)
    return torch.cat([silent, _levels(spikes[first:], on_target, off_target, interpolate)])


def targets_latency(
    targets: Tensor,
    num_classes: int,
    num_steps: int | bool = False,
    first_spike_time: float = 0,
    on_target: float = 1,
    off_target: float = 0,
    interpolate: bool = False,
    threshold: float = 0.01,
    tau: float = 1,
    clip: bool = False,
    normalize: bool = False,
    linear: bool = False,
    epsilon: float = 1e-07,
    bypass: bool = False,
) -> Tensor:
    """Return target spike trains in which the right class fires first, and the others last.

    They are the :func:`latency` code of the one-hot code; the options are documented there.
    ``normalize=True`` puts the spikes near the first and the last step, and ``clip=True`` silences
    the wrong classes.

    :param targets: class indices, shape [B].
    :param num_classes: number of classes C.
    :param num_steps: number of time steps T, see :func:`latency`. Default: ``False``
    :param first_spike_time: time step at which the right class fires. Default: ``0``
    :param on_target: value at a spike. Default: ``1``
    :param off_target: value elsewhere. Default: ``0``
    :param interpolate: see :func:`latency`. Default: ``False``
    :param threshold: see :func:`latency`. Default: ``0.01``
    :param tau: see :func:`latency`. Default: ``1``
    :param clip: whether the wrong classes do not fire. Default: ``False``
    :param normalize: see :func:`latency`. Default: ``False``
    :param linear: see :func:`latency`. Default: ``False``
    :param epsilon: see :func:`latency`. Default: ``1e-7``
    :param bypass: see :func:`latency`. Default: ``False``
    :returns: targets, shape [T, B, C].
    :raises TypeError: if the targets are not a real tensor or a number of steps is not an integer.
    :raises ValueError: as :func:`latency` and :func:`to_one_hot` do.
    """
    return latency(
        to_one_hot(targets, num_classes),
        num_steps=num_steps,
        threshold=threshold,
        tau=tau,
        first_spike_time=first_spike_time,
        on_target=on_target,
        off_target=off_target,
        clip=clip,
        normalize=normalize,
        linear=linear,
        interpolate=interpolate,
        bypass=bypass,
        epsilon=epsilon,
    )


def targets_convert(
    targets: Tensor,
    num_classes: int,
    code: str = "rate",
    num_steps: int | bool = False,
    first_spike_time: int = 0,
    correct_rate: float = 1,
    incorrect_rate: float = 0,
    on_target: float = 1,
    off_target: float = 0,
    firing_pattern: str = "regular",
    interpolate: bool = False,
    epsilon: float = 1e-07,
    threshold: float = 0.01,
    tau: float = 1,
    clip: bool = False,
    normalize: bool = False,
    linear: bool = False,
    bypass: bool = False,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return target spike trains in a rate or a latency code.

    :param targets: class indices, shape [B].
    :param num_classes: number of classes C.
    :param code: ``"rate"`` for :func:`targets_rate` or ``"latency"`` for :func:`targets_latency`,
        where the options are documented; each ignores the options of the other. Default: ``"rate"``
    :param num_steps: number of time steps T. Default: ``False``
    :param first_spike_time: first time step that may spike; in a latency code, that of the right
        class. Default: ``0``
    :param correct_rate: rate code: fraction of the steps at which the right class fires.
        Default: ``1``
    :param incorrect_rate: rate code: fraction of the steps at which the others fire. Default: ``0``
    :param on_target: value at a spike. Default: ``1``
    :param off_target: value elsewhere. Default: ``0``
    :param firing_pattern: rate code: ``"regular"``, ``"uniform"`` or ``"poisson"``.
        Default: ``"regular"``
    :param interpolate: whether values rise linearly towards spikes. Default: ``False``
    :param epsilon: latency code: margin above the threshold. Default: ``1e-7``
    :param threshold: latency code: see :func:`latency`. Default: ``0.01``
    :param tau: latency code: time constant in time steps. Default: ``1``
    :param clip: latency code: whether the wrong classes do not fire. Default: ``False``
    :param normalize: latency code: whether the spikes span all steps. Default: ``False``
    :param linear: latency code: see :func:`latency`. Default: ``False``
    :param bypass: latency code: whether spikes after the last step are left out without an error.
        Default: ``False``
    :param generator: rate code: source of the random numbers, on the device of the targets.
        Default: ``None``, for the global one
    :returns: targets, shape [T, B, C], or [B, C] for a rate code that does not vary in time.
    :raises TypeError: if the targets are not a real tensor or a number of steps is not an integer.
    :raises ValueError: if ``code`` is unknown, or as the two functions do.
    """
    common = (targets, num_classes, num_steps, first_spike_time)
    if code == "rate":
        return targets_rate(
            *common,
            correct_rate=correct_rate,
            incorrect_rate=incorrect_rate,
            on_target=on_target,
            off_target=off_target,
            firing_pattern=firing_pattern,
            interpolate=interpolate,
            generator=generator,
        )
    if code == "latency":
        return targets_latency(
            *common,
            on_target=on_target,
            off_target=off_target,
            interpolate=interpolate,
            threshold=threshold,
            tau=tau,
            clip=clip,
            normalize=normalize,
            linear=linear,
            epsilon=epsilon,
            bypass=bypass,
        )
    raise ValueError(f"code is {code!r}; expected 'rate' or 'latency'.")


# Events --------------------------------------------------------------------------------------

# The order of fields that event data sets use; the letters name axes of a spike train as well.
_FIELDS = "bxytp"


def _axes(axes: str) -> str:
    if not (
        isinstance(axes, str)
        and axes[:1] == "t"
        and len(set(axes)) == len(axes)
        and set(axes) <= set(_FIELDS)
    ):
        raise ValueError(
            f"axes is {axes!r}; expected t (time) and then different letters of b (sample), "
            f"p (polarity), y and x, such as 'tpyx', 'tbpyx' or 'tx'."
        )
    return axes


def events(spikes: Tensor, axes: str = "tpyx") -> npt.NDArray[np.void]:
    """Return the spikes of a train as a list of events, in order of time.

    :param spikes: whole numbers of spikes, shape [T, P, Y, X], or with the axes in ``axes``. For
        spikes with a sign, such as those of :func:`delta`, make an axis of polarities first:
        ``torch.stack([spikes < 0, spikes > 0], 1)``.
    :param axes: one letter for each axis of the spikes, time first: t, b (sample), p (polarity or
        channel), y and x. Default: ``"tpyx"``
    :returns: structured array with an integer field for each axis, x, y, t and p as in tonic; n
        spikes at one position and step are n equal events. :func:`frames` is the inverse.
    :raises TypeError: if the spikes are not a real tensor.
    :raises ValueError: if they do not have these axes or hold other numbers than 0, 1, 2, ....
    """
    spikes = _real("spikes", spikes).detach()
    if spikes.dim() != len(_axes(axes)):
        raise ValueError(
            f"spikes has shape {tuple(spikes.shape)}; expected the axes {axes!r}: name others "
            f"with axes."
        )
    index = spikes.nonzero(as_tuple=True)
    counts = spikes[index]
    if not ((counts > 0) & (counts == counts.long())).all():
        raise ValueError(
            "spikes holds other values than whole numbers from 0 on; spikes with a sign need an "
            "axis of polarities: torch.stack([spikes < 0, spikes > 0], 1)."
        )
    places = {
        axis: place.repeat_interleave(counts.long()).cpu().numpy()
        for axis, place in zip(axes, index, strict=True)
    }
    fields = [axis for axis in _FIELDS if axis in axes]
    listed = np.empty(len(places["t"]), dtype=[(axis, np.int64) for axis in fields])
    for axis in fields:
        listed[axis] = places[axis]
    return listed


def frames(
    events: npt.NDArray[np.void],
    shape: Sequence[int],
    axes: str = "tpyx",
    time_window: int = 1,
) -> Tensor:
    r"""Count events in frames, to show them to a network.

    An event at time :math:`t` falls into frame :math:`\lfloor t / \Delta \rfloor` of length
    :math:`\Delta`.

    :param events: structured array with a field for each axis, as from :func:`events` or from
        tonic. Other fields are ignored.
    :param shape: shape of the result; -1 for time makes as many frames as needed.
    :param axes: one letter for each axis of the result, see :func:`events`. Default: ``"tpyx"``
    :param time_window: length :math:`\Delta` of a frame in the unit of t, often microseconds.
        Default: ``1``
    :returns: numbers of events in the default dtype, shape ``shape``.
    :raises TypeError: if a field is missing, or a field or a size is not an integer.
    :raises ValueError: if an event lies outside the shape.
    """
    time_window = check_count("time_window", time_window, 1)
    if not hasattr(shape, "__len__") or len(_axes(axes)) != len(shape):
        raise ValueError(f"shape is {shape!r}; expected a size for each of the axes {axes!r}.")
    fields = events.dtype.names if isinstance(events, np.ndarray) else None
    places = []
    for axis in axes:
        if axis not in (fields or ()):
            raise TypeError(
                f"events has no field {axis!r}; expected a structured array with the fields of "
                f"the axes {axes!r}."
            )
        if events[axis].dtype.kind not in "iub":
            raise TypeError(
                f"field {axis!r} of events has dtype {events[axis].dtype}; expected integers: "
                f"scale and round it first."
            )
        places.append(events[axis].astype(np.int64))
    places[0] //= time_window
    steps = max(places[0].max(initial=0) + 1, 1) if shape[0] == -1 else shape[0]
    sizes = [check_count("shape", size, 1) for size in (steps, *shape[1:])]
    for axis, place, size in zip(axes, places, sizes, strict=True):
        outside = place[(place < 0) | (place >= size)]
        if len(outside):
            raise ValueError(
                f"events has {axis} = {outside[0]}{' frames' * (axis == 't')}; expected 0 to "
                f"{size - 1}: raise shape, or cut the events first."
            )
    index = tuple(torch.from_numpy(place) for place in places)
    return torch.zeros(sizes).index_put_(index, torch.ones(()), accumulate=True)
