"""Accuracies of outputs recorded over time."""

import numpy as np
import torch
from torch import Tensor

from .loss import SpikeTime, _check_classes, _check_population, _class_axis, _class_outputs
from .loss import _population_code as _population_code
from .loss import _prediction_check as _prediction_check

__all__ = ["accuracy_rate", "accuracy_temporal"]


def accuracy_rate(
    spk_out: Tensor,
    targets: Tensor,
    population_code: bool = False,
    num_classes: int | bool = False,
) -> np.float64:
    r"""Return the fraction of samples whose class fires most often.

    With :math:`N_b^{(k)}` the number of spikes of class :math:`k` in sample :math:`b` and
    :math:`y_b` the sample's class,

    .. math::

        \frac{1}{B} \sum_{b=1}^{B} \left[ \arg\max_k N_b^{(k)} = y_b \right] .

    If several classes fire equally often, the first one counts.

    :param spk_out: recorded spikes, shape [T, B, C]: time steps, batch, output neurons; or
        feature maps, [T, B, C, ...], or the spikes of a single sample, [T, C].
    :param targets: class indices, shape [B], [B, ...] or (). A class that does not exist counts as
        wrong.
    :param population_code: whether several adjacent neurons form a class. Default: ``False``
    :param num_classes: number of classes, needed with a population code. Default: ``False``
    :returns: accuracy from 0 to 1.
    :raises TypeError: if an argument has the wrong type.
    :raises ValueError: for shapes that do not fit, or a population code without a fitting number of
        classes.
    """
    num_classes = _check_population(population_code, num_classes)
    counts = _class_outputs(spk_out, num_classes, dense=True).sum(0)
    return _share_correct(counts.argmax(_class_axis(counts)), targets)


def accuracy_temporal(spk_out: Tensor, targets: Tensor) -> np.float64:
    r"""Return the fraction of samples whose class fires first.

    With :math:`t_b^{(k)}` the time of the first spike of neuron :math:`k` in sample :math:`b`, as
    :class:`~snntorch.functional.loss.SpikeTime` gives it, and :math:`y_b` the sample's class,

    .. math::

        \frac{1}{B} \sum_{b=1}^{B} \left[ \arg\min_k t_b^{(k)} = y_b \right] .

    If several neurons fire at the same time, the first one counts. A silent neuron counts as firing
    at the last step.

    :param spk_out: recorded spikes, shape [T, B, C]: time steps, batch, output neurons; or
        feature maps, [T, B, C, ...], or the spikes of a single sample, [T, C].
    :param targets: class indices, shape [B], [B, ...] or (). A class that does not exist counts as
        wrong.
    :returns: accuracy from 0 to 1.
    :raises TypeError: if an argument has the wrong type.
    :raises ValueError: for shapes that do not fit.
    """
    times = SpikeTime.FirstSpike.apply(_class_outputs(spk_out, dense=True))
    return _share_correct(times.argmin(_class_axis(times)), targets)


def _share_correct(predicted: Tensor, targets: Tensor) -> np.float64:
    targets = torch.as_tensor(targets, device=predicted.device)
    _check_classes(targets, predicted.shape)
    return np.float64((predicted == targets).double().mean().item())
