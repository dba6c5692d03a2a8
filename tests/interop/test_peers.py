"""The same spikes in other simulators: run by ``make interop``, in an environment with all of them.

60 steps of random spike trains at dt = 1e-4 s. Where a peer's own reader or writer is at fault, the
smallest case that shows it is a test too, so that we learn of its repair.
"""

import copy
import logging

import numpy as np
import pytest
import torch
from torch import nn

import snntorch as snn

norse = pytest.importorskip("norse.torch")
sinabs_nir = pytest.importorskip("sinabs.nir")
exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange")

import nir  # noqa: E402
from sinabs import layers as sinabs  # noqa: E402
from sinabs.activation import MembraneReset, SingleSpike  # noqa: E402
from spikingjelly.activation_based import neuron as jelly  # noqa: E402

STEPS, BATCH, DT = 60, 2, 1e-4
N = 5
pytestmark = pytest.mark.filterwarnings("ignore")
logging.disable(logging.WARNING)


@pytest.fixture(autouse=True, params=range(3))
def seeded(request):
    torch.manual_seed(request.param)


def trains(*shape):
    return (torch.rand(STEPS, BATCH, *shape) < 0.3).float()


def loop(net, x):
    """Run step by step; some networks take and give their state."""
    out, state = [], None
    with torch.no_grad():
        for step in x:
            result = net(step) if state is None else net(step, state)
            spikes, state = result if isinstance(result, tuple) else (result, None)
            out.append(spikes)
    return torch.stack(out)


def assert_same(ours, theirs):
    assert 0.005 < ours.mean() < 0.6, f"fires in {ours.mean():.1%} of the steps"
    assert ours.shape == theirs.shape and (ours != theirs).sum() == 0


# From here to there --------------------------------------------------------------------------

HARD = {"reset_mechanism": "zero", "init_hidden": True}


def dense(*layers):
    net = nn.Sequential(nn.Linear(6, N), *layers)
    with torch.no_grad():
        net[0].weight *= 3
    return net


def convolutional(**pool):
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), snn.Leaky(0.9, 0.4, **HARD), nn.AvgPool2d(2, **pool), nn.Flatten(),
        nn.Linear(27, N), snn.Leaky(0.8, 0.3, **HARD),
    )  # fmt: skip


NETS = {
    "Leaky": lambda: dense(snn.Leaky(0.9, **HARD)),
    "Leaky, two layers": lambda: dense(
        snn.Leaky(0.9, **HARD), nn.Linear(N, N), snn.Leaky(0.7, 0.3, **HARD)
    ),
    "Leaky without leak": lambda: dense(snn.Leaky(1.0, **HARD)),
    "Synaptic": lambda: dense(snn.Synaptic(0.5, 0.8, reset_delay=False, **HARD)),
}


@pytest.mark.parametrize("net", NETS)
def test_to_spikingjelly(net):
    net, x = NETS[net](), trains(6)
    graph = snn.export_to_nir(net, x[0], dt=DT)
    assert_same(snn.unroll(net, x), loop(exchange.import_from_nir(graph, dt=DT), x))


@pytest.mark.parametrize("net", NETS)
def test_to_norse(net):
    net, x = NETS[net](), trains(6)
    graph = snn.export_to_nir(net, x[0], dt=DT, unit_r=True)
    assert_same(snn.unroll(net, x), loop(norse.from_nir(graph, dt=DT), x))


def test_images_to_spikingjelly():
    net, x = convolutional(), trains(1, 8, 8)
    graph = snn.export_to_nir(net, x[0], dt=DT)
    assert_same(snn.unroll(net, x), loop(exchange.import_from_nir(graph, dt=DT), x))


def test_images_to_norse_sample_by_sample_with_pooling_that_sums():
    net, x = convolutional(divisor_override=1), trains(1, 8, 8)
    graph = snn.export_to_nir(net, x[0], dt=DT, unit_r=True)
    each = [loop(norse.from_nir(copy.deepcopy(graph), dt=DT), x[:, i]) for i in range(BATCH)]
    assert_same(snn.unroll(net, x), torch.stack(each, dim=1))


# From there to here --------------------------------------------------------------------------


def here(graph, x):
    return snn.unroll(snn.import_from_nir(graph, init_hidden=True, dt=DT), x)


@pytest.mark.parametrize(
    "neuron",
    [
        lambda: jelly.LIFNode(tau=3.0, v_threshold=0.7, v_reset=0.0),
        lambda: jelly.LIFNode(tau=10.0, decay_input=False, v_reset=0.0),
        lambda: jelly.ParametricLIFNode(init_tau=4.0, v_threshold=0.7),
        lambda: jelly.CUBALIFNode(c_decay=0.5, v_decay=0.8),
        lambda: jelly.IFNode(v_threshold=0.9),
    ],
    ids=["LIF", "LIF without decay of the input", "ParametricLIF", "CUBALIF", "IF"],
)
def test_from_spikingjelly(neuron):
    net, x = dense(neuron()), trains(6)
    graph = exchange.export_to_nir(net, x[0], dt=DT)
    net[1].reset()
    assert_same(here(graph, x), loop(net, x))


def test_from_spikingjelly_which_starts_at_v_reset():
    net, x = dense(jelly.LIFNode(tau=2.0, v_threshold=0.3, v_reset=-0.2)), trains(6)
    graph = exchange.export_to_nir(net, x[0], dt=DT)
    ours = snn.import_from_nir(graph, init_hidden=True, dt=DT)
    ours[1].mem_0.fill_(0.0)  # counted from v_reset
    net[1].reset()
    assert_same(snn.unroll(ours, x), loop(net, x))


def box(**kwargs):
    values = {"tau_mem_inv": torch.full((N,), 1000.0), "v_leak": torch.zeros(N),
              "v_th": torch.linspace(0.1, 0.3, N), "v_reset": torch.zeros(N)}  # fmt: skip
    return norse.LIFBoxCell(norse.LIFBoxParameters(**{**values, **kwargs}), dt=DT)


@pytest.mark.parametrize(
    "neuron",
    [
        box,
        lambda: norse.IAFCell(norse.IAFParameters(v_th=torch.tensor(0.9))),
    ],
    ids=["LIFBox", "IAF"],
)
def test_from_norse(neuron):
    cell, x = neuron(), trains(6)
    net = norse.SequentialState(dense()[0], cell)
    graph = norse.to_nir(net, x[0], dt=1.0)  # time constants in seconds
    assert_same(here(graph, x), loop(net, x))


def test_from_norse_which_starts_at_v_leak():
    cell, x = box(v_leak=torch.full((N,), 0.05)), trains(6)
    net = norse.SequentialState(dense()[0], cell)
    ours = snn.import_from_nir(norse.to_nir(net, x[0], dt=1.0), init_hidden=True, dt=DT)
    ours[1].mem_0.fill_(0.05)
    assert_same(snn.unroll(ours, x), loop(net, x))


def test_from_sinabs():
    fire = {"spike_fn": SingleSpike, "reset_fn": MembraneReset()}
    net = nn.Sequential(dense()[0], sinabs.IAF(torch.linspace(0.6, 1.3, N), **fire))
    x = trains(6)
    graph = sinabs_nir.to_nir(net, x.transpose(0, 1))
    net[1].reset_states()
    with torch.no_grad():
        theirs = net(x.transpose(0, 1)).transpose(0, 1)
    assert_same(here(graph, x), theirs)


# What is at fault there ----------------------------------------------------------------------


def one(value):
    return np.full(1, value, dtype=np.float32)


def test_norse_ignores_r():
    node = nir.LIF(one(1e-3), one(10), one(0), one(0.5), one(0))  # one input is above 0.5
    graph = nir.NIRGraph.from_list(nir.Linear(one(1)[None]), node)
    x = torch.ones(1, 1, 1)
    assert here(copy.deepcopy(graph), x).item() == 1
    assert loop(norse.from_nir(graph, dt=DT), x).item() == 0


@pytest.mark.parametrize(
    "reader", [norse.from_nir, lambda graph: sinabs_nir.from_nir(graph, batch_size=1)]
)
def test_norse_and_sinabs_leave_out_average_pooling(reader):
    kernel = nir.Conv2d((4, 4), np.ones((1, 1, 1, 1), np.float32), 1, 0, 1, 1, one(0))
    two, zero = np.array([2, 2]), np.array([0, 0])
    out = {}
    for pool in (nir.AvgPool2d, nir.SumPool2d):
        graph = nir.NIRGraph.from_list(copy.deepcopy(kernel), pool(two, two, zero))
        out[pool] = tuple(loop(reader(graph), torch.ones(1, 1, 1, 4, 4)).shape[-2:])
    assert out == {nir.AvgPool2d: (4, 4), nir.SumPool2d: (2, 2)}


def test_norse_flattens_the_batch():
    kernel = nir.Conv2d((2, 2), np.ones((1, 1, 1, 1), np.float32), 1, 0, 1, 1, one(0))
    graph = nir.NIRGraph.from_list(kernel, nir.Flatten({"input": np.array([1, 2, 2])}, 0, -1))
    assert loop(norse.from_nir(graph), torch.ones(1, 3, 1, 2, 2)).shape == (1, 12)


def test_norse_does_not_write_v_reset():
    cell = box(v_reset=torch.full((N,), -0.1))
    graph = norse.to_nir(norse.SequentialState(dense()[0], cell), trains(6)[0], dt=1.0)
    assert np.all(graph.nodes["1"].v_reset == 0)


def test_sinabs_does_not_write_that_it_subtracts():
    net = nn.Sequential(dense()[0], sinabs.IAF(torch.ones(N)))
    graph = sinabs_nir.to_nir(net, trains(6).transpose(0, 1))
    assert graph.nodes["1"].metadata == {} and np.all(np.asarray(graph.nodes["1"].v_reset) == 0)


def test_spikingjelly_and_sinabs_fire_at_the_threshold():
    x = torch.ones(1, 1, 1)
    graph = nir.NIRGraph.from_list(nir.Linear(one(1)[None]), nir.IF(one(1 / DT), one(1), one(0)))
    assert here(copy.deepcopy(graph), x).item() == 0
    assert loop(exchange.import_from_nir(copy.deepcopy(graph), dt=DT), x).item() == 1


def test_sinabs_reads_time_constants_in_steps():
    node = nir.LIF(one(1e-3), one(1), one(0), one(0.5), one(0))
    net = sinabs_nir.from_nir(nir.NIRGraph.from_list(nir.Linear(one(1)[None]), node), batch_size=1)
    (leaky,) = (m for m in net.modules() if hasattr(m, "tau_mem"))
    assert leaky.tau_mem.item() == pytest.approx(1e-3)  # of a step: no memory at all
