import json

import numpy as np
import pytest
import torch
from project import TESTS

import snntorch.functional as SF

GOLDEN = np.load(TESTS / "golden" / "functional.npz")
ENTRIES = {
    k: (meta["call"].removeprefix("functional."), meta["kwargs"])
    for k in range(int(GOLDEN["count"]))
    for meta in [json.loads(str(GOLDEN[f"{k}:meta"]))]
    if meta["call"].startswith("functional.accuracy")
}


def test_the_recording_has_all_codes():
    assert list(ENTRIES.values()) == [
        ("accuracy_rate", {}),
        ("accuracy_rate", {"population_code": True, "num_classes": 5}),
        ("accuracy_temporal", {}),
    ]


@pytest.mark.parametrize("k", ENTRIES)
def test_recorded_values(k):
    name, kwargs = ENTRIES[k]
    spikes, targets = (torch.tensor(GOLDEN[f"{k}:in_{i}"]) for i in range(2))
    assert getattr(SF, name)(spikes, targets, **kwargs) == GOLDEN[f"{k}:out"]


# 2 steps, 4 samples, 4 neurons. Counts per sample: [2 0 0 0], [0 1 2 0], [1 1 0 1], [0 0 0 0]
SPIKES = torch.tensor(
    [
        [[1, 0, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]],
        [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]],
    ]
)


@pytest.mark.parametrize(
    ("targets", "accuracy"),
    [([0, 2, 0, 0], 1.0), ([0, 1, 1, 1], 0.25), ([0, 2, 3, 0], 0.75), ([3, 3, 3, 3], 0.0)],
)
def test_by_hand(targets, accuracy):
    result = SF.accuracy_rate(SPIKES.float(), torch.tensor(targets))
    assert type(result) is np.float64
    assert result.item() == accuracy


def test_population_by_hand():
    # classes of 2 neurons: counts [2 0], [1 2], [2 1], [0 0]
    targets = torch.tensor([0, 1, 0, 1])
    accuracy = SF.accuracy_rate(SPIKES.float(), targets, population_code=True, num_classes=2)
    assert accuracy == 0.75
    assert SF.accuracy_rate(SPIKES.float(), targets, True, 2) == 0.75


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float16, torch.float64])
def test_any_dtype(dtype):
    assert SF.accuracy_rate(SPIKES.to(dtype), torch.tensor([0, 2, 3, 0])) == 0.75


def test_many_half_precision_spikes_are_counted_exactly():
    # float16 cannot tell 3000 from 3001
    spikes = torch.ones(3001, 1, 2, dtype=torch.float16)
    spikes[0, 0, 0] = 0
    assert SF.accuracy_rate(spikes, torch.tensor([1])) == 1.0


def test_spikes_with_a_gradient():
    assert SF.accuracy_rate(SPIKES.float().requires_grad_(), torch.tensor([0, 2, 3, 0])) == 0.75


def test_a_single_step_without_time_axis():
    with pytest.raises(ValueError, match=r"targets has shape \(4,\).*spk_out.unsqueeze\(0\)"):
        SF.accuracy_rate(SPIKES[0], torch.tensor([0, 2, 3, 0]))
    assert SF.accuracy_rate(SPIKES[0].unsqueeze(0), torch.tensor([0, 1, 0, 0])) == 1.0


def test_targets_that_do_not_fit():
    with pytest.raises(ValueError, match=r"targets has shape \(1,\); expected \(4,\), one class"):
        SF.accuracy_rate(SPIKES, torch.tensor([0]))
    with pytest.raises(ValueError, match=r"targets has shape \(4, 4\).*targets.argmax\(-1\)"):
        SF.accuracy_rate(SPIKES, torch.eye(4))


@pytest.mark.parametrize("accuracy", [SF.accuracy_rate, SF.accuracy_temporal])
def test_a_class_that_does_not_exist_is_never_right(accuracy):
    # Of silent neurons, the first is the best.
    assert accuracy(torch.zeros(2, 4, 3), torch.tensor([0, -100, 9, -1])) == 0.25


@pytest.mark.parametrize("targets", [[0, 2, 3, 0], np.array([0, 2, 3, 0])])
def test_targets_in_lists_and_arrays(targets):
    assert SF.accuracy_rate(SPIKES, targets) == 0.75


@pytest.mark.parametrize("accuracy", [SF.accuracy_rate, SF.accuracy_temporal])
def test_maps_and_one_sample(accuracy):
    # 2 classes at 3 places of 1 sample: the second is best at the last place alone.
    maps = torch.tensor([[[[1, 1, 0], [0, 0, 1]]], [[[0, 0, 0], [1, 0, 0]]]])
    assert accuracy(maps, torch.tensor([[0, 1, 1]])) == 2 / 3
    assert accuracy(maps[:, 0, :, 2], torch.tensor(1)) == 1


def test_population_that_does_not_fit():
    targets = torch.tensor([0, 1, 0, 1])
    with pytest.raises(ValueError, match="num_classes is False, but population_code=True needs"):
        SF.accuracy_rate(SPIKES, targets, population_code=True)
    with pytest.raises(ValueError, match="num_classes is 3, which does not divide the 4 output"):
        SF.accuracy_rate(SPIKES, targets, population_code=True, num_classes=3)


# 3 steps, 3 samples, 3 neurons. First spikes: [2 0 1], [- 1 1], [- - 2]; "-" is never
TIMED = torch.zeros(3, 3, 3)
for step, sample, neuron in [
    (2, 0, 0),
    (0, 0, 1),
    (2, 0, 1),
    (1, 0, 2),
    (1, 1, 1),
    (1, 1, 2),
    (2, 1, 2),
    (2, 2, 2),
]:
    TIMED[step, sample, neuron] = 1


@pytest.mark.parametrize(
    ("targets", "accuracy"),
    [
        ([1, 1, 0], 1.0),  # of equal times the first counts, and silence is the last step
        ([1, 2, 2], 1 / 3),
        ([2, 1, 2], 1 / 3),
        ([0, 0, 1], 0.0),
    ],
)
def test_temporal_by_hand(targets, accuracy):
    for spikes in (TIMED, TIMED.bool(), 2.5 * TIMED.half(), TIMED.clone().requires_grad_()):
        result = SF.accuracy_temporal(spikes, torch.tensor(targets))
        assert type(result) is np.float64
        assert result.item() == accuracy


def test_temporal_input_that_does_not_fit():
    with pytest.raises(ValueError, match=r"targets has shape \(1,\); expected \(3,\), one class"):
        SF.accuracy_temporal(TIMED, torch.tensor([0]))
    with pytest.raises(ValueError, match=r"targets has shape \(3,\).*spk_out.unsqueeze\(0\)"):
        SF.accuracy_temporal(TIMED[0], torch.tensor([0, 1, 2]))
