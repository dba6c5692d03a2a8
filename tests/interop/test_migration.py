"""What the pages on migration say of other libraries: run by ``make interop``."""

import pytest
import torch
from pages import run_page
from project import ROOT

import snntorch as snn
from snntorch import surrogate

pytestmark = pytest.mark.filterwarnings("ignore")
STEPS = 60


@pytest.mark.parametrize("name", ["norse", "spikingjelly"])
def test_the_page_runs(name, tmp_path, monkeypatch):
    pytest.importorskip(name)
    run_page(ROOT / "docs" / "how-to" / f"migrate_{name}.rst", tmp_path, monkeypatch)


def record(step, x):
    """Return the spikes of a loop, and the gradient of a weighted sum of them."""
    x, state, spikes = x.clone().requires_grad_(), (), []
    for now in x:
        spk, *state = step(now, *state)
        spikes.append(spk)
    spikes = torch.stack(spikes)
    (spikes * torch.linspace(0, 1, len(x)).double()[:, None, None]).sum().backward()
    return spikes.detach(), x.grad


def assert_same(ours, theirs, gradient=1e-7):
    assert 0.02 < ours[0].mean() < 0.95
    assert torch.equal(ours[0], theirs[0])
    if gradient is not None:
        torch.testing.assert_close(ours[1], theirs[1], rtol=gradient, atol=gradient)


HARD = {"reset_mechanism": "zero", "reset_delay": False}
SIGMOID = {"spike_grad": surrogate.sigmoid(slope=4)}


@pytest.mark.parametrize(
    "name, arguments, make",
    [
        ("LIFNode", {}, lambda: snn.PLIF(2.0, learn_tau=False, **SIGMOID)),
        ("LIFNode", {"tau": 3.0}, lambda: snn.PLIF(3.0, learn_tau=False, **SIGMOID)),
        ("LIFNode", {"decay_input": False}, lambda: snn.Leaky(0.5, **HARD, **SIGMOID)),
        (
            "LIFNode",
            {"decay_input": False, "detach_reset": True},
            lambda: snn.Leaky(0.5, reset_mechanism="zero", **SIGMOID),
        ),
        (
            "LIFNode",
            {"v_reset": None},
            lambda: snn.PLIF(2.0, learn_tau=False, reset_mechanism="subtract", **SIGMOID),
        ),
        ("ParametricLIFNode", {"init_tau": 4.0}, lambda: snn.PLIF(4.0, **SIGMOID)),
        ("IFNode", {}, lambda: snn.Leaky(1.0, **HARD, **SIGMOID)),
        ("IFNode", {"v_reset": None}, lambda: snn.Leaky(1.0, reset_delay=False, **SIGMOID)),
        (
            "CUBALIFNode",
            {"v_threshold": 4.0},
            lambda: snn.Synaptic(0.5, 0.75, threshold=4.0, **HARD),
        ),
    ],
)
def test_neurons_of_spikingjelly(name, arguments, make):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    torch.manual_seed(0)
    x = 1.5 * torch.rand(STEPS, 4, 20).double()
    theirs = getattr(neuron, name)(**arguments).double()
    gradient = None if name == "CUBALIFNode" else 1e-7  # its surrogate is another one
    assert_same(record(make().double(), x), record(lambda now: (theirs(now),), x), gradient)


@pytest.mark.parametrize(
    "theirs, ours",
    [
        (("Sigmoid", 4.0), surrogate.sigmoid(slope=4)),
        (("ATan", 2.0), surrogate.atan(alpha=2)),
        (("SoftSign", 2.0), surrogate.fast_sigmoid(slope=2)),
        (("SuperSpike", 1.0), surrogate.fast_sigmoid(slope=1)),
    ],
)
def test_surrogates_of_spikingjelly(theirs, ours):
    peer = pytest.importorskip("spikingjelly.activation_based.surrogate")
    name, alpha = theirs
    slopes = []
    for spike in (getattr(peer, name)(alpha), ours):
        u = torch.linspace(-2, 2, 41).double().requires_grad_()
        spike(u).sum().backward()
        slopes.append(u.grad)
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("alpha", [5.0, 100.0])
@pytest.mark.parametrize(
    "name, scale, make",
    [
        ("LIF", 0.1, lambda grad: snn.Synaptic(0.8, 0.9, **HARD, spike_grad=grad)),
        ("LIFBox", 0.1, lambda grad: snn.Leaky(0.9, **HARD, spike_grad=grad)),
        ("IAF", 1.0, lambda grad: snn.Leaky(1.0, **HARD, spike_grad=grad)),
    ],
)
def test_neurons_of_norse(name, scale, make, alpha):
    norse = pytest.importorskip("norse.torch")
    torch.manual_seed(0)
    x = 2 * torch.rand(STEPS, 4, 20).double()
    parameters = getattr(norse, f"{name}Parameters")(alpha=torch.as_tensor(alpha))
    theirs = getattr(norse, f"{name}Cell")(p=parameters).double()
    ours = make(surrogate.fast_sigmoid(slope=1)).double()
    assert_same(record(lambda now, *state: ours(scale * now, *state), x), record(theirs, x))
