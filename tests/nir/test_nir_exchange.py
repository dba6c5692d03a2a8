"""Export to and import from NIR: round trips, real graphs, every node, and what is refused."""

import copy
import pickle
import time
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import nir
import nir_euler
import numpy as np
import pytest
import torch
from project import TESTS
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize, prune

import snntorch as snn
from snntorch import import_nir, surrogate, utils

DATA = TESTS / "data" / "nir"
STEPS = 60


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.nir"


imported = partial(snn.import_from_nir, init_hidden=True)


def exported(net, sample, **kwargs):
    """Export without the warning about other readers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a reader that knows only the core")
        return snn.export_to_nir(net, sample, **kwargs)


def through_file(net, x, path, **kwargs):
    nir.write(path, exported(net, x[0], **kwargs))
    return imported(path)


def spikes_of(out):
    return out[0] if isinstance(out, tuple) else out


def run(net, x):
    """Return the spikes of a loop over time, and the gradient of each parameter by its name."""
    utils.reset(net)
    net.zero_grad()
    spikes = torch.stack([spikes_of(net(step)) for step in x])
    weights = torch.linspace(-1, 1, spikes.numel(), dtype=spikes.dtype).reshape(spikes.shape)
    if spikes.requires_grad:
        (spikes * weights).sum().backward()
    return spikes.detach(), {name: p.grad for name, p in net.named_parameters()}


def assert_same(net, other, x, gradients=True, busy=(0.05, 0.5)):
    spikes, grads = run(net, x)
    others, other_grads = run(other, x)
    assert busy[0] <= spikes.mean() <= busy[1], f"fires in {spikes.mean():.1%} of the steps"
    assert (spikes != others).sum() == 0
    if gradients:
        assert list(grads) == list(other_grads)
        for name, grad in grads.items():
            if grad is None:
                assert other_grads[name] is None, name
            else:
                torch.testing.assert_close(other_grads[name], grad, msg=name)


class Wired(nn.Module):
    """Layers, and as ``forward`` a function that is given the network before its inputs."""

    def __init__(self, wire, **layers):
        super().__init__()
        self.wire = wire
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *signals):
        return self.wire(self, *signals)


def leaky(**kwargs):
    return snn.Leaky(**{"beta": 0.9, "threshold": 0.5, "init_hidden": True, **kwargs})


# Round trips ---------------------------------------------------------------------------------

MIXED = torch.linspace(0.6, 1.3, 5)
LINEAR, ONE = {"linear_features": 5}, {"all_to_all": False, "V": -0.3}
NEURONS = {
    "leaky": (snn.Leaky, {}),
    "synaptic": (snn.Synaptic, {"alpha": 0.4}),
    "lapicque": (snn.Lapicque, {}),
    "rleaky": (snn.RLeaky, LINEAR),
    "rleaky-one": (snn.RLeaky, {"all_to_all": False, "V": MIXED - 1}),
    "rsynaptic": (snn.RSynaptic, {"alpha": 0.4, **LINEAR}),
    "rsynaptic-one": (snn.RSynaptic, {"alpha": MIXED / 2, **ONE}),
}
LEARN = {"learn_beta": True, "learn_threshold": True}
SHAPES = {
    "scalar": {"beta": 0.8},
    "learnt": {"beta": MIXED * 0.7, "threshold": MIXED} | LEARN,
    "no-leak": {"beta": torch.tensor([1.0, 1.0, 0.5, 0.0, 0.6])},
}


CASES = [
    pytest.param(
        neuron, mechanism, late, shape, marks=[pytest.mark.slow] if shape == "scalar" else []
    )
    for neuron in NEURONS
    for mechanism in ("subtract", "zero", "none")
    for late in (True, False)
    for shape in SHAPES
    if neuron != "lapicque" or (late and shape != "no-leak")  # which it does not have
]


@pytest.mark.parametrize(("neuron", "mechanism", "late", "shape"), CASES)
def test_every_neuron_comes_back_from_a_file(neuron, mechanism, late, shape, path):
    cls, kwargs = NEURONS[neuron]
    kwargs = {**kwargs, **SHAPES[shape], "reset_mechanism": mechanism, "init_hidden": True}
    if cls is not snn.Lapicque:
        kwargs["reset_delay"] = late
    net = nn.Sequential(nn.Linear(4, 5), cls(**kwargs))
    with torch.no_grad():
        net[0].weight *= 12 if cls is snn.Lapicque else 1.5
        net[0].bias.fill_({"none": -0.19, "subtract": 0.05}.get(mechanism, 0.15))
    x = torch.randn(STEPS, 2, 4)
    back = through_file(net, x, path)
    assert type(back) is nn.Sequential and type(back[1]) is cls
    assert_same(net, back, x)


def test_scalars_and_flags_come_back_as_they_were(path):
    neuron = snn.Leaky(
        beta=0.9,
        threshold=0.7,
        spike_grad=surrogate.SFS(10, B=0.5),
        inhibition=True,
        learn_threshold=True,
        graded_spikes_factor=0.5,
        init_hidden=True,
        output=True,
    )
    net = nn.Sequential(nn.Linear(4, 5, bias=False), neuron)
    back = through_file(net, torch.randn(STEPS, 2, 4) * 2, path)
    assert back[1].spike_grad == surrogate.SFS(10, B=0.5) and back[1].inhibition
    assert back[0].bias is None and back[1].reset_mechanism == "subtract" and back[1].reset_delay
    for name, value in net.state_dict().items():
        assert back.state_dict()[name].shape == value.shape
        assert torch.equal(back.state_dict()[name], value)
    assert dict(back[1].named_parameters()).keys() == {"threshold"}
    assert_same(net, back, torch.randn(STEPS, 2, 4) * 2, busy=(0.01, 0.5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_decays_come_back_to_the_last_bit_without_metadata(dtype, path):
    beta = torch.rand(1000, dtype=torch.float64).to(torch.float32).to(dtype)
    net = snn.Synaptic(beta.flip(0), beta, init_hidden=True, reset_delay=False,
                       reset_mechanism="zero")  # fmt: skip
    graph = exported(net, torch.zeros(1000, dtype=dtype), dt=1e-3)
    for each in (graph, *graph.nodes.values()):
        each.metadata = {}
    nir.write(path, graph)
    back = imported(path, dt=1e-3)[0]
    assert type(back) is snn.Synaptic
    assert torch.equal(back.beta, beta.float()) and torch.equal(back.alpha, beta.flip(0).float())
    assert torch.equal(back.threshold, torch.ones(1000))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_type_of_the_network_comes_back(dtype, path):
    net = nn.Sequential(nn.Linear(4, 5), snn.Leaky(0.9, init_hidden=True)).to(dtype)
    x = (torch.randn(STEPS, 2, 4) * 2).to(dtype)
    back = through_file(net, x, path)
    assert {t.dtype for t in back.state_dict().values() if t.is_floating_point()} == {dtype}
    assert_same(net, back, x, gradients=dtype is torch.float64)
    alone = through_file(net[1:], x, path)
    assert alone[0].beta.dtype == dtype and torch.equal(alone[0].beta, net[1].beta)


class Skip(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) + x


CONV = {"conv2d_channels": 3, "kernel_size": (2, 3)}
IMAGE_NEURONS = {
    "leaky": (snn.Leaky, {"beta": 0.7}),
    "synaptic": (
        snn.Synaptic,
        {"alpha": 0.3, "beta": torch.linspace(0.3, 0.9, 3).reshape(3, 1, 1)},
    ),
    "rleaky": (snn.RLeaky, {"beta": 0.7, **CONV}),
    "rsynaptic": (snn.RSynaptic, {"alpha": 0.3, "beta": 0.6, **CONV}),
    "rleaky-one": (
        snn.RLeaky,
        {"beta": 0.7, "all_to_all": False, "V": torch.linspace(-0.5, 0.5, 3).reshape(3, 1, 1)},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("late", [True, False], ids=["late", "now"])
@pytest.mark.parametrize("mechanism", ["subtract", "zero", "none"])
@pytest.mark.parametrize("neuron", IMAGE_NEURONS)
def test_every_neuron_comes_back_among_images_nested_and_with_skips(neuron, mechanism, late, path):
    cls, kwargs = IMAGE_NEURONS[neuron]
    kwargs |= {"reset_mechanism": mechanism, "reset_delay": late, "init_hidden": True}
    kwargs["threshold"] = 0.6 if mechanism == "none" else 0.4
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.Sequential(cls(**kwargs), Skip(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1),
                                                        cls(**kwargs)))),
        nn.Flatten(),
        nn.Linear(48, 4),
        snn.Leaky(0.8, init_hidden=True),
    )  # fmt: skip
    x = torch.randn(STEPS, 2, 1, 6, 6) + 0.2
    with torch.no_grad():  # the last layer is driven by currents around 0
        currents = torch.stack([net[:4](step) for step in x])
        net[3].bias.sub_(currents.mean((0, 1))).div_(currents.std())
        net[3].weight.div_(currents.std())
    back = through_file(net, x, path)
    assert sum(type(each) is cls for each in back.modules()) == 2 + (cls is snn.Leaky)
    assert_same(net, back, x)


@pytest.mark.parametrize("beta", [0.9, 1.0])
def test_unit_resistance_gives_the_same_spikes_with_and_without_metadata(beta, path):
    net = nn.Sequential(
        nn.Linear(4, 5), snn.Leaky(beta, MIXED, reset_mechanism="zero", init_hidden=True),
        nn.Linear(5, 3), snn.Synaptic(0.5, 0.7, reset_mechanism="zero", reset_delay=False,
                                      init_hidden=True),
    )  # fmt: skip
    x = torch.randn(STEPS, 2, 4) + 0.3
    graph = exported(net, x[0], unit_r=True)
    nir.write(path, graph)
    assert_same(net, imported(path), x)
    for each in (graph, *graph.nodes.values()):
        each.metadata = {}
        assert np.all(getattr(each, "r", 1) == 1)
    assert_same(net, imported(graph), x, gradients=False)


class ConvNet(nn.Module):
    """Convolutions, pooling, a skip, functional operations, neurons that return states."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(1, 0), groups=2)
        self.lif1 = snn.Leaky(beta=torch.rand(4, 1, 1), threshold=0.4)
        self.same = nn.Conv2d(4, 4, 3, padding="same", dilation=2, bias=False)
        self.lif2 = snn.RLeaky(beta=0.8, conv2d_channels=4, kernel_size=(2, 3), threshold=0.5)
        self.block = nn.ModuleDict(
            {"fc": nn.Linear(48, 8), "drop": nn.Dropout(), "lif": snn.Synaptic(0.5, 0.8, 0.4)}
        )

    def forward(self, x, mem=None):
        spk, mem = self.lif1(self.conv(x), mem)
        spk, _ = self.lif2(self.same(spk) + spk)
        spk = torch.flatten(F.avg_pool2d(spk, (2, 4), stride=(2, 2), padding=(0, 2)), 1)
        spk, _, mem = self.block["lif"](self.block["drop"](self.block["fc"](spk)))
        return spk, mem


def test_a_class_with_skips_and_functions_comes_back(path):
    net, x = ConvNet().eval(), torch.randn(STEPS, 2, 2, 8, 8) + 0.3
    back = through_file(net, x, path)
    assert isinstance(back, import_nir.Network)
    assert_same(net, back, x)
    # A second trip, of what came back.
    assert_same(net, through_file(back, x, path), x)


def test_nested_chains_keep_their_structure_and_lose_what_vanishes(path):
    net = nn.Sequential(
        nn.Conv1d(2, 3, 3, stride=2, padding=1, dilation=2, bias=False),
        nn.Sequential(
            nn.Identity(), nn.Sequential(snn.Leaky(0.8, threshold=0.5, init_hidden=True))
        ),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Sequential(
            nn.Linear(12, 6), snn.RSynaptic(0.3, 0.6, linear_features=6, init_hidden=True)
        ),
    ).eval()
    x = torch.randn(STEPS, 3, 2, 10) + 0.2
    back = through_file(net, x, path)
    assert isinstance(back, nn.Sequential)
    assert back.state_dict().keys() == net.state_dict().keys()
    assert_same(net, back, x)


def test_feedback_without_bias_and_images_that_feed_back(path):
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3),
        snn.RSynaptic(0.5, 0.7, conv2d_channels=2, kernel_size=2, init_hidden=True, threshold=0.7),
        nn.AvgPool2d(2, divisor_override=1),
        nn.Flatten(),
        nn.Linear(8, 5),
        snn.RLeaky(0.8, linear_features=5, init_hidden=True, reset_mechanism="zero"),
    )
    net[5].recurrent = nn.Linear(5, 5, bias=False)
    x = torch.randn(STEPS, 3, 1, 6, 6) + 0.2
    assert_same(net, through_file(net, x, path), x)


def test_batch_norm_is_folded(path):
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False), nn.BatchNorm2d(3), snn.Leaky(0.9, 0.5, init_hidden=True),
        nn.Flatten(), nn.Linear(48, 5), nn.BatchNorm1d(5), snn.Leaky(0.9, 0.5, init_hidden=True),
    )  # fmt: skip
    x = torch.randn(STEPS, 4, 1, 6, 6) * 2 + 0.5
    net(x[0])
    net = net.double().eval()
    back = through_file(net, x.double(), path)
    assert not any(isinstance(each, nn.BatchNorm2d | nn.BatchNorm1d) for each in back.modules())
    assert_same(net, back, x.double(), gradients=False)


def test_batch_norm_is_folded_through_what_vanishes(path):
    def wire(net, x):
        y = net.drop(net.norm(net.same(net.fc(x))))
        y += x
        return net.lif(net.again(net.same(net.out(y))))

    net = Wired(
        wire, fc=nn.Linear(4, 4), same=nn.Identity(), norm=nn.BatchNorm1d(4), drop=nn.Dropout(),
        out=nn.Linear(4, 4), again=nn.BatchNorm1d(4), lif=leaky(),
    )  # fmt: skip
    x = torch.randn(STEPS, 8, 4) + 0.2
    net(x[0])
    net = net.double().eval()
    assert_same(net, through_file(net, x.double(), path), x.double(), gradients=False)


class TwoByTwo(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(2, 4)
        self.lif = snn.Leaky(0.8, init_hidden=True, threshold=0.5)

    def forward(self, x, y):
        current = self.a(x) + self.b(y)
        return self.lif(current), current


def test_two_inputs_and_two_outputs(path):
    net, x, y = TwoByTwo(), torch.randn(STEPS, 2, 3), torch.randn(STEPS, 2, 2)
    nir.write(path, exported(net, (x[0], y[0])))
    back = imported(path)
    for step in zip(x, y, strict=True):
        for ours, theirs in zip(net(*step), back(*step), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("count", [10, 11, 101])
def test_many_inputs_and_outputs_keep_their_order(count, path):
    layers = {f"fc{i}": nn.Linear(1, 1) for i in range(count)}

    def wire(net, *xs):
        return tuple(net.get_submodule(f"fc{i}")(x) + xs[i - 1] for i, x in enumerate(xs))

    net = Wired(wire, **layers)
    xs = tuple(torch.randn(count, 2, 1))
    nir.write(path, exported(net, xs))
    assert ("input_3" in nir.read(path).nodes) == (count == 10)
    for ours, theirs in zip(net(*xs), imported(path)(*xs), strict=True):
        assert torch.equal(ours, theirs)


def test_layers_keep_names_that_the_graph_has_for_itself(path):
    def wire(net, x, y):
        x = net.norm(net.input(torch.flatten(x, 1)))
        return net.output(net.flatten(x + net.input_0(y))), net.lif(x)

    net = Wired(
        wire, input=nn.Linear(4, 5), norm=nn.BatchNorm1d(5), input_0=nn.Linear(3, 5),
        flatten=nn.Linear(5, 5), output=leaky(), lif=leaky(),
    )  # fmt: skip
    net = net.eval()
    x, y = torch.randn(STEPS, 2, 2, 2), torch.randn(STEPS, 2, 3)
    nir.write(path, exported(net, (x[0], y[0])))
    back = imported(path)
    assert back.input_0.weight.shape == (5, 3) and back.flatten.weight.shape == (5, 5)
    back.load_state_dict(net.state_dict(), strict=False)
    for step in zip(x, y, strict=True):
        for ours, theirs in zip(net(*step), back(*step), strict=True):
            torch.testing.assert_close(theirs, ours)
    net = nn.Sequential(OrderedDict(input=nn.Linear(4, 5), output=leaky()))
    back = through_file(net, torch.randn(STEPS, 2, 4), path)
    assert back.state_dict().keys() == net.state_dict().keys()


def test_any_name_of_a_layer_will_do(path):
    names = ["a/b", "a_b", "class", "a b", "1", "é"]
    net = nn.Sequential(OrderedDict((name, nn.Linear(3, 3)) for name in names))
    net.add_module("a/b/c", leaky())
    x = torch.randn(STEPS, 2, 3)
    assert_same(net, through_file(net, x, path), x, gradients=False)


def test_layers_without_parameters_may_be_called_twice(path):
    def wire(net, x, y):
        x, y = (net.flat(net.pool(net.drop(signal))) for signal in (x, y))
        return net.lif(net.a(x) + net.b(y))

    net = Wired(
        wire, drop=nn.Dropout(), pool=nn.AvgPool2d(2), flat=nn.Flatten(), a=nn.Linear(8, 5),
        b=nn.Linear(8, 5), lif=leaky(threshold=0.3),
    ).eval()  # fmt: skip
    x, y = torch.randn(2, STEPS, 3, 2, 4, 4)
    nir.write(path, exported(net, (x[0], y[0])))
    back = imported(path)
    assert back.state_dict().keys() == net.state_dict().keys()
    ours, theirs = ([each(*step) for step in zip(x, y, strict=True)] for each in (net, back))
    assert torch.equal(torch.stack(ours), torch.stack(theirs)) and torch.stack(ours).mean() > 0.02


def test_sums_in_place_of_what_is_fresh(path):
    def wire(net, x):
        y, _, _ = net.spk(net.a(x))
        y += net.lif(net.b(x))
        y += x
        z = net.drop(net.c(y))
        z += y
        return net.out(z)

    fc = {name: nn.Linear(4, 4) for name in "abc"}
    net = Wired(wire, **fc, spk=snn.Synaptic(0.5, 0.8), lif=leaky(), out=leaky(), drop=nn.Dropout())
    x = torch.randn(STEPS, 2, 4)
    assert_same(net.eval(), through_file(net, x, path), x)


class Halved(nn.Module):
    def forward(self, x):
        return x / 2


@pytest.mark.parametrize("cls", [snn.Leaky, snn.RLeaky, snn.Synaptic])
def test_parametrised_neurons_come_back_as_they_are(cls, path):
    kwargs = NEURONS[{snn.Leaky: "leaky", snn.RLeaky: "rleaky", snn.Synaptic: "synaptic"}[cls]][1]
    net = nn.Sequential(nn.Linear(4, 5),
                        cls(**kwargs, beta=MIXED, init_hidden=True, learn_beta=True))  # fmt: skip
    parametrize.register_parametrization(net[1], "beta", Halved())
    if cls is snn.RLeaky:
        parametrize.register_parametrization(net[1].recurrent, "weight", Halved())
    x = torch.randn(STEPS, 2, 4) * 2
    back = through_file(net, x, path)
    assert type(back[1]) is cls and torch.equal(back[1].beta, MIXED / 2)
    assert isinstance(back[1].beta, nn.Parameter)
    assert_same(net, back, x, gradients=False)


def test_parameters_may_broadcast_over_the_batch(path):
    beta = torch.rand(1, 8)
    x = torch.randn(STEPS, 5, 8) * 2 + 0.3
    recurrent = snn.RLeaky(beta, all_to_all=False, V=torch.rand(1, 8), init_hidden=True)
    for net in (leaky(beta=beta), nn.Sequential(nn.Linear(8, 8), recurrent)):
        graph = exported(net, x[0])
        assert graph.nodes["input"].output_type["output"].tolist() == [8]
        assert next(node.tau for node in graph.nodes.values() if hasattr(node, "tau")).shape == (8,)
        assert_same(net, through_file(net, x, path), x, gradients=False)
    image = exported(leaky(beta=torch.rand(1, 3, 2)), torch.zeros(1, 3, 2))
    assert image.nodes["leaky"].tau.shape == (1, 3, 2)
    with pytest.raises(NotImplementedError, match=r"'1' \(Leaky\): a parameter of shape \(5, 8\)"):
        exported(nn.Sequential(nn.Linear(8, 8), leaky(beta=torch.rand(5, 8))), x[0])


def test_the_sample_may_have_a_batch_or_not():
    net = nn.Sequential(nn.Linear(3, 2), snn.Leaky(0.9, init_hidden=True))
    for sample in (torch.zeros(3), torch.zeros(1, 3), torch.zeros(7, 3)):
        assert exported(net, sample).nodes["input"].output_type["output"].tolist() == [3]
    alone = snn.Leaky(0.9, init_hidden=True)
    for sample, dims, size in [
        (torch.zeros(5, 3), [], [3]),
        (torch.zeros(3), [], [3]),
        (torch.zeros(5, 4, 3), [0], [4, 3]),
        (torch.zeros(5, 4, 3), [0, 1], [3]),
    ]:
        graph = exported(alone, sample, ignore_dims=dims)
        assert graph.nodes["input"].output_type["output"].tolist() == size
        assert graph.nodes["leaky"].tau.shape == tuple(size)
    with pytest.raises(ValueError, match=r"ignore_dims=\[1\] of a sample of shape \(5, 4, 3\)"):
        exported(alone, torch.zeros(5, 4, 3), ignore_dims=[1])


def test_flatten_counts_without_whatever_is_no_part_of_a_sample():
    for sample, layer, dims, expected in [
        (torch.zeros(9, 2, 3, 4), nn.Flatten(), [], (0, -1)),
        (torch.zeros(9, 2, 3, 4), nn.Flatten(2, 3), [], (1, -1)),
        (torch.zeros(9, 2, 3, 4), nn.Flatten(-3, -2), [], (0, 1)),
        (torch.zeros(9, 2, 3, 4), nn.Flatten(-3), [], (0, -1)),
        (torch.zeros(2, 3, 4), nn.Flatten(-3), [], (0, -1)),
        (torch.zeros(9, 2, 3, 4), nn.Flatten(2), [0, 1], (0, -1)),
        (torch.zeros(2, 3, 4), nn.Flatten(0), [], (0, -1)),
    ]:
        node = exported(layer, sample, ignore_dims=dims).nodes["flatten"]
        assert (node.start_dim, node.end_dim) == expected
    net = nn.Sequential(nn.Flatten(-3), nn.Linear(128, 5), leaky())
    for sample in (torch.zeros(1, 2, 8, 8), torch.zeros(2, 8, 8)):
        graph = exported(net, sample)
        assert graph.nodes["input"].output_type["output"].tolist() == [2, 8, 8]
        assert graph.nodes["2"].tau.shape == (5,)


def test_export_leaves_the_network_as_it_was():
    net = nn.Sequential(nn.Linear(3, 2), snn.Leaky(0.9, init_hidden=True))
    net(torch.ones(1, 3))
    before = net[1].mem
    exported(net, torch.zeros(4, 3))
    assert net[1].mem is before


class Remembers(nn.Module):
    """Keeps what comes of its layers in every place there is."""

    def __init__(self):
        super().__init__()
        self.fc, self.lif = nn.Linear(4, 5), snn.Leaky(0.9, 0.5)
        self.out, self.hidden = nn.Linear(5, 5), leaky()
        self.mem = self.lif.init_leaky()
        self.register_buffer("last", torch.zeros(5))
        self.log, self.named = [[]], {}

    def forward(self, x):
        spk, self.mem = self.lif(self.fc(x), self.mem)
        self.last, self.seen = spk, spk
        self.log[0].append(spk)
        self.out.current = self.named["current"] = self.out(spk)
        return self.hidden(self.out.current)


def test_export_leaves_nothing_in_the_network(path):
    net, x = Remembers(), torch.randn(STEPS, 2, 4)
    mem = net.mem
    back = through_file(net, x, path)
    assert net.mem is mem and torch.equal(net.last, torch.zeros(5))
    assert net.log == [[]] and net.named == {}
    assert not hasattr(net, "seen") and not hasattr(net.out, "current")
    ours, theirs = (torch.stack([each(step) for step in x]) for each in (net, back))
    assert torch.equal(ours, theirs) and 0.05 < ours.mean() < 0.5
    with pytest.raises(
        NotImplementedError, match=r"layer 'lif' \(Leaky\) is given a state; export"
    ):
        exported(net, x[0])
    assert net.mem.shape == (2, 5)


# Real graphs ---------------------------------------------------------------------------------


def test_the_published_trace_of_lif_norse():
    x, membrane, spikes = torch.from_numpy(np.loadtxt(DATA / "lif_snntorch.csv", delimiter=",")).T
    net = imported(DATA / "lif_norse.nir")
    net[1].output = True
    out, mem = snn.unroll(net, x.float()[:, None, None])
    assert out.flatten().nonzero().flatten().tolist() == [460, 510, 710, 760]
    assert (out.flatten() != spikes).sum() == 0
    assert (mem.flatten() - membrane).abs().max() < 1e-6


def against_euler(source, x, late=(), dt=1e-4, **kwargs):
    """Return imported and reference output of a graph with one input and one output."""
    graph = nir.read(source) if isinstance(source, Path) else source
    net = imported(source, dt=dt, dtype=torch.float64, **kwargs)
    (name,) = graph.inputs
    (expected,) = nir_euler.run(graph, {name: x}, dt, late).values()
    with torch.no_grad():
        ours = torch.stack([net(step[None])[0] for step in torch.as_tensor(x).double()])
    return ours.numpy(), expected


def test_two_lif_neurons_with_a_resting_potential():
    ours, expected = against_euler(DATA / "two_lif_neurons.nir", np.ones((2000, 1)) * 0.7)
    assert (ours != expected).sum() == 0
    first = imported(DATA / "two_lif_neurons.nir")[:2]
    # Without input v_leak = 1.2 makes it fire each tau log(1.2 / 0.2) = 17.9 ms.
    assert snn.unroll(first, torch.zeros(2000, 1, 1)).sum() == 11


def test_braille_with_feedback():
    rng = np.random.default_rng(0)
    x = (rng.random((256, 12)) < 0.3).astype(float)
    late = [("lif1.lif", "lif1.w_rec")]
    ours, expected = against_euler(DATA / "braille_noDelay_noBias_subtract.nir", x, late)
    assert 0.02 < expected.mean() < 0.5 and (ours != expected).sum() == 0
    assert type(imported(DATA / "braille_noDelay_noBias_subtract.nir").lif1) is (snn.RSynaptic)


def test_a_cycle_between_layers():
    rng = np.random.default_rng(0)
    graph = nir.read(DATA / "feedback_graph.nir")
    x, dt = rng.standard_normal((300, 3)), 1e-3
    spikes = copy.deepcopy(graph)  # the same with the spikes of the hidden layer as output
    spikes.nodes["output_probe"] = nir.Output(np.array([2000]))
    spikes.edges = [e for e in graph.edges if e[1] != "output_probe"] + [("state", "output_probe")]
    del spikes.nodes["output_probe_conn_weights"], spikes.nodes["input"]
    spikes.edges.remove(("state", "output_probe_conn_weights"))
    spikes.nodes["input"] = nir.Input(np.array([2000]))
    spikes.edges.append(("input", "state"))
    late = [("state", "feedback_weights")]
    ours, expected = against_euler(spikes, np.zeros((300, 2000)), late, dt)
    assert 0.01 < expected.mean() < 0.5 and (ours != expected).sum() == 0
    ours, expected = against_euler(graph, x, late, dt)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


# Every node ----------------------------------------------------------------------------------

N = 6


def mixed(low, high, seed):
    return np.random.default_rng(seed).uniform(low, high, N)


TAU, TAU_SYN = mixed(3e-4, 4e-3, 1), mixed(2e-4, 2e-3, 2)
V = {"v_threshold": mixed(0.2, 0.6, 3), "v_reset": mixed(-0.3, 0.1, 4)}
LEAK, R = mixed(-0.5, 0.5, 5), mixed(1, 4, 6)
ZERO = np.zeros(N)


def second(cls, **kwargs):
    return cls(tau_syn=TAU_SYN, tau_mem=TAU, r=R, v_leak=LEAK, w_in=mixed(2, 6, 7), **kwargs)


NODES = {
    "LIF": nir.LIF(TAU, R, LEAK, **V),
    "LIF-plain": nir.LIF(TAU, np.ones(N) * 4, ZERO, V["v_threshold"]),
    "LIF-inverting": nir.LIF(TAU, -8 * R, ZERO, V["v_threshold"]),
    "LIF-ints": nir.LIF(TAU, np.full(N, 9), np.zeros(N, int), np.ones(N, int), np.zeros(N, int)),
    "IF": nir.IF(R * 1e3, **V),
    "IF-r1": nir.IF(np.ones(N), V["v_threshold"]),
    "LI": nir.LI(TAU, R, LEAK),
    "I": nir.I(R * 1e3),
    "CubaLIF": second(nir.CubaLIF, **V),
    "CubaLIF-plain": nir.CubaLIF(TAU_SYN, TAU, R, ZERO, V["v_threshold"], w_in=2.0),
    "CubaLI": second(nir.CubaLI),
    "Threshold": nir.Threshold(V["v_threshold"]),
    "Scale": nir.Scale(R),
    "Delay": nir.Delay(np.array([0, 1, 2, 3, 0, 5]) * 1e-4),
}


@pytest.mark.parametrize("kind", NODES)
def test_every_node_equals_forward_euler(kind, path):
    graph = nir.NIRGraph.from_list(NODES[kind])
    x = np.random.default_rng(8).standard_normal((STEPS, N)) + 0.3
    ours, expected = against_euler(graph, x)
    if hasattr(NODES[kind], "v_threshold"):
        assert 0.05 < expected.mean() < 0.6
        assert (ours != expected).sum() == 0
    else:
        assert expected.std() > 0.1
        np.testing.assert_allclose(ours, expected, atol=1e-12)
    # What was imported is exported again.
    net = imported(graph, dtype=torch.float64)
    nir.write(path, exported(net, torch.zeros(1, N, dtype=torch.float64)))
    again, _ = against_euler(path, x)
    np.testing.assert_array_equal(again, ours)


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
def test_another_start_changes_nothing_but_the_start(kind):
    net = imported(nir.NIRGraph.from_list(NODES[kind]), dtype=torch.float64)
    net[0].mem_0.copy_(torch.from_numpy(LEAK - V["v_reset"]))  # v = v_leak
    resting = net(torch.zeros(1, N, dtype=torch.float64))
    fires = torch.from_numpy(V["v_threshold"] < LEAK)
    assert torch.equal(resting[0].bool(), fires)
    stays = torch.from_numpy(LEAK - V["v_reset"]) * ~fires
    torch.testing.assert_close(net[0].mem[0], stays)
    node = exported(net, torch.zeros(1, N, dtype=torch.float64)).nodes[kind.lower()]
    for name in {"tau", "tau_mem", "tau_syn", "v_leak", *V} & vars(node).keys():
        np.testing.assert_allclose(getattr(node, name), getattr(NODES[kind], name), rtol=1e-9)


IMAGES = {
    "Conv2d": nir.Conv2d((7, 5), np.random.default_rng(0).standard_normal((4, 1, 3, 2)), (2, 1),
                         (1, 0), (1, 2), 2, np.arange(4.0)),
    "Conv2d-same": nir.Conv2d((7, 5), np.random.default_rng(0).standard_normal((4, 2, 3, 3)), 1,
                              "same", 1, 1, np.arange(4.0)),
    "SumPool2d": nir.SumPool2d(np.array([2, 3]), np.array([2, 1]), np.array([1, 1])),
    "AvgPool2d": nir.AvgPool2d(np.array([3, 2]), np.array([1, 2]), np.array([1, 0])),
    "Flatten": nir.Flatten(np.array([2, 7, 5]), 0, 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", IMAGES)
def test_every_layer_of_images_equals_loops(kind):
    x = np.random.default_rng(1).standard_normal((3, 2, 7, 5))
    nodes = {"in": nir.Input(np.array(x.shape[1:])), "layer": IMAGES[kind]}
    edges = [("in", "layer"), ("layer", "out")]
    out = nir_euler.STEPS[type(IMAGES[kind]).__name__](IMAGES[kind], x[0], {}, 1.0)
    nodes["out"] = nir.Output(np.array(out.shape))
    ours, expected = against_euler(nir.NIRGraph(nodes, edges, type_check=False), x)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_conv1d_equals_loops():
    weight = np.random.default_rng(0).standard_normal((3, 2, 4))
    node = nir.Conv1d(9, weight, 2, 1, 2, 1, np.arange(3.0))
    x = np.random.default_rng(1).standard_normal((3, 2, 9))
    ours, expected = against_euler(nir.NIRGraph.from_list(node), x)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def cycle(*late, **nodes):
    """Return a graph of N neurons per node: in -> a, the last node -> out, and ``late`` edges."""
    names = list(nodes)
    ends = {"input": nir.Input(np.array([N])), "output": nir.Output(np.array([N]))}
    edges = [("input", names[0]), *pairwise(names), (names[-1], "output"), *late]
    return nir.NIRGraph({**ends, **nodes}, edges)


def weight(seed):
    return nir.Affine(np.random.default_rng(seed).standard_normal((N, N)) * 0.4, mixed(0, 0.2, 9))


@pytest.mark.parametrize(
    ("graph", "late"),
    [
        # A feedback that RLeaky does not express: the neuron rests elsewhere than it resets.
        (cycle(("w", "lif"), lif=NODES["LIF"], w=weight(0)), ("lif", "w")),
        # Two layers, cut behind the one that is farther from the input.
        (cycle(("w", "a"), a=NODES["LIF"], v=weight(1), b=NODES["CubaLIF"], w=weight(2)),
         ("b", "w")),
        # Feedback to itself without a weight, and through a delay.
        (cycle(("lif", "lif"), lif=NODES["LIF-plain"]), ("lif", "lif")),
        (cycle(("d", "lif"), lif=NODES["LIF-plain"], d=NODES["Delay"]), ("lif", "d")),
    ],
)  # fmt: skip
def test_cycles_equal_forward_euler(graph, late, path):
    # The last node of the cycle is read out undelayed in the reference, so read the neuron.
    graph.edges = [(late[0], b) if b == "output" else (a, b) for a, b in graph.edges]
    x = np.random.default_rng(8).standard_normal((STEPS, N)) + 0.3
    nir.write(path, graph)
    ours, expected = against_euler(path, x, [late])
    assert 0.05 < expected.mean() < 0.6 and (ours != expected).sum() == 0
    net = imported(path, dtype=torch.float64)
    copies = copy.deepcopy(net), pickle.loads(pickle.dumps(net))
    nir.write(path, exported(net, torch.zeros(2, N, dtype=torch.float64)))
    for other in (*copies, imported(path)):
        again = torch.stack([other(step) for step in torch.from_numpy(x)[:, None]])
        np.testing.assert_array_equal(again[:, 0].detach(), ours)


def test_nested_graphs_are_put_in_place(path):
    inner = cycle(("w", "lif"), lif=NODES["LIF-plain"], w=weight(0))
    inner.edges = [("lif", "output") if b == "output" else (a, b) for a, b in inner.edges]
    outer = nir.NIRGraph.from_list(nir.Scale(R), inner, weight(3), copy.deepcopy(inner))
    nir.write(path, outer)
    net = imported(path, dtype=torch.float64)
    assert [type(each) for each in net.modules()].count(snn.RLeaky) == 2
    x = np.random.default_rng(8).standard_normal((STEPS, N)) + 0.3
    before = x * R
    for _ in range(2):
        expected = nir_euler.run(inner, {"input": before}, 1e-4, [("lif", "w")])["output"]
        before = expected @ weight(3).weight.T + weight(3).bias
    ours = torch.stack([net(step) for step in torch.from_numpy(x)[:, None]])[:, 0]
    assert 0.05 < expected.mean() < 0.6 and (ours.detach().numpy() != expected).sum() == 0


def test_any_name_of_a_node_will_do(path):
    names = ["in", "class", "training", "graph", "1", "a b", "a.b", "a", "forward", "é"]
    nodes = {"None": nir.Input(np.array([N])), "out": nir.Output(np.array([N]))}
    nodes |= {name: nir.Scale(mixed(0.5, 1.5, i)) for i, name in enumerate(names)}
    line = ["None", *names, "out"]
    chain, skips = list(pairwise(line)), [("None", "graph"), ("in", "out")]
    x = np.random.default_rng(0).standard_normal((3, N))
    for edges in (chain, chain + skips):
        nir.write(path, nir.NIRGraph(nodes, edges))
        ours, expected = against_euler(path, x)
        np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_nodes_may_be_called_like_what_a_cycle_needs():
    nodes = {"lif": NODES["LIF-plain"], "last.lif": nir.Scale(R), "last": nir.Scale(R)}
    graph = cycle(("lif", "lif"), **nodes)
    x = np.random.default_rng(8).standard_normal((STEPS, N)) + 0.3
    ours, expected = against_euler(graph, x, [("lif", "lif")])
    assert 0.05 < (expected != 0).mean() < 0.6
    np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize("name", ["0", "1a", "self", "torch", "a b", "class", "x"])
def test_any_name_of_an_input_will_do(name):
    shape = np.array([N])
    nodes = {name: nir.Input(shape), "a_b": nir.Input(shape), "s": nir.Scale(R)}
    edges = [(name, "s"), ("s", "out"), ("a_b", "out")]
    net = imported(nir.NIRGraph({**nodes, "out": nir.Output(shape)}, edges))
    first, second = torch.randn(2, 1, N)
    scaled, plain = (first, second) if name < "a_b" else (second, first)
    torch.testing.assert_close(net(first, second), scaled * torch.from_numpy(R).float() + plain)


def test_a_threshold_without_end_and_a_membrane_without_leak():
    never = nir.LIF(TAU, R, ZERO, np.full(N, np.inf))
    assert imported(nir.NIRGraph.from_list(never))(torch.full((1, N), 9.0)).sum() == 0
    node = nir.LI(np.full(N, np.inf), R, ZERO)
    assert imported(nir.NIRGraph.from_list(node))(torch.ones(1, N)).sum() == 0


def test_a_long_chain_is_wired_in_no_time():
    from snntorch.import_nir import wire

    nodes = {f"{i:04}": NODES["LIF"] for i in range(800)}
    start = time.perf_counter()
    assert wire(nodes, list(pairwise(nodes))).order == list(nodes)
    assert time.perf_counter() - start < 2  # 6 s when it took the third power of the length


# An ordinary module --------------------------------------------------------------------------


def test_an_imported_network_is_an_ordinary_module(path):
    net = nn.Sequential(
        nn.Linear(4, 20), snn.Leaky(0.9, init_hidden=True),
        nn.Linear(20, 5), snn.RSynaptic(0.4, 0.8, linear_features=5, init_hidden=True),
    )  # fmt: skip
    x = torch.randn(STEPS, 3, 4) + 0.4
    back = through_file(net, x, path)
    expected, _ = run(net, x)
    plan = snn.explain(back, x)
    assert [stage.how for stage in plan] == ["fold", "scan", "fold", "scan"]
    assert {stage.backend for stage in plan if stage.how == "scan"} == {"numba"}
    for other in (back, pickle.loads(pickle.dumps(back)), copy.deepcopy(back)):
        assert torch.equal(snn.unroll(other, x), expected)
        assert torch.equal(snn.unroll(other, x[:, :1]), expected[:, :1])
    assert back[1].mem.abs().sum() > 0
    utils.reset(back)
    assert back[1].mem.abs().sum() == 0
    optimiser = torch.optim.Adam(back.parameters(), lr=0.003)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = (snn.unroll(back, x).mean(0) - 0.5).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_foreign_neurons_scan_too():
    net = imported(nir.NIRGraph.from_list(weight(0), NODES["LIF"], NODES["CubaLIF"]))
    x = torch.randn(STEPS, 3, N)
    assert [stage.how for stage in snn.explain(net, x)] == ["fold", "scan", "scan"]
    assert torch.equal(snn.unroll(net, x), run(net, x)[0])


def test_reset_reaches_what_waits_in_a_cycle_or_a_delay():
    graph = cycle(("d", "lif"), lif=NODES["LIF-plain"], d=NODES["Delay"])
    net, x = imported(graph), torch.randn(STEPS, 2, N) + 0.3
    first = run(net, x)[0]
    assert torch.equal(run(net, x)[0], first)
    assert torch.equal(run(net, x[:, :1])[0], first[:, :1])


# The call with a state ------------------------------------------------------------------------


def stepped(net, x, state=None):
    """Return the spikes of a loop that hands on the state, and the last state."""
    spikes = []
    for step in x:
        out, state = net(step, state)
        spikes.append(out)
    return torch.stack(spikes), state


GRAPHS = {
    "chain": lambda: nir.NIRGraph.from_list(weight(0), NODES["LIF"], weight(1), NODES["CubaLIF"]),
    "delayed cycle": lambda: cycle(("d", "lif"), lif=NODES["LIF-plain"], d=NODES["Delay"]),
    "recurrent": lambda: cycle(("w", "lif"), lif=NODES["LIF-plain"], w=weight(0)),
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_network_with_its_state_equals_one_with_hidden_states(graph):
    net, hidden = snn.import_from_nir(GRAPHS[graph]()), imported(GRAPHS[graph]())
    assert net.state_dict().keys() == hidden.state_dict().keys()
    x = torch.randn(STEPS, 3, N) + 0.3
    expected = run(hidden, x)[0]
    assert 0.05 < expected.mean() < 0.6
    spikes, state = stepped(net, x)
    assert torch.equal(spikes, expected)
    assert state.keys() == {p for p, m in net.named_modules() if hasattr(m, "states")}
    spikes, states = snn.unroll(net, x)
    assert torch.equal(spikes, expected)
    for path, last in state.items():
        for name, value, trace in zip(
            net.get_submodule(path).states, last, states[path], strict=True
        ):
            # A product over all steps at once may round otherwise on some processors.
            torch.testing.assert_close(trace[-1], value)
            assert torch.equal(value, getattr(hidden.get_submodule(path), name))
    assert [stage.how for stage in snn.explain(net, x)] == ["loop"]


@pytest.mark.parametrize("graph", GRAPHS)
def test_an_earlier_state_is_restored(graph):
    net = snn.import_from_nir(GRAPHS[graph]())
    x, other = torch.randn(2, STEPS, 3, N) + 0.3
    _, state = stepped(net, x[:20])
    expected, last = stepped(net, x[20:], state)
    stepped(net, other, last)
    assert torch.equal(stepped(net, x[20:], state)[0], expected)
    fresh = snn.import_from_nir(GRAPHS[graph]())
    assert torch.equal(stepped(fresh, x[20:], dict(state))[0], expected)
    assert not torch.equal(stepped(fresh, x[20:], last)[0], expected)


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_network_with_its_state_is_an_ordinary_module(graph, path):
    net = snn.import_from_nir(GRAPHS[graph]())
    x = torch.randn(STEPS, 3, N) + 0.3
    expected, state = stepped(net, x)
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(stepped(copied, x)[0], expected)
        assert torch.equal(stepped(copied, x, state)[0], stepped(net, x, state)[0])
    utils.reset(net)
    assert torch.equal(stepped(net, x)[0], expected)
    nir.write(path, exported(net, x[0]))
    assert torch.equal(stepped(snn.import_from_nir(path), x)[0], expected)
    nir.write(path, exported(Wired(lambda net, x: net.inner(x)[0], inner=net), x[0]))
    assert torch.equal(stepped(snn.import_from_nir(path), x)[0], expected)


def test_gradients_pass_through_a_state():
    net = snn.import_from_nir(
        nir.NIRGraph.from_list(nir.LI(np.full(1, 2e-4), np.ones(1), np.zeros(1)))
    )
    start = torch.ones(1, 1, requires_grad=True)
    out, state = net(torch.zeros(1, 1), {"li": (start,)})
    out, _ = net(torch.zeros(1, 1), state)
    out.backward()
    assert start.grad.item() == out.item() == 0.25  # the membrane halves in each step


def test_the_state_follows_several_inputs(path):
    shape = np.array([N])
    nodes = {"a": nir.Input(shape), "b": nir.Input(shape), "lif": NODES["LIF"]}
    edges = [("a", "lif"), ("b", "lif"), ("lif", "c"), ("a", "d")]
    graph = nir.NIRGraph({**nodes, "c": nir.Output(shape), "d": nir.Output(shape)}, edges)
    net, hidden = snn.import_from_nir(graph), imported(graph)
    state = None
    for a, b in torch.randn(STEPS, 2, 3, N):
        (spk, same), state = net(a, b, state)
        assert torch.equal(spk, hidden(a, b)[0]) and same is a
    with pytest.raises(TypeError, match="1 inputs are given; the network takes a, b"):
        net(a, state=state)
    with pytest.raises(TypeError, match="3 inputs are given; the network takes a, b"):
        hidden(a, b, state)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (
            torch.zeros(1, N),
            TypeError,
            "state is a Tensor; pass what the last call returned, or No",
        ),
        ({"lif": (torch.ones(1, N),), "x": 1}, ValueError, "an entry 'x'; .* with states are lif"),
        ({"lif": torch.ones(1, N)}, ValueError, r"state\['lif'\] is .*tuple of the tensors mem"),
        ({"lif": (torch.ones(1, N),) * 2}, ValueError, r"state\['lif'\] is .* of the tensors mem"),
        ({"lif": (1.0,)}, ValueError, r"state\['lif'\] is \(1.0,\); it must be a tuple"),
    ],
)
def test_a_wrong_state_is_refused_before_anything_changes(state, error, message):
    net = snn.import_from_nir(nir.NIRGraph.from_list(NODES["LIF"]))
    net(torch.zeros(1, N))
    before = net.lif.mem
    with pytest.raises(error, match=message):
        net(torch.zeros(1, N), state)
    assert net.lif.mem is before


# One-to-one recurrence -------------------------------------------------------------------------


def test_a_diagonal_is_one_to_one_only_for_who_was_exported_so(path):
    V = MIXED - 1
    net = nn.Sequential(
        nn.Linear(4, 5), snn.RLeaky(0.8, all_to_all=False, V=V, threshold=0.5, init_hidden=True)
    )
    x = torch.randn(STEPS, 2, 4) + 0.3
    graph = exported(net, x[0])
    back = imported(graph)[1]
    assert not back.all_to_all and torch.equal(back.V, V) and isinstance(back.V, nn.Parameter)
    graph.nodes["1.w_rec"].weight = np.diag(2 * V.numpy())
    assert torch.equal(imported(graph)[1].V, 2 * V)
    graph.nodes["1.w_rec"].weight[0, 1] = 0.1
    linear = imported(graph)[1]
    assert linear.all_to_all
    assert linear.recurrent.weight[0].tolist() == pytest.approx([2 * V[0].item(), 0.1, 0, 0, 0])
    # Another library's diagonal keeps its off-diagonal weights, which may learn.
    graph = exported(net, x[0])
    for node in graph.nodes.values():
        node.metadata = {}
    foreign = imported(graph)[1]
    assert foreign.all_to_all and torch.equal(foreign.recurrent.weight, V.diag())


def test_one_to_one_recurrence_of_images_is_a_scale():
    neuron = snn.RLeaky(0.8, all_to_all=False, V=torch.rand(2, 1, 1), init_hidden=True)
    graph = exported(neuron, torch.zeros(1, 2, 3, 3), ignore_dims=[0])
    (scale,) = (node for node in graph.nodes.values() if isinstance(node, nir.Scale))
    np.testing.assert_array_equal(scale.scale, neuron.V.detach().expand(2, 3, 3))
    assert torch.equal(imported(graph)[0].V[:, :1, :1], neuron.V)


# Reshapes and subclasses -----------------------------------------------------------------------


def test_reshapes_that_flatten_come_back(path):
    flattens = {
        "shape": lambda h, x: h.view(x.shape[0], -1),
        "tuple": lambda h, x: h.view((x.shape[0], -1)),
        "size": lambda h, x: h.reshape(h.size(0), -1),
        "sizes": lambda h, x: h.view(x.size()[0], h.shape[1] * h.shape[2] * h.shape[3]),
        "len": lambda h, x: h.view(len(x), -1),
        "len of spikes": lambda h, x: h.reshape(len(h), -1),
        "function": lambda h, x: torch.reshape(h, (x.shape[0], -1)),
        "keyword": lambda h, x: torch.reshape(h, shape=(x.shape[0], 72)),
        "number": lambda h, x: h.view(-1, 72),
        "flatten": lambda h, x: h.flatten(1),
        "twice": lambda h, x: h.view(x.shape[0], 2, -1).view(x.shape[0], -1),
        "as it is": lambda h, x: h.flatten(1).view(x.shape[0], 72),
    }
    for batch in (1, 3):
        x = torch.randn(STEPS, batch, 1, 8, 8) + 0.2
        for name, flatten in flattens.items():
            net = Wired(
                lambda net, x, flatten=flatten: net.out(net.fc(flatten(net.lif(net.conv(x)), x))),
                conv=nn.Conv2d(1, 2, 3), lif=leaky(), fc=nn.Linear(72, 5), out=leaky(threshold=0.2),
            )  # fmt: skip
            graph = exported(net, x[0])
            made = [node for node in graph.nodes.values() if isinstance(node, nir.Flatten)]
            assert [node.end_dim for node in made] == ([-1] if name != "twice" else [-1, -1])
            nir.write(path, graph)
            assert_same(net, imported(path), x, busy=(0.001, 0.9))


def test_the_sample_of_a_network_that_flattens_first():
    net = Wired(lambda net, x: net.lif(net.fc(x.view(-1, 64))), fc=nn.Linear(64, 5), lif=leaky())
    for shape, size in [((2, 1, 8, 8), [1, 8, 8]), ((2, 8, 8), [8, 8]), ((2, 64), [64])]:
        graph = exported(net, torch.zeros(shape))
        assert graph.nodes["input"].output_type["output"].tolist() == size
        assert graph.nodes["lif"].tau.shape == (5,)


@pytest.mark.parametrize(
    ("reshape", "message"),
    [
        (lambda x: x.view(-1), r"view\(\) in forward of the network turns the shape \(3, 2, 4, 4"),
        (lambda x: x.view(x.shape[0], 4, 2, 4), r"into \(3, 4, 2, 4\); NIR can only merge neigh"),
        (lambda x: x.view(2, 3, 4, 4), r"view\(\) .* into \(2, 3, 4, 4\)"),
        (lambda x: x.view(torch.int32), r"view\(\) .* into \(3, 2, 4, 4\)"),
        (
            lambda x: x.view(len(x.size()) - 1, -1),
            r"depends on values .*len\(\) of a value that may not be",
        ),
        (lambda x: x * x.shape[1], r"mul\(\) in forward of the network has no counterpart"),
        (lambda x: x.transpose(0, 1).flatten(1), r"transpose\(\) .* has no counterpart"),
    ],
)
def test_other_reshapes_are_refused(reshape, message):
    net = Wired(lambda net, x: reshape(net.conv(x)), conv=nn.Conv2d(1, 2, 3))
    with pytest.raises(NotImplementedError, match=message):
        exported(net, torch.ones(3, 1, 6, 6))


class Dense(nn.Linear):
    """With another name, another way to be made, and methods that no layer calls."""

    def __init__(self, size):
        super().__init__(18, size)

    def extra_repr(self):
        return "dense"

    def sparsity(self):
        return (self.weight == 0).float().mean()


class Tuned(snn.Leaky):
    def __init__(self):
        super().__init__(0.8, 0.5, init_hidden=True, learn_beta=True)


def renamed(parent, *args, **kwargs):
    return type(f"My{parent.__name__}", (parent,), {})(*args, **kwargs)


def test_subclasses_that_change_nothing_are_exported_as_their_parents(path):
    net = renamed(
        nn.Sequential,
        renamed(nn.Conv2d, 1, 2, 3), renamed(nn.BatchNorm2d, 2), renamed(nn.Identity),
        renamed(nn.AvgPool2d, 2), renamed(nn.Flatten), renamed(nn.Dropout), Dense(5), Tuned(),
        renamed(snn.RSynaptic, 0.3, 0.6, linear_features=5, init_hidden=True),
    ).eval()  # fmt: skip
    x = torch.randn(STEPS, 2, 1, 8, 8) * 2 + 0.5
    back = through_file(net, x, path)
    assert [type(layer) for layer in back] == [
        nn.Conv2d, nn.AvgPool2d, nn.Flatten, nn.Linear, snn.Leaky, snn.RSynaptic
    ]  # fmt: skip
    assert isinstance(back[4].beta, nn.Parameter)
    assert_same(net, back, x, gradients=False)


class DoubledLinear(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Early(snn.Leaky):
    def fire(self, mem):
        return super().fire(mem + 0.5)


class Resting(snn.Leaky):
    def _base_state_function(self, input_):  # which 1.0.0 calls
        return input_


class Mixin:
    def mem_reset(self, mem):
        return torch.zeros_like(mem)


def with_recurrent(layer):
    neuron = snn.RLeaky(0.9, linear_features=3, init_hidden=True)
    neuron.recurrent = layer
    return neuron


def with_replaced(layer, name):
    setattr(layer, name, lambda x: x)
    return layer


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (DoubledLinear(3, 3), r"linear\(\) in forward of 0 has no counterpart"),
        (
            Early(0.9, init_hidden=True),
            r"'0' \(Early\): overrides fire of Leaky, which no node can express",
        ),
        (Resting(0.9, init_hidden=True), r"overrides _base_state_function of Leaky"),
        (
            type("Mixed", (Mixin, snn.Synaptic), {})(0.9, 0.8, init_hidden=True),
            "overrides mem_reset",
        ),
        (renamed(nn.ReLU), r"layer '0' \(MyReLU\): has no counterpart in NIR; exported are Linear"),
        (
            with_recurrent(DoubledLinear(3, 3)),
            r"'0' \(RLeaky\): its recurrent layer \(DoubledLinear\): overrides forward",
        ),
        (
            with_recurrent(with_replaced(nn.Linear(3, 3), "forward")),
            r"its recurrent layer \(Linear\): overrides forward of Linear",
        ),
        (with_replaced(nn.Linear(3, 3), "forward"), r"'0' \(Linear\): overrides forward of Linear"),
        (
            with_replaced(leaky(), "fire"),
            r"'0' \(Leaky\): overrides fire of Leaky, which no",
        ),
    ],
)
def test_what_changes_a_layer_is_refused(layer, message):
    with pytest.raises(NotImplementedError, match=message):
        exported(nn.Sequential(layer), torch.ones(2, 3))


def test_quantized_layers_are_refused_with_the_way_out():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates it
        net = torch.ao.quantization.quantize_dynamic(chain(leaky()).eval(), {nn.Linear})
    with pytest.raises(
        NotImplementedError,
        match=r"'0' \(Linear\): has a quantized weight.* before you quantize it",
    ):
        exported(net, torch.zeros(1, 3))


def test_grouped_convolutions_need_the_reader_of_this_library(path):
    # nir counts the channels of one group; once it counts all, the documentation changes.
    net = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2), leaky())
    x = torch.randn(STEPS, 2, 4, 8, 8)
    with pytest.warns(
        UserWarning, match="0: nir.read needs type_check=False: it infers a wrong shape"
    ):
        nir.write(path, snn.export_to_nir(net, x[0]))
    with pytest.raises(
        ValueError, match=r"mismatch: input.output: \[\[4 8 8\]\] -> 0.input: \[\[2 8 8"
    ):
        nir.read(path)
    for graph in (path, nir.read(path, type_check=False)):
        assert imported(graph)[0].groups == 2
        assert_same(net, imported(graph), x)


# What is told --------------------------------------------------------------------------------


def test_export_warns_of_what_other_readers_do():
    net = nn.Sequential(nn.Linear(3, 2), snn.Leaky(0.9, init_hidden=True),
                        nn.Linear(2, 2), snn.Leaky(0.9, init_hidden=True))  # fmt: skip
    with pytest.warns(UserWarning, match="differs at 1, 3: resets to v_reset, where this neuron "):
        graph = snn.export_to_nir(net, torch.zeros(1, 3))
    table = str(snn.export.report(graph))
    assert table.splitlines()[0].split() == ["node", "NIR", "here", "remarks"]
    assert "1       LIF     Leaky   elsewhere: resets to v_reset" in table
    net[1].reset_mechanism = net[3].reset_mechanism = "zero"
    snn.export_to_nir(net, torch.zeros(1, 3))  # no warning


def test_import_warns_of_what_is_approximate():
    graph = nir.NIRGraph.from_list(nir.Delay(np.array([1.4e-4])))
    with pytest.warns(UserWarning, match=r"delay: its delay is rounded to \[1.\] steps"):
        imported(graph)
    assert "rounded" in str(snn.export.report(graph))
    net = snn.Leaky(0.9, spike_grad=lambda u: (u > 0).float(), init_hidden=True,
                    reset_mechanism="zero")  # fmt: skip
    with pytest.warns(UserWarning, match="leaky: its spike_grad is an arbitrary callable"):
        snn.export_to_nir(net, torch.zeros(3))


@pytest.mark.parametrize(
    ("own", "warns"),
    [
        ("1.0.0", False),
        ({"class": "Leaky"}, True),
        ({"surrogate": "nothing"}, True),
        ({"reset_mechanism": "never"}, True),
        ({"parameters": {"beta": 0.5, "gamma": 1.0}}, True),
    ],
)
def test_metadata_of_others_is_no_harm(own, warns, path):
    graph = exported(nn.Sequential(leaky()), torch.zeros(2, 3))
    first = graph.nodes["0"].metadata
    bare = own == {"class": "Leaky"} or not isinstance(own, dict)
    first["snntorch"] = own if bare else {**first["snntorch"], **own}
    graph.metadata = {"snntorch": "1.0.0"}
    nir.write(path, graph)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        back = imported(path)[0]
    assert [str(w.message).count("0: was a Leaky, but was changed since") for w in told] == [
        1
    ] * warns
    assert type(back) is snn.Leaky and back.reset_mechanism == "zero"
    torch.testing.assert_close(back.beta, torch.full((3,), 0.9))


def test_metadata_that_no_longer_fits_gives_way():
    net = nn.Sequential(snn.Leaky(0.9, init_hidden=True))
    graph = exported(net, torch.zeros(2, 3))
    graph.nodes["0"].tau *= 2
    graph.nodes["0"].r *= 2
    with pytest.warns(UserWarning, match="0: was a Leaky, but was changed since"):
        back = imported(graph)
    torch.testing.assert_close(back[0].beta, torch.full((3,), 0.95))
    assert back[0].reset_mechanism == "zero"
    assert "elsewhere" not in str(snn.export.report(graph))
    assert graph.nodes["0"].metadata["snntorch"]["class"] == "Leaky"


def test_a_picture_shows_every_node_and_edge():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    graph = cycle(("w", "lif"), lif=NODES["LIF"], w=weight(0))
    ax = snn.export.draw(graph)
    texts = [text.get_text() for text in ax.texts]
    assert sorted(t.splitlines()[0] for t in texts if t) == sorted(graph.nodes)
    arrows = [text.arrow_patch for text in ax.texts if getattr(text, "arrow_patch", None)]
    assert [a.get_linestyle() for a in arrows].count("--") == 1 and len(arrows) == len(graph.edges)
    plt.close(ax.figure)


# Refused -------------------------------------------------------------------------------------


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.lif, self.fc = snn.Leaky(0.9), nn.Linear(3, 3)

    def forward(self, x):
        _, mem = self.lif(x)
        return self.fc(mem)


class Looping(nn.Module):
    def __init__(self):
        super().__init__()
        self.lif = snn.Leaky(0.9, init_hidden=True)

    def forward(self, x):
        for _ in range(3):
            out = self.lif(x)
        return out


def chain(*layers):
    return nn.Sequential(nn.Linear(3, 3), *layers)


def norm_behind(between):
    def wire(net, x):
        h = net.fc(x)
        return net.l1(net.norm(net.between(h))) + net.l2(h)

    layers = {"fc": nn.Linear(3, 3), "between": between, "norm": nn.BatchNorm1d(3)}
    return Wired(wire, **layers, l1=leaky(), l2=leaky()).eval()


def sum_in_place(wire, through=None):
    """Return a network in which ``wire`` adds to a signal that something else sees too."""
    recurrent = snn.RLeaky(0.9, linear_features=3, init_hidden=True)
    layers = {"fc": nn.Linear(3, 3), "lif": leaky(), "rec": recurrent, "out": nn.Linear(3, 3)}
    return Wired(wire, **layers, through=through or nn.Identity()).eval()


def used_later(net, x):
    y = net.fc(x)
    y.add_(x)
    return y


def shared(net, x):
    a = net.fc(x)
    b = net.through(a)
    b += x
    return net.out(a) + b


def kept_by_the_neuron(net, x):
    a = net.rec(net.fc(x))
    a += net.out(x)
    return a


def given(net, x):
    x += net.lif(net.fc(x))
    return x


def hooked(layer, hook, before=False):
    (layer.register_forward_pre_hook if before else layer.register_forward_hook)(hook)
    return layer


def doubles_in_place(module, taken, given=None):
    (taken[0] if given is None else given).mul_(2)


def recurrent_hooked():
    neuron = snn.RLeaky(0.9, linear_features=3, init_hidden=True)
    hooked(neuron.recurrent, lambda m, i, o: 2 * o)
    return neuron


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (chain(Doubled()), r"mul\(\) in forward of 1 has no counterpart"),
        (chain(nn.Sequential(nn.ReLU())), r"layer '1.0' \(ReLU\): has no counterpart in NIR"),
        (chain(snn.Alpha(0.9, 0.8, init_hidden=True)), r"layer '1' \(Alpha\): has no counterpart"),
        (chain(snn.SLSTM(3, 4, init_hidden=True)), r"layer '1' \(SLSTM\): has no counterpart"),
        (chain(snn.Leaky(0.9, init_hidden=True, state_quant=torch.round)), "'1' .*state_quant"),
        (chain(nn.ReLU(), nn.BatchNorm1d(3)).eval(), "ReLU"),
        (
            nn.Sequential(nn.BatchNorm1d(3)).eval(),
            r"'0' \(BatchNorm1d\) must be the only reader of a Linear",
        ),
        (norm_behind(nn.Identity()), r"'norm' \(BatchNorm1d\) must be the only reader of a Linear"),
        (norm_behind(nn.Dropout()), r"'norm' \(BatchNorm1d\) must be the only reader of a Linear"),
        (sum_in_place(used_later), r"add_\(\) changes a signal in place"),
        (sum_in_place(shared), r"iadd\(\) changes a signal in place"),
        (sum_in_place(shared, nn.Dropout()), r"iadd\(\) changes a signal in place"),
        (sum_in_place(shared, nn.Flatten()), r"iadd\(\) changes a signal in place"),
        (sum_in_place(kept_by_the_neuron), r"iadd\(\) changes a signal in place"),
        (sum_in_place(given), r"iadd\(\) changes a signal in place"),
        (chain(hooked(nn.Linear(3, 3), lambda m, i, o: 10 * o)), r"'1' \(Linear\): a hook changes"),
        (chain(hooked(leaky(), doubles_in_place)), r"'1' \(Leaky\): a hook"),
        (chain(hooked(leaky(), lambda m, i: 10 * i[0], True)), r"'1' \(Leaky\): a hook changes"),
        (chain(hooked(leaky(), doubles_in_place, True)), r"'1' .*: a hook"),
        (chain(hooked(nn.Identity(), lambda m, i, o: o + 1)), r"'1' \(Identity\): a hook changes"),
        (chain(recurrent_hooked()), r"'1' \(RLeaky\): a hook changes"),
        (Branching(), "forward of Branching depends on values of its input"),
        (Reads(), "layer 'fc' .* takes state 1 of lif; in NIR only spikes are signals"),
        (Looping(), r"layer 'lif' \(Leaky\) is called twice"),
    ],
)
def test_export_refuses_by_name(net, message):
    with pytest.raises(NotImplementedError, match=message):
        exported(net, torch.ones(2, 3))


def test_hooks_that_change_nothing_may_stay(path):
    seen = []
    spy = hooked(leaky(threshold=0.2), lambda m, i, o: seen.append(o))
    net = chain(spy, nn.Linear(3, 3), leaky(threshold=0.2))
    hooked(net, lambda m, i, o: o)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of weight_norm
        nn.utils.weight_norm(net[2])
    prune.random_unstructured(net[0], "weight", 0.4)
    x = torch.randn(STEPS, 2, 3) * 3
    net[2].bias.data.fill_(0.1)
    back = through_file(net, x, path)
    assert len(seen) == 1
    assert_same(net, back, x, gradients=False)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), "padding_mode='circular'"),
        (nn.AvgPool2d(2, ceil_mode=True), "ceil_mode=True"),
        (nn.AvgPool2d(2, padding=1, count_include_pad=False), "count_include_pad=False"),
        (nn.MaxPool2d(2), r"layer '0' \(MaxPool2d\): has no counterpart"),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(0)), "start_dim=0 flattens the batch"),
        (
            nn.Sequential(nn.Conv2d(1, 1, 3), nn.Linear(3, 2)),
            r"'0.1' \(Linear\): takes samples of the shape \(1, 3, 3\), where NIR has 1 dim",
        ),
    ],
)
def test_export_refuses_layers_of_images(layer, message):
    with pytest.raises(NotImplementedError, match=message):
        exported(nn.Sequential(layer), torch.ones(2, 1, 5, 5))


def test_batch_norm_is_not_folded_along_another_dimension():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval()
    with pytest.raises(NotImplementedError, match="needs a sample with one batch dimension"):
        exported(net, torch.zeros(5, 4, 3), ignore_dims=[0, 1])


def test_export_refuses_what_is_no_sample():
    with pytest.raises(ValueError, match=r"layer '0' \(Linear\) cannot run on sample_data:"):
        exported(chain(), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"sample_data of shape \(9, 2, 3\) does not suit Linear"):
        exported(chain(), torch.zeros(9, 2, 3))
    with pytest.raises(TypeError, match="sample_data is a ndarray"):
        exported(chain(), np.zeros(3))
    with pytest.raises(TypeError, match="module is a function"):
        exported(chain, torch.zeros(3))
    with pytest.raises(ValueError, match=r"layer '0' \(Flatten\) cannot run on sample_data: Dim"):
        exported(nn.Sequential(nn.Flatten(3)), torch.zeros(2, 4))
    for name in ("model_name", "model_fwd_args", "ignore_dims"):
        with pytest.raises(TypeError, match=f"{name}=None; a (string|list) is needed"):
            exported(chain(), torch.zeros(3), **{name: None})


@pytest.mark.parametrize("layer", [nn.Dropout(), nn.BatchNorm1d(3)])
def test_export_refuses_training_mode(layer):
    with pytest.raises(ValueError, match=r"layer '1' \(\w+\) is in training mode; call eval"):
        exported(chain(layer), torch.ones(2, 3))


@pytest.mark.parametrize("dt", [0, -1e-4, float("nan"), "1"])
def test_a_time_step_must_be_positive(dt):
    for call in (snn.import_from_nir, lambda graph, dt: exported(chain(), torch.ones(3), dt=dt)):
        with pytest.raises(ValueError, match=f"dt={dt!r} must be a positive number"):
            call(nir.NIRGraph.from_list(NODES["LIF"]), dt=dt)


class Strange(nir.NIRNode):
    def __init__(self):
        self.input_type = self.output_type = {"input": np.array([N])}
        self.metadata = {}


def graph_of(*edges, **nodes):
    ends = {"in": nir.Input(np.array([N])), "out": nir.Output(np.array([N]))}
    return nir.NIRGraph({**ends, **nodes}, list(edges), type_check=False)


LIF = NODES["LIF-plain"]
THROUGH = [("in", "a"), ("a", "out")]
NESTED = nir.NIRGraph.from_list(nir.Scale(R))


@pytest.mark.parametrize(
    ("graph", "error", "message"),
    [
        (graph_of(*THROUGH, a=Strange()), NotImplementedError, "'a' is of the type Strange, which"),
        (graph_of(("a", "out"), a=LIF), ValueError, r"no edge leads into node 'a' \(LIF\)"),
        (graph_of(("in", "a"), a=LIF), ValueError, r"no edge leads into node 'out' \(Output\)"),
        (graph_of(("in", "out"), ("a", "a"), a=LIF), ValueError, "is not connected: .*'a'"),
        (graph_of(*THROUGH, ("b", "out"), a=LIF), ValueError, "names 'b', but the nodes are"),
        (graph_of(*THROUGH, ("in", "a"), a=LIF), ValueError, "duplicate edge"),
        (graph_of(*THROUGH, ("b", "b"), ("b", "out"), a=LIF, b=nir.Scale(R)), ValueError,
         r"\['b', 'out'\] form or follow a cycle without any neuron"),
        (graph_of(*THROUGH, a=nir.Linear(np.ones((N, 4)))), ValueError,
         r"node 'a' \(Linear\) does not take the shape \(6,\)"),
        (graph_of(*THROUGH, a=nir.Linear(np.ones((4, N)))), ValueError,
         r"node 'out' \(Output\) does not take the shape \(4,\) of \['a'\]; it takes \(6,\)"),
        (graph_of(*THROUGH, ("in", "b"), ("b", "out"), a=LIF, b=nir.Linear(np.ones((4, N)))),
         ValueError, r"the signals into node 'out' differ in shape"),
        (graph_of(*THROUGH, a=nir.Delay(-np.ones(N))), ValueError, r"\(Delay\): a negative delay"),
        (nir.NIRGraph({"a": LIF}, [("a", "a")], type_check=False), ValueError, "no Input node"),
        (graph_of(*THROUGH, ("a", "in"), a=LIF), ValueError,
         r"edge \('a', 'in'\) leads into node 'in' \(Input\), where the graph ends"),
        (graph_of(*THROUGH, ("out", "in"), a=LIF), ValueError, r"edge \('out', 'in'\) leads into"),
        (graph_of(*THROUGH, ("out", "a"), a=LIF), ValueError,
         r"edge \('out', 'a'\) leads out of node 'out' \(Output\), where the graph ends"),
        *((graph_of(("in", "s"), ("s", name), (name, "out"), **{"s": NESTED, name: nir.Scale(R)}),
           ValueError, f"'{name[2:]}' of the nested graph 's' becomes '{name}'")
          for name in ("s.scale", "s.input")),
        (graph_of(*THROUGH, a=nir.LIF(TAU, np.full(N, np.nan), ZERO, TAU)), ValueError,
         r"node 'a' \(LIF\): r has the value nan"),
        (graph_of(*THROUGH, a=nir.LIF(TAU, R, np.full(N, np.inf), TAU)), ValueError,
         r"node 'a' \(LIF\): v_leak has the value inf"),
        (graph_of(*THROUGH, a=nir.LIF(TAU, R, ZERO, np.full(N, np.nan))), ValueError,
         r"node 'a' \(LIF\): v_threshold has the value nan"),
        ([], TypeError, "graph is a list; a nir.NIRGraph or a path is needed"),
    ],
)  # fmt: skip
def test_import_refuses_with_one_clear_error(graph, error, message):
    with pytest.raises(error, match=message):
        imported(graph)


def test_import_refuses_a_wrong_time_step():
    with pytest.raises(ValueError, match=r"'1' \(LIF\): a time constant of 0.0025 s .* dt=1 s"):
        imported(DATA / "lif_norse.nir", dt=1)
    graph = exported(chain(snn.Leaky(0.9, init_hidden=True)), torch.zeros(3), dt=1e-3)
    with pytest.raises(
        ValueError, match=r"dt=0.0001, but the graph was exported for steps of 0.00"
    ):
        imported(graph)


def test_unreadable_files_name_file_and_cause(path):
    with pytest.raises(ValueError, match=r"unreadable_early_lif.nir: node '1' \(LIF\) cannot"):
        imported(DATA / "unreadable_early_lif.nir")
    with pytest.raises(ValueError, match=r"lif_snntorch.csv cannot be read as a NIR file: .*"):
        imported(DATA / "lif_snntorch.csv")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.nir"):
        imported(path.with_name("nowhere.nir"))
    import h5py

    nir.write(path, nir.NIRGraph.from_list(LIF))
    with h5py.File(path, "r+") as file:
        del file["node/nodes/lif/type"]
        file["node/nodes/lif/type"] = "Izhikevich"
    with pytest.raises(NotImplementedError, match=r"net.nir: node 'lif' is of the type Izhikevich"):
        imported(path)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of torch.compile itself
def test_a_compiled_network_is_exported_as_it_was():
    net = chain(snn.Leaky(0.9, init_hidden=True))
    plain, compiled = (exported(each, torch.zeros(3)) for each in (net, torch.compile(net)))
    assert plain.nodes.keys() == compiled.nodes.keys() and plain.edges == compiled.edges


def test_networks_load_whose_classes_were_saved_under_import_nir():
    net, x = snn.import_from_nir(GRAPHS["delayed cycle"]()), torch.randn(STEPS, 3, N) + 0.3
    saved = pickle.dumps(net, protocol=2)  # which names each class on a line
    for module in (b"csnntorch.nir.network\n", b"csnntorch.nir.layers\n"):
        assert module in saved
        saved = saved.replace(module, b"csnntorch.import_nir\n")
    assert torch.equal(run(pickle.loads(saved), x)[0], run(net, x)[0])


# Classes of a user's own -----------------------------------------------------------------------


class Gain(nn.Module):
    """A layer that has no counterpart in NIR."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(torch.as_tensor(values))

    def forward(self, x):
        return torch.where(x > 0, self.values * x, x)


@dataclass(eq=False)
class Amplifier(nir.NIRNode):
    """A node that NIR does not have."""

    values: np.ndarray = None

    def __post_init__(self):
        self.input_type = {"input": np.array(self.values.shape)}
        self.output_type = {"output": np.array(self.values.shape)}


def amplifier(layer):
    return Amplifier(values=layer.values.detach().numpy())


def gain(node):
    return Gain(node.values)


class Sum(nn.Module):
    """A neuron with an explicit state: fires where its sum exceeds 1, and starts again from 0."""

    def forward(self, x, total=None):
        total = x if total is None else total + x
        spk = (total > 1).to(x)
        return spk, total * (1 - spk)


def amplified():
    torch.manual_seed(0)
    neuron = snn.Leaky(torch.linspace(0.7, 0.9, 4), threshold=0.4, init_hidden=True)
    net = nn.Sequential(nn.Linear(3, 4), Gain([0.5, 1.0, 1.5, 2.0]), neuron)
    return net, 2 * torch.rand(STEPS, 5, 3)


def test_own_layers_go_out_and_come_back(path):
    net, x = amplified()
    with pytest.raises(NotImplementedError, match="in forward of 1 has no counterpart in NIR"):
        exported(net, x[0])
    graph = exported(net, x[0], module_map={Gain: amplifier})
    assert type(graph.nodes["1"]) is Amplifier and ("0", "1") in graph.edges
    np.testing.assert_array_equal(graph.nodes["1"].values, net[1].values.detach())
    np.testing.assert_array_equal(graph.nodes["1"].output_type["output"], [4])
    nir.write(path, graph)
    with pytest.raises(NotImplementedError, match=r"'1' is of the type Amplifier.* in node_map"):
        imported(graph)
    want, gradients = run(net, x)
    assert 0 < want.mean() < 1 and gradients["1.values"].any()
    for source in (graph, path):
        back = imported(source, node_map={Amplifier: gain})
        assert type(back) is nn.Sequential and type(back[1]) is Gain
        spikes, grads = run(back, x)
        assert torch.equal(spikes, want)
        for name, grad in gradients.items():
            assert torch.equal(grads[name], grad)
    row = snn.export.report(path, node_map={Amplifier: gain})[2]
    assert (row.node, row.nir, row.here) == ("1", "Amplifier", "Gain")


def test_own_neuron_goes_out_as_a_node_of_nir():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.sum = nn.Linear(3, 4), Sum()

        def forward(self, x, total=None):
            return self.sum(self.fc(x), total)

    torch.manual_seed(1)
    net, x = Net(), 2 * torch.rand(STEPS, 5, 3)
    ones = np.ones(4)
    graph = exported(net, x[0], module_map={Sum: lambda layer: nir.IF(ones, ones, 0 * ones)})
    assert type(graph.nodes["sum"]) is nir.IF and [*graph.nodes][-1] == "output"
    want, total = [], None
    for step in x:
        spk, total = net(step, total)
        want.append(spk)
    back = imported(graph)
    assert type(back[1]) is snn.Leaky
    spikes, _ = run(back, x)
    assert torch.equal(spikes, torch.stack(want)) and 0 < spikes.mean() < 1


def test_a_map_takes_precedence():
    net, x = amplified()
    doubled = exported(
        nn.Sequential(net[0], net[2]),
        x[0],
        module_map={nn.Linear: lambda layer: nir.Linear(2 * layer.weight.detach().numpy())},
    )
    assert type(doubled.nodes["0"]) is nir.Linear
    np.testing.assert_array_equal(doubled.nodes["0"].weight, 2 * net[0].weight.detach())
    silent = imported(doubled, node_map={nir.LIF: lambda node: nn.Threshold(9.0, 0.0)})
    assert type(silent[1]) is nn.Threshold and not silent(x[0]).any()


def test_a_recurrent_neuron_is_taken_apart_for_a_map():
    """The weight of a neuron that a user converts is a separate layer, one step later."""
    net = nn.Sequential(snn.RLeaky(0.9, linear_features=3, init_hidden=True, reset_delay=False))
    graph, seen = exported(net, torch.rand(2, 3)), []

    def convert(node):
        seen.append(node)
        return snn.Leaky(0.0, threshold=0.5, init_hidden=True, reset_mechanism="none")

    back = imported(graph, node_map={nir.LIF: convert})
    assert len(seen) == 1 and type(seen[0]) is nir.LIF
    weight, bias = net[0].recurrent.weight, net[0].recurrent.bias
    x, spikes = torch.rand(STEPS, 2, 3), torch.zeros(2, 3)
    for step in x:
        spikes = ((step + F.linear(spikes, weight, bias)) > 0.5).float()
        torch.testing.assert_close(back(step), spikes)


@pytest.mark.parametrize(
    "module_map, error, message",
    [
        ([Gain], TypeError, "module_map is .*expected a dict from classes to functions"),
        ({"Gain": amplifier}, TypeError, "module_map has the key 'Gain'; expected a class derived"),
        ({nir.LIF: amplifier}, TypeError, "expected a class derived from Module"),
        ({Gain: 1}, TypeError, r"module_map\[Gain\] is 1; expected a function"),
        ({Gain: lambda layer: 1}, TypeError, r"module_map\[Gain\] returned a int; expected a nir"),
    ],
)
def test_bad_module_maps(module_map, error, message):
    net, x = amplified()
    with pytest.raises(error, match=message):
        exported(net, x[0], module_map=module_map)


@pytest.mark.parametrize(
    "node_map, error, message",
    [
        ([Amplifier], TypeError, "node_map is .*expected a dict from classes to functions"),
        ({Gain: gain}, TypeError, "node_map has the key .*expected a class derived from NIRNode"),
        ({nir.Input: gain}, TypeError, "from NIRNode, except NIRGraph, Input, Output"),
        ({Amplifier: "gain"}, TypeError, r"node_map\[Amplifier\] is 'gain'; expected a function"),
        ({Amplifier: lambda node: 1}, TypeError, "returned a int for node '1'; expected an nn.Mod"),
    ],
)
def test_bad_node_maps(node_map, error, message):
    net, x = amplified()
    graph = exported(net, x[0], module_map={Gain: amplifier})
    with pytest.raises(error, match=message):
        imported(graph, node_map=node_map)
