"""Spike times and the losses on them; what all losses share is in test_loss.py."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import snntorch as snn
import snntorch.functional as SF

exp, ln = math.exp, math.log
FirstSpike, MultiSpike = SF.SpikeTime.FirstSpike, SF.SpikeTime.MultiSpike


def close(actual, expected, **kwargs):
    expected = torch.as_tensor(expected, dtype=actual.dtype)
    torch.testing.assert_close(actual, expected, **({"rtol": 1e-5, "atol": 1e-6} | kwargs))


# 6 steps, 2 samples, 3 neurons; spikes of sample 0: at 1 and 3, 5, none; of sample 1: none,
# at 0, 2 and 4, 5
SPIKES = torch.zeros(6, 2, 3)
for sample, neuron, times in [(0, 0, [1, 3]), (0, 1, [5]), (1, 1, [0, 2, 4]), (1, 2, [5])]:
    SPIKES[times, sample, neuron] = 1
FIRST = [[1, 5, 5], [5, 0, 5]]
SECOND = [[3, 5, 5], [5, 2, 5]]
TARGETS = torch.tensor([0, 2])


def times_by_loop(spikes, count):
    """The times of the first spikes, [F, B, C], as nested loops over a NumPy array."""
    steps, batch, neurons = spikes.shape
    times = np.full((count, batch, neurons), steps - 1)
    for b in range(batch):
        for c in range(neurons):
            for f, t in enumerate(np.flatnonzero(spikes[:, b, c])[:count]):
                times[f, b, c] = t
    return times


def test_times_by_hand():
    assert FirstSpike.apply(SPIKES).tolist() == FIRST
    assert MultiSpike.apply(SPIKES, 1).tolist() == [FIRST]
    assert MultiSpike.apply(SPIKES, 2).tolist() == [FIRST, SECOND]
    assert MultiSpike.apply(SPIKES, 3)[2].tolist() == [[5, 5, 5], [5, 4, 5]]
    assert FirstSpike.apply(SPIKES, "cpu").dtype == torch.float32


@given(
    st.integers(1, 9), st.integers(1, 4), st.integers(1, 5), st.integers(0, 99), st.integers(1, 6)
)
def test_times_and_slopes_equal_a_loop(steps, batch, neurons, seed, count):
    rng = np.random.default_rng(seed)
    spikes = (rng.random((steps, batch, neurons)) < 0.4) * 1.0
    record = torch.tensor(spikes, requires_grad=True)
    times = MultiSpike.apply(record, count)
    expected = times_by_loop(spikes, count)
    assert torch.equal(times.detach(), torch.tensor(expected).double())
    upstream = rng.normal(size=expected.shape)
    times.backward(torch.tensor(upstream))
    slopes = np.zeros_like(spikes)
    for (f, b, c), t in np.ndenumerate(expected):
        slopes[t, b, c] -= upstream[f, b, c]
    close(record.grad, slopes)
    first = torch.tensor(spikes, requires_grad=True)
    FirstSpike.apply(first).backward(torch.tensor(upstream[0]))
    slopes = np.zeros_like(spikes)
    for (b, c), t in np.ndenumerate(expected[0]):
        slopes[t, b, c] = -upstream[0, b, c]
    close(first.grad, slopes)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float16, torch.bfloat16])
def test_times_in_half_precision_are_exact(dtype):
    # bfloat16 cannot tell 299 from 300
    spikes = torch.zeros(400, 1, 1, dtype=dtype)
    spikes[299] = 1
    time = FirstSpike.apply(spikes.requires_grad_(dtype.is_floating_point))
    assert time.dtype == torch.float32 and time.item() == 299
    if dtype.is_floating_point:
        time.sum().backward()
        assert spikes.grad.dtype == dtype and spikes.grad[299].item() == -1


def test_graded_spikes_count_once():
    assert FirstSpike.apply(2.5 * SPIKES).tolist() == FIRST
    assert FirstSpike.apply(-SPIKES).tolist() == FIRST


def test_times_wanted_by_hand():
    _, wanted = SF.SpikeTime()(SPIKES, TARGETS)
    assert wanted.tolist() == [[0, 5, 5], [5, 5, 0]]
    _, wanted = SF.SpikeTime(on_target=2, off_target=-2)(SPIKES, TARGETS)
    assert wanted.tolist() == [[2, 4, 4], [4, 4, 2]]
    for on, off in (([1, 3], [4, -1]), (torch.tensor([1, 3]), torch.tensor([4, -1]))):
        spike_time = SF.SpikeTime(on_target=on, off_target=off, multi_spike=True)
        times, wanted = spike_time(SPIKES, TARGETS)
        assert times.tolist() == [FIRST, SECOND]
        assert wanted.tolist() == [[[1, 4, 4], [4, 4, 1]], [[3, 5, 5], [5, 5, 3]]]
    times, wanted = SF.SpikeTime(target_is_time=True)(SPIKES, torch.tensor([2, -1, 3]))
    assert times.tolist() == FIRST and wanted.tolist() == [2, 5, 3]


def test_labels_become_times():
    single = SF.SpikeTime(on_target=2, off_target=4)
    assert single.labels_to_spike_times(TARGETS, 3).tolist() == [[2, 4, 4], [4, 4, 2]]
    assert single.label_to_single_spike(TARGETS, 3).tolist() == [[2, 4, 4], [4, 4, 2]]
    several = SF.SpikeTime(on_target=[1, 3], off_target=[4, 5], multi_spike=True)
    expected = [[[1, 4, 4], [4, 4, 1]], [[3, 5, 5], [5, 5, 3]]]
    assert several.labels_to_spike_times(TARGETS, 3).tolist() == expected
    assert several.label_to_multi_spike(TARGETS, 3).tolist() == expected


def test_tolerance_is_strict():
    target = torch.tensor([[2.0, 4.0, 4.0], [4.0, 0.0, 5.0]])  # 1, 1, 1, 1, 0, 0 away
    for tolerance, expected in ((0, FIRST), (1, FIRST), (1.5, target.tolist())):
        times, _ = SF.SpikeTime(target_is_time=True, tolerance=tolerance)(SPIKES, target)
        assert times.tolist() == expected


def spikes_and_gradient(loss_fn, targets, spikes=SPIKES):
    spikes = spikes.clone().requires_grad_()
    loss = loss_fn(spikes, targets)
    loss.sum().backward()
    return loss.detach(), spikes.grad


def test_ce_temporal_by_hand():
    # times [1 5 5] of class 0, [5 0 5] of class 2
    each = [ln(1 + 2 * exp(-4)), ln(2 + exp(5))]
    loss, grad = spikes_and_gradient(SF.ce_temporal_loss(reduction="none"), TARGETS)
    close(loss, each)
    close(SF.ce_temporal_loss()(SPIKES, TARGETS), sum(each) / 2)
    close(SF.ce_temporal_loss(reduction="sum")(SPIKES, TARGETS), sum(each))
    # softmax minus one-hot of -t; an earlier spike is a larger logit
    right, wrong = 1 / (1 + 2 * exp(-4)), 1 / (exp(4) + 2)
    expected = torch.zeros(6, 2, 3)
    expected[1, 0, 0], expected[5, 0, 1:] = right - 1, wrong
    late, early = 1 / (2 + exp(5)), 1 / (1 + 2 * exp(-5))
    expected[5, 1, 0], expected[0, 1, 1], expected[5, 1, 2] = late, early, late - 1
    close(grad, expected)


def test_reciprocal_ce_temporal_by_hand():
    # logits [1/2 1/6 1/6] of class 0, [1/6 1 1/6] of class 2
    loss_fn = SF.ce_temporal_loss(inverse="reciprocal", reduction="none")
    loss, grad = spikes_and_gradient(loss_fn, TARGETS)
    sums = exp(1 / 2) + 2 * exp(1 / 6), exp(1) + 2 * exp(1 / 6)
    close(loss, [ln(sums[0]) - 1 / 2, ln(sums[1]) - 1 / 6])
    expected = torch.zeros(6, 2, 3)
    expected[1, 0, 0] = (exp(1 / 2) / sums[0] - 1) / 4
    expected[5, 0, 1:] = exp(1 / 6) / sums[0] / 36
    expected[5, 1, 0] = exp(1 / 6) / sums[1] / 36
    expected[0, 1, 1] = exp(1) / sums[1]
    expected[5, 1, 2] = (exp(1 / 6) / sums[1] - 1) / 36
    close(grad, expected)


def test_mse_temporal_by_hand():
    # times [1 5 5] for a wanted [0 5 5], [5 0 5] for a wanted [5 5 0]
    loss, grad = spikes_and_gradient(SF.mse_temporal_loss(reduction="none"), TARGETS)
    close(loss, [[1 / 36, 0, 0], [0, 25 / 36, 25 / 36]])
    close(SF.mse_temporal_loss()(SPIKES, TARGETS), 51 / 36 / 6)
    close(SF.mse_temporal_loss(reduction="sum")(SPIKES, TARGETS), 51 / 36)
    expected = torch.zeros(6, 2, 3)
    expected[1, 0, 0], expected[0, 1, 1], expected[5, 1, 2] = -2 / 36, 10 / 36, -10 / 36
    close(grad, expected)


def test_mse_temporal_with_a_tolerance_by_hand():
    # times [1 5 5] for a wanted [2 3 3], [5 0 5] for a wanted [3 3 2]
    loss_fn = SF.mse_temporal_loss(on_target=2, off_target=3, tolerance=2, reduction="none")
    loss, grad = spikes_and_gradient(loss_fn, TARGETS)
    close(loss, [[0, 4 / 36, 4 / 36], [4 / 36, 9 / 36, 9 / 36]])
    assert grad[1, 0, 0] == 0 and grad[5, 0, 1] == pytest.approx(-4 / 36)


def test_several_spikes_by_hand():
    # first [1 5 5] for [1 4 4], [5 0 5] for [4 4 1]; second [3 5 5] for [3 5 5], [5 2 5] for
    # [5 5 3]
    loss_fn = SF.mse_temporal_loss(
        on_target=[1, 3], off_target=[4, 5], multi_spike=True, reduction="none"
    )
    loss, grad = spikes_and_gradient(loss_fn, TARGETS)
    first = torch.tensor([[0.0, 1, 1], [1, 16, 16]])
    second = torch.tensor([[0.0, 0, 0], [0, 9, 4]])
    close(loss, torch.stack([first, second]) / 36)
    expected = torch.zeros(6, 2, 3)
    expected[5, 0, 1], expected[5, 0, 2], expected[5, 1, 0] = -2, -2, -2
    expected[0, 1, 1], expected[2, 1, 1] = 8, 6
    # A missing second spike counts at the last step, where the first one is: both pull.
    expected[5, 1, 2] = -8 - 4
    close(grad, expected / 36)


@pytest.mark.parametrize("multi_spike", [False, True])
def test_times_as_targets_equal_labels(multi_spike):
    on, off = ([2, 4], [-1, -1]) if multi_spike else (2, -1)
    spike_time = SF.SpikeTime(False, on, off, 0, multi_spike)
    times = spike_time.labels_to_spike_times(TARGETS, 3)
    by_label = SF.mse_temporal_loss(False, on, off, multi_spike=multi_spike)
    by_time = SF.mse_temporal_loss(True, multi_spike=multi_spike)
    before = times.clone()
    loss, grad = spikes_and_gradient(by_label, TARGETS)
    for given_times in (times, times.long()):
        other, other_grad = spikes_and_gradient(by_time, given_times)
        assert torch.equal(loss, other) and torch.equal(grad, other_grad)
    assert torch.equal(times, before) and (times == -1).any()


def test_one_time_for_each_neuron_holds_for_all_samples():
    loss_fn = SF.mse_temporal_loss(target_is_time=True, reduction="none")
    wanted = torch.tensor([2.0, 4.0, 5.0])
    close(loss_fn(SPIKES, wanted), [[1 / 36, 1 / 36, 0], [9 / 36, 16 / 36, 0]])
    assert torch.equal(loss_fn(SPIKES, wanted), loss_fn(SPIKES, wanted.expand(2, 3)))
    several = SF.mse_temporal_loss(target_is_time=True, multi_spike=True, reduction="none")
    wanted = torch.tensor([[[2.0, 4.0, 5.0]], [[3.0, 4.0, -1.0]]])
    first, second = several(SPIKES, wanted)
    close(first, [[1 / 36, 1 / 36, 0], [9 / 36, 16 / 36, 0]])
    close(second, [[0, 1 / 36, 0], [4 / 36, 4 / 36, 0]])


def test_weights_of_times_belong_to_neurons():
    weight = torch.tensor([1.0, 10.0, 100.0])
    for targets, kwargs in (
        (torch.tensor([[2.0, 4.0, 4.0], [4.0, 0.0, 3.0]]), {}),
        (torch.rand(2, 2, 3), {"multi_spike": True}),
    ):
        kwargs |= {"target_is_time": True, "reduction": "none"}
        plain = SF.mse_temporal_loss(**kwargs)(SPIKES, targets)
        close(SF.mse_temporal_loss(weight=weight, **kwargs)(SPIKES, targets), plain * weight)


def test_weights_of_classes_hold_for_all_spikes_of_a_sample():
    weight = torch.tensor([1.0, 10.0, 100.0])
    kwargs = {"on_target": [1, 3], "off_target": [4, 5], "multi_spike": True}
    plain = SF.mse_temporal_loss(**kwargs, reduction="none")(SPIKES, TARGETS)
    weighted = SF.mse_temporal_loss(**kwargs, reduction="none", weight=weight)(SPIKES, TARGETS)
    close(weighted, plain * torch.tensor([[1.0], [100.0]]))
    mean = SF.mse_temporal_loss(**kwargs, weight=weight)(SPIKES, TARGETS)
    close(mean, weighted.mean())


TIMED = {
    "negate": SF.ce_temporal_loss(reduction="sum"),
    "reciprocal": SF.ce_temporal_loss("reciprocal", reduction="sum"),
    "weighted": SF.ce_temporal_loss(weight=torch.tensor([1.0, 3.0, 0.5, 2.0])),
    "squared": SF.mse_temporal_loss(on_target=3, off_target=8),
    "tolerant": SF.mse_temporal_loss(on_target=3, off_target=8, tolerance=2.5),
}


def by_numpy(name, times, targets):
    """The loss as a function of times that need not be whole."""
    rows = np.arange(len(targets))
    if name in ("squared", "tolerant"):
        wanted = np.full_like(times, 8)
        wanted[rows, targets] = 3
        error = (times - wanted) / 10
        if name == "tolerant":
            error[np.abs(times - wanted) < 2.5] = 0
        return np.mean(error**2)
    logits = 1 / (times + 1) if name == "reciprocal" else -times
    each = np.log(np.exp(logits).sum(1)) - logits[rows, targets]
    if name != "weighted":
        return each.sum()
    return np.average(each, weights=np.array([1, 3, 0.5, 2])[targets])


@pytest.mark.parametrize("name", TIMED)
def test_gradients_are_minus_finite_differences_in_time(name):
    rng = np.random.default_rng(3)
    targets, spikes = rng.integers(0, 4, 5), rng.random((10, 5, 4)) < 0.2
    times = times_by_loop(spikes, 1)[0].astype(float)
    loss, grad = spikes_and_gradient(TIMED[name], torch.tensor(targets), torch.tensor(spikes * 1.0))
    assert loss.item() == pytest.approx(by_numpy(name, times, targets))
    expected = np.zeros(spikes.shape)
    for (b, c), t in np.ndenumerate(times):
        later, earlier = times.copy(), times.copy()
        later[b, c] += 1e-5
        earlier[b, c] -= 1e-5
        slope = (by_numpy(name, later, targets) - by_numpy(name, earlier, targets)) / 2e-5
        expected[int(t), b, c] = -slope
    assert np.abs(expected).max() > 1e-3
    close(grad, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "loss_fn", [SF.ce_temporal_loss(), SF.mse_temporal_loss(on_target=2, off_target=12)]
)
def test_a_layer_learns_when_to_fire(loss_fn):
    net = nn.Sequential(nn.Linear(6, 3), snn.Leaky(0.9, init_hidden=True))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
    x, targets = 0.3 * torch.eye(6)[:3], torch.tensor([2, 0, 1])
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        spikes = snn.unroll(net, x, 15, backend="reference")
        loss = loss_fn(spikes, targets)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4
    assert SF.accuracy_temporal(spikes, targets) == 1.0


def test_several_spikes_under_vmap():
    loss_fn = SF.mse_temporal_loss(
        on_target=[1, 3], off_target=[4, 5], multi_spike=True, tolerance=1.5
    )
    spikes = SPIKES.double()

    def loss(record, target):
        return loss_fn(record.unsqueeze(1), target.unsqueeze(0))

    grads = torch.func.vmap(torch.func.grad(loss), (1, 0), 1)(spikes, TARGETS)
    _, expected = spikes_and_gradient(loss_fn, TARGETS, spikes)
    assert expected.any()
    close(grads / 2, expected)


def test_wrong_arguments():
    for temporal in (SF.SpikeTime, SF.mse_temporal_loss):
        with pytest.raises(ValueError, match="tolerance is -1; expected a number of steps"):
            temporal(tolerance=-1)
        with pytest.raises(ValueError, match="tolerance is nan; expected a number of steps"):
            temporal(tolerance=math.nan)
        with pytest.raises(TypeError, match="on_target is None; expected a time step"):
            temporal(on_target=None)
        with pytest.raises(ValueError, match=r"on_target holds 2 and off_target 2 .*multi_spike"):
            temporal(on_target=[1, 2], off_target=[3, 4])
        with pytest.raises(ValueError, match="on_target holds 2 and off_target 1 times"):
            temporal(on_target=torch.tensor([1, 2]), multi_spike=True)
    with pytest.raises(ValueError, match="inverse is 'minus'; expected 'negate' or 'reciprocal'"):
        SF.ce_temporal_loss("minus")


def test_wrong_targets():
    for temporal in (SF.SpikeTime, SF.mse_temporal_loss):
        for shape in ((2,), (3, 3), (2, 1), (), (1, 2, 3), (2, 2)):
            with pytest.raises(ValueError, match=r"shape \(.*expected \[B, C\] = \[2, 3\] or \[3"):
                temporal(target_is_time=True)(SPIKES, torch.zeros(shape))
        for shape in ((3,), (2, 3), (0, 2, 3), (1, 3, 3), (1, 2, 1)):
            with pytest.raises(ValueError, match=r"shape \(.*expected \[F, B, C\] = \[F, 2, 3\]"):
                temporal(target_is_time=True, multi_spike=True)(SPIKES, torch.zeros(shape))
        with pytest.raises(TypeError, match="targets is a list; expected a tensor of spike times"):
            temporal(target_is_time=True)(SPIKES, [1, 2, 3])
        with pytest.raises(ValueError, match="targets holds class 3; expected 0 to 2"):
            temporal()(SPIKES, torch.tensor([0, 3]))
        with pytest.raises(ValueError, match=r"spk_out has shape \(6, 2\)"):
            temporal()(SPIKES[..., 0], TARGETS)
