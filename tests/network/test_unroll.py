"""Whole sequences: ``snn.unroll`` against the loop over time that it stands for."""

import copy
import gc
import subprocess
import sys
import weakref
from collections import Counter, OrderedDict, namedtuple
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from releases import needs_2_1, needs_2_5, tree_leaves
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize
from torch.utils._pytree import tree_flatten, tree_unflatten

import snntorch as snn
from snntorch import surrogate, utils
from snntorch._engine import backends
from snntorch._network import rules
from snntorch._torch import RECORDABLE
from snntorch.functional import probe

T, B = 5, 3


@pytest.fixture(autouse=True, params=["reference", None], ids=["reference", "fastest"])
def chosen_backend(request):
    """All holds on the plain reference, and on whatever is chosen freely."""
    with snn.use_backend(request.param):
        yield


def loop(net, x, num_steps=None, *, reset=True):
    """What unroll promises."""
    if reset:
        utils.reset(net)
    steps = [net(x_t) for x_t in (x if num_steps is None else [x] * num_steps)]
    parts = zip(*map(tree_leaves, steps), strict=True)
    return tree_unflatten(list(map(torch.stack, parts)), tree_flatten(steps[0])[1])


def states_of(net):
    neurons = [module for module in net.modules() if isinstance(module, snn.SpikingNeuron)]
    states = [neuron._snn_newest(name) for neuron in neurons for name in neuron.states]
    return [state for state in states if state is not None]


def result(way, net, x, num_steps=None):
    """Everything that is to be the same: values, gradients, states, buffers, random numbers."""
    net, x = copy.deepcopy(net), x.clone().requires_grad_()
    torch.manual_seed(1)
    out = way(net, x, num_steps)
    drawn, leaves, states = torch.rand(3), tree_leaves(out), states_of(net)
    weighted = [leaf * torch.linspace(-1, 1, leaf.numel()).view_as(leaf) for leaf in leaves]
    loss = sum(each.sum() for each in (*weighted, *states))
    inputs = [x, *(parameter for parameter in net.parameters() if parameter.requires_grad)]
    grads = torch.autograd.grad(loss, inputs, allow_unused=True)
    return {
        "values": out,
        "gradients": [grad for grad in grads if grad is not None],
        "states": states,
        "buffers": list(net.buffers()),
        "random numbers": drawn,
        "x": x,
    }


def close(got, want):
    assert got.keys() == want.keys()
    for key in want:
        torch.testing.assert_close(got[key], want[key], rtol=1e-12, atol=1e-12)


def assert_same(net, x, num_steps=None):
    got = result(snn.unroll, net, x, num_steps)
    close(got, result(loop, net, x, num_steps))
    assert got["gradients"][0].norm() > 0
    return got


def firing(*shape):
    generator = torch.Generator().manual_seed(3)
    return 0.4 + torch.randn(shape, generator=generator, dtype=torch.float64)


def lif(**kwargs):
    return snn.Leaky(**{"beta": 0.8, "threshold": 0.3, "init_hidden": True, **kwargs})


# One neuron ----------------------------------------------------------------------------------


@pytest.mark.costly
@pytest.mark.parametrize("static", [False, True], ids=["over time", "static"])
@pytest.mark.parametrize(
    "kwargs",
    [{}, {"init_hidden": True}, {"init_hidden": True, "output": True}],
    ids=["explicit", "hidden", "output"],
)
def test_every_neuron_as_the_loop(model, kwargs, static):
    neuron = model.make(learn_threshold=True, **kwargs).double()
    x = model.input(T, B, dtype=torch.float64)
    got = assert_same(neuron, x[0], T) if static else assert_same(neuron, x)
    assert tree_leaves(got["values"])[0].sum() > 0
    assert_same(neuron, x[0, 0], T) if static else assert_same(neuron, x[:, 0])  # without a batch


@pytest.mark.costly
def test_two_parts_are_the_whole(model):
    """3 and 4 steps, with the graph of the states between them, give what 7 steps give."""

    def parts(net, x, num_steps):
        first, rest = snn.unroll(net, x[:3]), snn.unroll(net, x[3:], reset=False)
        return tuple(map(torch.cat, zip(first, rest, strict=True)))

    x = model.input(7, B, dtype=torch.float64)
    for kwargs in ({}, {"init_hidden": True, "output": True}):
        neuron = model.make(**kwargs).double()
        close(result(parts, neuron, x), result(snn.unroll, neuron, x))


def test_starts_from_a_state_set_by_hand():
    neuron, x, results = lif(output=True).double(), firing(T, B, 4), []
    for way in (loop, snn.unroll):
        start = torch.full((4,), 0.2, dtype=torch.float64, requires_grad=True)
        neuron.mem = start * 2
        spk, mem = way(neuron, x, reset=False)
        results.append((spk, mem, torch.autograd.grad(mem.sum(), start)[0]))
    torch.testing.assert_close(*results)
    neuron.mem = start
    torch.testing.assert_close(snn.unroll(neuron, x), loop(neuron, x))  # a reset drops it


def test_states_hold_their_graph_until_they_are_detached_or_reset():
    net, x = nn.Sequential(nn.Linear(4, 4), lif()).double(), firing(T, B, 4)
    snn.unroll(net, x).sum().backward()
    utils.detach(net)
    snn.unroll(net, x, reset=False).sum().backward()
    snn.unroll(net, x).sum().backward()
    out = snn.unroll(net, x, reset=False)
    with pytest.raises(RuntimeError, match="second time"):
        out.sum().backward()


def test_last_states_hold_no_trace():
    neuron = lif(output=True)
    _, mem = snn.unroll(neuron, torch.rand(T, B, 4))
    assert torch.equal(neuron.mem, mem[-1])
    assert neuron.mem.untyped_storage().nbytes() == 4 * neuron.mem.numel()


@pytest.mark.costly
def test_a_graph_does_not_keep_its_neuron(model):
    neuron = model.make(learn_threshold=True)
    kept = weakref.ref(neuron)
    out = snn.unroll(neuron, model.input(T, B).requires_grad_())
    del neuron
    gc.collect()
    assert kept() is None
    sum(each.sum() for each in tree_leaves(out) if each.requires_grad).backward()


@pytest.mark.costly
def test_spikes_without_a_surrogate_are_off_the_graph(model):
    x = model.input(T, B).requires_grad_()
    neuron = model.make(surrogate_disable=True)
    for name in {"recurrent.weight", "recurrent.bias", "V"} & dict(
        neuron.named_parameters()
    ).keys():
        neuron.get_parameter(name).requires_grad_(False)
    outs = snn.unroll(neuron, x)
    spikes, mem = outs[0], model.mem(outs)
    assert not spikes.requires_grad and mem.requires_grad
    (grad,) = torch.autograd.grad(mem.sum(), x)
    torch.testing.assert_close(grad, torch.autograd.grad(model.mem(loop(neuron, x)).sum(), x)[0])


# Networks ------------------------------------------------------------------------------------


class Results(nn.Module):
    """A user's module with several results."""

    def forward(self, x):
        return {"double": 2 * x, "both": (x, [x.relu()])}


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), lif())

    def forward(self, x):
        return x + self.body(x)


class SkipSequential(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class MyLeaky(snn.Leaky):
    def forward(self, x, mem=None):
        return 2 * super().forward(x, mem)


class MyLinear(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Overwrite(nn.Module):
    def forward(self, x):
        return F.leaky_relu_(x)


class Sum(nn.Module):
    def forward(self, out):
        return out[0] + out[1]


class Double(nn.Module):
    def forward(self, weight):
        return 2 * weight


def linear():
    return nn.Linear(4, 4)


def batch_norm(**kwargs):
    return nn.BatchNorm1d(4, **kwargs)


def between(*layers):
    """A net of two linear layers with neurons, and some layers between them."""
    return nn.Sequential(linear(), lif(), *layers, linear(), lif())


def image(*layers):
    return nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), lif(), *layers)


def quickstart():
    layers = [nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), lif(), nn.Conv2d(4, 5, 3), nn.AvgPool2d(2)]
    layers += [lif(), nn.Flatten(), nn.Linear(5 * 2 * 2, 3), lif(output=True)]
    return nn.Sequential(*layers)


def with_neuron(**kwargs):
    return nn.Sequential(linear(), lif(**kwargs))


def twice(module):
    return nn.Sequential(linear(), module, linear(), module)


def changed(net, change):
    change(net)
    return net


def hooked(*places):
    net = between(linear())
    for place in places:
        net[place].register_forward_hook(lambda module, args, out: out * 0.9)
    return net


def trained(net):
    """Statistics that are not those of an untrained net."""
    for module in net.modules():
        if getattr(module, "running_mean", None) is not None:
            module.running_mean.fill_(0.1)
            module.running_var.fill_(0.7)
    return net.eval()


def parametrised(part, name="weight", place=2):
    net = between()
    parametrize.register_parametrization(net[place], name, part)
    return net


def drawing(a, b):
    return f"{a} and {b} may draw random numbers"


# What is built, the shape of its input at one step, and what happens to each layer if the input
# changes over time, or why the whole is a loop.
DENSE, IMAGE, LONE = (B, 4), (B, 2, 6, 6), (2, 6, 6)
NETS = {
    "quickstart": (
        quickstart,
        (B, 1, 14, 14),
        "fold fold scan fold fold scan fold fold scan",
    ),
    "dense": (between, DENSE, "fold scan fold scan"),
    "dense unbatched": (between, (4,), "fold scan fold scan"),
    "dense, two batches": (between, (2, *DENSE), "fold scan fold scan"),
    "neuron first": (lambda: nn.Sequential(lif(), linear(), lif()), DENSE, "scan fold scan"),
    "no layer": (nn.Sequential, DENSE, ""),
    "no neuron": (lambda: nn.Sequential(linear(), nn.ReLU()), DENSE, "fold fold"),
    "no sequential": (linear, DENSE, "fold"),
    "nested": (
        lambda: between(nn.Sequential(linear(), nn.Sequential(batch_norm(), lif()))),
        DENSE,
        "fold scan fold step scan fold scan",
    ),
    "image unbatched": (
        lambda: image(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        LONE,
        "fold scan fold fold fold",
    ),
    "pools": (
        lambda: image(nn.AdaptiveMaxPool2d(3), nn.MaxPool2d(2, return_indices=True)),
        IMAGE,
        "fold scan fold step",
    ),
    "flatten": (
        lambda: image(nn.Flatten(), nn.Linear(72, 4), lif(), nn.Unflatten(1, (2, 2))),
        IMAGE,
        "fold scan fold fold scan fold",
    ),
    "flatten the batch too": (lambda: image(nn.Flatten(0)), IMAGE, "fold scan step"),
    "flatten from the end": (lambda: image(nn.Flatten(-4, 1)), IMAGE, "fold scan step"),
    "norms": (
        lambda: between(nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.PReLU(4)),
        DENSE,
        "fold scan fold fold fold fold scan",
    ),
    "norms of images": (
        lambda: trained(image(nn.BatchNorm2d(2), nn.LayerNorm((2, 6, 6)))),
        IMAGE,
        "fold scan fold fold",
    ),
    "norm of a batch": (lambda: between(nn.LayerNorm(DENSE)), DENSE, "fold scan fold fold scan"),
    "batch norm": (lambda: between(batch_norm()), DENSE, "fold scan step fold scan"),
    "batch norm first": (lambda: nn.Sequential(batch_norm(), lif()), DENSE, "step scan"),
    "batch norm in eval": (
        lambda: trained(between(batch_norm())),
        DENSE,
        "fold scan fold fold scan",
    ),
    "batch norm without statistics": (
        lambda: between(batch_norm(track_running_stats=False)).eval(),
        DENSE,
        "fold scan step fold scan",
    ),
    "in place": (
        lambda: nn.Sequential(linear(), nn.ReLU(inplace=True), lif(), nn.ReLU(inplace=True)),
        DENSE,
        "fold fold scan fold",
    ),
    "overwrites": (
        lambda: nn.Sequential(linear(), Overwrite(), nn.SiLU(), lif()),
        DENSE,
        "fold step fold scan",
    ),
    "dropout in eval": (
        lambda: between(nn.Dropout(), nn.AlphaDropout()).eval(),
        DENSE,
        "fold scan fold fold fold scan",
    ),
    "random slope": (lambda: with_neuron(spike_grad=surrogate.SSO()), DENSE, "fold scan"),
    "random slopes": (
        lambda: nn.Sequential(*(with_neuron(spike_grad="SSO") for _ in range(2))),
        DENSE,
        drawing("0.1 (Leaky)", "1.1 (Leaky)"),
    ),
    "shared neuron": (lambda: twice(lif()), DENSE, "1 (Leaky) is shared with another layer"),
    "shared batch norm": (lambda: twice(batch_norm()), DENSE, "1 (BatchNorm1d) is shared"),
    "shared part": (
        lambda: changed(between(Residual()), lambda net: net.append(net[2].body[1])),
        DENSE,
        "2 (Residual) is shared with another layer",
    ),
    "shared without states": (lambda: twice(nn.Tanh()), DENSE, "fold fold fold fold"),
    "module": (Residual, DENSE, "not known to be stateless"),
    "module inside": (lambda: between(Residual()), DENSE, "fold scan step fold scan"),
    "modules": (
        lambda: nn.Sequential(Residual(), Residual()),
        DENSE,
        drawing("0 (Residual)", "1 (Residual)"),
    ),
    "results": (Results, DENSE, "not known to be stateless"),
    "results last": (lambda: with_neuron().append(Results()), DENSE, "fold scan step"),
    "results passed on": (
        lambda: nn.Sequential(linear(), lif(output=True), Sum(), linear()),
        DENSE,
        "fold scan step fold",
    ),
    "anything passed on": (
        lambda: nn.Sequential(linear(), Results(), nn.Identity()),
        DENSE,
        "fold step fold",
    ),
    "sequential of another class": (
        lambda: SkipSequential(linear(), lif()),
        DENSE,
        "not known to be stateless",
    ),
    "neuron of another class": (
        lambda: nn.Sequential(linear(), MyLeaky(0.8, init_hidden=True)),
        DENSE,
        "fold step",
    ),
    "layer of another class": (lambda: nn.Sequential(MyLinear(4, 4), lif()), DENSE, "step scan"),
    "forward replaced": (
        lambda: changed(between(), lambda net: setattr(net[2], "forward", torch.sin)),
        DENSE,
        "fold scan step scan",
    ),
    "hook on a layer": (lambda: hooked(2), DENSE, "fold scan step fold scan"),
    "hook on a neuron": (lambda: hooked(1), DENSE, "fold step fold fold scan"),
    "hooks": (lambda: hooked(1, 2), DENSE, "fold step step fold scan"),
    "hooks on random slopes": (
        lambda: changed(
            nn.Sequential(*(with_neuron(spike_grad="SSO") for _ in range(2))),
            lambda net: net[0][1].register_forward_hook(lambda *call: None),
        ),
        DENSE,
        drawing("0.1 (Leaky)", "1.1 (Leaky)"),
    ),
    "forwards replaced": (
        lambda: changed(
            between(), lambda net: [setattr(net[i], "forward", torch.sin) for i in (0, 2)]
        ),
        DENSE,
        drawing("0 (Linear)", "2 (Linear)"),
    ),
    "hook on a sequential": (
        lambda: changed(
            nn.Sequential(linear(), with_neuron()),
            lambda net: net[1].register_forward_pre_hook(lambda module, args: (2 * args[0],)),
        ),
        DENSE,
        "fold step",
    ),
    "hook on the whole": (
        lambda: changed(
            between(), lambda net: net.register_full_backward_hook(lambda module, *grads: None)
        ),
        DENSE,
        "has hooks",
    ),
    "weight norm": (
        lambda: changed(between(), lambda net: parametrizations.weight_norm(net[2])),
        DENSE,
        "fold scan fold scan",
    ),
    "spectral norm": (
        lambda: changed(between(), lambda net: parametrizations.spectral_norm(net[2])),
        DENSE,
        "fold scan step scan",
    ),
    "spectral norms": (
        lambda: changed(
            between(), lambda net: [parametrizations.spectral_norm(net[i]) for i in (0, 2)]
        ),
        DENSE,
        "step scan step scan",
    ),
    "parametrised layer": (lambda: parametrised(Double()), DENSE, "fold scan fold scan"),
    "parametrised at random": (lambda: parametrised(nn.Dropout()), DENSE, "fold scan step scan"),
    "parametrised neuron": (
        lambda: parametrised(Double(), "beta", 1),
        DENSE,
        "fold scan fold scan",
    ),
}
NEWER = {"weight norm": needs_2_1}
CASES = [pytest.param(*row, id=name, marks=NEWER.get(name, ())) for name, row in NETS.items()]
STEPS = {"hoist", "fold", "scan", "step"}


@pytest.mark.parametrize("make, shape, expected", CASES)
def test_network_as_the_loop(make, shape, expected):
    net, x = make().double(), firing(T, *shape)
    plan = snn.explain(net, x)
    if set(expected.split()) <= STEPS:
        assert " ".join(stage.how for stage in plan) == expected
    else:
        (stage,) = plan
        assert stage.how == "loop" and expected in stage.reason
    assert_same(net, x)


@pytest.mark.parametrize("make, shape, expected", CASES)
def test_network_with_a_static_input_as_the_loop(make, shape, expected):
    net, x = make().double(), firing(*shape)
    how = [stage.how for stage in snn.explain(net, x, T)]
    if set(expected.split()) <= STEPS:
        # What leads up to the first layer that changes over time runs once.
        expected = expected.split()
        first = next((i for i, how in enumerate(expected) if how != "fold"), len(expected))
        assert how == ["hoist"] * first + expected[first:]
    else:
        assert how == ["loop"]
    assert_same(net, x, T)


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_draws_a_mask_for_each_step_and_row(static, inplace):
    steps, rows, features, p = 50, 20, 30, 0.3
    net = nn.Sequential(nn.Dropout(p, inplace=inplace), nn.Identity(), nn.Dropout(0.0))
    ones = torch.ones(*([] if static else [steps]), rows, features)
    num_steps = steps if static else None
    assert [stage.how for stage in snn.explain(net, ones, num_steps)] == ["fold"] * 3
    out = snn.unroll(net, ones, num_steps)
    assert out.shape == (steps, rows, features)
    assert torch.equal(out.unique(), torch.tensor([0.0, 1 / (1 - p)]))
    kept = (out > 0).double()
    error = (p * (1 - p) / kept.numel()) ** 0.5
    assert abs(kept.mean() - (1 - p)) < 4 * error
    # Masks of different steps, and of different rows, agree as often as independent ones do.
    agree = p**2 + (1 - p) ** 2
    for a, b in ((kept[1:], kept[:-1]), (kept[:, 1:], kept[:, :-1])):
        spread = (agree * (1 - agree) / a.numel()) ** 0.5
        assert abs((a == b).double().mean() - agree) < 4 * 1.5 * spread
    assert torch.equal(ones, torch.ones_like(ones))
    same = snn.unroll(net.eval(), ones, num_steps)
    assert torch.equal(same, torch.ones(steps, rows, features))


def test_hooks_on_all_modules_make_a_loop():
    net, x, calls = between().double(), firing(T, *DENSE), []
    hook = nn.modules.module.register_module_forward_hook(lambda *call: calls.append(call[0]))
    try:
        (stage,) = snn.explain(net, x)
        snn.unroll(net, x)
    finally:
        hook.remove()
    assert stage.how == "loop" and "hooks on all modules" in stage.reason
    assert calls == [*net, net] * T


def test_hooks_see_every_step_in_order():
    net, x, seen = between().double(), firing(T, *DENSE), []
    net[1].register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    snn.unroll(net, x)
    got, seen[:] = list(seen), []
    loop(net, x)
    assert len(got) == T
    torch.testing.assert_close(got, seen)


def test_monitors_step_their_own_layers_alone():
    net, x = between(nn.Tanh(), lif()).double(), firing(T, *DENSE)
    assert [stage.how for stage in snn.explain(net, x)] == ["fold", "scan"] * 3
    recorded = []
    for way in (snn.unroll, loop):
        own, records = copy.deepcopy(net), []
        spikes = probe.OutputMonitor(own[1], snn.Leaky)
        membranes = probe.AttributeMonitor("mem", False, own[3], snn.Leaky)
        plan = snn.explain(own, x)
        assert [stage.how for stage in plan] == ["fold", "step", "fold", "step", "fold", "scan"]
        assert {plan[1].reason, plan[3].reason} == {"has hooks"}
        for monitor in (spikes, membranes):
            monitor.clear_recorded_data()
            records.append(monitor.records)
        out = way(own, x)
        recorded.append([out, *map(torch.stack, records)])
    for got, want in zip(*recorded, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
        assert got.shape[0] == T and got.any()


def test_hooks_beside_a_neuron_that_takes_whole_sequences():
    parts = nn.Linear(4, 3), snn.StateLeaky(0.9, 3, output=False), nn.Linear(3, 2)
    net, x, seen = nn.Sequential(*parts), torch.rand(T, 2, 4), []
    for i in (0, 2):
        net[i].register_forward_hook(lambda module, args, out: seen.append((module, out)))
    assert [stage.how for stage in snn.explain(net, x)] == ["step", "whole", "step"]
    seen.clear()
    out = snn.unroll(net, x)
    assert [module for module, _ in seen] == [net[0]] * T + [net[2]] * T
    assert torch.equal(out, torch.stack([step for _, step in seen[T:]]))


def test_results_keep_their_structure():
    Pair = namedtuple("Pair", "left right")

    class Structured(nn.Module):
        def forward(self, x):
            steps.append(len(steps))
            rest = OrderedDict(a=x, step=steps[-1])
            return Pair(x, [x, (rest, None)]), [x] * len(steps), x if len(steps) > 1 else None

    steps = []
    x = torch.rand(2, 3)
    pair, uneven, sometimes = snn.unroll(Structured(), x)
    assert type(pair) is Pair and pair.left.equal(x)
    first, (rest, nothing) = pair.right
    assert type(pair.right) is list and first.equal(x)
    assert type(rest) is OrderedDict and rest["a"].equal(x) and rest["step"] == [0, 1]
    assert nothing == [None, None]
    assert [len(step) for step in uneven] == [1, 2]
    assert sometimes[0] is None and sometimes[1].equal(x[1])


# Layers of a user's own ------------------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch):
    """What a test registers is forgotten afterwards."""
    monkeypatch.setattr(rules, "_RULES", dict(rules._RULES))


class Counting(nn.Module):
    """Counts its calls and keeps the shape of their input."""

    def __init__(self):
        super().__init__()
        self.weight, self.shapes = nn.Parameter(torch.linspace(0.5, 1.5, 4)), []

    def forward(self, x):
        self.shapes.append(tuple(x.shape))
        return self.body(x)


class Normalize(Counting):
    def body(self, x):
        return self.weight * x / (1 + x.norm(dim=-1, keepdim=True))


class Center(Counting):
    def body(self, x):
        return self.weight * (x - x.mean(0))


class Differences(Counting):
    """A convolution over time."""

    def body(self, x):
        return self.weight * (x - 0.5 * torch.cat((torch.zeros_like(x[:1]), x[:-1])))


class Plain(Normalize):
    def extra_repr(self):
        return "plain"


class Doubled(Normalize):
    def body(self, x):
        return 2 * super().body(x)


class Block(nn.Sequential):
    pass


def calls(net, x, num_steps=None):
    net[2].shapes.clear()
    snn.unroll(net, x, num_steps)
    return net[2].shapes


def test_registered_stateless_layer_is_called_once(registry):
    net, x = between(Normalize()).double(), firing(T, *DENSE)
    assert [stage.how for stage in snn.explain(net, x)][2] == "step"
    assert calls(net, x) == [DENSE] * T
    snn.register_layer(Normalize, "stateless")
    assert [stage.how for stage in snn.explain(net, x)] == ["fold", "scan", "fold", "fold", "scan"]
    assert calls(net, x) == [(T * B, 4)]
    assert_same(net, x)
    first = nn.Sequential(nn.Identity(), nn.Identity(), Normalize(), lif()).double()
    assert calls(first, x[0], T) == [DENSE]  # hoisted
    assert_same(first, x[0], T)


def test_registered_dims_let_time_take_the_place_of_a_missing_batch(registry):
    snn.register_layer(Normalize, "stateless", dims=1)
    net = between(Normalize()).double()
    for shape, seen in (((4,), (T, 4)), (DENSE, (T * B, 4))):
        x = firing(T, *shape)
        assert calls(net, x) == [seen]
        assert_same(net, x)


def test_registered_batch_layer_keeps_its_batch(registry):
    snn.register_layer(Center, "batch")
    net, x = between(Center(), linear(), Center()).double(), firing(T, *DENSE)
    plan = snn.explain(net, x)
    assert [stage.how for stage in plan] == ["fold", "scan", "step", "fold", "step", "fold", "scan"]
    assert plan[2].reason == "depends on the whole batch"
    assert calls(net, x) == [DENSE] * T
    assert_same(net, x)
    assert_same(net, x[0], T)


def test_registered_sequence_layer_is_called_once(registry):
    """Against the sum that the convolution is, worked out step by step."""
    snn.register_layer(Differences, "sequence")
    net, x = between(Differences()).double(), firing(T, *DENSE).requires_grad_()
    assert [stage.how for stage in snn.explain(net, x)] == ["fold", "scan", "whole", "fold", "scan"]
    assert calls(net, x) == [(T, *DENSE)]
    outs = []
    for way in (snn.unroll, None):
        utils.reset(net)
        if way is not None:
            out = way(net, x)
        else:
            steps, before = [], torch.zeros((), dtype=torch.float64)
            for x_t in x:
                now = net[1](net[0](x_t))
                steps.append(net[4](net[3](net[2].weight * (now - 0.5 * before))))
                before = now
            out = torch.stack(steps)
        weights = torch.linspace(-1, 1, out.numel()).view_as(out)
        grads = torch.autograd.grad((out * weights).sum(), [x, *net.parameters()])
        outs.append((out, *grads))
    assert outs[0][0].any() and outs[0][1].any()
    torch.testing.assert_close(outs[0], outs[1], rtol=1e-12, atol=1e-12)
    with pytest.raises(TypeError, match=r"Differences takes a whole sequence .* step by step"):
        snn.unroll(SkipSequential(Differences().double()), x)


def test_subclasses_that_override_nothing_keep_the_rule(registry):
    class MyLinear2(nn.Linear):
        def __init__(self, size):
            super().__init__(size, size)

    class OtherWeight(nn.Linear):
        @property
        def in_features(self):
            return 4

        @in_features.setter
        def in_features(self, value):
            pass

        def _load_from_state_dict(self, *args):
            super()._load_from_state_dict(*args)

    snn.register_layer(Normalize, "stateless")
    for layer, how in (
        (MyLinear2(4), "fold"),
        (MyLinear(4, 4), "step"),
        (OtherWeight(4, 4), "step"),
        (Plain(), "fold"),
        (Doubled(), "step"),
    ):
        net, x = between(layer).double(), firing(T, *DENSE)
        assert snn.explain(net, x)[2].how == how
        assert_same(net, x)
    snn.register_layer(Doubled, "stateless")
    assert snn.explain(between(Doubled()), x.float())[2].how == "fold"


def test_parts_of_a_registered_layer_keep_their_rules(registry):
    snn.register_layer(Block, "stateless")
    net, x = between(Block(linear(), batch_norm())).double(), firing(T, *DENSE)
    plan = snn.explain(net, x)
    assert plan[2].how == "step" and plan[2].reason.startswith("normalizes each step")
    assert_same(net, x)
    net = trained(net)
    assert snn.explain(net, x)[2].how == "fold"
    assert_same(net, x)
    dropout = nn.Sequential(Block(nn.Dropout(0.5)))
    assert snn.explain(dropout, torch.ones(*DENSE), T)[0].reason == "draws anew at each step"
    with pytest.raises(TypeError, match=r"layer 2 \(Block\) is registered .* Leaky in it"):
        snn.unroll(between(Block(linear(), lif())).double(), x)


@pytest.mark.parametrize("layer, rule", [(Center, "sequence"), (Normalize, "stateless")])
def test_a_layer_that_breaks_its_rule_is_named(registry, layer, rule):
    class Pools(layer):
        def forward(self, x):
            return x.mean(0, keepdim=True)

    class Pair(layer):
        def forward(self, x):
            return x, x

    for cls, returned in ((Pools, r"shape \(1, "), (Pair, "a tuple")):
        snn.register_layer(cls, rule)
        net = nn.Sequential(linear(), cls())
        with pytest.raises(ValueError, match=rf"layer 1 \({cls.__name__}\) .* returned {returned}"):
            snn.unroll(net, torch.rand(T, *DENSE))


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (("Linear", "stateless"), TypeError, "cls is 'Linear'; expected a class"),
        ((nn.Linear(1, 1), "stateless"), TypeError, r"cls is Linear\(.*expected a class"),
        ((int, "stateless"), TypeError, "cls is <class 'int'>"),
        (
            (nn.Sequential, "stateless"),
            TypeError,
            "cls is Sequential; expected the class",
        ),
        ((snn.Leaky, "stateless"), TypeError, "cls is Leaky; expected the class of a layer"),
        (
            (Center, "fold"),
            ValueError,
            "rule is 'fold'; expected one of 'stateless', 'batch'",
        ),
        ((Center, "batch", 1), ValueError, "dims is 1 with rule='batch'; only 'stateless'"),
        ((Center, "stateless", -1), ValueError, "dims is -1; expected an integer of at least 0"),
        ((Center, "stateless", 1.5), TypeError, "dims is 1.5; expected an integer"),
    ],
)
def test_bad_rules(registry, arguments, error, message):
    before, (cls, rule, *dims) = dict(rules._RULES), arguments
    with pytest.raises(error, match=message):
        snn.register_layer(cls, rule, **({"dims": dims[0]} if dims else {}))
    assert before == rules._RULES


# Once, not T times ---------------------------------------------------------------------------


def test_hoists_and_folds_run_once(monkeypatch):
    net, x, rows, backward = between(), torch.rand(*DENSE), [], []

    def spy(x, *args):
        out = real(x, *args)
        rows.append(len(x))
        out.register_hook(lambda grad: backward.append(len(grad)))
        return out

    real = F.linear
    monkeypatch.setattr(F, "linear", spy)
    snn.unroll(net, x, T).sum().backward()
    assert rows == [B, T * B] and backward == [T * B, B]
    rows.clear()
    snn.unroll(net, x.expand(T, *DENSE))
    assert rows == [T * B, T * B]


def test_calls_are_those_of_the_plan(monkeypatch):
    """Kernels and layers are called as often as the printed plan says."""
    net = nn.Sequential(
        nn.Linear(4, 6),
        nn.ReLU(),
        lif(),
        nn.Linear(6, 6),
        nn.BatchNorm1d(6),
        lif(),
        nn.Linear(6, 2),
    )
    calls = Counter()

    def counting(owner, name):
        real = getattr(owner, name)

        def spy(*args, **kwargs):
            calls[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, spy)

    for name in ("linear", "relu", "batch_norm"):
        counting(F, name)
    counting(backends.cpu.Run, "__init__")
    counting(backends.reference, "solve")
    for num_steps, first in ((None, "fold"), (T, "hoist")):
        x = torch.rand(B, 4) if num_steps else torch.rand(T, B, 4)
        plan = snn.explain(net, x, num_steps)
        how = [stage.how for stage in plan]
        assert how == [first, first, "scan", "fold", "step", "scan", "fold"]
        calls.clear()
        out = snn.unroll(net, x, num_steps)
        scans = Counter(stage.backend for stage in plan if stage.how == "scan")
        assert calls["linear"] == 3 and calls["relu"] == 1 and calls["batch_norm"] == T
        assert calls["__init__"] == scans["numba"] and calls["solve"] == scans["reference"]
        assert sum(scans.values()) == 2
        out.sum().backward()
        assert calls["__init__"] == 2 * scans["numba"]  # one kernel each way


def test_input_is_left_alone():
    net = nn.Sequential(nn.LeakyReLU(inplace=True), lif(), nn.Hardtanh(0, 0.5, inplace=True))
    x = torch.randn(T, *DENSE)
    kept = x.clone()
    snn.unroll(net, x)
    snn.unroll(net, x[0], 3)
    assert torch.equal(x, kept)


def test_output_is_a_tensor_of_its_own():
    out = snn.unroll(nn.Sequential(), torch.zeros(2), 3)
    out[0] += 1
    assert torch.equal(out, torch.tensor([[1.0, 1], [0, 0], [0, 0]]))


# Modes of torch ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode):
    net, x = quickstart().double(), firing(T, B, 1, 14, 14)
    want = result(loop, net, x)["values"]
    with mode():
        got = snn.unroll(net, x)
    torch.testing.assert_close(got, want, check_stride=False)
    assert not any(state.requires_grad for state in (*got, *states_of(net)))


def test_under_autocast():
    net, x = between(), torch.rand(T, *DENSE)
    with torch.autocast("cpu", torch.bfloat16):
        want, got = loop(net, x), snn.unroll(net, x)
    assert got.dtype == want.dtype == torch.float32 == net[1].mem.dtype
    torch.testing.assert_close(got, want)


def test_integers_and_booleans():
    for x in (torch.randint(2, (T, B, 4)), torch.rand(T, B, 4) > 0.5):
        assert torch.equal(snn.unroll(lif(), x), loop(lif(), x))
        assert torch.equal(snn.unroll(lif(), x[0], T), loop(lif(), x[0], T))


def test_second_derivatives():
    net, x = nn.Sequential(linear(), lif()).double(), firing(T, *DENSE).requires_grad_()
    second = []
    # On the reference: a fused kernel would have to keep the folded current to start from.
    for way in (loop, partial(snn.unroll, backend="reference")):
        (grad,) = torch.autograd.grad(way(net, x).square().sum(), x, create_graph=True)
        second.append(torch.autograd.grad(grad.square().sum(), net[0].weight)[0])
    assert second[0].norm() > 0
    torch.testing.assert_close(second[1], second[0])


# States after a failure ----------------------------------------------------------------------


class Fails(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x):
        self.call -= 1
        if self.call == 0:
            raise RuntimeError("no more")
        return x


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("plain", [True, False], ids=["loop", "taken apart"])
def test_failure_leaves_all_states_as_they_were(plain, reset):
    fails = Fails(0)
    net = (SkipSequential if plain else nn.Sequential)(linear(), lif(), fails, Residual().body)
    snn.unroll(net, torch.rand(T, *DENSE))
    before = states_of(net)
    fails.call = 3
    with pytest.raises(RuntimeError, match="no more"):
        snn.unroll(net, torch.rand(T, *DENSE), reset=reset)
    assert len(before) == 2
    assert all(now is then for now, then in zip(states_of(net), before, strict=True))


# Errors --------------------------------------------------------------------------------------


def test_neuron_that_would_pass_on_its_states():
    x = torch.rand(T, *DENSE)
    for kwargs in ({"init_hidden": False}, {"output": True}):
        block = nn.Sequential(OrderedDict(fc=linear(), lif=lif(**kwargs)))
        for net in (block.append(linear()), nn.Sequential(OrderedDict(a=block[:2], b=lif()))):
            block[1].mem = torch.ones(())
            path = "a.lif" if "a" in net._modules else "lif"
            message = rf"layer {path} \(Leaky\) would pass .* init_hidden=True and output=False"
            for call in (snn.unroll, snn.explain):
                with pytest.raises(TypeError, match=message):
                    call(net, x)
            assert block[1].mem.equal(torch.ones(()))


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((lif(), [1.0]), TypeError, "x is a list; a tensor"),
        ((torch.sin, torch.rand(2)), TypeError, "net is a builtin_function_or_method"),
        ((lif(), torch.rand(2), 2.0), TypeError, "num_steps is 2.0; expected an integer"),
        ((lif(), torch.rand(2), "2"), TypeError, "num_steps is '2'; expected"),
        ((lif(), torch.rand(2), 0), ValueError, "num_steps=0; at least one time step"),
        ((lif(), torch.rand(2), -1), ValueError, "num_steps=-1; at least one time step"),
        ((lif(), torch.rand(0, 2)), ValueError, r"x of shape \(0, 2\) holds no time step"),
        ((lif(), torch.rand(())), ValueError, r"x of shape \(\) holds no time step"),
        ((lif(), torch.rand(2, dtype=torch.complex64)), TypeError, "complex64; it must be a dense"),
        ((nn.Sequential(Results(), lif()), torch.rand(2)), TypeError, "input is a dict, not a"),
        ((nn.Conv2d(3, 3, 1), torch.rand(3, 2, 2)), RuntimeError, "Expected 3D"),
        ((nn.BatchNorm1d(2).eval(), torch.rand(3, 2)), ValueError, "expected 2D or 3D input"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        snn.unroll(*arguments)


def test_states_of_another_batch():
    neuron = lif()
    snn.unroll(neuron, torch.rand(T, 3, 4))
    x = torch.rand(T, 2, 4)
    with pytest.warns(UserWarning, match=r"mem of shape \(3, 4\) .* starts anew"):
        got = snn.unroll(neuron, x, reset=False)
    assert torch.equal(got[1], snn.unroll(neuron, x)[1])
    with pytest.raises(ValueError, match="beta of shape"):
        snn.unroll(lif(beta=torch.rand(5)), torch.rand(T, 2, 4))


def test_static_input_that_seems_to_have_time():
    with pytest.warns(UserWarning, match=r"num_steps=3 is also .* \(3, 2, 4\)") as caught:
        out = snn.unroll(lif(), torch.rand(3, 2, 4), 3)
    assert out.shape == (3, 3, 2, 4) and caught[0].filename == __file__
    snn.unroll(lif(), torch.rand(3, 4), 3)  # three features or samples are likely enough


# Backends and the plan -----------------------------------------------------------------------


@pytest.fixture
def picky(monkeypatch):
    """A backend that is preferred, and takes nothing but layers of four neurons."""
    taken = []

    def refuses(problem):
        return None if problem.x.shape[-1] == 4 else f"{problem.x.shape[-1]} neurons are not 4"

    def solve(problem):
        taken.append(problem)
        return backends.reference.solve(problem)

    module = SimpleNamespace(DEVICES=("cpu",), refuses=refuses, solve=solve)
    reference = {"reference": backends.reference}
    monkeypatch.setattr(backends, "BACKENDS", {"picky": module, **reference})
    with snn.use_backend(None):
        yield taken


def test_explain_names_compile_for_a_loop_in_forward():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(4, 3), snn.Leaky(0.9)

        def forward(self, x):
            mem, spikes = self.lif.init_leaky(), []
            for _ in range(5):
                spk, mem = self.lif(self.fc(x), mem)
                spikes.append(spk)
            return torch.stack(spikes)

    x = torch.rand(2, 4)
    hints = [line for line in str(snn.explain(Loop(), x)).splitlines() if "snn.compile" in line]
    assert hints == ["A loop over time in forward runs layer by layer with snn.compile(net)."]
    assert "snn.compile" not in str(snn.explain(nn.Sequential(nn.Linear(4, 3), lif()), x))
    if RECORDABLE:
        assert "snn.compile" not in str(snn.explain(snn.compile(Loop()), x))


def test_plan_is_a_table(picky):
    block = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), lif())
    net = nn.Sequential(OrderedDict(fc=linear(), lif=lif(), block=block))
    plan = snn.explain(net, torch.rand(*DENSE), T)
    assert str(plan) == repr(plan)
    assert str(plan).splitlines() == [
        "layer    class        how    backend    why not faster",
        "fc       Linear       hoist",
        "lif      Leaky        scan   picky",
        "block.0  Linear       fold",
        "block.1  BatchNorm1d  step              normalizes each step by its own statistics",
        "block.2  Leaky        scan   reference  6 neurons are not 4",
    ]
    assert [(s.path, s.name, s.how, s.backend) for s in plan][1] == (
        "lif",
        "Leaky",
        "scan",
        "picky",
    )
    assert plan[-1].reason == "6 neurons are not 4"


def test_backend_is_chosen_for_each_layer(picky):
    net = nn.Sequential(linear(), lif(), nn.Linear(4, 6), lif())
    x = torch.rand(*DENSE)
    snn.unroll(net, x, T)
    (problem,) = picky
    assert problem.static and problem.num_steps == T and problem.x.shape == DENSE
    before = states_of(net)
    for call in (snn.unroll, snn.explain):
        with pytest.raises(ValueError, match=r"'picky' cannot run this layer: 6 neurons"):
            call(net, x, T, backend="picky")
        with pytest.raises(ValueError, match="backend='none' must be one of"):
            call(net, x, T, backend="none")
    assert all(now is then for now, then in zip(states_of(net), before, strict=True))
    snn.unroll(net, x, T, backend="reference")
    assert len(picky) == 2


def test_explaining_changes_nothing():
    class Keeps(Residual):
        def __init__(self):
            super().__init__()
            self.norm, self.feedback = (
                batch_norm(),
                snn.RLeaky(0.9, init_hidden=True, V=1.0, all_to_all=False),
            )

        def forward(self, x):
            return self.feedback(self.norm(super().forward(x.relu_())))

    net = nn.Sequential(Keeps(), batch_norm(), lif(), linear(), lif(), Fails(1))
    net[-1].call = 0
    x = torch.randn(T, *DENSE)
    snn.unroll(net[:-1], x)
    keep = [x, torch.get_rng_state(), *net.buffers()]
    before, states, calls = [each.clone() for each in keep], states_of(net), net[-1].call
    for _ in range(2):
        snn.explain(net[:-1], x)
        snn.explain(net[:-1], x[0], T)
    keep[1] = torch.get_rng_state()
    assert all(map(torch.equal, keep, before))
    assert len(states) == 5 and net[-1].call == calls
    assert all(now is then for now, then in zip(states_of(net), states, strict=True))


def test_explaining_runs_no_more_than_it_needs():
    net = nn.Sequential(linear(), Fails(2), lif(), Fails(1))
    with pytest.raises(RuntimeError, match="no more"):
        snn.unroll(net, torch.rand(T, *DENSE))
    plan = snn.explain(nn.Sequential(linear(), lif(), Fails(1)), torch.rand(T, *DENSE))
    assert [stage.how for stage in plan] == ["fold", "scan", "step"]


# As a module ---------------------------------------------------------------------------------


def test_module():
    net, x = between(), torch.rand(*DENSE)
    module = snn.Unroll(net, T, reset=False, backend="reference")
    assert list(module.state_dict()) == [f"net.{key}" for key in net.state_dict()]
    assert repr(module).startswith("Unroll(\n  num_steps=5, reset=False, backend='reference'\n")
    want = snn.unroll(net, x, 2 * T)
    utils.reset(module)
    assert torch.equal(torch.cat((module(x), module(x))), want)
    over_time = snn.Unroll(net)
    assert torch.equal(over_time(x.expand(T, *DENSE)), over_time(x.expand(T, *DENSE)))
    assert over_time.extra_repr() == "num_steps=None, reset=True, backend=None"
    with pytest.raises(ValueError, match="backend='none'"):
        snn.Unroll(net, backend="none")


@needs_2_5
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_as_one_graph():
    net, x = nn.Sequential(linear(), lif()), torch.rand(*DENSE)
    want = snn.unroll(net, x, 3)
    compiled = torch.compile(snn.Unroll(net, 3), backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), want)


def test_import_stays_cheap():
    code = "import sys, snntorch as snn; assert '{}' not in sys.modules; snn.unroll"
    subprocess.run([sys.executable, "-c", code.format("snntorch._network.unroll")], check=True)
    assert {"unroll", "Unroll", "explain", "use_backend"} <= set(dir(snn)) & set(snn.__all__)
