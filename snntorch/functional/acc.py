"""Accuracies of outputs recorded over time."""

import numpy as np
from torch import Tensor

from .loss import SpikeTime, _check_population, _class_indices, _class_outputs

__all__ = ["accuracy_rate", "accuracy_temporal"]


def accuracy_rate(
    spk_out: Tensor,
    targets: Tensor,
    population_code: bool = False,
    num_classes: int | bool = False,
) -> np.float64:
    r"""Share of the samples whose class fires most often.

    With :math:`N_b^{(k)}` the number of spikes of class :math:`k` in sample :math:`b` and
    :math:`y_b` the sample's class,

    .. math::

        \frac{1}{B} \sum_{b=1}^{B} \left[ \arg\max_k N_b^{(k)} = y_b \right] .

    Of classes that fire equally often the first one counts.

    :param spk_out: recorded spikes, shape [T, B, C]: time steps, batch, output neurons.
    :param targets: class indices, shape [B].
    :param population_code: whether several neighbouring neurons form a class. Default: ``False``
    :param num_classes: number of classes, needed with a population code. Default: ``False``
    :returns: accuracy from 0 to 1.
    :raises TypeError: if an argument is of a wrong type.
    :raises ValueError: as in :class:`~snntorch.functional.loss.LossFunctions`: for shapes that do
        not fit, a class that does not exist, or a population code without a fitting number of
        classes.
    """
    outputs = _class_outputs(spk_out, _check_population(population_code, num_classes))
    indices = _class_indices(targets, outputs.shape[1:2], outputs)
    correct = outputs.sum(0).argmax(-1) == indices
    return np.float64(correct.sum().item() / len(correct))


def accuracy_temporal(spk_out: Tensor, targets: Tensor) -> np.float64:
    r"""Share of the samples whose class fires first.

    With :math:`t_b^{(k)}` the time of the first spike of neuron :math:`k` in sample :math:`b`, as
    :class:`~snntorch.functional.loss.SpikeTime` gives it, and :math:`y_b` the sample's class,

    .. math::

        \frac{1}{B} \sum_{b=1}^{B} \left[ \arg\min_k t_b^{(k)} = y_b \right] .

    Of neurons that fire at the same time the first one counts. A silent neuron counts as firing
    at the last step.

    :param spk_out: recorded spikes, shape [T, B, C]: time steps, batch, output neurons.
    :param targets: class indices, shape [B].
    :returns: accuracy from 0 to 1.
    :raises TypeError: if an argument is of a wrong type.
    :raises ValueError: as in :class:`~snntorch.functional.loss.LossFunctions`: for shapes that do
        not fit, or a class that does not exist.
    """
    outputs = _class_outputs(spk_out)
    indices = _class_indices(targets, outputs.shape[1:2], outputs)
    correct = SpikeTime.FirstSpike.apply(outputs).argmin(-1) == indices
    return np.float64(correct.sum().item() / len(correct))
