"""Losses on spikes and membrane potentials recorded over time."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._torch import found
from ..utils import _count, _share

__all__ = [
    "LossFunctions",
    "SpikeTime",
    "ce_count_loss",
    "ce_max_membrane_loss",
    "ce_rate_loss",
    "ce_temporal_loss",
    "mse_count_loss",
    "mse_membrane_loss",
    "mse_temporal_loss",
]

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "none": lambda loss: loss,
}


def _check_population(population_code: bool, num_classes: int | bool) -> int:
    """Return the number of classes of a population code, or 0 without one."""
    if not population_code:
        return 0
    try:
        return _count("num_classes", num_classes, 1)
    except (TypeError, ValueError):
        raise ValueError(
            f"num_classes is {num_classes!r}, but population_code=True needs the number of "
            f"classes, a positive integer: pass for example num_classes=10."
        ) from None


def _class_outputs(outputs: Tensor, num_classes: int = 0) -> Tensor:
    """The recorded outputs [T, B, C] as one floating trace per class [T, B, K].

    With a population code of ``num_classes`` (0 for none) the neurons are cut into K blocks of
    neighbours, one per class, and each block is summed. Half precision becomes float32: sums over
    time and squares of them overflow float16.
    """
    if not isinstance(outputs, Tensor):
        raise TypeError(
            f"spk_out is a {type(outputs).__name__}; expected one tensor [T, B, C]: "
            f"stack the recorded steps with torch.stack(steps)."
        )
    if outputs.dim() != 3 or outputs.numel() == 0:
        raise ValueError(
            f"spk_out has shape {tuple(outputs.shape)}; expected [T, B, C] (time steps, batch, "
            f"output neurons), none of them 0: for a single time step pass spk_out.unsqueeze(0)."
        )
    if outputs.is_complex():
        raise TypeError(f"spk_out has dtype {outputs.dtype}; expected real numbers.")
    outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
    if not num_classes:
        return outputs
    if outputs.shape[-1] % num_classes:
        raise ValueError(
            f"num_classes is {num_classes}, which does not divide the {outputs.shape[-1]} output "
            f"neurons of spk_out: a population code needs equally many neurons per class."
        )
    return outputs.unflatten(-1, (num_classes, -1)).sum(-1)


def _class_indices(targets: Tensor, shape: tuple[int, ...], outputs: Tensor) -> Tensor:
    """The targets as int64 beside the outputs [..., K], after checking that each is a class."""
    if not isinstance(targets, Tensor):
        raise TypeError(
            f"targets is a {type(targets).__name__}; expected a tensor of class indices: "
            f"pass torch.as_tensor(targets)."
        )
    if targets.shape != shape:
        axes = "[B]" if len(shape) == 1 else "[T, B, C] potentials or [T, B]"
        raise ValueError(
            f"targets has shape {tuple(targets.shape)}; expected {axes} = {tuple(shape)} class "
            f"indices, one per sample of spk_out: turn one-hot targets into indices with "
            f"targets.argmax(-1), drop an axis of size 1 with targets.squeeze(-1)."
        )
    if targets.is_complex():
        raise TypeError(f"targets has dtype {targets.dtype}; expected integers.")
    num_classes = outputs.shape[-1]
    indices = targets.to(outputs.device, torch.int64)
    if targets.is_floating_point() and found(targets != targets.trunc()):
        raise ValueError(
            "targets holds fractions; expected whole class indices: probabilities become "
            "indices with targets.argmax(-1)."
        )
    wrong = (indices < 0) | (indices >= num_classes)
    if found(wrong):
        raise ValueError(
            f"targets holds class {indices[wrong][0]}; expected 0 to {num_classes - 1}, as "
            f"spk_out gives {num_classes} classes: count classes from 0 or widen the output."
        )
    return indices


class LossFunctions:
    r"""Base of all losses on outputs recorded over time: what they share stands here.

    With :math:`\ell_b` the loss of sample :math:`b` (of each of its classes, for the squared
    errors), :math:`y_b` its class and :math:`w` the class weights, the call gives

    .. math::

        \mathcal{L} = \operatorname{reduce}_b \left( w_{y_b} \, \ell_b \right) .

    The mean of weighted losses divides by the number of elements, not by the sum of the weights.
    A subclass gives the unreduced loss as ``_compute_loss(outputs, targets, neurons)``, from the
    outputs per class [T, B, K], the checked targets and the number of neurons per class.

    :param reduction: ``"mean"``, ``"sum"`` or ``"none"``. Default of every loss: ``"mean"``
    :param weight: one factor per class, shape [K]. Default of every loss: ``None``
    :param population_code: whether several neurons form a class. Default: ``False``
    :param num_classes: number of classes K, needed with a population code. Default: ``False``

    Calling a loss:

    :param spk_out: recorded spikes or membrane potentials, shape [T, B, C]: time steps, batch,
        output neurons. With a population code C is a multiple of the K classes, and neighbouring
        neurons form a class; otherwise K = C.
    :param targets: class indices from 0 to K - 1, shape [B].
    :returns: the loss, float64 for float64 outputs and float32 for all others. Reduced, its
        shape is (), or (1,) for losses that are averaged over time. With ``reduction="none"``
        it is [B] for a cross-entropy and [B, K] for a squared error.
    :raises TypeError: if an argument is of a wrong type.
    :raises ValueError: for an unknown reduction, a number of weights other than K, a population
        code without a fitting ``num_classes``, outputs that are not [T, B, C], targets that are
        not one index per sample (such as one-hot targets) or a class that does not exist.
    """

    # One value per time step: averaged over time, and the reduced value has the shape (1,).
    _per_step = False
    # One value per class: the unreduced loss has a class axis, which the targets lack.
    _per_class = False

    def __init__(
        self,
        reduction: str,
        weight: Tensor | None,
        population_code: bool = False,
        num_classes: int | bool = False,
    ) -> None:
        if not isinstance(reduction, str) or reduction not in _REDUCTIONS:
            raise ValueError(
                f"reduction is {reduction!r}; expected one of {', '.join(map(repr, _REDUCTIONS))}."
            )
        if weight is not None and not isinstance(weight, Tensor):
            raise TypeError(
                f"weight is a {type(weight).__name__}; expected a tensor with one factor per "
                f"class, or None: pass torch.as_tensor(weight)."
            )
        if weight is not None and weight.dim() != 1:
            raise ValueError(
                f"weight has shape {tuple(weight.shape)}; expected one factor per class, [K]: "
                f"pass weight.flatten()."
            )
        _check_population(population_code, num_classes)
        self.reduction = reduction
        self.weight = weight
        self.population_code = population_code
        self.num_classes = num_classes
        self.__name__ = type(self).__name__

    def __call__(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        num_classes = _check_population(self.population_code, self.num_classes)
        outputs = _class_outputs(spk_out, num_classes)
        if self.weight is not None and len(self.weight) != outputs.shape[-1]:
            raise ValueError(
                f"weight has {len(self.weight)} entries; expected {outputs.shape[-1]}, one for "
                f"each class of spk_out."
            )
        targets = self._check_targets(outputs, targets)
        loss = self._compute_loss(outputs, targets, spk_out.shape[-1] // outputs.shape[-1])
        if self.weight is not None:
            loss = loss * self._weigh(self.weight.to(loss), targets)
        if self._per_step:
            loss = loss.mean(0)
        loss = _REDUCTIONS[self.reduction](loss)
        return loss.reshape(1) if self._per_step and self.reduction != "none" else loss

    def _check_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return _class_indices(targets, outputs.shape[1:2], outputs)

    def _compute_loss(self, outputs: Tensor, targets: Tensor, neurons: int) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define _compute_loss")

    def _weigh(self, weight: Tensor, targets: Tensor) -> Tensor:
        """The factor of each element of the unreduced loss: the weight of its sample's class."""
        weight = weight[targets]
        return weight.unsqueeze(-1) if self._per_class else weight


class ce_rate_loss(LossFunctions):
    r"""Cross-entropy of the outputs of each time step, averaged over time.

    With the outputs :math:`S_t` of step :math:`t` as logits and the class :math:`y` of the sample,

    .. math::

        \ell = -\frac{1}{T} \sum_{t=1}^{T}
        \ln \frac{\exp S_t^{(y)}}{\sum_k \exp S_t^{(k)}} .

    It asks the right neuron to fire at every step and the others to fire at none.
    The arguments and the call are those of :class:`LossFunctions`; the reduced loss has the
    shape (1,).
    """

    _per_step = True

    def __init__(
        self,
        population_code: bool = False,
        num_classes: int | bool = False,
        reduction: str = "mean",
        weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction, weight, population_code, num_classes)

    def _compute_loss(self, outputs: Tensor, targets: Tensor, neurons: int) -> Tensor:
        every_step = targets.unsqueeze(-1).expand(-1, len(outputs))
        return F.cross_entropy(outputs.movedim(0, -1), every_step, reduction="none").T


class ce_count_loss(LossFunctions):
    r"""Cross-entropy of the spike counts.

    With the counts :math:`N = \sum_t S_t` as logits and the class :math:`y` of the sample,

    .. math::

        \ell = -\ln \frac{\exp N^{(y)}}{\sum_k \exp N^{(k)}} .

    The arguments and the call are those of :class:`LossFunctions`.
    """

    def __init__(
        self,
        population_code: bool = False,
        num_classes: int | bool = False,
        reduction: str = "mean",
        weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction, weight, population_code, num_classes)

    def _compute_loss(self, outputs: Tensor, targets: Tensor, neurons: int) -> Tensor:
        return F.cross_entropy(outputs.sum(0), targets, reduction="none")


class ce_max_membrane_loss(LossFunctions):
    r"""Cross-entropy of the highest membrane potential that each neuron reaches.

    With the peaks :math:`P = \max_t U_t` as logits and the class :math:`y` of the sample,

    .. math::

        \ell = -\ln \frac{\exp P^{(y)}}{\sum_k \exp P^{(k)}} .

    The gradient goes to the time step of the peak alone. The arguments, of which the population
    code is left out, and the call are those of :class:`LossFunctions`, with membrane potentials
    in the place of spikes.
    """

    def __init__(self, reduction: str = "mean", weight: Tensor | None = None) -> None:
        super().__init__(reduction, weight)

    def _compute_loss(self, outputs: Tensor, targets: Tensor, neurons: int) -> Tensor:
        return F.cross_entropy(outputs.max(0).values, targets, reduction="none")


def _is_class(targets: Tensor, num_classes: int) -> Tensor:
    """Whether each class is that of the target: [..., K] for [...]."""
    return targets.unsqueeze(-1) == torch.arange(num_classes, device=targets.device)


def _wanted(outputs: Tensor, targets: Tensor, correct: float, incorrect: float) -> Tensor:
    """``correct`` at the class of each target, ``incorrect`` at the others: [..., K] for [...]."""
    values = outputs.new_full((), correct), outputs.new_full((), incorrect)
    return torch.where(_is_class(targets, outputs.shape[-1]), *values)


class mse_count_loss(LossFunctions):
    r"""Squared error between the spike counts and the counts wanted.

    Each class of :math:`n` neurons (:math:`n = 1` without a population code) fires
    :math:`N = \sum_t S_t` times in :math:`T` steps. With the class :math:`y` of the sample,

    .. math::

        \ell^{(k)} = \frac{1}{T} \left( N^{(k)} - \lfloor r^{(k)} T n \rfloor \right)^2 ,
        \qquad r^{(k)} = \begin{cases}
        r_{\text{correct}} & k = y \\
        r_{\text{incorrect}} & k \neq y .
        \end{cases}

    A rate of 0.29 over 100 steps aims at 29 spikes: binary rounding of the product is undone.
    The other arguments and the call are those of :class:`LossFunctions`.

    :param correct_rate: share of the steps at which the right class is to fire, from 0 to 1.
        Default: ``1``
    :param incorrect_rate: share of the steps at which the others are to fire, likewise.
        Default: ``0``
    """

    _per_class = True

    def __init__(
        self,
        correct_rate: float = 1,
        incorrect_rate: float = 0,
        population_code: bool = False,
        num_classes: int | bool = False,
        reduction: str = "mean",
        weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction, weight, population_code, num_classes)
        self.correct_rate = _share("correct_rate", correct_rate)
        self.incorrect_rate = _share("incorrect_rate", incorrect_rate)

    def _compute_loss(self, outputs: Tensor, targets: Tensor, neurons: int) -> Tensor:
        num_steps = len(outputs)
        correct, incorrect = (
            # Lift what is a whole number but for the rounding of the rate, such as 28.999...
            math.floor(rate * num_steps * neurons + 1e-6)
            for rate in (self.correct_rate, self.incorrect_rate)
        )
        counts = outputs.sum(0)
        return (counts - _wanted(counts, targets, correct, incorrect)).square() / num_steps


class mse_membrane_loss(LossFunctions):
    r"""Squared error between the membrane potentials and those wanted, averaged over time.

    With the class :math:`y_t` of the sample, which stays the same unless
    ``time_var_targets=True``,

    .. math::

        \ell^{(k)} = \frac{1}{T} \sum_{t=1}^{T} \left( U_t^{(k)} - V_t^{(k)} \right)^2 ,
        \qquad V_t^{(k)} = \begin{cases}
        V_{\text{on}} & k = y_t \\
        V_{\text{off}} & k \neq y_t .
        \end{cases}

    The other arguments, of which the population code is left out, and the call are those of
    :class:`LossFunctions`, with membrane potentials in the place of spikes. With
    ``time_var_targets=True`` the targets are one of

    - class indices of every time step, shape [T, B];
    - membrane potentials wanted of every neuron at every time step, shape [T, B, C]. They are
      :math:`V` itself, so ``on_target`` and ``off_target`` play no part, and ``weight`` weighs
      each neuron by its own class instead of the sample by its target.

    The reduced loss has the shape (1,).

    :param time_var_targets: whether the targets change over time. Default: ``False``
    :param on_target: membrane potential wanted of the right neuron. Default: ``1``
    :param off_target: membrane potential wanted of the others. Default: ``0``
    """

    _per_step = True
    _per_class = True

    def __init__(
        self,
        time_var_targets: bool = False,
        on_target: float = 1,
        off_target: float = 0,
        reduction: str = "mean",
        weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction, weight)
        self.time_var_targets = time_var_targets
        self.on_target = on_target
        self.off_target = off_target

    def _check_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if not self.time_var_targets:
            return super()._check_targets(outputs, targets)
        if isinstance(targets, Tensor) and targets.shape == outputs.shape:
            return targets.to(outputs)
        return _class_indices(targets, outputs.shape[:2], outputs)

    def _compute_loss(self, outputs: Tensor, targets: Tensor, neurons: int) -> Tensor:
        if targets.dim() < 3:
            targets = _wanted(outputs, targets, self.on_target, self.off_target)
        return (outputs - targets).square()

    def _weigh(self, weight: Tensor, targets: Tensor) -> Tensor:
        return weight if targets.dim() == 3 else super()._weigh(weight, targets)


def _spike_times(spk_rec: Tensor, spk_count: int) -> Tensor:
    """The times of the first F spikes, [F, ...], of a record [T, ...], with a slope of -1."""
    spk_rec = spk_rec.to(torch.promote_types(spk_rec.dtype, torch.float32))
    seen = (spk_rec != 0).cumsum(0)
    # A spike comes after as many steps as have seen no more than the spikes before it.
    times = torch.stack([(seen <= before).sum(0) for before in range(spk_count)])
    times = times.clamp(max=len(spk_rec) - 1)
    spikes = spk_rec.gather(0, times)
    return times + (spikes.detach() - spikes)  # adds nothing but the slope


def _steps_given(name: str, times: Any) -> int:
    """Return how many time steps are given, or raise TypeError if they are none."""
    try:
        return torch.as_tensor(times).numel()
    except (RuntimeError, TypeError, ValueError):
        raise TypeError(f"{name} is {times!r}; expected a time step, or one per spike.") from None


class SpikeTime(nn.Module):
    r"""Turn recorded spikes, and the targets of a temporal loss, into spike times.

    The :math:`f`-th spike of a neuron (:math:`f` counts from 0), with :math:`S` its record over
    :math:`T` steps, comes at

    .. math::

        t_f = \min \left( \left\{ t : \sum_{s=0}^{t} S_s > f \right\}
        \cup \{ T - 1 \} \right), \qquad
        \frac{\partial t_f}{\partial S_t} := \begin{cases}
        -1 & t = t_f \\
        0 & \text{otherwise.}
        \end{cases}

    Steps count from 0. A spike that is missing counts as one at the last step, where its gradient
    goes too, so that silent neurons learn. The slope stands for the true one: a stronger drive
    makes a spike come earlier. Every value other than 0 is one spike.

    :param target_is_time: whether targets are spike times, not class indices. Default: ``False``
    :param on_target: step at which the right neuron is to fire; with ``multi_spike`` one for each
        of its spikes. Negative times count from the end. Default: ``0``
    :param off_target: the same of the other neurons. Default: ``-1``, the last step
    :param tolerance: spikes less than this number of steps away from their targets count as being
        on target. Default: ``0``
    :param multi_spike: whether several spikes of each neuron have targets. Default: ``False``

    Calling it:

    :param spk_out: recorded spikes, shape [T, B, C]: time steps, batch, output neurons.
    :param targets: class indices, shape [B]; with ``target_is_time`` the times, shape [B, C], or
        [C] for all samples alike; with ``multi_spike`` [F, B, C] or [F, 1, C], for the first F
        spikes.
    :returns: the times of the spikes and the times wanted, each of shape [B, C], with
        ``multi_spike`` [F, B, C].
    :raises TypeError: if an argument is of a wrong type.
    :raises ValueError: for shapes that do not fit, a class that does not exist, a negative
        tolerance, or numbers of on and off targets that differ or are not 1 without
        ``multi_spike``.

    Source: S. M. Bohte, J. N. Kok, H. La Poutre, "Error-backpropagation in temporally encoded
    networks of spiking neurons", Neurocomputing 48 (2002) 17-37.
    """

    class FirstSpike:
        """``apply(spk_rec)``: the times of the first spikes, [B, C], of a record [T, B, C]."""

        @staticmethod
        def apply(spk_rec: Tensor, device: Any = None) -> Tensor:
            return _spike_times(spk_rec, 1)[0]

    class MultiSpike:
        """``apply(spk_rec, spk_count)``: the times of the first F spikes, [F, B, C]."""

        @staticmethod
        def apply(spk_rec: Tensor, spk_count: int, device: Any = None) -> Tensor:
            return _spike_times(spk_rec, spk_count)

    class Tolerance:
        """``apply(spk_time, target, tolerance)``: the times, set to targets less than
        ``tolerance`` away. The gradient passes as it is."""

        @staticmethod
        def apply(spk_time: Tensor, target: Tensor, tolerance: float) -> Tensor:
            near = (spk_time - target).abs() < tolerance
            return torch.where(near, target + (spk_time - spk_time.detach()), spk_time)

    def __init__(
        self,
        target_is_time: bool = False,
        on_target: float | Sequence[float] | Tensor = 0,
        off_target: float | Sequence[float] | Tensor = -1,
        tolerance: float = 0,
        multi_spike: bool = False,
    ) -> None:
        super().__init__()
        if not tolerance >= 0:
            raise ValueError(f"tolerance is {tolerance!r}; expected a number of steps, at least 0.")
        counts = [_steps_given("on_target", on_target), _steps_given("off_target", off_target)]
        if counts[0] != counts[1] or counts[0] == 0 or (counts[0] > 1 and not multi_spike):
            raise ValueError(
                f"on_target holds {counts[0]} and off_target {counts[1]} times; expected "
                f"{'as many of each' if multi_spike else 'one each'}, one per spike: several "
                f"spikes need multi_spike=True."
            )
        self.target_is_time = target_is_time
        self.on_target = on_target
        self.off_target = off_target
        self.tolerance = tolerance
        self.multi_spike = multi_spike

    def forward(self, spk_out: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        outputs = _class_outputs(spk_out)
        return self._times(outputs, self._check_targets(outputs, targets))

    def labels_to_spike_times(self, targets: Tensor, num_outputs: int) -> Tensor:
        """The times wanted of each neuron, as given by ``on_target`` and ``off_target``.

        :param targets: class indices, shape [B].
        :param num_outputs: number of output neurons C.
        :returns: times, shape [B, C], with ``multi_spike`` [F, B, C]. Negative ones are left.
        """
        label = self.label_to_multi_spike if self.multi_spike else self.label_to_single_spike
        return label(targets, num_outputs)

    def label_to_single_spike(self, targets: Tensor, num_outputs: int) -> Tensor:
        """The time wanted of each neuron's first spike, [B, C], for class indices [B]."""
        return self.label_to_multi_spike(targets, num_outputs)[0]

    def label_to_multi_spike(self, targets: Tensor, num_outputs: int) -> Tensor:
        """The times wanted of each neuron's spikes, [F, B, C], for class indices [B]."""
        on, off = (
            torch.as_tensor(times, dtype=torch.float32, device=targets.device).reshape(-1, 1, 1)
            for times in (self.on_target, self.off_target)
        )
        return torch.where(_is_class(targets, num_outputs), on, off)

    def _check_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if not self.target_is_time:
            return _class_indices(targets, outputs.shape[1:2], outputs)
        if not isinstance(targets, Tensor):
            raise TypeError(
                f"targets is a {type(targets).__name__}; expected a tensor of spike times: "
                f"pass torch.as_tensor(targets)."
            )
        batch, neurons = outputs.shape[1:]
        if self.multi_spike:
            fits = targets.dim() == 3 and len(targets) > 0
            accepted = f"[F, B, C] = [F, {batch}, {neurons}] or [F, 1, {neurons}]"
        else:
            fits = targets.dim() in (1, 2)
            accepted = f"[B, C] = [{batch}, {neurons}] or [{neurons}]"
        if (
            not fits
            or targets.shape[-1] != neurons
            or targets.shape[-2:-1] not in ((), (1,), (batch,))
        ):
            raise ValueError(
                f"targets has shape {tuple(targets.shape)}; expected {accepted} spike times: for "
                f"class indices pass target_is_time=False, for several spikes per neuron "
                f"multi_spike=True."
            )
        return targets.to(outputs)

    def _times(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if not self.target_is_time:
            targets = self.labels_to_spike_times(targets, outputs.shape[-1]).to(outputs)
        if self.multi_spike:
            times = self.MultiSpike.apply(outputs, len(targets))
        else:
            times = self.FirstSpike.apply(outputs)
        targets = torch.where(targets < 0, targets + len(outputs), targets).expand_as(times)
        if self.tolerance:
            times = self.Tolerance.apply(times, targets, self.tolerance)
        return times, targets


class ce_temporal_loss(LossFunctions):
    r"""Cross-entropy of the times of the first spikes: the right neuron is to fire first.

    With the times :math:`t_0` of :class:`SpikeTime`, turned around so that the earliest is the
    largest, as logits and the class :math:`y` of the sample,

    .. math::

        \ell = -\ln \frac{\exp z^{(y)}}{\sum_k \exp z^{(k)}} , \qquad
        z = \begin{cases}
        -t_0 & \text{negate} \\
        1 / (t_0 + 1) & \text{reciprocal.}
        \end{cases}

    The other arguments, of which the population code is left out, and the call are those of
    :class:`LossFunctions`; the slope of a spike time is that of :class:`SpikeTime`.

    :param inverse: ``"negate"`` or ``"reciprocal"``. Default: ``"negate"``
    """

    def __init__(
        self, inverse: str = "negate", reduction: str = "mean", weight: Tensor | None = None
    ) -> None:
        super().__init__(reduction, weight)
        if inverse not in ("negate", "reciprocal"):
            raise ValueError(f"inverse is {inverse!r}; expected 'negate' or 'reciprocal'.")
        self.inverse = inverse

    def _compute_loss(self, outputs: Tensor, targets: Tensor, neurons: int) -> Tensor:
        times = SpikeTime.FirstSpike.apply(outputs)
        logits = -times if self.inverse == "negate" else 1 / (times + 1)
        return F.cross_entropy(logits, targets, reduction="none")


class mse_temporal_loss(LossFunctions):
    r"""Squared error between the times of spikes and the times wanted.

    With the times :math:`t_f` of the first :math:`F` spikes of each neuron, which is one without
    ``multi_spike``, and the times wanted :math:`t^*_f`, all as :class:`SpikeTime` gives them,

    .. math::

        \ell_f^{(k)} = \left( \frac{t_f^{(k)} - t_f^{*(k)}}{T} \right)^2 .

    By default the right neuron is to fire at once, and the others at the last step. What fires
    after the last target costs nothing: to punish it, give it a target. The first five arguments,
    the targets and the errors raised are those of :class:`SpikeTime`, all else is that of
    :class:`LossFunctions`. Given spike times, weights belong to the output neurons. With
    ``reduction="none"`` the shape is [B, C], with ``multi_spike`` [F, B, C].
    """

    _per_class = True

    def __init__(
        self,
        target_is_time: bool = False,
        on_target: float | Sequence[float] | Tensor = 0,
        off_target: float | Sequence[float] | Tensor = -1,
        tolerance: float = 0,
        multi_spike: bool = False,
        reduction: str = "mean",
        weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction, weight)
        self.spk_time_fn = SpikeTime(target_is_time, on_target, off_target, tolerance, multi_spike)

    def _check_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.spk_time_fn._check_targets(outputs, targets)

    def _compute_loss(self, outputs: Tensor, targets: Tensor, neurons: int) -> Tensor:
        times, wanted = self.spk_time_fn._times(outputs, targets)
        return ((times - wanted) / len(outputs)).square()

    def _weigh(self, weight: Tensor, targets: Tensor) -> Tensor:
        return weight if self.spk_time_fn.target_is_time else super()._weigh(weight, targets)
