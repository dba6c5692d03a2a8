"""Losses on spikes and membrane potentials recorded over time."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .._torch import is_compiling

__all__ = [
    "LossFunctions",
    "ce_count_loss",
    "ce_max_membrane_loss",
    "ce_rate_loss",
    "mse_count_loss",
    "mse_membrane_loss",
]

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "none": lambda loss: loss,
}


def _check_population(population_code: bool, num_classes: int | bool) -> None:
    """Raise ValueError where ``population_code`` comes without a number of classes."""
    if population_code and (
        isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1
    ):
        raise ValueError(
            f"num_classes is {num_classes!r}, but population_code=True needs the number of "
            f"classes, a positive integer: pass for example num_classes=10."
        )


def _class_outputs(outputs: Tensor, population_code: bool, num_classes: int | bool) -> Tensor:
    """The recorded outputs [T, B, C] as one floating trace per class [T, B, K].

    With a population code the neurons are cut into K blocks of neighbours, one per class, and
    each block is summed. Half precision becomes float32: sums over time and squares of them
    overflow float16.
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
    if not population_code:
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
    if is_compiling():
        return indices
    try:
        whole = not targets.is_floating_point() or bool((targets == targets.trunc()).all())
        low, high = (int(extreme) for extreme in indices.aminmax())
    except RuntimeError:  # nobody can look at values under torch.func.vmap
        return indices
    if not whole:
        raise ValueError(
            "targets holds fractions; expected whole class indices: probabilities become "
            "indices with targets.argmax(-1)."
        )
    if low < 0 or high >= num_classes:
        raise ValueError(
            f"targets holds class {low if low < 0 else high}; expected 0 to {num_classes - 1}, "
            f"as spk_out gives {num_classes} classes: count classes from 0 or widen the output."
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
        self.reduction = reduction
        self.weight = weight
        self.population_code = population_code
        self.num_classes = num_classes
        self.__name__ = type(self).__name__

    def __call__(self, spk_out: Tensor, targets: Tensor) -> Tensor:
        outputs = _class_outputs(spk_out, self.population_code, self.num_classes)
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


def _wanted(outputs: Tensor, targets: Tensor, correct: float, incorrect: float) -> Tensor:
    """``correct`` at the class of each target, ``incorrect`` at the others: [..., K] for [...]."""
    classes = torch.arange(outputs.shape[-1], device=outputs.device)
    is_target = targets.unsqueeze(-1) == classes
    return torch.where(is_target, outputs.new_full((), correct), outputs.new_full((), incorrect))


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

    :param correct_rate: share of the steps at which the right class is to fire. Default: ``1``
    :param incorrect_rate: share of the steps at which the others are to fire. Default: ``0``
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
        self.correct_rate = correct_rate
        self.incorrect_rate = incorrect_rate

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
