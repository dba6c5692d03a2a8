"""Losses on spikes and membrane potentials recorded over time."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._checks import check_count
from .._torch import found

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

_REDUCTIONS = ("mean", "sum", "none")


def _check_population(population_code: bool, num_classes: int | bool) -> int:
    """Return the number of classes of a population code, or 0 without one."""
    if not population_code:
        return 0
    try:
        return check_count("num_classes", num_classes, 1)
    except (TypeError, ValueError):
        raise ValueError(
            f"num_classes is {num_classes!r}, but population_code=True needs the number of "
            f"classes, a positive integer: pass for example num_classes=10."
        ) from None


def _class_outputs(outputs: Tensor, num_classes: int = 0, dense: bool = False) -> Tensor:
    """Return the recorded outputs [T, B, C] as one floating-point trace per class [T, B, K].

    With a population code of ``num_classes`` (0 for none) the neurons are cut into K blocks of
    neighbors, one per class, and each block is summed. With ``dense``, spatial axes may follow,
    [T, B, C, ...], and the batch may be missing, [T, C]. Half precision becomes float32: sums over
    time and squares of them overflow float16.
    """
    if not isinstance(outputs, Tensor):
        raise TypeError(
            f"spk_out is a {type(outputs).__name__}; expected one tensor [T, B, C]: "
            f"stack the recorded steps with torch.stack(steps)."
        )
    fits = outputs.dim() >= 2 if dense else outputs.dim() == 3
    if not fits or 0 in outputs.shape[::2]:
        raise ValueError(
            f"spk_out has shape {tuple(outputs.shape)}; expected [T, B, C] (time steps, batch, "
            f"output neurons), T and C not 0: for a single time step pass spk_out.unsqueeze(0)."
        )
    if outputs.is_complex():
        raise TypeError(f"spk_out has dtype {outputs.dtype}; expected real numbers.")
    outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
    if not num_classes:
        return outputs
    axis = _class_axis(outputs[0]) + 1
    if outputs.shape[axis] % num_classes:
        raise ValueError(
            f"num_classes is {num_classes}, which does not divide the {outputs.shape[axis]} "
            f"output neurons of spk_out: a population code needs equally many neurons per class."
        )
    return outputs.unflatten(axis, (num_classes, -1)).sum(axis + 1)


def _class_axis(sample: Tensor) -> int:
    """The axis of classes in outputs without time: [B, K, ...] or [K]."""
    return min(sample.dim() - 1, 1)


def _check_classes(targets: Tensor, shape: tuple[int, ...], also: str = "") -> None:
    """Raise unless the targets are a tensor of this shape."""
    if not isinstance(targets, Tensor):
        raise TypeError(
            f"targets is a {type(targets).__name__}; expected a tensor of class indices: "
            f"pass torch.as_tensor(targets)."
        )
    if targets.shape != shape:
        raise ValueError(
            f"targets has shape {tuple(targets.shape)}; expected {tuple(shape)}, one class index "
            f"per sample of spk_out{also}: turn one-hot targets into indices with "
            f"targets.argmax(-1), drop an axis of size 1 with targets.squeeze(-1), and give a "
            f"single time step its axis with spk_out.unsqueeze(0)."
        )


def _class_indices(
    targets: Tensor, outputs: Tensor, axis: int, ignored: int | None = None, also: str = ""
) -> Tensor:
    """The targets as int64 beside the outputs, after checking that each is a class or ignored."""
    num_classes = outputs.shape[axis]
    _check_classes(targets, outputs.shape[:axis] + outputs.shape[axis + 1 :], also)
    if targets.is_complex():
        raise TypeError(f"targets has dtype {targets.dtype}; expected integers.")
    indices = targets.to(outputs.device, torch.int64)
    if targets.is_floating_point() and found(targets != targets.trunc()):
        raise ValueError(
            "targets holds fractions; expected whole class indices: probabilities become "
            "indices with targets.argmax(-1)."
        )
    wrong = (indices < 0) | (indices >= num_classes)
    if ignored is not None:
        wrong = wrong & (indices != ignored)
    if found(wrong):
        raise ValueError(
            f"targets holds class {indices[wrong][0]}; expected 0 to {num_classes - 1}, as "
            f"spk_out gives {num_classes} classes: count classes from 0 or widen the output."
        )
    return indices


def _prediction_check(spk_out: Tensor) -> tuple[torch.device, int, int]:
    """The device, the number of time steps and the number of output neurons of a record."""
    return spk_out.device, len(spk_out), spk_out.shape[-1]


def _population_code(spk_out: Tensor, num_classes: int, num_outputs: int) -> Tensor:
    """The spike counts [B, K] of K classes, which share the first ``num_outputs`` neurons."""
    num_classes = _check_population(True, num_classes)
    return _class_outputs(spk_out[..., :num_outputs], num_classes).sum(0)


class LossFunctions:
    r"""Base class of the losses on outputs recorded over time.

    With :math:`\ell_b` the loss of sample :math:`b` (of each of its classes, for the squared
    errors), :math:`y_b` its class and :math:`w` the class weights, a loss gives

    .. math::

        \mathcal{L} = \operatorname{reduce}_b \left( w_{y_b} \, \ell_b \right) .

    The mean of weighted losses divides by the number of elements. Only :class:`ce_temporal_loss`
    divides by the sum of the weights.

    :param reduction: ``"mean"``, ``"sum"`` or ``"none"``. Default of every loss: ``"mean"``
    :param weight: one factor per class, shape [K]. Default of every loss: ``None``
    :param population_code: whether several neurons form a class. Default: ``False``
    :param num_classes: number of classes K, needed with a population code. Default: ``False``

    Calling a loss:

    :param spk_out: recorded spikes or membrane potentials, shape [T, B, C]: time steps, batch,
        output neurons. With a population code C is a multiple of the K classes, and neighboring
        neurons form a class; otherwise K = C. The cross-entropies also take feature maps,
        [T, B, C, ...], and the outputs of a single sample, [T, C].
    :param targets: class indices from 0 to K - 1, shape [B], or [B, ...] for feature maps and ()
        for a single sample. The cross-entropies ignore class -100, as PyTorch does.
    :returns: the loss, float64 for float64 outputs and float32 for all others. Reduced, its
        shape is (), or (1,) for losses that are averaged over time and have no weight. With
        ``reduction="none"`` a cross-entropy has the shape of the targets, a squared error [B, K].
    :raises TypeError: if an argument has the wrong type.
    :raises ValueError: for an unknown reduction, a number of weights other than K, a population
        code without a fitting ``num_classes``, outputs that are not [T, B, C], targets that are
        not one index per sample (such as one-hot targets) or a class that does not exist.

    To write your own loss, define ``_compute_loss``. It gets the arguments of the call, and returns
    the loss reduced by ``_intermediate_reduction()``. That is ``reduction``, or ``"none"`` if there
    is a weight, since weights are applied first. The call does the remaining reduction::

        class margin_loss(SF.LossFunctions):
            def _compute_loss(self, spk_out, targets):
                loss_fn = torch.nn.MultiMarginLoss(reduction=self._intermediate_reduction())
                return loss_fn(spk_out.sum(0), targets)

        loss_fn = margin_loss("mean", weight=None)
    """

    def __init__(self, reduction: str, weight: Tensor | None) -> None:
        self.reduction = reduction
        self.weight = weight
        self.__name__ = type(self).__name__

    def __call__(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        return self._reduce(self._compute_loss(spk_out, targets))

    def _compute_loss(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define _compute_loss")

    def _intermediate_reduction(self) -> str:
        """Return the reduction for ``_compute_loss`` to apply: ``"none"`` if weights follow."""
        return self.reduction if self.weight is None else "none"

    def _reduce(self, loss: Tensor) -> Tensor:
        """Apply the reduction that ``_compute_loss`` left out."""
        return loss if self.weight is None else _reduced(loss, self.reduction)

    _prediction_check = staticmethod(_prediction_check)
    _population_code = staticmethod(_population_code)


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    return getattr(loss, reduction)() if reduction in ("mean", "sum") else loss


class _ClassLoss(LossFunctions):
    """Base class of the losses of this module, which check their arguments."""

    def __init__(
        self,
        reduction: str,
        weight: Tensor | None,
        population_code: bool = False,
        num_classes: int | bool = False,
    ) -> None:
        if reduction not in _REDUCTIONS:
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
        super().__init__(reduction, weight)
        # A subclass keeps this name: backprop recognizes losses on membrane potentials by it.
        self.__name__ = next(c.__name__ for c in type(self).__mro__ if c.__module__ == __name__)
        self.population_code = population_code
        self.num_classes = num_classes

    def _outputs(self, spk_out: Tensor, dense: bool = False) -> Tensor:
        """The checked outputs, one trace per class."""
        num_classes = _check_population(self.population_code, self.num_classes)
        outputs = _class_outputs(spk_out, num_classes, dense)
        num_classes = outputs.shape[_class_axis(outputs[0]) + 1]
        if self.weight is not None and len(self.weight) != num_classes:
            raise ValueError(
                f"weight has {len(self.weight)} entries; expected {num_classes}, one for each "
                f"class of spk_out."
            )
        return outputs

    def _classes(self, targets: Tensor, logits: Tensor) -> Tensor:
        """The checked targets of a cross-entropy, which ignores class -100."""
        return _class_indices(targets, logits, _class_axis(logits), ignored=-100)

    def _cross_entropy(self, logits: Tensor, classes: Tensor, reduction: str) -> Tensor:
        weight = None if self.weight is None else self.weight.to(logits)
        return F.cross_entropy(logits, classes, weight, reduction=reduction)

    def _weighted(self, loss: Tensor, classes: Tensor | None) -> Tensor:
        """Multiply losses [..., K] by the weights of the classes, or (None) by those of K."""
        if self.weight is None:
            return loss
        weight = self.weight.to(loss)
        return loss * (weight if classes is None else weight[classes].unsqueeze(-1))


class ce_rate_loss(_ClassLoss):
    r"""Cross-entropy of the outputs of each time step, averaged over time.

    With the outputs :math:`S_t` of step :math:`t` as logits and the class :math:`y` of the sample,

    .. math::

        \ell = -\frac{1}{T} \sum_{t=1}^{T}
        \ln \frac{\exp S_t^{(y)}}{\sum_k \exp S_t^{(k)}} .

    It trains the right neuron to fire at every step and the others never to fire. The loss is
    called as described in :class:`LossFunctions`. Without a weight the reduced loss has the shape
    (1,).

    :param population_code: whether several neurons form a class. Default: ``False``
    :param num_classes: number of classes K, needed with a population code. Default: ``False``
    :param reduction: ``"mean"``, ``"sum"`` or ``"none"``. Default: ``"mean"``
    :param weight: one factor per class, shape [K]. Default: ``None``
    """

    def __init__(
        self,
        population_code: bool = False,
        num_classes: int | bool = False,
        reduction: str = "mean",
        weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction, weight, population_code, num_classes)

    def _compute_loss(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        outputs = self._outputs(spk_out, dense=True)
        num_steps, reduction = len(outputs), self._intermediate_reduction()
        classes = self._classes(targets, outputs[0])
        # Treat steps as samples. Those of a single sample are already.
        logits = outputs.flatten(0, 1) if outputs.dim() > 2 else outputs
        every_step = classes.expand(num_steps, *classes.shape).reshape(-1, *classes.shape[1:])
        loss = self._cross_entropy(logits, every_step, reduction)
        if reduction == "none":
            return loss.reshape(num_steps, *classes.shape).mean(0)
        return (loss / num_steps if reduction == "sum" else loss).reshape(1)


class ce_count_loss(_ClassLoss):
    r"""Cross-entropy of the spike counts.

    With the counts :math:`N = \sum_t S_t` as logits and the class :math:`y` of the sample,

    .. math::

        \ell = -\ln \frac{\exp N^{(y)}}{\sum_k \exp N^{(k)}} .

    The loss is called as described in :class:`LossFunctions`.

    :param population_code: whether several neurons form a class. Default: ``False``
    :param num_classes: number of classes K, needed with a population code. Default: ``False``
    :param reduction: ``"mean"``, ``"sum"`` or ``"none"``. Default: ``"mean"``
    :param weight: one factor per class, shape [K]. Default: ``None``
    """

    def __init__(
        self,
        population_code: bool = False,
        num_classes: int | bool = False,
        reduction: str = "mean",
        weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction, weight, population_code, num_classes)

    def _compute_loss(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        counts = self._outputs(spk_out, dense=True).sum(0)
        classes = self._classes(targets, counts)
        return self._cross_entropy(counts, classes, self._intermediate_reduction())


class ce_max_membrane_loss(_ClassLoss):
    r"""Cross-entropy of the highest membrane potential that each neuron reaches.

    With the peaks :math:`P = \max_t U_t` as logits and the class :math:`y` of the sample,

    .. math::

        \ell = -\ln \frac{\exp P^{(y)}}{\sum_k \exp P^{(k)}} .

    The gradient goes to the time step of the peak alone. The loss is called as described in
    :class:`LossFunctions`, with membrane potentials instead of spikes.

    :param reduction: ``"mean"``, ``"sum"`` or ``"none"``. Default: ``"mean"``
    :param weight: one factor per class, shape [K]. Default: ``None``
    """

    def __init__(self, reduction: str = "mean", weight: Tensor | None = None) -> None:
        super().__init__(reduction, weight)

    def _compute_loss(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        peaks = self._outputs(spk_out, dense=True).max(0).values
        classes = self._classes(targets, peaks)
        return self._cross_entropy(peaks, classes, self._intermediate_reduction())


def _is_class(targets: Tensor, num_classes: int) -> Tensor:
    """Whether each class is that of the target: [..., K] for [...]."""
    return targets.unsqueeze(-1) == torch.arange(num_classes, device=targets.device)


def _wanted(outputs: Tensor, targets: Tensor, correct: float, incorrect: float) -> Tensor:
    """``correct`` at the class of each target, ``incorrect`` at the others: [..., K] for [...]."""
    values = outputs.new_full((), correct), outputs.new_full((), incorrect)
    return torch.where(_is_class(targets, outputs.shape[-1]), *values)


class mse_count_loss(_ClassLoss):
    r"""Squared error between the spike counts and the target counts.

    Each class of :math:`n` neurons (:math:`n = 1` without a population code) fires
    :math:`N = \sum_t S_t` times in :math:`T` steps. With the class :math:`y` of the sample,

    .. math::

        \ell^{(k)} = \frac{1}{T} \left( N^{(k)} - \lfloor r^{(k)} T n \rfloor \right)^2 ,
        \qquad r^{(k)} = \begin{cases}
        r_{\text{correct}} & k = y \\
        r_{\text{incorrect}} & k \neq y .
        \end{cases}

    A rate of 0.29 over 100 steps aims at 29 spikes: binary rounding of the product is undone. The
    loss is called as described in :class:`LossFunctions`.

    :param correct_rate: fraction of the steps at which the right class should fire. Default: ``1``
    :param incorrect_rate: fraction of the steps at which the others should fire. Default: ``0``
    :param population_code: whether several neurons form a class. Default: ``False``
    :param num_classes: number of classes K, needed with a population code. Default: ``False``
    :param reduction: ``"mean"``, ``"sum"`` or ``"none"``. Default: ``"mean"``
    :param weight: one factor per class, shape [K]. Default: ``None``
    """

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
        self.correct_rate = correct_rate
        self.incorrect_rate = incorrect_rate

    def _compute_loss(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        counts = self._outputs(spk_out).sum(0)
        classes = _class_indices(targets, counts, 1)
        num_steps, neurons = len(spk_out), spk_out.shape[-1] // counts.shape[-1]
        correct, incorrect = (
            # In binary, 0.29 * 100 is 28.999...
            int(round(rate * num_steps * neurons, 6))
            for rate in (self.correct_rate, self.incorrect_rate)
        )
        loss = (counts - _wanted(counts, classes, correct, incorrect)).square() / num_steps
        return _reduced(self._weighted(loss, classes), self._intermediate_reduction())


class mse_membrane_loss(_ClassLoss):
    r"""Squared error between the membrane potentials and their targets, averaged over time.

    With the class :math:`y_t` of the sample, which stays the same unless
    ``time_var_targets=True``,

    .. math::

        \ell^{(k)} = \frac{1}{T} \sum_{t=1}^{T} \left( U_t^{(k)} - V_t^{(k)} \right)^2 ,
        \qquad V_t^{(k)} = \begin{cases}
        V_{\text{on}} & k = y_t \\
        V_{\text{off}} & k \neq y_t .
        \end{cases}

    The loss is called as described in :class:`LossFunctions`, with membrane potentials instead of
    spikes. With ``time_var_targets=True`` the targets are either

    - class indices of every time step, shape [T, B]; or
    - target membrane potentials :math:`V` of every neuron at every time step, shape [T, B, C].
      ``on_target`` and ``off_target`` are then ignored, and ``weight`` has one factor per neuron
      instead of one per target class.

    Without a weight the reduced loss has the shape (1,).

    :param time_var_targets: whether the targets change over time. Default: ``False``
    :param on_target: target membrane potential of the right neuron. Default: ``1``
    :param off_target: target membrane potential of the others. Default: ``0``
    :param reduction: ``"mean"``, ``"sum"`` or ``"none"``. Default: ``"mean"``
    :param weight: one factor per class, shape [K]. Default: ``None``
    """

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

    def _compute_loss(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        outputs = self._outputs(spk_out)
        classes = None
        if self.time_var_targets and isinstance(targets, Tensor) and targets.shape == outputs.shape:
            wanted = targets.to(outputs)
        else:
            if self.time_var_targets:
                also = f" and step, or {tuple(outputs.shape)} potentials"
                classes = _class_indices(targets, outputs, 2, also=also)
            else:
                classes = _class_indices(targets, outputs[0], 1)
            wanted = _wanted(outputs, classes, self.on_target, self.off_target)
        loss = self._weighted((outputs - wanted).square(), classes).mean(0)
        reduction = self._intermediate_reduction()
        return loss if reduction == "none" else _reduced(loss, reduction).reshape(1)


def _spike_times(spk_rec: Tensor, spk_count: int) -> Tensor:
    """The times of the first F spikes, [F, ...], of a record [T, ...], with a slope of -1."""
    spk_rec = spk_rec.to(torch.promote_types(spk_rec.dtype, torch.float32))
    seen = (spk_rec != 0).cumsum(0)
    # The time of a spike is the number of steps in which only its predecessors have been seen.
    times = torch.stack([(seen <= before).sum(0) for before in range(spk_count)])
    times = times.clamp(max=len(spk_rec) - 1)
    spikes = spk_rec.gather(0, times)
    return times + (spikes.detach() - spikes)  # adds only the slope


def _steps_given(name: str, times: Any) -> int:
    """Return the number of target times, or raise TypeError if they are not numbers."""
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

    Steps count from 0. A missing spike counts as a spike at the last step and gets its gradient
    there, so that silent neurons learn. The slope is a surrogate: a stronger input makes a spike
    come earlier. Every nonzero value is one spike.

    :param target_is_time: whether targets are spike times, not class indices. Default: ``False``
    :param on_target: step at which the right neuron should fire; with ``multi_spike`` one step for
        each of its spikes. Negative times count from the end. Default: ``0``
    :param off_target: step or steps at which the other neurons should fire. Default: ``-1``, the
        last step
    :param tolerance: a spike less than this number of steps away from its target counts as on
        target. Default: ``0``
    :param multi_spike: whether several spikes of each neuron have targets. Default: ``False``

    Calling it:

    :param spk_out: recorded spikes, shape [T, B, C]: time steps, batch, output neurons.
    :param targets: class indices, shape [B]; with ``target_is_time`` the times, shape [B, C], or
        [C] for the same times in all samples; with ``multi_spike`` [F, B, C] or [F, 1, C], for the
        first F spikes.
    :returns: the times of the spikes, shape [B, C], with ``multi_spike`` [F, B, C], and the target
        times, in that shape, or with the shape and dtype in which they were passed.
    :raises TypeError: if an argument has the wrong type.
    :raises ValueError: for shapes that do not fit, a class that does not exist, a negative
        tolerance, or numbers of on and off targets that differ or are not 1 without
        ``multi_spike``.

    Source: S. M. Bohte, J. N. Kok, H. La Poutre, "Error-backpropagation in temporally encoded
    networks of spiking neurons", Neurocomputing 48 (2002) 17-37.
    """

    class FirstSpike:
        """Times of the first spikes: ``apply(spk_rec)``."""

        @staticmethod
        def apply(spk_rec: Tensor, device: Any = None) -> Tensor:
            """Return the times of the first spikes.

            :param spk_rec: recorded spikes, shape [T, B, C].
            :param device: ignored.
            :returns: times, shape [B, C].
            """
            return _spike_times(spk_rec, 1)[0]

    class MultiSpike:
        """Times of the first F spikes: ``apply(spk_rec, spk_count)``."""

        @staticmethod
        def apply(spk_rec: Tensor, spk_count: int, device: Any = None) -> Tensor:
            """Return the times of the first F spikes.

            :param spk_rec: recorded spikes, shape [T, B, C].
            :param spk_count: number F of spikes.
            :param device: ignored.
            :returns: times, shape [F, B, C].
            """
            return _spike_times(spk_rec, spk_count)

    class Tolerance:
        """Times within a tolerance of their targets count as on target:
        ``apply(spk_time, target, tolerance)``."""

        @staticmethod
        def apply(spk_time: Tensor, target: Tensor, tolerance: float) -> Tensor:
            """Set times to their targets where they are near, and pass the gradient unchanged.

            :param spk_time: times of spikes, any shape.
            :param target: target times, of a shape that broadcasts to it.
            :param tolerance: times less than this number of steps away become their targets.
            :returns: the times, of the shape of ``spk_time``.
            """
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
        """Return the times of spikes and their targets.

        :param spk_out: recorded spikes, shape [T, B, C].
        :param targets: class indices or target times, as described for the class.
        :returns: times and target times, shape [B, C], with ``multi_spike`` [F, B, C].
        """
        outputs = _class_outputs(spk_out)
        return self._times(outputs, self._check_targets(outputs, targets))

    _prediction_check = staticmethod(_prediction_check)

    def labels_to_spike_times(self, targets: Tensor, num_outputs: int) -> Tensor:
        """Return the target times of each neuron, from ``on_target`` and ``off_target``.

        :param targets: class indices, shape [B].
        :param num_outputs: number of output neurons C.
        :returns: times, shape [B, C], with ``multi_spike`` [F, B, C]. Negative times stay negative.
        """
        label = self.label_to_multi_spike if self.multi_spike else self.label_to_single_spike
        return label(targets, num_outputs)

    def label_to_single_spike(self, targets: Tensor, num_outputs: int) -> Tensor:
        """Return the target time of each neuron's first spike.

        :param targets: class indices, shape [B].
        :param num_outputs: number of output neurons C.
        :returns: times, shape [B, C].
        """
        return self.label_to_multi_spike(targets, num_outputs)[0]

    def label_to_multi_spike(self, targets: Tensor, num_outputs: int) -> Tensor:
        """Return the target times of each neuron's spikes.

        :param targets: class indices, shape [B].
        :param num_outputs: number of output neurons C.
        :returns: times, shape [F, B, C].
        """
        on, off = (
            torch.as_tensor(times, dtype=torch.float32, device=targets.device).reshape(-1, 1, 1)
            for times in (self.on_target, self.off_target)
        )
        return torch.where(_is_class(targets, num_outputs), on, off)

    def _check_targets(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if not self.target_is_time:
            return _class_indices(targets, outputs[0], 1)
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
        return targets.to(outputs.device)

    def _times(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if not self.target_is_time:
            targets = self.labels_to_spike_times(targets, outputs.shape[-1]).to(outputs)
        if self.multi_spike:
            times = self.MultiSpike.apply(outputs, len(targets))
        else:
            times = self.FirstSpike.apply(outputs)
        targets = torch.where(targets < 0, targets + len(outputs), targets)
        if self.tolerance:
            times = self.Tolerance.apply(times, targets, self.tolerance)
        return times, targets


class ce_temporal_loss(_ClassLoss):
    r"""Cross-entropy of the times of the first spikes: it trains the right neuron to fire first.

    With the times :math:`t_0` of :class:`SpikeTime`, inverted so that the earliest is the largest,
    as logits and the class :math:`y` of the sample,

    .. math::

        \ell = -\ln \frac{\exp z^{(y)}}{\sum_k \exp z^{(k)}} , \qquad
        z = \begin{cases}
        -t_0 & \text{negate} \\
        1 / (t_0 + 1) & \text{reciprocal.}
        \end{cases}

    The loss is called as described in :class:`LossFunctions`; the slope of a spike time is that of
    :class:`SpikeTime`. As in PyTorch, the mean of weighted losses is divided by the sum of the
    weights.

    :param inverse: ``"negate"`` or ``"reciprocal"``. Default: ``"negate"``
    :param reduction: ``"mean"``, ``"sum"`` or ``"none"``. Default: ``"mean"``
    :param weight: one factor per class, shape [K]. Default: ``None``
    :raises ValueError: as :class:`LossFunctions`, or for an unknown ``inverse``.
    """

    def __init__(
        self, inverse: str = "negate", reduction: str = "mean", weight: Tensor | None = None
    ) -> None:
        super().__init__(reduction, weight)
        if inverse not in ("negate", "reciprocal"):
            raise ValueError(f"inverse is {inverse!r}; expected 'negate' or 'reciprocal'.")
        self.inverse = inverse

    def _compute_loss(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        times = SpikeTime.FirstSpike.apply(self._outputs(spk_out, dense=True))
        logits = -times if self.inverse == "negate" else 1 / (times + 1)
        classes = self._classes(targets, logits)
        # PyTorch applies the weights and the mean.
        return self._cross_entropy(logits, classes, self.reduction)


class mse_temporal_loss(_ClassLoss):
    r"""Squared error between the times of spikes and their target times.

    With the times :math:`t_f` of the first :math:`F` spikes of each neuron (:math:`F = 1` without
    ``multi_spike``) and the target times :math:`t^*_f`, both from :class:`SpikeTime`,

    .. math::

        \ell_f^{(k)} = \left( \frac{t_f^{(k)} - t_f^{*(k)}}{T} \right)^2 .

    By default the right neuron should fire at the first step, and the others at the last. Spikes
    after the last target cost nothing; to penalize them, give them targets. The targets of the call
    and the errors raised are those of :class:`SpikeTime`. With ``reduction="none"`` the loss has
    the shape [B, C], with ``multi_spike`` [F, B, C].

    :param target_is_time: whether targets are spike times, not class indices. Default: ``False``
    :param on_target: step or steps at which the right neuron should fire. Default: ``0``
    :param off_target: step or steps at which the others should fire. Default: ``-1``, the last step
    :param tolerance: a spike less than this number of steps away from its target counts as on
        target. Default: ``0``
    :param multi_spike: whether several spikes of each neuron have targets. Default: ``False``
    :param reduction: ``"mean"``, ``"sum"`` or ``"none"``. Default: ``"mean"``
    :param weight: one factor per class, or per output neuron with ``target_is_time=True``.
        Default: ``None``
    """

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

    def _compute_loss(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        outputs = self._outputs(spk_out)
        targets = self.spk_time_fn._check_targets(outputs, targets)
        times, wanted = self.spk_time_fn._times(outputs, targets)
        classes = None if self.spk_time_fn.target_is_time else targets
        loss = self._weighted(((times - wanted) / len(outputs)).square(), classes)
        return _reduced(loss, self._intermediate_reduction())
