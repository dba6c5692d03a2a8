"""Neurons inside what others make of a module: tracers, functional transforms, parametrizations,
quantized tensors, and files of earlier releases."""

import copy
import warnings
from typing import NamedTuple

import pytest
import torch
from releases import needs_2_5
from torch import nn
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.nn.utils import parametrize

import snntorch as snn
from snntorch import surrogate, utils

# Tracers ---------------------------------------------------------------------------------------

# torch announces the end of torch.jit, and tells of Python values in a trace.
tracer_warnings = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::torch.jit.TracerWarning",
    "ignore:.*assigned during export",
)


def traced(net, x):
    return torch.jit.trace(net, x, check_trace=False)


def exported(net, x):
    return torch.export.export(net, (x,)).module()


recorders = pytest.mark.parametrize("record", [traced, pytest.param(exported, marks=needs_2_5)])


class Loop(nn.Module):
    """A loop over time that resets its neuron first."""

    def __init__(self, neuron):
        super().__init__()
        self.neuron = neuron

    def forward(self, x):
        utils.reset(self)
        return torch.stack([self.neuron(x[t]) for t in range(3)])


@tracer_warnings
@recorders
def test_a_recorded_graph_that_forgets_warns(model, record):
    neuron, x = model.make(init_hidden=True).eval(), model.input(3)
    with pytest.warns(UserWarning, match=rf"{model.cls}: the recorded graph has no memory"):
        record(neuron, x)


@tracer_warnings
@recorders
@pytest.mark.parametrize("make", [Loop, snn.Unroll])
def test_a_recorded_sequence_forgets_nothing(model, record, make):
    net, x = make(model.make(init_hidden=True).eval()), model.input(3, 2)
    with torch.no_grad():
        want = net(x)
        recorded = record(net, x)
        for _ in range(2):
            torch.testing.assert_close(recorded(x), want)


@tracer_warnings
@recorders
def test_a_recorded_step_with_explicit_states_forgets_nothing(record):
    # Halves and quarters, which a recorder that fuses operations rounds no other way.
    lif, x = snn.Leaky(0.5), torch.arange(12.0).reshape(3, 4) / 4
    given = (x, torch.rand(3, 4))
    recorded = (
        torch.jit.trace(lif, given, check_trace=False)
        if record is traced
        else torch.export.export(lif, given).module()
    )
    mem = want = torch.zeros(3, 4)
    for _ in range(3):
        (_, mem), (_, want) = recorded(x, mem), lif(x, want)
    assert torch.equal(mem, want)


# Functional transforms -------------------------------------------------------------------------


def loss(net, parameters, x):
    return sum(out.sum() for out in functional_call(net, parameters, (x,)))


TRANSFORMS = {
    "vmap": lambda net, p, x: vmap(lambda a: functional_call(net, p, (a[None],))[0])(x),
    "grad": lambda net, p, x: grad(lambda p: loss(net, p, x))(p),
    "vmap of grad": lambda net, p, x: vmap(
        grad(lambda p, a: loss(net, p, a[None])), in_dims=(None, 0)
    )(p, x),
    "jacrev": lambda net, p, x: jacrev(lambda a: functional_call(net, p, (a,))[0].sum())(x),
    "jvp": lambda net, p, x: jvp(lambda a: functional_call(net, p, (a,))[0], (x,), (x,)),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own jvp
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_after_a_transform_a_neuron_is_as_before(model, transform):
    """It keeps no tensor that died with the transform."""
    neuron, x = model.make(init_hidden=True, output=True, learn_threshold=True), model.input(6)
    parameters = dict(neuron.named_parameters())
    TRANSFORMS[transform](neuron, parameters, x)
    with warnings.catch_warnings():  # a single sample has another shape
        warnings.simplefilter("ignore", UserWarning)
        got = neuron(x)
    assert all(each.isfinite().all() for each in got)
    utils.reset(neuron)
    TRANSFORMS[transform](neuron, parameters, x)
    neuron.double()
    utils.reset(neuron)
    got = neuron(x.double())
    utils.reset(neuron)
    assert all(map(torch.equal, got, neuron(x.double())))


def test_states_carry_on_inside_vmap():
    lif, x = snn.Leaky(0.5, init_hidden=True, output=True), torch.rand(5, 3, 4)

    def twice(x):
        lif(x)
        return lif(x)[1]

    utils.reset(lif)
    got = vmap(twice)(x)
    assert not lif.mem.numel()
    torch.testing.assert_close(got, twice(x))


# Parametrizations, copies ----------------------------------------------------------------------


class Sigmoid(nn.Module):
    def forward(self, raw):
        return torch.sigmoid(raw)


def test_copies_of_a_parametrized_neuron_start_at_rest(model):
    neuron = model.make(init_hidden=True, output=True, learn_threshold=True)
    parametrize.register_parametrization(neuron, "threshold", Sigmoid())
    x = model.input(3)
    want = neuron(x)
    for _ in range(2):
        neuron(x)  # with a graph, which cannot be copied
    twin = copy.deepcopy(neuron)
    assert twin.mem.shape == (0,) and twin in list(snn.SpikingNeuron.instances)
    assert all(map(torch.equal, twin(x), want))


@pytest.mark.parametrize("cls", [snn.DeltaLeaky, snn.StateLeaky])
def test_a_subclass_is_parametrized_and_copied_likewise(cls):
    class User(cls):
        pass

    kwargs = {"channels": 4} if cls is snn.StateLeaky else {}
    neuron = User(beta=0.9, learn_threshold=True, **kwargs)
    parametrize.register_parametrization(neuron, "threshold", Sigmoid())
    x = torch.rand(5, 3, 4)
    want = neuron(x)
    neuron(x)
    got = copy.deepcopy(neuron)(x)
    assert torch.equal(got[0], want[0])


# Quantized tensors of brevitas -----------------------------------------------------------------


class QuantTensor(NamedTuple):
    value: torch.Tensor
    scale: torch.Tensor


def test_the_value_of_a_quantized_tensor_is_taken(model):
    neuron, x = model.make(), model.input(3)
    got = neuron(QuantTensor(x, torch.ones(())))
    utils.reset(neuron)
    assert all(map(torch.equal, got, neuron(x)))


# Names -----------------------------------------------------------------------------------------


def test_the_package_of_neurons_has_all_classes():
    names = set(snn._neurons.__all__)
    assert names == {name for name in snn.__all__ if hasattr(snn._neurons, name)}
    assert {"Leaky", "SLSTM", "LIF", "SpikingNeuron", "AssociativeLeaky"} <= names
    assert all(getattr(snn._neurons, name) is getattr(snn, name) for name in names)


# Messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [surrogate.fast_sigmoid, surrogate.FastSigmoid, "fast_sigmoid", surrogate.fast_sigmoid()],
)
def test_a_surrogate_may_be_set_later(given):
    lif, x = snn.Leaky(0.9), torch.rand(3, 4, requires_grad=True)
    lif.spike_grad = given
    want = snn.Leaky(0.9, spike_grad=surrogate.fast_sigmoid())
    grads = [torch.autograd.grad(neuron(x)[0].sum(), x)[0] for neuron in (lif, want)]
    assert torch.equal(*grads) and grads[0].any()
    with pytest.raises(ValueError, match="spike_grad='fast'"):
        lif.spike_grad = "fast"


def test_one_neuron_for_two_layers_is_told():
    lif = snn.Leaky(0.9, init_hidden=True)
    lif(torch.rand(2, 6))
    with pytest.warns(UserWarning, match=r"\(2, 6\).*\(2, 3\).*give each layer a separate neuron"):
        lif(torch.rand(2, 3))


def test_files_of_earlier_releases_hold_states():
    lif = snn.Leaky(0.9)
    file = {**lif.state_dict(), "mem": torch.zeros(128, 5)}
    with pytest.warns(UserWarning, match="Leaky: mem of the state_dict is not loaded"):
        lif.load_state_dict(file)
    assert lif.mem.shape == (0,)


def test_a_broken_reset_mechanism_is_refused_before_anything_is_loaded():
    lif = snn.Leaky(0.9)
    file = {**lif.state_dict(), "reset_mechanism_val": torch.tensor(7), "beta": torch.tensor(0.5)}
    with pytest.raises(ValueError, match=r"reset_mechanism_val=7 .* 0 \(subtract\), 1 \(zero\)"):
        lif.load_state_dict(file)
    assert lif.beta == torch.tensor(0.9) and lif.reset_mechanism == "subtract"


def test_tracers_that_cannot_read_a_neuron_are_told():
    net = nn.Sequential(nn.Linear(4, 5), snn.Leaky(0.9))
    with pytest.raises(TypeError, match=r"Leaky: torch\.fx\.symbolic_trace .*is_leaf_module"):
        torch.fx.symbolic_trace(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises(TypeError, match=r"Leaky: torch\.jit\.script cannot .* torch\.export"):
            torch.jit.script(net)


@pytest.mark.filterwarnings("ignore:.*nested tensors is in prototype")
def test_nested_tensors_are_refused():
    x = torch.nested.nested_tensor([torch.rand(3, 4), torch.rand(5, 4)])
    with pytest.raises(TypeError, match=r"nested tensor; pad"):
        snn.unroll(snn.Leaky(0.9), x)
    with pytest.raises(TypeError, match=r"Leaky: the input is nested"):
        snn.Leaky(0.9)(x)
