"""Spike-timing-dependent plasticity, against recordings of 1.0.0, a loop and numbers by hand."""

import json
import math

import numpy as np
import pytest
import torch
from project import TESTS
from torch import nn

import snntorch as snn
from snntorch.functional import stdp_learner
from snntorch.functional.stdp_learner import STDPLearner

GOLDEN = np.load(TESTS / "golden" / "plasticity.npz")
ENTRIES = dict(enumerate(json.loads(str(GOLDEN["meta"]))))
STEPS = {k: meta for k, meta in ENTRIES.items() if meta["kind"] == "step"}
LEARNERS = {k: meta for k, meta in ENTRIES.items() if meta["kind"] == "learner"}
FACTORS = {"weight": lambda w: w, "one": torch.ones_like, "distance": lambda w: 0.5 - w}


def close(actual, expected, **kwargs):
    expected = torch.as_tensor(expected, dtype=actual.dtype)
    torch.testing.assert_close(actual, expected, **({"rtol": 1e-5, "atol": 1e-6} | kwargs))


def recorded(k, name):
    return torch.tensor(GOLDEN[f"{k}:{name}"])


def make(k):
    name, kwargs = ENTRIES[k]["layer"]
    synapse = getattr(nn, name)(
        **{key: tuple(v) if isinstance(v, list) else v for key, v in kwargs.items()}
    )
    with torch.no_grad():
        synapse.weight.copy_(recorded(k, "weight"))
    return synapse


def test_the_recording_covers_every_function():
    functions = {meta["function"] for meta in STEPS.values()}
    assert {*functions, "STDPLearner"} == set(stdp_learner.__all__)
    assert {meta["layer"][0] for meta in LEARNERS.values()} == {"Linear", "Conv1d", "Conv2d"}


@pytest.mark.parametrize("k", STEPS)
def test_recorded_steps(k):
    kwargs = {key: FACTORS.get(v, v) for key, v in STEPS[k]["kwargs"].items()}
    step, synapse = getattr(stdp_learner, STEPS[k]["function"]), make(k)
    pre = post = None
    names = ("in", "out", "trace_pre", "trace_post", "delta")
    for x, out, *expected in zip(*(recorded(k, name) for name in names), strict=True):
        pre, post, delta = step(synapse, x, out, pre, post, **kwargs)
        for actual, wanted in zip((pre, post, delta), expected, strict=True):
            close(actual, wanted)


@pytest.mark.parametrize("k", LEARNERS)
def test_recorded_learners(k):
    synapse, kwargs = make(k), LEARNERS[k]["kwargs"]
    with torch.no_grad():
        synapse.bias.copy_(recorded(k, "bias"))
    lif = snn.Leaky(0.8, init_hidden=True, threshold=0.1)
    learner = STDPLearner(synapse, lif, **LEARNERS[k]["taus"])
    for half, x in enumerate(recorded(k, "in")):
        for x_t in x:
            lif(synapse(x_t))
        change = learner.step(**kwargs)
        if kwargs["on_grad"]:
            assert change is None
            close(synapse.weight.grad, recorded(k, f"grad_{half}"))
        else:
            assert synapse.weight.grad is None
            close(change, recorded(k, f"dw_{half}"))
    close(synapse.weight.detach(), recorded(k, "weight"))


def test_a_pair_of_spikes_by_hand():
    # The neuron before fires at step 0, the one after at step 2; then the other way around.
    fc, one = nn.Linear(1, 1), torch.ones(1, 1)
    kwargs = {"tau_pre": 4.0, "tau_post": 2.0, "f_pre": torch.ones_like, "f_post": torch.ones_like}

    def run(befores, afters):
        pre = post = None
        total = 0.0
        for before, after in zip(befores, afters, strict=True):
            pre, post, change = stdp_learner.stdp_linear_single_step(
                fc, before * one, after * one, pre, post, **kwargs
            )
            total += change.item()
        return total

    assert run([1, 0, 0], [0, 0, 1]) == pytest.approx(0.75**2)
    assert run([0, 0, 1], [1, 0, 0]) == pytest.approx(-(0.5**2))
    assert run([1, 0, 1], [0, 0, 1]) == pytest.approx((0.75**2 + 1) - 1)


def test_traces_of_rewarded_plasticity_decay_exponentially():
    fc = nn.Linear(1, 1)
    one, none = torch.ones(2, 1), torch.zeros(2, 1)
    for step, more in (
        (stdp_learner.mstdp_linear_single_step, {}),
        (stdp_learner.mstdpet_linear_single_step, {"tau_trace": 5.0}),
    ):
        kwargs = {"tau_pre": 4.0, "tau_post": 2.0, "f_post": torch.ones_like, **more}
        pre, post, _ = step(fc, one, none, None, None, **kwargs)
        pre, post, eligibility = step(fc, none, one, pre, post, **kwargs)
        assert eligibility.shape == (2, 1, 1)
        close(eligibility.flatten(), [math.exp(-1 / 4)] * 2)
        assert post.tolist() == [[1.0], [1.0]]


CONVS = [
    {"padding": 1},
    {"stride": 2, "padding": (1, 2)},
    {"dilation": (1, 2), "padding": 2},
    {"groups": 2, "padding": 1},
    {"padding": "same"},
    {"padding": 1, "padding_mode": "circular", "stride": (2, 1)},
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kwargs", CONVS, ids=str)
def test_convolutions_equal_linear_synapses_that_share_weights(kwargs):
    conv = nn.Conv2d(2, 4, (3, 2), bias=False, **kwargs).double()
    x = torch.bernoulli(torch.full((3, 2, 2, 5, 6), 0.4, dtype=torch.float64))
    out = torch.bernoulli(torch.full((3, *conv(x[0]).shape), 0.4, dtype=torch.float64))
    # Column p of `paths` is the dense matrix of the convolution that has weight p alone at 1.
    eye = torch.eye(60, dtype=torch.float64).reshape(60, 2, 5, 6)
    paths = []
    for p in range(conv.weight.numel()):
        single = nn.Conv2d(2, 4, (3, 2), bias=False, **kwargs).double()
        with torch.no_grad():
            single.weight.zero_().view(-1)[p] = 1
            paths.append(single(eye).flatten(1).T)
    pre = post = x_trace = y_trace = None
    for x_t, out_t in zip(x, out, strict=True):
        pre, post, delta = stdp_learner.stdp_conv2d_single_step(
            conv, x_t, out_t, pre, post, 2.0, 3.0, torch.ones_like, lambda w: 2 * w
        )
        before, after = x_t.flatten(1), out_t.flatten(1)
        x_trace = before + (0 if x_trace is None else x_trace * (1 - 1 / 2))
        y_trace = after + (0 if y_trace is None else y_trace * (1 - 1 / 3))
        for p, path in enumerate(paths):
            grown = torch.einsum("bm,mn,bn->", after, path, x_trace)
            shrunk = torch.einsum("bm,mn,bn->", y_trace, path, before)
            expected = 2 * conv.weight.detach().view(-1)[p] * grown - shrunk
            close(delta.view(-1)[p], expected, atol=1e-12)


def test_reset_starts_a_new_sequence():
    synapse, lif = nn.Linear(3, 2), snn.Leaky(0.5, threshold=0.1, init_hidden=True)
    learner = STDPLearner(synapse, lif, 2.0, 2.0, torch.ones_like, torch.ones_like)
    x = (torch.rand(4, 5, 3) < 0.5).float()

    def run():
        lif.reset_mem()
        for x_t in x:
            lif(synapse(x_t))
        return learner.step(on_grad=False)

    first, carried = run(), run()
    lif(synapse(x[0]))  # recorded, and to be forgotten
    learner.reset()
    assert learner.trace_pre is None and learner.trace_post is None
    assert torch.equal(run(), first)
    assert first.any() and not torch.equal(carried, first)


def test_steps_one_by_one_equal_steps_at_once():
    synapse, lif = nn.Linear(3, 2), snn.Leaky(0.5, threshold=0.1, init_hidden=True)
    learner = STDPLearner(synapse, lif, 2.0, 3.0)
    x, total = (torch.rand(4, 5, 3) < 0.5).float(), 0
    for x_t in x:
        lif(synapse(x_t))
        total = total + learner.step(on_grad=False)
    learner.reset()
    lif.reset_mem()
    for x_t in x:
        lif(synapse(x_t))
    close(learner.step(on_grad=False, scale=2.0), 2 * total)


@pytest.mark.parametrize("kwargs", [{"init_hidden": True, "output": True}, {}])
def test_neurons_that_return_states(kwargs):
    synapse = nn.Linear(3, 2)
    changes = []
    for more in (kwargs, {"init_hidden": True}):
        lif = snn.Synaptic(0.9, 0.5, threshold=0.1, **more)
        learner = STDPLearner(synapse, lif, 2.0, 3.0)
        torch.manual_seed(1)
        for x_t in (torch.rand(4, 5, 3) < 0.5).float():
            lif(synapse(x_t))
        changes.append(learner.step(on_grad=False))
    assert changes[0].any()
    assert torch.equal(*changes)


def test_an_unrolled_network_learns_the_same():
    net = nn.Sequential(nn.Linear(3, 2), snn.Leaky(0.5, threshold=0.1, init_hidden=True))
    learner = STDPLearner(net[0], net[1], 2.0, 3.0)
    x = (torch.rand(4, 5, 3) < 0.5).float()
    for x_t in x:
        net(x_t)
    by_loop = learner.step(on_grad=False)
    learner.reset()
    snn.unroll(net, x)
    assert by_loop.any()
    close(learner.step(on_grad=False), by_loop)


def test_a_neuron_that_listens_changes_as_the_optimiser_is_told():
    synapse, lif = nn.Linear(1, 1, bias=False), snn.Leaky(0.5, init_hidden=True)
    nn.init.constant_(synapse.weight, 2.0)
    learner = STDPLearner(synapse, lif, 2.0, 2.0, torch.zeros_like, torch.ones_like)
    optimiser = torch.optim.SGD(synapse.parameters(), lr=0.25)
    for _ in range(2):
        # The input fires, and the neuron with it: the trace is 1 when the neuron fires.
        learner.reset()
        lif.reset_mem()
        optimiser.zero_grad()
        lif(synapse(torch.ones(1, 1)))
        learner.step()
        optimiser.step()
    assert synapse.weight.item() == 2.5


def test_gradients_of_a_loss_stay():
    synapse, lif = nn.Linear(3, 2), snn.Leaky(0.5, threshold=0.1, init_hidden=True)
    learner = STDPLearner(synapse, lif, 2.0, 3.0)
    lif(synapse(torch.ones(1, 3))).sum().backward()
    before = synapse.weight.grad.clone()
    learner.disable()
    lif(synapse(torch.ones(1, 3)))
    learner.enable()
    monitor = learner.in_spike_monitor
    assert len(monitor.records) == 1 and not monitor.records[0].requires_grad
    learner.step(scale=0.0)
    assert torch.equal(synapse.weight.grad, before)
    learner.step()  # nothing is recorded any more
    assert torch.equal(synapse.weight.grad, before)


def test_what_is_saved_is_the_synapse():
    learner = STDPLearner(nn.Linear(3, 2), snn.RLeaky(0.5, linear_features=2), 2.0, 2.0)
    assert set(learner.state_dict()) == {"synapse.weight", "synapse.bias"}


def test_spikes_of_another_type_are_cast():
    fc = nn.Linear(3, 2)
    x, out = torch.rand(4, 3) < 0.5, torch.rand(4, 2) < 0.5
    step = stdp_learner.stdp_linear_single_step
    casts = (
        step(fc, x, out, None, None, 2.0, 2.0),
        step(fc, x.float(), out.float(), None, None, 2.0, 2.0),
    )
    for a, b in zip(*casts, strict=True):
        assert torch.equal(a, b)


def test_wrong_input():
    fc, conv = nn.Linear(3, 2), nn.Conv2d(2, 3, 3)
    x, out = torch.ones(4, 3), torch.ones(4, 2)
    linear = stdp_learner.stdp_linear_single_step
    with pytest.raises(TypeError, match=r"synapse is a ReLU; expected nn.Linear or nn.Conv1d or"):
        STDPLearner(nn.ReLU(), snn.Leaky(0.5), 2.0, 2.0)
    with pytest.raises(TypeError, match=r"sn is a str; expected nn.Module"):
        STDPLearner(fc, "lif", 2.0, 2.0)
    assert not fc._forward_hooks
    with pytest.raises(TypeError, match=r"conv is a Linear; expected nn.Conv2d"):
        stdp_learner.stdp_conv2d_single_step(fc, x, out, None, None, 2.0, 2.0)
    with pytest.raises(TypeError, match=r"fc is a Conv2d; expected nn.Linear"):
        stdp_learner.mstdp_linear_single_step(conv, x, out, None, None, 2.0, 2.0)
    with pytest.raises(ValueError, match=r"tau_post is 0.5; .* at least 1 time step"):
        STDPLearner(fc, snn.Leaky(0.5), 2.0, 0.5)
    with pytest.raises(ValueError, match=r"tau_pre is 0; .* above 0 time steps"):
        stdp_learner.mstdp_linear_single_step(fc, x, out, None, None, 0, 2.0)
    with pytest.raises(ValueError, match=r"out_spike \(3, 2\); expected \[B, 3\] and \[B, 2\]"):
        linear(fc, x, out[:3], None, None, 2.0, 2.0)
    with pytest.raises(ValueError, match=r"in_spike has shape \(4, 2\)"):
        linear(fc, out, out, None, None, 2.0, 2.0)
    pre, post, _ = linear(fc, x, out, None, None, 2.0, 2.0)
    with pytest.raises(ValueError, match=r"shape \(4, 3\), but the spikes have \(2, 3\)"):
        linear(fc, x[:2], out[:2], pre, post, 2.0, 2.0)
    images = torch.ones(1, 2, 4, 4)
    for spikes in (torch.ones(1, 3, 2, 3), torch.ones(1, 2, 2, 2), torch.ones(2, 3, 2, 2)):
        with pytest.raises(ValueError, match=r"out_spike has shape .*; expected \(1, 3, 2, 2\)"):
            stdp_learner.stdp_conv2d_single_step(conv, images, spikes, None, None, 2.0, 2.0)
    with pytest.raises(ValueError, match=r"in_spike has shape \(2, 4, 4\); expected \[B, 2, H, W"):
        stdp_learner.stdp_conv2d_single_step(conv, images[0], images, None, None, 2.0, 2.0)


def test_calls_that_do_not_pair_are_an_error_and_change_nothing():
    synapse, lif = nn.Linear(3, 2), snn.Leaky(0.5, init_hidden=True)
    learner = STDPLearner(synapse, lif, 2.0, 2.0)
    lif(synapse(torch.ones(1, 3)))
    synapse(torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"called 2 times and the neurons 1 times; .*reset\(\)"):
        learner.step()
    assert synapse.weight.grad is None and learner.trace_pre is None
