"""Cutting data sets. That of 1.0.0 was run for the samples that its draw picks."""

import numpy as np
import pytest
import torch

import snntorch as snn
from snntorch import utils

KINDS = {"tensor": torch.as_tensor, "array": np.asarray, "list": list, "tuple": tuple}


class Numbers:
    """Samples k from ``first`` on, with the targets 10 k."""

    def __init__(self, size, kind="tensor", first=0):
        self.data = KINDS[kind](list(range(first, first + size)))
        self.targets = KINDS[kind]([10 * k for k in range(first, first + size)])

    def __len__(self):
        return len(self.data)


def content(dataset):
    """Return the samples, after a look at the targets."""
    samples = [int(k) for k in dataset.data]
    assert [int(target) for target in dataset.targets] == [10 * k for k in samples]
    return samples


@pytest.mark.parametrize("kind", KINDS)
def test_a_subset_is_one_of_equal_parts(kind):
    for idx, expected in enumerate([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]):
        numbers = Numbers(11, kind)
        before = type(numbers.data), type(numbers.targets)
        assert utils.data_subset(numbers, 3, idx) is numbers
        assert content(numbers) == expected
        assert (type(numbers.data), type(numbers.targets)) == before


@pytest.mark.parametrize("subset", [1, 0, -1])
def test_one_part_or_less_is_all(subset):
    assert content(utils.data_subset(Numbers(4), subset)) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_a_split_draws_as_release_1_0_0_did(kind):
    train, val = Numbers(20, kind), Numbers(20, kind, first=100)
    before = type(train.data), type(train.targets)
    split = utils.valid_split(train, val, 0.33, seed=5)
    assert split[0] is train and split[1] is val
    assert content(train) == [0, 16, 8, 11, 13, 12, 5, 15, 14, 19, 17, 10, 4, 6]
    assert content(val) == [1, 2, 3, 7, 9, 18]
    assert {(type(each.data), type(each.targets)) for each in split} == {before}


def test_the_seed_of_a_split_is_0_and_other_draws_are_left_alone():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    _, val = utils.valid_split(Numbers(20), Numbers(20), 0.33)
    assert content(val) == [1, 6, 8, 10, 17, 18]
    assert np.random.random() == expected  # noqa: NPY002


@pytest.mark.parametrize("split, sizes", [(0, (5, 0)), (1, (0, 5)), (0.5, (3, 2))])
def test_the_share_of_a_split_is_rounded_down(split, sizes):
    assert tuple(map(len, utils.valid_split(Numbers(5), Numbers(5), split))) == sizes


class Nameless:
    labels = (0, 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d: utils.data_subset(d, 6), ValueError, "subset=6 .* 5 samples"),
        (lambda d: utils.data_subset(d, 2, 3), ValueError, "idx=3 .* 0 to 1"),
        (lambda d: utils.data_subset(d, 2, -1), ValueError, "idx=-1 .* 0 to 1"),
        (lambda d: utils.data_subset(d, 2.5), TypeError, "subset is 2.5; expected an integer"),
        (lambda d: utils.data_subset(Nameless(), 2), TypeError, "dataset is a Nameless without"),
        (lambda d: utils.valid_split(d, Numbers(5), 1.5), ValueError, "split=1.5 .* 0 to 1"),
        (lambda d: utils.valid_split(d, Numbers(5), -0.1), ValueError, "split=-0.1"),
        (lambda d: utils.valid_split(d, d, 0.5), ValueError, "ds_val is ds_train"),
        (lambda d: utils.valid_split(d, Nameless(), 0.5), TypeError, "ds_val is a Nameless"),
        (lambda d: utils.valid_split(Nameless(), d, 0.5), TypeError, "ds_train is a Nameless"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(call, error, message):
    numbers = Numbers(5)
    with pytest.raises(error, match=message):
        call(numbers)
    assert content(numbers) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("function", [utils.reset, utils.detach])
def test_only_modules_have_states(function):
    with pytest.raises(TypeError, match=r"net is a list; a neuron or another nn\.Module"):
        function([snn.Leaky(0.9)])


def test_a_target_for_each_sample():
    numbers = Numbers(5)
    numbers.targets = numbers.targets[:4]
    with pytest.raises(ValueError, match="dataset has 5 data and 4 targets"):
        utils.data_subset(numbers, 2)
