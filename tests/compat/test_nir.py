"""NIR in both directions, where 1.0.0 silently gave other spikes or crashed.

Only names that 1.0.0 has are used, so that the file can be run against it too (with --noconftest),
where every test must fail.
"""

import importlib
import inspect
import warnings

import nir
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import snntorch as snn
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir

STEPS = 60


def run(net, x):
    """Return the spikes over time; the networks that 1.0.0 imports take and give their state."""
    takes_state, state, spikes = "state" in inspect.signature(net.forward).parameters, None, []
    for step in x:
        if takes_state:
            spk, state = net(step, state)
        else:
            spk = net(step)
        spikes.append(spk[0] if isinstance(spk, tuple) else spk)
    return torch.stack(spikes).detach()


def trip(net, sample, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nir.write(path, export_to_nir(net, sample, ignore_dims=[0]))
        # nir infers a wrong shape for groups and for kernels that are not square.
        return import_from_nir(nir.read(path, type_check=False))


def assert_same_spikes(net, x, path):
    net.eval()
    back = trip(net, x[0], path)
    fresh = [m for m in net.modules() if isinstance(m, snn.SpikingNeuron)]
    for neuron in fresh:
        neuron.reset_mem()
    with torch.no_grad():
        spikes, others = run(net, x), run(back, x)
    assert 0.05 < spikes.mean() < 0.5
    assert (spikes != others).sum() == 0


def neuron(cls, size=5, **kwargs):
    """With parameters for each neuron, the only ones that 1.0.0 exports."""
    vectors = {"beta": torch.full((size,), 0.8), "threshold": torch.ones(size)}
    return cls(**{**vectors, "init_hidden": True, **kwargs})


def chain(*layers):
    net = nn.Sequential(nn.Linear(4, 5), *layers)
    with torch.no_grad():
        net[0].weight *= 1.5
    return net


@pytest.fixture
def path(tmp_path):
    torch.manual_seed(0)
    return tmp_path / "net.nir"


def drive(*shape):
    return torch.randn(STEPS, 3, *shape) + 0.3


ALPHA = {"alpha": torch.full((5,), 0.4)}
ALL = {"linear_features": 5}


@pytest.mark.parametrize(
    ("cls", "kwargs"),
    [
        (snn.Leaky, {"reset_mechanism": "subtract"}),
        (snn.Leaky, {"reset_mechanism": "none", "beta": torch.full((5,), 0.4)}),
        (snn.Synaptic, {"reset_mechanism": "zero", **ALPHA}),
        (snn.Synaptic, {"reset_mechanism": "subtract", "reset_delay": False, **ALPHA}),
        (snn.RLeaky, {"reset_mechanism": "zero", **ALL}),
        (snn.RSynaptic, {"reset_mechanism": "subtract", **ALPHA, **ALL}),
    ],
)
def test_resets_and_feedback_come_back(cls, kwargs, path):
    assert_same_spikes(chain(neuron(cls, **kwargs)), drive(4), path)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"graded_spikes_factor": 0.5},
        {"inhibition": True},
        {"beta": torch.ones(5)},
        {"beta": 0.8},
        {"threshold": torch.linspace(0.5, 1.5, 5)},
    ],
)
def test_what_neurons_are_made_with_comes_back(kwargs, path):
    layers = [neuron(snn.Leaky, reset_mechanism="zero", **kwargs)]
    # Behind it a layer in which graded spikes can be seen.
    layers += [nn.Linear(5, 5), neuron(snn.Leaky, reset_mechanism="zero",
                                       threshold=torch.full((5,), 0.3))]  # fmt: skip
    assert_same_spikes(chain(*layers), drive(4), path)


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [nn.Conv2d(2, 4, 3, groups=2), nn.Flatten(), nn.Linear(64, 5)],
        lambda: [nn.Conv2d(2, 4, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 5)],
        lambda: [
            nn.Conv2d(2, 4, 3),
            nn.BatchNorm2d(4),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(64, 5),
        ],
        lambda: [nn.Flatten(), nn.Linear(72, 5), nn.Identity()],
    ],
)
def test_layers_of_images_come_back(layers, path):
    last = neuron(snn.Leaky, reset_mechanism="zero", threshold=torch.full((5,), 0.3))
    assert_same_spikes(nn.Sequential(*layers(), last), drive(2, 6, 6), path)


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 5)
        self.lif = neuron(snn.Leaky, reset_mechanism="zero", threshold=torch.full((5,), 0.5))

    def forward(self, x):
        x = self.a(x)
        return self.lif(self.b(x) + x)


def test_skip_connections_are_exported(path):
    assert_same_spikes(Skip(), drive(4), path)


class Rectified(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.lif = nn.Linear(4, 5), neuron(snn.Leaky, reset_mechanism="zero")

    def forward(self, x):
        return self.lif(F.relu(self.fc(x)))


@pytest.mark.parametrize(
    ("net", "name"),
    [
        (Rectified(), "relu"),
        (chain(nn.MaxPool1d(2)), "MaxPool1d"),
        (chain(neuron(snn.Leaky, state_quant=torch.round)), "state_quant"),
    ],
)
def test_what_cannot_be_exported_is_named(net, name):
    with pytest.raises(NotImplementedError, match=name):
        export_to_nir(net, torch.zeros(1, 4), ignore_dims=[0])


def imported(*nodes):
    net = import_from_nir(nir.NIRGraph.from_list(*nodes))
    return lambda x: run(net, torch.as_tensor(x, dtype=torch.float32)[:, None])[:, 0].tolist()


ONE, ZERO = np.ones(1), np.zeros(1)


def test_a_resting_potential_makes_a_neuron_fire():
    # v = 0, 0.6, 0.9 of 1.2: above 0.8 in the second step, then from 0 again.
    node = nir.LIF(ONE * 2e-4, ONE, ONE * 1.2, ONE * 0.8, ZERO)
    assert imported(node)([[0.0]] * 4) == [[0.0], [1.0], [0.0], [1.0]]


def test_a_reset_potential_is_kept():
    # v = 0.5, 1.0 (fires, goes to 0.75), 0.875, 0.9375.
    node = nir.LIF(ONE * 2e-4, ONE, ZERO, ONE * 0.9, ONE * 0.75)
    assert imported(node)([[1.0], [1.5], [1.0], [1.0]]) == [[0.0], [1.0], [0.0], [1.0]]


@pytest.mark.parametrize("r", [1.0, 1e4])
def test_an_imported_integrator_does_not_leak(r):
    # v = 0.4, 0.7, 0.9, 1.05 (fires, goes to 0), 0.9.
    node = nir.IF(ONE * r, ONE, ZERO)
    assert imported(node)([[0.4], [0.3], [0.2], [0.15], [0.9]]) == [[0], [0], [0], [1], [0]]


def test_every_node_type_is_imported():
    x = [[1.0], [0.0], [2.0]]
    assert imported(nir.Scale(ONE * 3))(x) == [[3.0], [0.0], [6.0]]
    assert imported(nir.Threshold(ONE))(x) == [[0.0], [0.0], [1.0]]
    assert imported(nir.Delay(ONE * 1e-4))(x) == [[0.0], [1.0], [0.0]]
    assert imported(nir.LI(ONE * 2e-4, ONE, ZERO))(x) == [[0.5], [0.25], [1.125]]
    assert imported(nir.I(ONE * 5e3))(x) == [[0.5], [0.5], [1.5]]


def test_the_documented_module_for_exchange_exists():
    export = importlib.import_module("snntorch.export")
    assert export.export_to_nir is export_to_nir and export.import_from_nir is import_from_nir
