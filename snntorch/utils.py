"""Reset and detach whole networks, and cut data sets."""

from typing import Any, TypeVar

import numpy as np
from torch import nn

from ._checks import check_integer
from ._network.graph import stateful
from ._neurons.states import Stateful

DataSet = TypeVar("DataSet", bound=Any)


def reset(net: nn.Module) -> None:
    """Reset the hidden states of every neuron in a network, at any depth.

    Neurons outside the network keep their states.

    :param net: a neuron, or a module that contains neurons
    :raises TypeError: ``net`` is not a module
    """
    for neuron in stateful(net):
        neuron.reset_hidden()


def detach(net: nn.Module) -> None:
    """Cut the hidden states of every neuron in a network from the graph, keeping their values.

    :param net: a neuron, or a module that contains neurons
    :raises TypeError: ``net`` is not a module
    """
    for neuron in stateful(net):
        neuron.detach_hidden()


def _final_layer_check(net: nn.Module) -> int:
    """Return how many tensors the last layer can return: spikes and states, or 1 of other layers.

    Not used here: training loops derived from those of 1.0.0 call it.
    """
    last = (list(net.children()) or [net])[-1]
    return 1 + len({*last.states} - {"spk"}) if isinstance(last, Stateful) else 1


def _check_data(name: str, dataset: Any) -> None:
    """Raise if a data set does not hold its samples and classes in two sequences of one length."""
    if not (hasattr(dataset, "data") and hasattr(dataset, "targets")):
        raise TypeError(
            f"{name} is a {type(dataset).__name__} without the attributes data and targets; "
            "torchvision's MNIST and CIFAR10, for example, have them, and torch.utils.data.Subset "
            "or random_split cut any other data set"
        )
    if len(dataset.data) != len(dataset.targets):
        raise ValueError(
            f"{name} has {len(dataset.data)} data and {len(dataset.targets)} targets; it needs one "
            "target for each sample"
        )


def _pick(values: Any, indices: np.ndarray) -> Any:
    """Take the elements at some indices of a tensor, an array, a list or a tuple."""
    if isinstance(values, list | tuple):
        return type(values)(values[i] for i in indices)
    return values[indices]


def data_subset(dataset: DataSet, subset: int, idx: int = 0) -> DataSet:
    r"""Reduce a data set, in place, to one of several parts of equal size.

    Of :math:`N` samples the part :math:`i` of :math:`s` keeps those with the numbers

    .. math:: n i \le k < n (i + 1), \qquad n = \lfloor N / s \rfloor ,

    in their order. Where :math:`s` does not divide :math:`N`, the samples left over at the end
    are the part :math:`i = s`.

    :param dataset: data set with the attributes ``data`` and ``targets``, each a tensor, an array
        or a list over the samples
    :param subset: number :math:`s` of parts; 1 or less leaves the data set unchanged
    :param idx: number :math:`i` of the part that is kept, counted from 0; default 0
    :returns: the same data set
    :raises TypeError: a data set without these attributes, or a number that is not an integer
    :raises ValueError: more parts than samples, or a part without samples
    """
    _check_data("dataset", dataset)
    subset, idx = check_integer("subset", subset), check_integer("idx", idx)
    if subset <= 1:
        return dataset
    samples = len(dataset.targets)
    if subset > samples:
        raise ValueError(
            f"subset={subset} is more than the {samples} samples of dataset, one for each part"
        )
    size = samples // subset
    if not 0 <= idx * size < samples:
        raise ValueError(
            f"idx={idx} is out of range for {samples} samples in subset={subset} parts; expected "
            f"0 to {subset - 1}"
        )
    part = slice(idx * size, (idx + 1) * size)
    dataset.data, dataset.targets = dataset.data[part], dataset.targets[part]
    return dataset


def valid_split(
    ds_train: DataSet, ds_val: DataSet, split: float, seed: int = 0
) -> tuple[DataSet, DataSet]:
    r"""Move a random fraction of the training samples to a validation set, both in place.

    Of :math:`N` samples, :math:`\lfloor N \cdot \text{split} \rfloor` go to the validation set, in
    their order; the others stay, shuffled. The product is that of binary floating point: 0.29 of
    100 samples are 28.

    :param ds_train: data set with the attributes ``data`` and ``targets``, each a tensor, an array
        or a list over the samples
    :param ds_val: another data set with these attributes, which are replaced; it keeps the rest,
        such as transforms
    :param split: fraction of the samples that is moved, from 0 to 1
    :param seed: seed of the draw, which does not use the global random state; default 0
    :returns: ``ds_train`` and ``ds_val``
    :raises TypeError: a data set without these attributes
    :raises ValueError: one data set given twice, or a fraction outside [0, 1]
    """
    _check_data("ds_train", ds_train)
    _check_data("ds_val", ds_val)
    if ds_val is ds_train:
        raise ValueError(
            "ds_val is ds_train itself, which cannot hold both parts; load the data set twice"
        )
    if not 0 <= split <= 1:
        raise ValueError(f"split={split} must be a fraction of the samples, from 0 to 1")
    samples = len(ds_train.targets)
    kept = samples - int(samples * split)
    train = np.random.default_rng(seed).choice(samples, size=kept, replace=False)
    val = np.setdiff1d(np.arange(samples), train)
    data, targets = ds_train.data, ds_train.targets
    ds_train.data, ds_train.targets = _pick(data, train), _pick(targets, train)
    ds_val.data, ds_val.targets = _pick(data, val), _pick(targets, val)
    return ds_train, ds_val
