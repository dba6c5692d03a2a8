"""What 1.0.0 got wrong in other losses, accuracies, surrogates and quantization.

Only names that 1.0.0 has are used, so that the file can be run against it too (with --noconftest),
where every test must fail.
"""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import snntorch as snn
from snntorch import functional as SF
from snntorch import surrogate
from snntorch.functional.acc import accuracy_rate
from snntorch.functional.quant import state_quant


def close(actual, expected):
    torch.testing.assert_close(actual, torch.as_tensor(expected, dtype=actual.dtype))


def cross_entropy(right, *wrong):
    return math.log(1 + sum(math.exp(logit - right) for logit in wrong))


# Losses: population codes and weights ----------------------------------------------------------


def test_ce_rate_loss_sums_the_neurons_of_each_class():
    spk = torch.tensor([[[1.0, 1.0, 0.0, 1.0]], [[1.0, 0.0, 0.0, 0.0]]])
    loss = SF.ce_rate_loss(population_code=True, num_classes=2)(spk, torch.tensor([1]))
    # Classes fire 2 and 1 times in the first step, 1 and 0 times in the second.
    close(loss, [(cross_entropy(1, 2) + cross_entropy(0, 1)) / 2])


# Two steps, two samples, three classes; class 2 and class 0 are right.
COUNTED = torch.tensor(
    [[[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]],
)
TARGETS = torch.tensor([2, 0])
WEIGHT = torch.tensor([2.0, 10.0, 0.5])
# Both losses by sample and class, and the weight of each sample's class: 0.5 and 2. Counts are
# 2, 0, 1 for a wanted 0, 0, 2 and 1, 2, 0 for a wanted 2, 0, 0; squares are divided by 2 steps.
COUNT = torch.tensor([[2, 0, 0.5], [0.5, 2, 0]]) * torch.tensor([[0.5], [2.0]])
MEMBRANE = torch.tensor([[1, 0, 0.5], [0.5, 1, 0]]) * torch.tensor([[0.5], [2.0]])


@pytest.mark.parametrize(
    ("loss", "each"), [(SF.mse_count_loss, COUNT), (SF.mse_membrane_loss, MEMBRANE)]
)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_follow_the_class_of_each_sample(loss, each, reduction):
    actual = loss(reduction=reduction, weight=WEIGHT)(COUNTED, TARGETS)
    assert actual.sum().item() == pytest.approx(getattr(each, reduction)().item())
    assert actual.numel() == 1


@pytest.mark.parametrize("loss", [SF.ce_rate_loss, SF.ce_count_loss, SF.ce_max_membrane_loss])
def test_a_weighted_sum_is_a_sum(loss):
    actual = loss(reduction="sum", weight=WEIGHT)(COUNTED, TARGETS)
    expected = {
        # By step: the sample of class 2 weighs 0.5, the one of class 0 weighs 2.
        SF.ce_rate_loss: (
            0.5 * (cross_entropy(1, 1, 0) + cross_entropy(0, 1, 0))
            + 2.0 * (cross_entropy(1, 1, 0) + cross_entropy(0, 1, 0))
        )
        / 2,
        SF.ce_count_loss: 0.5 * cross_entropy(1, 2, 0) + 2.0 * cross_entropy(1, 2, 0),
        SF.ce_max_membrane_loss: 0.5 * cross_entropy(1, 1, 0) + 2.0 * cross_entropy(1, 1, 0),
    }[loss]
    assert actual.tolist() == pytest.approx([expected] if actual.dim() else expected)


# Surrogates ------------------------------------------------------------------------------------


def slope(fire, u):
    u = torch.tensor(u, requires_grad=True)
    return torch.autograd.grad(fire(u).sum(), u)[0]


def test_the_sigmoid_is_stable():
    e = math.exp(-2.5)
    expected = [0, 25 * e / (1 + e) ** 2, 25 / 4, 0]
    close(slope(surrogate.sigmoid(slope=25), [-100.0, -0.1, 0.0, 100.0]), expected)


def test_lso_works():
    close(slope(surrogate.LSO(slope=0.25), [-2.0, 0.0, 0.5]), [0.25, 0.25, 1])


@pytest.mark.parametrize(
    "spike_grad",
    [surrogate.FastSigmoid, "fast_sigmoid"],
    ids=["class", "name"],
)
def test_a_class_and_a_name_are_accepted(spike_grad):
    x = torch.tensor([[0.9, 1.2]], requires_grad=True)
    spk, _ = snn.Leaky(0.5, spike_grad=spike_grad)(x)
    spk.sum().backward()
    assert spk.tolist() == [[0, 1]]
    close(x.grad, [[1 / (1 + 2.5) ** 2, 1 / (1 + 5.0) ** 2]])


def test_an_instance_of_a_surrogate_is_accepted():
    x = torch.tensor([[0.5]], requires_grad=True)
    spk, _ = snn.Leaky(0.5, spike_grad=surrogate.FastSigmoid(2))(x)
    spk.sum().backward()
    assert x.grad.item() == 1 / (1 + 2 * 0.5) ** 2


def test_surrogates_go_with_torch_func():
    fire = surrogate.fast_sigmoid(2)
    u = torch.tensor([-0.5, 1.5])
    each = torch.func.vmap(torch.func.grad(fire))(u)
    assert each.tolist() == [1 / 4, 1 / 16]


# Quantized states ------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """Notes the size in bytes of the largest tensor that comes up."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.bytes = max(self.bytes, result.numel() * result.element_size())
        return result


def test_quantization_takes_memory_of_the_order_of_the_input():
    quantise = state_quant(num_bits=8, threshold=1.0)
    states = torch.linspace(-1.5, 1.5, 5000)
    with Largest() as seen:
        quantised = quantise(states)
    levels = torch.linspace(-1, 1.2, 256)
    close((quantised - states).abs(), (states[:, None] - levels).abs().amin(1))
    assert seen.bytes <= 2 * states.numel() * states.element_size()


# Wrong targets and reductions ------------------------------------------------------------------

SILENT = [accuracy_rate, SF.mse_count_loss(), SF.mse_membrane_loss()]


@pytest.mark.parametrize("measure", SILENT, ids=lambda measure: measure.__name__)
def test_one_target_for_a_whole_batch_is_an_error(measure):
    with pytest.raises(ValueError, match=r"\(1,\).*\(2,\)"):
        measure(COUNTED, torch.tensor([2]))


def test_one_hot_targets_are_an_error():
    # As many samples as classes: here 1.0.0 compares samples with classes.
    with pytest.raises(ValueError, match="one-hot"):
        accuracy_rate(COUNTED[:, :, :2], torch.eye(2))


@pytest.mark.parametrize(
    "loss",
    [
        SF.ce_rate_loss,
        SF.ce_count_loss,
        SF.ce_max_membrane_loss,
        SF.mse_count_loss,
        SF.mse_membrane_loss,
    ],
)
def test_an_unknown_reduction_with_weights_is_an_error(loss):
    with pytest.raises(ValueError, match="median"):
        loss(reduction="median", weight=WEIGHT[:2])(COUNTED[:, :, :2], torch.tensor([1, 0]))


# Targets of losses -----------------------------------------------------------------------------


def test_a_rate_of_29_percent_aims_at_29_of_100_spikes():
    spk = torch.zeros(100, 1, 2)
    spk[:29, 0, 1] = 1
    assert SF.mse_count_loss(correct_rate=0.29)(spk, torch.tensor([1])).item() == 0


def test_membrane_targets_may_vary_in_time():
    mem = torch.tensor([[[0.5, 0.25]], [[0.5, 0.25]]])
    loss = SF.mse_membrane_loss(time_var_targets=True)
    # Class 0 is right in the first step, class 1 in the second.
    close(loss(mem, torch.tensor([[0], [1]])), [(0.25 + 0.0625 + 0.25 + 0.5625) / 4])
    wanted = torch.tensor([[[0.0, 0.25]], [[0.5, 1.25]]])
    close(loss(mem, wanted), [(0.25 + 1) / 4])


# Surrogates as functions -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "factory"),
    [
        (surrogate.ATan, surrogate.atan),
        (surrogate.FastSigmoid, surrogate.fast_sigmoid),
        (surrogate.Sigmoid, surrogate.sigmoid),
        (surrogate.Triangular, surrogate.triangular),
        (surrogate.SpikeRateEscape, surrogate.spike_rate_escape),
        (surrogate.SparseFastSigmoid, surrogate.SFS),
        (surrogate.LeakySpikeOperator, surrogate.LSO),
    ],
    ids=lambda each: each.__name__,
)
def test_apply_takes_one_argument(function, factory):
    u = [-1.0, -0.1, 0.1, 1.5]
    assert torch.equal(slope(function.apply, u), slope(factory(), u))
