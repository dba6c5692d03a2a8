"""How networks imported from NIR are called, and how recurrence is exported."""

import nir
import numpy as np
import pytest
import torch
from torch import nn

import snntorch as snn
from snntorch import utils
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir

ONE = np.ones(1)


def imported():
    """A neuron with beta = 0.5, an input gain of 1, a threshold of 1 and a reset to 0."""
    affine = nir.Affine(np.ones((1, 1)), np.zeros(1))
    return import_from_nir(
        nir.NIRGraph.from_list(affine, nir.LIF(ONE * 2e-4, ONE * 2, ONE * 0, ONE))
    )


X = torch.full((4, 1, 1), 0.8)
# The membrane is 0.8, 1.2 (fires, and is reset to 0), 0.8, 1.2.
SPIKES = [0, 1, 0, 1]


def loop(net, state=None):
    spikes = []
    for x in X:
        out, state = net(x, state)
        spikes.append(out.item())
    return spikes, state


def test_the_state_goes_from_call_to_call():
    net = imported()
    out, state = net(X[0])
    spikes = [out.item()]
    for x in X[1:]:
        out, state = net(x, state)
        spikes.append(out.item())
    assert spikes == SPIKES


def test_the_state_may_be_none_or_empty_and_passed_by_name():
    net = imported()
    for first in (None, {}, dict.fromkeys(("input", "affine", "lif", "output"))):
        utils.reset(net)
        assert loop(net, first)[0] == SPIKES
    utils.reset(net)
    out, state = net(input=X[0], state=None)
    assert [out.item(), net(X[1], state=state)[0].item()] == SPIKES[:2]


def test_without_a_state_the_network_goes_on_too():
    net = imported()
    assert [net(x)[0].item() for x in X] == SPIKES
    assert net(X[0] * 0.6)[0].item() == 0
    assert net.lif.mem.item() == pytest.approx(0.48)


def test_a_reset_counts_more_than_the_last_state():
    net = imported()
    _, state = net(X[0])
    utils.reset(net)
    assert loop(net, state)[0] == SPIKES


@pytest.mark.filterwarnings("ignore:Leaky. state mem of shape")
def test_another_batch_size_starts_anew():
    net = imported()
    _, state = net(X[0])
    out, state = net(torch.full((2, 1), 0.8), state)
    assert out.tolist() == [[0], [0]]
    assert net(torch.full((2, 1), 0.8), state)[0].tolist() == [[1], [1]]


def test_training_goes_on_with_the_last_state_after_a_detachment():
    net, state = imported(), None
    for _ in range(2):
        membranes = []
        for x in X[:3]:
            _, state = net(x, state)
            membranes.append(net.lif.mem)
        sum(membranes).sum().backward()
        snn.Leaky.detach_hidden()
    assert net.affine.weight.grad.abs().item() > 1


def test_layers_have_the_names_of_the_nodes():
    net = imported()
    assert [name for name, _ in net.named_children()] == ["affine", "lif"]
    assert set(net.state_dict()) == {
        "affine.weight",
        "affine.bias",
        "lif.beta",
        "lif.threshold",
        "lif.graded_spikes_factor",
        "lif.reset_mechanism_val",
    }
    assert type(net.lif) is snn.Leaky and net.lif.init_hidden
    net.load_state_dict(imported().state_dict())


def recurrent(cls, **kwargs):
    alpha = {"alpha": torch.full((3,), 0.5)} if cls is snn.RSynaptic else {}
    beta, threshold = torch.full((3,), 0.8), torch.ones(3)
    neuron = cls(**alpha, beta=beta, threshold=threshold, init_hidden=True, **kwargs)
    return nn.Sequential(nn.Linear(4, 3), neuron)


EDGES = {
    ("input", "0"),
    ("0", "1.lif"),
    ("1.lif", "1.w_rec"),
    ("1.w_rec", "1.lif"),
    ("1.lif", "output"),
}
KINDS = {snn.RLeaky: nir.LIF, snn.RSynaptic: nir.CubaLIF}


@pytest.mark.filterwarnings("ignore:a reader")
@pytest.mark.parametrize("cls", KINDS)
def test_one_to_one_recurrence_is_a_diagonal(cls):
    V = torch.tensor([0.25, -0.5, 2.0])
    graph = export_to_nir(recurrent(cls, all_to_all=False, V=V), torch.zeros(1, 4), ignore_dims=[0])
    assert set(graph.nodes) == {"input", "0", "1.lif", "1.w_rec", "output"}
    assert set(graph.edges) == EDGES and len(graph.edges) == len(EDGES)
    assert type(graph.nodes["1.lif"]) is KINDS[cls]
    assert type(graph.nodes["1.w_rec"]) is nir.Linear
    expected = [[0.25, 0, 0], [0, -0.5, 0], [0, 0, 2]]
    assert np.asarray(graph.nodes["1.w_rec"].weight).tolist() == expected


@pytest.mark.filterwarnings("ignore:a reader")
@pytest.mark.parametrize("cls", KINDS)
def test_recurrence_from_all_to_all_is_an_affine(cls):
    net = recurrent(cls, linear_features=3)
    graph = export_to_nir(net, torch.zeros(1, 4), ignore_dims=[0])
    assert set(graph.edges) == EDGES and len(graph.edges) == len(EDGES)
    weight = graph.nodes["1.w_rec"]
    assert type(weight) is nir.Affine and type(graph.nodes["1.lif"]) is KINDS[cls]
    np.testing.assert_array_equal(weight.weight, net[1].recurrent.weight.detach())
    np.testing.assert_array_equal(weight.bias, net[1].recurrent.bias.detach())
