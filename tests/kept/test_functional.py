"""Uses of losses, accuracies and encoders that are the same in 1.0.0."""

import math

import numpy as np
import pytest
import torch

import snntorch.functional as SF
from snntorch import spikegen
from snntorch.functional import acc

# 2 steps, 3 samples, 4 neurons; counts [2 0 1 0], [0 1 1 2], [1 1 0 0]
SPIKES = torch.tensor(
    [[[1.0, 0, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]], [[1, 0, 0, 0], [0, 1, 0, 1], [0, 1, 0, 0]]]
)
TARGETS = torch.tensor([0, 2, 1])
WEIGHT = torch.tensor([1.0, 2.0, 3.0, 4.0])
# The cross-entropies of the counts by hand: ln of the sum of exp, less the count of the class
ENTROPIES = [
    math.log(math.e**2 + math.e + 2) - 2,
    math.log(1 + 2 * math.e + math.e**2) - 1,
    math.log(2 * math.e + 2) - 1,
]


class margin_loss(SF.LossFunctions):
    """The form of 1.0.0's own losses."""

    def __init__(self, reduction="mean", weight=None):
        super().__init__(reduction=reduction, weight=weight)
        self.__name__ = "margin_loss"

    def _compute_loss(self, spk_out, targets):
        device, num_steps, num_outputs = self._prediction_check(spk_out)
        assert (device, num_steps, num_outputs) == (spk_out.device, 2, 4)
        loss_fn = torch.nn.MultiMarginLoss(reduction=self._intermediate_reduction())
        loss = loss_fn(spk_out.sum(0) / num_steps, targets)
        return loss if self.weight is None else loss * self.weight[targets]


# Rates [1 0 .5 0], [0 .5 .5 1], [.5 .5 0 0]; a margin of 1 over each of three other neurons
MARGINS = [0.5 / 4, (0.5 + 1 + 1.5) / 4, (1 + 0.5 + 0.5) / 4]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_own_losses_reduce_as_they_are_told(reduction):
    loss_fn = margin_loss(reduction)
    expected = {"mean": sum(MARGINS) / 3, "sum": sum(MARGINS), "none": MARGINS}[reduction]
    loss = loss_fn(SPIKES, TARGETS)
    torch.testing.assert_close(loss, torch.tensor(expected))
    assert loss_fn._intermediate_reduction() == reduction
    assert (loss_fn.reduction, loss_fn.weight, loss_fn.__name__) == (reduction, None, "margin_loss")


def test_weights_come_before_the_mean():
    loss_fn = margin_loss(weight=WEIGHT)
    assert loss_fn._intermediate_reduction() == "none"
    weighted = [1 * MARGINS[0], 3 * MARGINS[1], 2 * MARGINS[2]]
    torch.testing.assert_close(loss_fn(SPIKES, TARGETS), torch.tensor(sum(weighted) / 3))
    loss_fn = margin_loss("none", WEIGHT)
    torch.testing.assert_close(loss_fn(SPIKES, TARGETS), torch.tensor(weighted))


def test_own_losses_take_any_reduction_weight_and_targets():
    class distance(SF.LossFunctions):
        def _compute_loss(self, spk_out, targets):
            loss_fn = torch.nn.KLDivLoss(reduction=self._intermediate_reduction())
            return loss_fn(spk_out.mean(0).log_softmax(-1), targets)

    targets = torch.full((3, 4), 0.25)
    # KL divergence to equal shares: ln(1/4) - mean of the log-softmax
    rates = [[1, 0, 0.5, 0], [0, 0.5, 0.5, 1], [0.5, 0.5, 0, 0]]
    each = [math.log(sum(map(math.exp, row))) - sum(row) / 4 - math.log(4) for row in rates]
    loss = distance("batchmean", None)(SPIKES, targets)
    torch.testing.assert_close(loss, torch.tensor(sum(each) / 3))
    assert distance("mean", [1, 2]).weight == [1, 2]


def test_population_codes_of_own_losses():
    loss_fn = SF.LossFunctions("mean", None)
    # neurons 0 and 1, and 2 and 3
    counts = [[2.0, 1], [1, 3], [2, 0]]
    assert loss_fn._population_code(SPIKES, 2, 4).tolist() == counts
    assert acc._population_code(SPIKES, 2, 4).tolist() == counts
    assert acc._prediction_check(SPIKES) == (SPIKES.device, 2, 4)
    with pytest.raises(Exception, match="num_classes"):
        loss_fn._population_code(SPIKES, 3, 4)
    with pytest.raises(Exception, match="num_classes"):
        loss_fn._population_code(SPIKES, False, 4)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_subclasses_of_the_losses(weight):
    class sparse_count_loss(SF.ce_count_loss):
        def _compute_loss(self, spk_out, targets):
            return super()._compute_loss(spk_out, targets) + 0.1 * spk_out.sum()

    factors = [1, 1, 1] if weight is None else [1, 3, 2]
    mean = sum(f * each for f, each in zip(factors, ENTROPIES)) / 3  # noqa: B905
    loss = sparse_count_loss(weight=weight)(SPIKES, TARGETS)
    torch.testing.assert_close(loss, torch.tensor(mean + 0.9))


def test_subclasses_keep_the_name_of_the_loss():
    class own_membrane_loss(SF.mse_membrane_loss):
        pass

    assert own_membrane_loss().__name__ == "mse_membrane_loss"


@pytest.mark.parametrize("loss_type", [SF.ce_rate_loss, SF.mse_membrane_loss])
def test_losses_over_time_before_they_are_reduced(loss_type):
    loss_fn = loss_type(reduction="none")
    each = loss_fn._compute_loss(SPIKES, TARGETS)
    assert torch.equal(each, loss_fn(SPIKES, TARGETS))
    mean = loss_type()._compute_loss(SPIKES, TARGETS)
    assert mean.shape == (1,)
    torch.testing.assert_close(mean, each.mean().reshape(1))


def test_a_weighted_mean_over_time_is_a_scalar():
    loss = SF.ce_rate_loss(weight=WEIGHT)(SPIKES, TARGETS)
    each = SF.ce_rate_loss(reduction="none")(SPIKES, TARGETS)
    assert loss.shape == ()
    torch.testing.assert_close(loss, (each * torch.tensor([1.0, 3, 2])).mean())


@pytest.mark.parametrize(
    ("inverse", "each"),
    [
        # first spikes at [0 1 0 1], [1 1 0 0], [0 1 1 1], of classes 0, 2 and 1
        ("negate", [math.log(2 + 2 / math.e)] * 2 + [math.log(1 + 3 / math.e) + 1]),
        (
            "reciprocal",
            [math.log(2 + 2 * math.e**-0.5)] * 2 + [math.log(1 + 3 * math.e**-0.5) + 0.5],
        ),
    ],
)
def test_the_weighted_mean_of_spike_times_divides_by_the_weights(inverse, each):
    loss = SF.ce_temporal_loss(inverse=inverse, weight=WEIGHT)(SPIKES, TARGETS)
    expected = (1 * each[0] + 3 * each[1] + 2 * each[2]) / 6
    torch.testing.assert_close(loss, torch.tensor(expected))


@pytest.mark.parametrize("loss_type", [SF.ce_rate_loss, SF.ce_count_loss, SF.ce_max_membrane_loss])
def test_class_minus_100_is_left_out(loss_type):
    some = torch.tensor([0, -100, 1])
    two = loss_type()(SPIKES[:, [0, 2]], TARGETS[[0, 2]])
    torch.testing.assert_close(loss_type()(SPIKES, some), two)


@pytest.mark.parametrize("loss_type", [SF.ce_count_loss, SF.ce_max_membrane_loss])
def test_one_sample_without_a_batch(loss_type):
    loss = loss_type()(SPIKES[:, 1], torch.tensor(2))
    torch.testing.assert_close(loss, loss_type()(SPIKES[:, 1:2], TARGETS[1:2]))


def test_an_empty_batch_sums_to_zero():
    loss = SF.ce_count_loss(reduction="sum")(SPIKES[:, :0], TARGETS[:0])
    assert loss.item() == 0


def test_a_count_beyond_the_steps():
    # wanted 3 spikes of class 0 and 1 of the others: counts [2 0 1 0]
    loss = SF.mse_count_loss(correct_rate=1.5, incorrect_rate=0.5)(SPIKES[:, :1], TARGETS[:1])
    torch.testing.assert_close(loss, torch.tensor((1 + 1 + 0 + 1) / 2 / 4))


def test_spike_times_given_as_targets_come_back_as_they_are():
    times = torch.tensor([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 1]])
    first, wanted = SF.SpikeTime(target_is_time=True)(SPIKES, times)
    assert first.tolist() == [[0, 1, 0, 1], [1, 1, 0, 0], [0, 1, 1, 1]]
    assert wanted.dtype == torch.int64 and torch.equal(wanted, times)


def test_classes_that_a_network_does_not_have_are_never_right():
    # best by rate: 0, 3, 0
    assert SF.accuracy_rate(SPIKES, torch.tensor([0, -100, 7])) == 1 / 3
    assert SF.accuracy_rate(SPIKES, np.array([0, 3, 1])) == pytest.approx(2 / 3)


def test_latencies_come_in_single_precision():
    data = torch.tensor([0.1, 0.9], dtype=torch.float64)
    assert spikegen.latency(data, num_steps=5).dtype == torch.float32
    times, _ = spikegen.latency_code(data)
    assert times.dtype == torch.float64


def test_latency_codes_of_any_feature():
    times, below = spikegen.latency_code(torch.tensor([-1.0, 2.0, 0.5]), threshold=0.25)
    assert below.tolist() == [True, False, False]
    expected = [math.log(0.2500001 / 1e-7), math.log(2 / 1.75), math.log(2)]
    torch.testing.assert_close(times, torch.tensor(expected), rtol=0.02, atol=0)


def test_changes_of_incomplete_series():
    gap = torch.tensor([1.0, math.nan, 3.0, 4.0])
    assert spikegen.delta(gap, threshold=0.5).tolist() == [1, 0, 0, 1]
    series = torch.tensor([0.0, -0.5, -2.5])
    assert spikegen.delta(series, threshold=-1).tolist() == [1, 1, 0]


def test_inverse_one_hot_marks_zeros():
    scores = torch.tensor([[0.1, 0.0], [0.0, 1.0]])
    assert spikegen.to_one_hot_inverse(scores).tolist() == [[0, 1], [1, 0]]
