"""Monitors, against recordings of 1.0.0 and a loop that keeps everything itself."""

import copy
import json
import pickle
import warnings

import numpy as np
import pytest
import torch
from project import TESTS
from torch import nn

import snntorch as snn
from snntorch import utils
from snntorch.functional import probe

GOLDEN = np.load(TESTS / "golden" / "plasticity.npz")
ENTRIES = {
    k: meta for k, meta in enumerate(json.loads(str(GOLDEN["meta"]))) if meta["kind"] == "monitor"
}
MONITORS = {
    "OutputMonitor": (),
    "InputMonitor": (),
    "AttributeMonitor": ("mem", False),
    "GradOutputMonitor": (),
    "GradInputMonitor": (),
}


def network(**kwargs):
    """A nested network of which every part has something to record, as the recorder makes it."""
    inner = nn.Sequential(
        nn.Linear(4, 3), snn.Leaky(0.7, init_hidden=True, threshold=0.2, **kwargs)
    )
    return nn.Sequential(nn.Linear(5, 4), snn.Leaky(0.8, init_hidden=True, threshold=0.3), inner)


def monitor(name, net, *instance, **kwargs):
    return getattr(probe, name)(*MONITORS[name], net, *instance, **kwargs)


def run(net, x):
    """Go through the steps, forward and backward."""
    utils.reset(net)
    out = torch.stack([net(x_t) for x_t in x])
    (out * torch.arange(1.0, 4.0)).sum().backward()


def test_the_recording_covers_every_monitor():
    assert [meta["monitor"] for meta in ENTRIES.values()] == list(MONITORS)
    assert {*MONITORS, "BaseMonitor", "unpack_len1_tuple"} == set(probe.__all__)


@pytest.mark.parametrize("unrolled", [False, True])
@pytest.mark.parametrize("k", ENTRIES)
def test_recorded_monitors(k, unrolled):
    net = network()
    prefix = f"{k}:p:"
    net.load_state_dict(
        {n.removeprefix(prefix): torch.tensor(GOLDEN[n]) for n in GOLDEN if n.startswith(prefix)}
    )
    mon = getattr(probe, ENTRIES[k]["monitor"])(*ENTRIES[k]["args"], net, snn.Leaky)
    x = torch.tensor(GOLDEN[f"{k}:in"])
    if unrolled:
        out = snn.unroll(net, x)
        (out * torch.arange(1.0, 4.0)).sum().backward()
    else:
        run(net, x)
    index = ENTRIES[k]["index"]
    assert mon.monitored_layers == ["1", "2.1"]
    for name in mon.monitored_layers:
        assert len(mon[name]) == 4
        for record, i in zip(mon[name], index[name], strict=True):
            expected = torch.tensor(GOLDEN[f"{k}:r:{i}"])
            torch.testing.assert_close(record.detach(), expected, rtol=1e-5, atol=1e-6)
    if not unrolled:
        assert mon.name_records_index == index


def test_which_layers_are_monitored():
    net = network()
    for instance, names in (
        (nn.Linear, ["0", "2.0"]),
        ((nn.Linear, snn.Leaky), ["0", "1", "2.0", "2.1"]),
        (nn.Linear | snn.Leaky, ["0", "1", "2.0", "2.1"]),
        (snn.LIF, ["1", "2.1"]),
        (None, ["", "2"]),  # the type of the network
        (nn.Conv2d, []),
    ):
        assert probe.OutputMonitor(net, instance).monitored_layers == names
    assert probe.OutputMonitor(net[2][1]).monitored_layers == [""]


def test_records_in_order_and_by_name():
    net, x = network(), torch.rand(2, 2, 5)
    mon = probe.OutputMonitor(net, nn.Linear, lambda out: out.shape[-1])
    run(net, x)
    assert mon.records == [4, 3, 4, 3]
    assert mon["0"] == [4, 4] and mon["2.0"] == [3, 3]
    assert mon[1] == mon[np.int64(1)] == 3 and mon[-2] == 4 and mon[1:3] == [3, 4]
    assert mon.name_records_index == {"0": [0, 2], "2.0": [1, 3]}
    with pytest.raises(KeyError, match=r"no layer 'fc' is monitored; .*'2.0'"):
        mon["fc"]


@pytest.mark.parametrize("name", MONITORS)
def test_life_of_a_monitor(name):
    net, x = network(), torch.rand(3, 2, 5)
    mon = monitor(name, net, snn.Leaky)
    assert mon.is_enable()
    run(net, x)
    assert len(mon.records) == 6
    mon.disable()
    assert not mon.is_enable()
    run(net, x)
    assert len(mon.records) == 6
    mon.enable()
    run(net, x)
    assert len(mon["1"]) == len(mon["2.1"]) == 6
    mon.clear_recorded_data()
    assert mon.records == [] and mon["1"] == []
    run(net, x)
    assert len(mon["1"]) == 3 and len(mon.records) == 6
    mon.remove_hooks()
    run(net, x)
    assert len(mon.records) == 6 and mon.hooks == []
    assert not any(m._forward_hooks or m._backward_hooks for m in net.modules())


@pytest.mark.parametrize("name", MONITORS)
def test_the_function_makes_the_record(name):
    net, x = network(), torch.rand(3, 2, 5)
    plain, made = monitor(name, net, snn.Leaky), None
    which = name.removesuffix("Monitor").replace("Grad", "grad_").lower()
    key = f"function_on_{which}"
    made = monitor(name, net, snn.Leaky, **{key: lambda value: 2 * value.detach().sum()})
    run(net, x)
    assert getattr(made, key) is not getattr(plain, key)
    expected = [2 * record.detach().sum() for record in plain.records]
    assert any(expected) and made.records == expected
    assert not any(record.requires_grad for record in made.records)


def test_attributes_before_and_after_the_call():
    lif = snn.Leaky(0.5, init_hidden=True, reset_mechanism="none")
    before = probe.AttributeMonitor("mem", True, lif)
    after = probe.AttributeMonitor("mem", False, lif)
    inputs = [torch.tensor([[value]]) for value in (1.0, 2.0, 4.0)]
    for x in inputs:
        lif(x)
    assert [mem.item() for mem in after[""]] == [1.0, 2.5, 5.25]
    assert [mem.item() for mem in before[""][1:]] == [1.0, 2.5]
    assert not before[0].any()
    weight = probe.AttributeMonitor("beta", True, nn.Sequential(lif), snn.Leaky, float)
    lif(inputs[0])
    assert weight["0"] == [0.5]


@pytest.mark.parametrize("unrolled", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: snn.Leaky(0.5, init_hidden=True),
        lambda: snn.Synaptic(0.5, 0.5, init_hidden=True),
        lambda: snn.SLSTM(4, 3, init_hidden=True),
        lambda: snn.Leaky(0.5),
    ],
)
def test_states_before_the_calls_are_zeros_and_then_those_after_the_last(make, unrolled):
    lif, x = make(), torch.rand(6, 2, 4)
    before, after = (probe.AttributeMonitor("mem", pre, lif) for pre in (True, False))
    if unrolled:
        snn.unroll(lif, x)
    else:
        for x_t in x:
            lif(x_t)
    mem = torch.stack(after[""])
    assert mem.abs().max() > 0.01
    assert torch.equal(torch.stack(before[""]), torch.cat([torch.zeros_like(mem[:1]), mem[:-1]]))


def test_a_state_that_is_set_before_the_first_call_is_recorded():
    lif = snn.Leaky(0.5, init_hidden=True)
    monitor = probe.AttributeMonitor("mem", True, lif)
    lif.mem = torch.tensor(0.25)
    lif(torch.zeros(1, 2))
    assert monitor[0].tolist() == [[0.25, 0.25]]


def test_outputs_that_are_tuples():
    net = nn.Sequential(nn.Linear(3, 2), snn.Synaptic(0.9, 0.8, init_hidden=True, output=True))
    everything = probe.OutputMonitor(net, snn.Synaptic)
    spikes = probe.OutputMonitor(net, snn.Synaptic, lambda out: out[0])
    gradients = probe.GradOutputMonitor(net, snn.Synaptic)
    out = net(torch.rand(4, 3))
    assert len(everything[0]) == 3
    for record, value in zip(everything[0], out, strict=True):
        assert torch.equal(record, value)
    assert torch.equal(spikes[0], out[0])
    out[2].sum().backward()
    assert gradients[0][:2] == (None, None) and torch.equal(gradients[0][2], torch.ones(4, 2))


def test_states_as_arguments():
    lif, fc = snn.Leaky(0.5), nn.Linear(3, 2)
    given, got = probe.InputMonitor(lif), probe.OutputMonitor(lif)
    gradients = probe.GradInputMonitor(lif)
    x = fc(torch.rand(4, 3))
    _, first = lif(x, lif.init_leaky())
    spk, second = lif(x, first)
    for record, expected in zip(given[1] + got[1], (x, first, spk, second), strict=True):
        assert torch.equal(record, expected)
    second.sum().backward()
    # No neuron has fired, and d mem_2 / d mem_1 = beta.
    assert not got[0][0].any()
    torch.testing.assert_close(gradients[0], (torch.ones(4, 2), torch.full((4, 2), 0.5)))


def test_arguments_by_name():
    lif, x, mem = snn.Leaky(0.5), torch.rand(4, 2), torch.rand(4, 2)
    given = probe.InputMonitor(lif)
    lif(x, mem=mem)
    lif(input_=x)
    assert torch.equal(given[0][0], x) and torch.equal(given[0][1], mem)
    assert torch.equal(given[1], x)


def test_unpack_len1_tuple():
    assert probe.unpack_len1_tuple((3,)) == 3
    assert probe.unpack_len1_tuple((3, 4)) == (3, 4)
    assert probe.unpack_len1_tuple([3]) == [3]


@pytest.mark.parametrize("name", MONITORS)
def test_monitoring_changes_nothing(name):
    net, x = network(), torch.rand(4, 2, 5, requires_grad=True)
    run(net, x)
    expected = [x.grad.clone(), *(p.grad.clone() for p in net.parameters())]
    for tensor in (x, *net.parameters()):
        tensor.grad = None
    monitor(name, net, snn.Leaky)
    run(net, x)
    for tensor, grad in zip((x, *net.parameters()), expected, strict=True):
        torch.testing.assert_close(tensor.grad, grad)


def test_a_copy_records_to_the_same_monitor():
    net = network()
    mon = probe.OutputMonitor(net, nn.Linear)
    net(torch.rand(2, 5))
    copy.deepcopy(net)(torch.rand(2, 5))
    assert len(mon.records) == 4
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(net)
    mon.remove_hooks()
    assert len(pickle.loads(pickle.dumps(net))) == 3


def test_gradient_of_data_is_none():
    fc = nn.Linear(3, 2)
    mon = probe.GradInputMonitor(fc)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that no input needs a gradient
        fc(torch.ones(1, 3)).sum().backward()
    assert mon.records == [None]


@pytest.mark.parametrize("name", MONITORS)
def test_wrong_arguments(name):
    with pytest.raises(TypeError, match="net is a list; expected a module"):
        monitor(name, [nn.Linear(3, 2)])
    for instance in ("0", ["0"], (nn.Linear, "0"), nn.Linear(3, 2)):
        with pytest.raises(TypeError, match=r"instance is .*; expected a type of layers"):
            monitor(name, network(), instance)
    which = name.removesuffix("Monitor").replace("Grad", "grad_").lower()
    with pytest.raises(TypeError, match="the function of the monitor is 1; expected a callable"):
        monitor(name, network(), snn.Leaky, **{f"function_on_{which}": 1})


def test_a_monitor_of_ones_own():
    with pytest.raises(NotImplementedError, match="BaseMonitor does not define create_hook"):
        probe.BaseMonitor().create_hook("")


def test_an_attribute_that_is_missing():
    net = network()
    probe.AttributeMonitor("syn", False, net, snn.Leaky)
    with pytest.raises(AttributeError, match="syn"):
        net(torch.rand(2, 5))
