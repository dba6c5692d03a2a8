import json
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from project import TESTS
from releases import needs_2_1

import snntorch.functional as SF

ln = math.log
exp = math.exp

SMOOTH = [
    SF.ce_rate_loss,
    SF.ce_count_loss,
    SF.mse_count_loss,
    SF.ce_max_membrane_loss,
    SF.mse_membrane_loss,
]
TEMPORAL = [SF.ce_temporal_loss, SF.mse_temporal_loss]  # see test_temporal.py too
LOSSES = SMOOTH + TEMPORAL
POPULATION = [SF.ce_rate_loss, SF.ce_count_loss, SF.mse_count_loss]
CROSS_ENTROPY = [
    SF.ce_rate_loss,
    SF.ce_count_loss,
    SF.ce_max_membrane_loss,
    SF.ce_temporal_loss,
]
PER_STEP = [SF.ce_rate_loss, SF.mse_membrane_loss]
SHARED_MEAN = [loss for loss in LOSSES if loss is not SF.ce_temporal_loss]

GOLDEN = np.load(TESTS / "golden" / "functional.npz")
ENTRIES = {
    k: meta
    for k in range(int(GOLDEN["count"]))
    for meta in [json.loads(str(GOLDEN[f"{k}:meta"]))]
    if meta["call"].removeprefix("functional.") in {loss.__name__ for loss in LOSSES}
}


def close(actual, expected, **kwargs):
    expected = torch.as_tensor(expected, dtype=actual.dtype)
    torch.testing.assert_close(actual, expected, **({"rtol": 1e-5, "atol": 1e-6} | kwargs))


def random_case(steps=7, batch=5, classes=6, seed=0, dtype=torch.float64, share=0.3):
    """Outputs of which a share is not zero, targets and weights."""
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(steps, batch, classes, generator=generator, dtype=dtype)
    outputs[torch.rand(outputs.shape, generator=generator) > share] = 0
    targets = torch.randint(classes, (batch,), generator=generator)
    weight = torch.rand(classes, generator=generator, dtype=dtype) + 0.5
    return outputs, targets, weight


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Several threads only wait for each other on tensors as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_recording_covers_every_loss():
    assert len(ENTRIES) == 23
    assert {meta["call"] for meta in ENTRIES.values()} == {
        f"functional.{loss.__name__}" for loss in LOSSES
    }


@pytest.mark.parametrize("k", ENTRIES)
def test_recorded_values_and_gradients(k):
    name = ENTRIES[k]["call"].removeprefix("functional.")
    outputs = torch.tensor(GOLDEN[f"{k}:in_0"], requires_grad=True)
    loss = getattr(SF, name)(**ENTRIES[k]["kwargs"])(outputs, torch.tensor(GOLDEN[f"{k}:in_1"]))
    loss.sum().backward()
    exact = {"rtol": 1e-6, "atol": 1e-6}
    torch.testing.assert_close(loss.detach(), torch.tensor(GOLDEN[f"{k}:out"]), **exact)
    torch.testing.assert_close(outputs.grad, torch.tensor(GOLDEN[f"{k}:grad"]), **exact)


# Two steps, two samples, two classes: [[step of sample 0], [step of sample 1]]
SPIKES = torch.tensor([[[1.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]]])


def test_ce_rate_by_hand():
    # class 0 in sample 0: ln(1 + e^-1) and ln 2; class 1 in sample 1: ln 2 and ln(1 + e^-1)
    each = (ln(1 + exp(-1)) + ln(2)) / 2
    close(SF.ce_rate_loss(reduction="none")(SPIKES, torch.tensor([0, 1])), [each, each])
    close(SF.ce_rate_loss()(SPIKES, torch.tensor([0, 1])), [each])
    # class 0 in sample 1: ln 2 and ln(1 + e)
    other = (ln(2) + ln(1 + exp(1))) / 2
    close(SF.ce_rate_loss(reduction="sum")(SPIKES, torch.tensor([0, 0])), [each + other])


def test_ce_count_by_hand():
    # counts [1, 0] and [1, 2]
    wrong, right = ln(1 + exp(1)), ln(1 + exp(-1))
    loss = SF.ce_count_loss(reduction="none")(SPIKES, torch.tensor([1, 1]))
    close(loss, [wrong, right])
    close(SF.ce_count_loss()(SPIKES, torch.tensor([1, 1])), (wrong + right) / 2)


def test_mse_count_by_hand():
    # counts [1, 0] and [1, 2] in 2 steps; wanted: 2 of the right class, 1 of the other
    loss_fn = SF.mse_count_loss(correct_rate=1, incorrect_rate=0.5, reduction="none")
    close(loss_fn(SPIKES, torch.tensor([0, 1])), [[0.5, 0.5], [0.0, 0.0]])
    close(SF.mse_count_loss(1, 0.5)(SPIKES, torch.tensor([0, 1])), 0.25)
    close(SF.mse_count_loss(1, 0.5, reduction="sum")(SPIKES, torch.tensor([0, 1])), 1.0)


def test_ce_max_membrane_by_hand():
    membrane = torch.tensor([[[0.5, 2.0]], [[1.5, -3.0]]], requires_grad=True)
    loss = SF.ce_max_membrane_loss()(membrane, torch.tensor([0]))
    close(loss, ln(1 + exp(0.5)))
    loss.backward()
    # softmax minus one-hot of the peaks [1.5, 2.0], at the steps of the peaks alone
    share = 1 / (1 + exp(-0.5))
    close(membrane.grad, [[[0.0, share]], [[-share, 0.0]]])


def test_mse_membrane_by_hand():
    membrane = torch.tensor([[[0.5, 2.0]], [[1.5, -3.0]]])
    target = torch.tensor([1])
    # wanted [0, 1]: class 0 (0.25 + 2.25) / 2, class 1 (1 + 16) / 2
    close(SF.mse_membrane_loss(reduction="none")(membrane, target), [[1.25, 8.5]])
    close(SF.mse_membrane_loss()(membrane, target), [4.875])
    # wanted [0.5, 2]: class 0 (0 + 1) / 2, class 1 (0 + 25) / 2
    close(SF.mse_membrane_loss(on_target=2, off_target=0.5)(membrane, target), [6.5])


def test_population_sums_blocks_of_neighbours():
    # 1 step, 6 neurons; 3 classes of 2: counts [1, 2, 0]; 2 classes of 3: counts [2, 1]
    spikes = torch.tensor([[[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]]])
    target = torch.tensor([0])
    three, two = {"population_code": True, "num_classes": 3}, {"population_code": True}
    two["num_classes"] = 2
    entropy = ln(exp(1) + exp(2) + 1) - 1
    close(SF.ce_rate_loss(**three)(spikes, target), [entropy])
    close(SF.ce_count_loss(**three)(spikes, target), entropy)
    close(SF.ce_count_loss(**two)(spikes, target), ln(1 + exp(-1)))
    # wanted 2 spikes of class 0 out of 2 neurons, 3 out of 3
    close(SF.mse_count_loss(**three, reduction="none")(spikes, target), [[1.0, 4.0, 0.0]])
    close(SF.mse_count_loss(**two, reduction="none")(spikes, target), [[1.0, 1.0]])


def test_population_rate_loss_equals_the_loss_on_summed_spikes():
    spikes = torch.bernoulli(
        torch.full((9, 4, 12), 0.4), generator=torch.Generator().manual_seed(1)
    )
    targets = torch.tensor([0, 2, 1, 2])
    summed = torch.stack([spikes[..., 4 * k : 4 * k + 4].sum(-1) for k in range(3)], -1)
    for kwargs in ({}, {"reduction": "none"}, {"weight": torch.tensor([1.0, 2.0, 3.0])}):
        population = SF.ce_rate_loss(population_code=True, num_classes=3, **kwargs)
        close(population(spikes, targets), SF.ce_rate_loss(**kwargs)(summed, targets))


@pytest.mark.parametrize("loss_type", CROSS_ENTROPY)
def test_per_sample_weight_of_cross_entropies(loss_type):
    outputs, targets, weight = random_case()
    plain = loss_type(reduction="none")(outputs, targets)
    weighted = loss_type(reduction="none", weight=weight)(outputs, targets)
    expected = [weight[y].item() * loss.item() for y, loss in zip(targets, plain, strict=True)]
    close(weighted, expected)


@pytest.mark.parametrize(
    "loss_type", [SF.mse_count_loss, SF.mse_membrane_loss, SF.mse_temporal_loss]
)
def test_weight_of_squared_errors_follows_the_sample(loss_type):
    # As many samples as classes: weighing the wrong axis would not show in the shape.
    outputs, _, weight = random_case(batch=6, classes=6)
    targets = torch.tensor([3, 0, 0, 5, 1, 3])
    plain = loss_type(reduction="none")(outputs, targets)
    weighted = loss_type(reduction="none", weight=weight)(outputs, targets)
    for b, y in enumerate(targets):
        close(weighted[b], weight[y] * plain[b])


def test_weighted_mean_divides_by_the_number_of_elements():
    # losses ln(1 + e) and ln(1 + e^-1) of class 1, weight 10
    loss = SF.ce_count_loss(weight=torch.tensor([1.0, 10.0]))(SPIKES, torch.tensor([1, 1]))
    close(loss, 10 * (ln(1 + exp(1)) + ln(1 + exp(-1))) / 2)


@pytest.mark.parametrize("inverse", ["negate", "reciprocal"])
def test_the_weighted_mean_of_spike_times_divides_by_the_weights(inverse):
    # first spikes at [0, 1] and [0, 0] of 2 steps; both losses count as much as their weight
    loss_fn = SF.ce_temporal_loss(inverse, weight=torch.tensor([1.0, 10.0]))
    gap = 1 if inverse == "negate" else 1 / 2
    close(loss_fn(SPIKES, torch.tensor([1, 1])), (ln(1 + exp(gap)) + ln(2)) / 2)
    close(loss_fn(SPIKES, torch.tensor([0, 1])), (ln(1 + exp(-gap)) + 10 * ln(2)) / 11)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss_type", LOSSES)
def test_reductions_agree(loss_type, weighted):
    outputs, targets, weight = random_case()
    weight = weight if weighted else None
    each = loss_type(reduction="none", weight=weight)(outputs, targets)
    assert each.shape == ((5,) if loss_type in CROSS_ENTROPY else (5, 6))
    shape = (1,) if loss_type in PER_STEP and not weighted else ()
    for reduction in ("mean", "sum") if loss_type in SHARED_MEAN or not weighted else ("sum",):
        reduced = loss_type(reduction=reduction, weight=weight)(outputs, targets)
        close(reduced, getattr(each, reduction)().reshape(shape))
        assert reduced.shape == shape


@pytest.mark.parametrize("loss_type", POPULATION)
def test_population_reductions_with_weight(loss_type):
    outputs, _, weight = random_case()
    targets, kwargs = torch.tensor([0, 2, 1, 1, 0]), {"population_code": True, "num_classes": 3}
    each = loss_type(reduction="none", weight=weight[:3], **kwargs)(outputs, targets)
    total = loss_type(reduction="sum", weight=weight[:3], **kwargs)(outputs, targets)
    close(total.squeeze(), each.sum())


@pytest.mark.parametrize("loss_type", PER_STEP)
def test_average_over_time_is_that_of_single_steps(loss_type):
    outputs, targets, weight = random_case()
    loss_fn = loss_type(weight=weight)
    steps = torch.stack([loss_fn(step.unsqueeze(0), targets) for step in outputs])
    close(loss_fn(outputs, targets), steps.mean(0))


def wanted_counts(correct_rate, steps, neurons=1):
    """The counts that a silent network of two classes is asked for, read off its loss."""
    population = {"population_code": True, "num_classes": 2}
    loss_fn = SF.mse_count_loss(correct_rate, 0, **population, reduction="none")
    silent = torch.zeros(steps, 1, 2 * neurons, dtype=torch.float64)
    return (loss_fn(silent, torch.tensor([0]))[0, 0] * steps).sqrt().item()


@given(st.integers(1, 400).flatmap(lambda t: st.tuples(st.integers(0, t), st.just(t))))
@settings(deadline=None, max_examples=200)
def test_a_rate_that_is_a_count_aims_at_that_count(count_and_steps):
    count, steps = count_and_steps
    assert wanted_counts(count / steps, steps) == pytest.approx(count, abs=1e-9)


@pytest.mark.parametrize(
    ("rate", "steps", "neurons", "count"),
    [
        (0.29, 100, 1, 29),
        (0.57, 100, 1, 57),
        (0.8, 25, 1, 20),
        (0.33, 20, 1, 6),
        (0.33, 20, 3, 19),
        (1.5, 20, 1, 30),  # of graded spikes
    ],
)
def test_wanted_counts(rate, steps, neurons, count):
    assert wanted_counts(rate, steps, neurons) == pytest.approx(count)


def test_membrane_targets_that_change_class():
    membrane = torch.tensor([[[0.5, 2.0]], [[1.5, -3.0]]])
    loss_fn = SF.mse_membrane_loss(time_var_targets=True, reduction="none")
    # wanted [0, 1] then [1, 0]: class 0 (0.25 + 0.25) / 2, class 1 (1 + 9) / 2
    close(loss_fn(membrane, torch.tensor([[1], [0]])), [[0.25, 5.0]])
    weight = torch.tensor([1.0, 10.0])
    loss_fn = SF.mse_membrane_loss(time_var_targets=True, reduction="none", weight=weight)
    # weight 10 in the first step, 1 in the second
    close(loss_fn(membrane, torch.tensor([[1], [0]])), [[1.375, 9.5]])


def test_constant_time_varying_targets_equal_constant_targets():
    outputs, targets, weight = random_case()
    kwargs = {"on_target": 1.05, "off_target": 0.2, "weight": weight}
    varying = SF.mse_membrane_loss(time_var_targets=True, **kwargs)
    constant = SF.mse_membrane_loss(**kwargs)
    close(varying(outputs, targets.expand(7, 5)), constant(outputs, targets))


def test_membrane_targets_as_traces():
    membrane = torch.tensor([[[0.5, 2.0]], [[1.5, -3.0]]])
    wanted = torch.tensor([[[0.0, 2.0]], [[1.0, -1.0]]])
    kwargs = {"time_var_targets": True, "on_target": 9, "reduction": "none"}
    close(SF.mse_membrane_loss(**kwargs)(membrane, wanted), [[0.25, 2.0]])
    weighted = SF.mse_membrane_loss(weight=torch.tensor([1.0, 10.0]), **kwargs)
    close(weighted(membrane, wanted), [[0.25, 20.0]])
    close(SF.mse_membrane_loss(**kwargs)(membrane, wanted.int()), [[0.25, 2.0]])


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("loss_type", SMOOTH)
def test_gradients_by_finite_differences(loss_type, reduction):
    outputs, targets, weight = random_case(4, 3, 4, share=1)
    loss_fn = loss_type(reduction=reduction, weight=weight)
    assert torch.autograd.gradcheck(
        lambda outputs: loss_fn(outputs, targets), outputs.requires_grad_()
    )


@pytest.mark.parametrize("loss_type", POPULATION)
def test_population_gradients_by_finite_differences(loss_type):
    outputs, _, _ = random_case(4, 3, 6, share=1)
    loss_fn = loss_type(population_code=True, num_classes=2)
    targets = torch.tensor([0, 1, 1])
    assert torch.autograd.gradcheck(
        lambda outputs: loss_fn(outputs, targets), outputs.requires_grad_()
    )


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float64, torch.float64),
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.bool, torch.float32),
        (torch.int64, torch.float32),
    ],
)
def test_dtypes(loss_type, dtype, expected):
    # Whole numbers, which every dtype holds exactly; 300 spikes squared overflow float16.
    spikes = torch.ones(300, 2, 3)
    spikes[::2, :, 1] = 0
    targets = torch.tensor([0, 1])
    loss = loss_type()(spikes.to(dtype), targets)
    assert loss.dtype == expected
    close(loss, loss_type()(spikes, targets))


@pytest.mark.parametrize("loss_type", LOSSES)
def test_half_precision_gradient_has_the_dtype_of_the_spikes(loss_type):
    spikes = torch.ones(4, 2, 3, dtype=torch.float16, requires_grad=True)
    loss_type()(spikes, torch.tensor([0, 1])).backward()
    assert spikes.grad.dtype == torch.float16
    assert spikes.grad.isfinite().all()
    assert spikes.grad.any()


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.float32])
def test_targets_of_any_whole_number_type(loss_type, dtype):
    outputs, targets, _ = random_case()
    close(loss_type()(outputs, targets.to(dtype)), loss_type()(outputs, targets))


@pytest.mark.parametrize("loss_type", LOSSES)
def test_inputs_stay_as_they_are(loss_type):
    outputs, targets, weight = random_case()
    copies = [tensor.clone() for tensor in (outputs, targets, weight)]
    loss_type(weight=weight)(outputs, targets)
    for tensor, copy in zip((outputs, targets, weight), copies, strict=True):
        assert torch.equal(tensor, copy)


@pytest.mark.parametrize("loss_type", LOSSES)
def test_pickle(loss_type):
    outputs, targets, weight = random_case()
    loss_fn = loss_type(weight=weight)
    assert loss_fn.__name__ == loss_type.__name__
    close(pickle.loads(pickle.dumps(loss_fn))(outputs, targets), loss_fn(outputs, targets))


@pytest.mark.parametrize("loss_type", LOSSES)
def test_per_sample_losses_under_vmap(loss_type):
    outputs, targets, _ = random_case()
    loss_fn = loss_type()
    mapped = torch.func.vmap(
        lambda output, target: loss_fn(output.unsqueeze(1), target.unsqueeze(0)).squeeze(), (1, 0)
    )
    each = loss_type(reduction="none")(outputs, targets)
    close(mapped(outputs, targets), each.reshape(5, -1).mean(1))


@needs_2_1
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("loss_type", [SF.ce_rate_loss, SF.mse_membrane_loss, *TEMPORAL])
def test_compiles_as_one_graph(loss_type):
    outputs, targets, weight = random_case()
    loss_fn = loss_type(weight=weight)
    compiled = torch.compile(loss_fn, backend="eager", fullgraph=True)
    close(compiled(outputs, targets), loss_fn(outputs, targets))


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 10.0])])
def test_a_loss_of_your_own_is_reduced_once(weight):
    class silence(SF.LossFunctions):
        def _compute_loss(self, spk_out, targets):
            each = spk_out.sum((0, 2))
            if self.weight is not None:
                each = each * self.weight[targets]
            reduction = self._intermediate_reduction()
            return each if reduction == "none" else getattr(each, reduction)()

    each = [1.0, 30.0 if weight is not None else 3.0]
    for reduction, expected in (("none", each), ("sum", sum(each)), ("mean", sum(each) / 2)):
        close(silence(reduction, weight)(SPIKES, torch.tensor([0, 1])), expected)
    assert silence("sum", weight).__name__ == "silence"


def test_a_loss_without_a_computation():
    with pytest.raises(NotImplementedError, match="LossFunctions does not define"):
        SF.LossFunctions("mean", None)(SPIKES, torch.tensor([0, 1]))


# An axis of space: 1 step, 1 sample, 2 classes at 2 places; and a record of one sample
DENSE = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]])
PLACES = [ln(1 + exp(-1)), ln(1 + exp(2))]


@pytest.mark.parametrize("loss_type", [SF.ce_rate_loss, SF.ce_count_loss, SF.ce_max_membrane_loss])
def test_cross_entropies_of_maps_and_of_one_sample(loss_type):
    targets, none = torch.tensor([[0, 0]]), loss_type(reduction="none")
    close(none(DENSE, targets), [PLACES])
    close(loss_type()(DENSE, targets).squeeze(), sum(PLACES) / 2)
    close(loss_type(reduction="sum")(DENSE, targets).squeeze(), sum(PLACES))
    weighted = loss_type(weight=torch.tensor([1.0, 10.0]))
    close(weighted(DENSE, torch.tensor([[0, 1]])), (PLACES[0] + 10 * ln(1 + exp(-2))) / 2)
    close(none(DENSE[:, 0, :, 1], torch.tensor(0)), PLACES[1])
    population = {"population_code": True, "num_classes": 2}
    if loss_type in POPULATION:
        halves = DENSE.repeat_interleave(2, 2) / 2
        close(loss_type(reduction="none", **population)(halves, targets), [PLACES])


@pytest.mark.parametrize("loss_type", CROSS_ENTROPY)
def test_cross_entropies_leave_out_class_minus_100(loss_type):
    outputs, targets, weight = random_case()
    some = torch.tensor([0, 1, 3])
    for reduction in ("mean", "sum"):
        loss_fn = loss_type(reduction=reduction)
        partly = torch.full_like(targets, -100)
        partly[some] = targets[some]
        close(loss_fn(outputs, partly), loss_fn(outputs[:, some], targets[some]))
    each = loss_type(reduction="none", weight=weight)(outputs, partly)
    assert each[[2, 4]].tolist() == [0, 0]
    assert (each[some] > 0).all()


@pytest.mark.parametrize("loss_type", LOSSES)
def test_an_empty_batch_sums_to_zero(loss_type):
    empty = torch.zeros(0, dtype=torch.int64)
    assert loss_type(reduction="sum")(SPIKES[:, :0], empty).item() == 0


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize("weight", [None, torch.ones(6)])
def test_unknown_reduction(loss_type, weight):
    with pytest.raises(ValueError, match="reduction is 'avg'; expected one of 'mean', 'sum'"):
        loss_type(reduction="avg", weight=weight)


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([1]), r"targets has shape \(1,\); expected \(2,\), one class index"),
        (torch.tensor(1), r"targets has shape \(\); expected \(2,\), one class index"),
        (torch.tensor([[0, 1], [1, 0]]), r"targets has shape \(2, 2\).*targets.argmax\(-1\)"),
        (torch.tensor([[0], [1]]), r"targets has shape \(2, 1\).*targets.squeeze\(-1\)"),
        (torch.tensor([0, 2]), "targets holds class 2; expected 0 to 1"),
        (torch.tensor([-1, 0]), "targets holds class -1; expected 0 to 1"),
        (torch.tensor([-99, 0]), "targets holds class -99; expected 0 to 1"),
        (torch.tensor([0.0, 0.5]), "targets holds fractions"),
        (torch.tensor([0.0, math.nan]), "targets holds fractions"),
    ],
)
def test_targets_that_are_not_one_class_per_sample(loss_type, targets, message):
    with pytest.raises(ValueError, match=message):
        loss_type()(SPIKES, targets)


@pytest.mark.parametrize("loss_type", LOSSES)
def test_targets_of_a_wrong_type(loss_type):
    with pytest.raises(TypeError, match="targets is a list; expected a tensor of class indices"):
        loss_type()(SPIKES, [0, 1])
    with pytest.raises(TypeError, match=r"targets has dtype torch.complex64"):
        loss_type()(SPIKES, torch.zeros(2, dtype=torch.complex64))


@pytest.mark.parametrize("loss_type", POPULATION)
def test_population_limits_the_classes(loss_type):
    with pytest.raises(ValueError, match="targets holds class 2; expected 0 to 1"):
        loss_type(population_code=True, num_classes=2)(torch.zeros(3, 1, 4), torch.tensor([2]))


def test_time_varying_targets_of_a_wrong_shape():
    loss_fn = SF.mse_membrane_loss(time_var_targets=True)
    with pytest.raises(
        ValueError, match=r"\(2,\); expected \(3, 2\), .* or \(3, 2, 4\) potentials"
    ):
        loss_fn(torch.zeros(3, 2, 4), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"shape \(3, 2, 1\); expected \(3, 2\), one class index"):
        loss_fn(torch.zeros(3, 2, 4), torch.zeros(3, 2, 1))


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize("shape", [(2,), (0, 2, 2), (2, 2, 0)])
def test_outputs_of_a_wrong_shape(loss_type, shape):
    with pytest.raises(ValueError, match=r"spk_out has shape .*; expected \[T, B, C\]"):
        loss_type()(torch.zeros(shape), torch.tensor([0, 1]))


@pytest.mark.parametrize("loss_type", LOSSES)
def test_a_single_step_without_time(loss_type):
    with pytest.raises(ValueError, match=r"spk_out.unsqueeze\(0\)"):
        loss_type()(SPIKES[0], torch.tensor([0, 1]))


@pytest.mark.parametrize("loss_type", [SF.mse_count_loss, SF.mse_membrane_loss])
def test_squared_errors_of_maps(loss_type):
    with pytest.raises(ValueError, match=r"spk_out has shape \(1, 1, 2, 2\); expected \[T, B, C\]"):
        loss_type()(DENSE, torch.tensor([[0, 1]]))


@pytest.mark.parametrize("loss_type", LOSSES)
def test_outputs_of_a_wrong_type(loss_type):
    with pytest.raises(TypeError, match=r"spk_out is a tuple; .*torch.stack"):
        loss_type()((SPIKES, SPIKES), torch.tensor([0, 1]))
    with pytest.raises(TypeError, match=r"spk_out has dtype torch.complex64"):
        loss_type()(SPIKES.cfloat(), torch.tensor([0, 1]))


@pytest.mark.parametrize("loss_type", LOSSES)
def test_wrong_weights(loss_type):
    with pytest.raises(ValueError, match="weight has 3 entries; expected 2"):
        loss_type(weight=torch.ones(3))(SPIKES, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"weight has shape \(1, 2\); .*weight.flatten\(\)"):
        loss_type(weight=torch.ones(1, 2))
    with pytest.raises(TypeError, match=r"weight is a list; .*torch.as_tensor\(weight\)"):
        loss_type(weight=[1.0, 2.0])


def test_a_reduction_that_is_not_text():
    with pytest.raises(ValueError, match=r"reduction is \['mean'\]; expected one of"):
        SF.ce_rate_loss(reduction=["mean"])


@pytest.mark.parametrize("loss_type", POPULATION)
def test_wrong_population(loss_type):
    for num_classes in (False, True, 0, -2, 2.0, None):
        with pytest.raises(ValueError, match=f"num_classes is {num_classes}, but population_code"):
            loss_type(population_code=True, num_classes=num_classes)
    for num_classes in (np.int64(2), torch.tensor(2)):
        loss = loss_type(population_code=True, num_classes=num_classes)
        plain = loss_type(population_code=True, num_classes=2)
        args = torch.tensor([[[1.0, 0, 1, 1]], [[0, 0, 1, 0]]]), torch.tensor([0])
        assert torch.equal(loss(*args), plain(*args))
    loss_fn = loss_type(population_code=True, num_classes=3)
    with pytest.raises(ValueError, match="num_classes is 3, which does not divide the 4 output"):
        loss_fn(torch.zeros(2, 1, 4), torch.tensor([0]))
