"""What 1.0.0 got wrong in losses on spike times, monitors and plasticity.

Only names that 1.0.0 has are used, so that the file can be run against it too (with --noconftest),
where every test must fail.
"""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import snntorch as snn
from snntorch import functional as SF
from snntorch.functional.probe import AttributeMonitor, InputMonitor
from snntorch.functional.stdp_learner import STDPLearner


def close(actual, expected):
    torch.testing.assert_close(actual, torch.as_tensor(expected, dtype=actual.dtype))


# 6 steps, 2 samples, 3 neurons. First spikes: [1 5 -], [- 0 5]; "-" is never and counts as 5.
SPIKES = torch.zeros(6, 2, 3)
for sample, neuron, times in [(0, 0, [1, 3]), (0, 1, [5]), (1, 1, [0, 2, 4]), (1, 2, [5])]:
    SPIKES[times, sample, neuron] = 1
TARGETS = torch.tensor([0, 2])
# By default the right neuron is to fire at step 0 and the others at step 5.
SQUARES = torch.tensor([[1.0, 0, 0], [0, 25, 25]]) / 36


# Losses on spike times -------------------------------------------------------------------------


def test_the_wrong_neurons_are_to_fire_last_by_default():
    close(SF.mse_temporal_loss()(SPIKES, TARGETS), SQUARES.mean())
    _, wanted = SF.SpikeTime()(SPIKES, TARGETS)
    close(wanted, [[0, 5, 5], [5, 5, 0]])


def test_negative_times_of_several_spikes_count_from_the_end():
    spike_time = SF.SpikeTime(on_target=[1, 3], off_target=[-2, -1], multi_spike=True)
    _, wanted = spike_time(SPIKES, TARGETS)
    close(wanted, [[[1, 4, 4], [4, 4, 1]], [[3, 5, 5], [5, 5, 3]]])


@pytest.mark.parametrize("multi_spike", [False, True])
def test_the_targets_of_the_user_stay(multi_spike):
    times = torch.tensor([[2.0, -1, 4], [-2, 0, 5]])
    times = torch.stack([times, times]) if multi_spike else times
    before = times.clone()
    SF.mse_temporal_loss(target_is_time=True, multi_spike=multi_spike)(SPIKES, times)
    assert torch.equal(times, before)


def test_spikes_of_one_neuron_leave_those_of_others():
    spikes = (torch.rand(12, 4, 5, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    expected = torch.full((3, 4, 5), 11.0)
    for b in range(4):
        for c in range(5):
            times = spikes[:, b, c].nonzero().flatten()[:3]
            expected[: len(times), b, c] = times.float()
    spike_time = SF.SpikeTime(target_is_time=True, multi_spike=True)
    times, _ = spike_time(spikes, torch.zeros(3, 4, 5))
    close(times, expected)


def test_spikes_that_are_missing_add_up_at_the_last_step():
    spikes = torch.zeros(4, 1, 1)
    spikes[3] = 1
    spikes.requires_grad_()
    loss_fn = SF.mse_temporal_loss(target_is_time=True, multi_spike=True, reduction="sum")
    # Both times are 3, for a wanted 1 and 2: -(2 * 2 + 2 * 1) / 4^2.
    loss_fn(spikes, torch.tensor([[[1.0]], [[2.0]]])).backward()
    close(spikes.grad.flatten(), [0, 0, 0, -6 / 16])


class Count(TorchDispatchMode):
    """Counts the operations on tensors."""

    calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("multi_spike", [False, True])
def test_temporal_losses_take_as_many_operations_for_any_batch(multi_spike):
    loss_fn = SF.mse_temporal_loss(target_is_time=True, multi_spike=multi_spike)
    counts = []
    for batch in (1, 8):
        spikes = torch.eye(5).unsqueeze(1).repeat(1, batch, 1).requires_grad_()
        times = torch.ones(2, batch, 5) if multi_spike else torch.ones(batch, 5)
        with Count() as count:
            loss_fn(spikes, times).backward()
        counts.append(count.calls)
    assert counts[0] == counts[1]


def test_several_spikes_may_be_one():
    loss_fn = SF.mse_temporal_loss(multi_spike=True, reduction="none")
    close(loss_fn(SPIKES, TARGETS), SQUARES.unsqueeze(0))


# Weights of classes ----------------------------------------------------------------------------

WEIGHT = torch.tensor([2.0, 10.0, 0.5])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weights_of_temporal_losses_follow_the_class_of_each_sample(reduction):
    actual = SF.mse_temporal_loss(reduction=reduction, weight=WEIGHT)(SPIKES, TARGETS)
    each = SQUARES * torch.tensor([[2.0], [0.5]])
    close(actual, each if reduction == "none" else getattr(each, reduction)())


def test_weights_of_times_belong_to_the_neurons():
    loss_fn = SF.mse_temporal_loss(target_is_time=True, weight=WEIGHT)
    times = torch.tensor([[0.0, 5, 5], [5, 5, 0]])
    close(loss_fn(SPIKES, times), (SQUARES * WEIGHT).mean())


# Monitors and learners -------------------------------------------------------------------------


def test_attributes_are_recorded_before_the_call():
    lif = snn.Leaky(0.5, init_hidden=True, reset_mechanism="none")
    monitor = AttributeMonitor("mem", True, lif)
    for value in (1.0, 2.0, 4.0):
        lif(torch.tensor([[value]]))
    assert [mem.item() for mem in monitor[""][1:]] == [1.0, 2.5]


def learner_of(lif):
    synapse = nn.Linear(3, 2, bias=False)
    nn.init.constant_(synapse.weight, 0.5)
    return STDPLearner(synapse, lif, 2.0, 2.0)


# Steps, one sample, three neurons. The current is 1, 0.5 and 0: the neuron fires at step 0 alone.
TRAIN = torch.tensor([[[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]])
# The weights are 0.5. At step 0 the traces of both ends are 1, where the neuron before fires too;
# growth and decay cancel. At step 1 the trace of the neuron after is 0.5, and a synapse whose
# neuron before fires loses 0.5 * 0.5.
CHANGE = torch.tensor([[-0.25, 0, 0]] * 2)


def test_a_learner_can_be_reset():
    lif = snn.Leaky(0.1, threshold=0.9, init_hidden=True)
    learner = learner_of(lif)
    for _ in range(2):
        lif.reset_mem()
        for x in TRAIN:
            lif(learner.synapse(x))
        close(learner.step(on_grad=False), CHANGE)
        learner.reset()
    assert learner.trace_pre is None and learner.trace_post is None


@pytest.mark.parametrize("kwargs", [{}, {"init_hidden": True, "output": True}])
def test_a_learner_takes_the_spikes_among_what_neurons_return(kwargs):
    lif = snn.Leaky(0.1, threshold=0.9, **kwargs)
    learner = learner_of(lif)
    for x in TRAIN:
        lif(learner.synapse(x))
    close(learner.step(on_grad=False), CHANGE)


def test_a_learner_leaves_no_graph():
    lif = snn.Leaky(0.1, threshold=0.9, init_hidden=True)
    learner = learner_of(lif)
    for x in TRAIN:
        lif(learner.synapse(x))
    change = learner.step(on_grad=False)
    assert not change.requires_grad
    close(change, CHANGE)


def test_a_learner_without_records_changes_nothing():
    learner = learner_of(snn.Leaky(0.1, init_hidden=True))
    assert not learner.step(on_grad=False).any()


def test_inputs_that_are_given_by_name_are_recorded():
    lif = snn.Leaky(0.5)
    monitor = InputMonitor(lif)
    x, mem = torch.rand(1, 2), torch.rand(1, 2)
    lif(x, mem=mem)
    assert torch.equal(monitor[0][0], x) and torch.equal(monitor[0][1], mem)


# Wrong arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measure", [SF.accuracy_temporal, SF.mse_temporal_loss()], ids=lambda each: each.__name__
)
def test_one_target_for_a_whole_batch_is_an_error(measure):
    with pytest.raises(ValueError, match=r"\(1,\).*\(2,\)"):
        measure(SPIKES, torch.tensor([2]))


def test_an_unknown_reduction_with_weights_is_an_error():
    with pytest.raises(ValueError, match="median"):
        SF.mse_temporal_loss(reduction="median", weight=WEIGHT)(SPIKES, TARGETS)
