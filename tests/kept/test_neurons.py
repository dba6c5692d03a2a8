"""What code written for 1.0.0 does with neurons.

Every test passes on 1.0.0 too (with --noconftest); ``make compat-proof`` runs them there.
"""

import importlib
import math
import warnings

import pytest
import torch
from torch import nn

import snntorch as snn
from snntorch import utils

# How each step-wise neuron is made, its states in the order of the call, and its input's shape.
MODELS = {
    "Leaky": (lambda **kw: snn.Leaky(0.5, **kw), ["mem"], (3, 4)),
    "Lapicque": (lambda **kw: snn.Lapicque(0.5, **kw), ["mem"], (3, 4)),
    "Synaptic": (lambda **kw: snn.Synaptic(0.75, 0.5, **kw), ["syn", "mem"], (3, 4)),
    "Alpha": (lambda **kw: snn.Alpha(0.75, 0.5, **kw), ["syn_exc", "syn_inh", "mem"], (3, 4)),
    "RLeaky": (lambda **kw: snn.RLeaky(0.5, linear_features=4, **kw), ["spk", "mem"], (3, 4)),
    "RSynaptic": (
        lambda **kw: snn.RSynaptic(0.75, 0.5, linear_features=4, **kw),
        ["spk", "syn", "mem"],
        (3, 4),
    ),
    "SLSTM": (lambda **kw: snn.SLSTM(4, 4, **kw), ["syn", "mem"], (3, 4)),
    "SConv2dLSTM": (lambda **kw: snn.SConv2dLSTM(2, 2, 3, **kw), ["syn", "mem"], (3, 2, 4, 4)),
}
every_model = pytest.mark.parametrize("name", MODELS)


def make(name, **kwargs):
    torch.manual_seed(0)
    return MODELS[name][0](**kwargs)


def current(name, batch=3, seed=1):
    shape = (batch, *MODELS[name][2][1:])
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def init(neuron):
    states = getattr(neuron, f"init_{type(neuron).__name__.lower()}")()
    return states if isinstance(states, tuple) else (states,)


# Overridden parts of a step --------------------------------------------------------------------


class LinearLeak(snn.Leaky):
    def _base_state_function(self, input_):
        return (self.mem - self.beta + input_).clamp(min=0)


def test_an_overridden_update_is_what_a_step_calls():
    lif, x = LinearLeak(beta=0.1), torch.full((1, 1), 0.3)
    mem, trace = lif.reset_mem(), []
    for _ in range(6):
        _, mem = lif(x, mem)
        trace.append(mem)
    torch.testing.assert_close(
        torch.cat(trace).flatten(), torch.tensor([0.2, 0.4, 0.6, 0.8, 1, 1.2])
    )


def test_parameters_of_an_override_get_gradients():
    class Adaptive(snn.Synaptic):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.a = nn.Parameter(torch.tensor(0.5))

        def _base_state_function(self, input_):
            mem = 0.9 * self.mem + input_ - self.syn
            return 0.9 * self.syn + self.a * mem, mem

    neuron = Adaptive(alpha=0.9, beta=0.9, init_hidden=True, output=True)
    _, syn, _ = neuron(torch.ones(1, 1))
    syn.sum().backward()
    assert neuron.a.grad == 1  # the membrane


@every_model
def test_a_state_function_put_in_place(name):
    neuron = make(name)
    states = [f"set {state}" for state in MODELS[name][1] if state != "spk"]
    values = [torch.full_like(current(name), 2.0 + i) for i in range(len(states))]
    neuron.state_function = lambda input_: tuple(values) if len(values) > 1 else values[0]
    spk, *new = neuron(current(name))
    assert all(map(torch.equal, new[-len(values) :], values))
    assert torch.equal(spk, torch.ones_like(spk))


@every_model
def test_the_reset_signal_is_an_attribute(name):
    neuron, x = make(name, threshold=0.1), current(name)
    for _ in range(3):
        fired = (neuron.mem > neuron.threshold).float()
        neuron(x)
    assert torch.equal(neuron.reset, fired) and fired.any()


def test_a_call_written_for_1_0_0():
    class Own(snn.Leaky):
        def forward(self, input_, mem):
            self.mem = mem
            self.reset = self.mem_reset(self.mem)
            spk = self.fire(self.mem)
            self.mem = self.state_function(input_)
            return spk, self.mem

    spk, mem = Own(beta=0.9)(torch.ones(1, 1), torch.full((1, 1), 1.5))
    assert spk.item() == 1 and mem.item() == pytest.approx(0.9 * 1.5 + 1 - 1)


# A subclass's tensors --------------------------------------------------------------------------


@every_model
def test_a_subclass_holds_tensors_of_any_shape(name):
    neuron, x = make(name), current(name)
    want = neuron(x)
    other = make(name)
    other.register_buffer("history", torch.zeros(5, 1, 3), persistent=False)
    other.weight = nn.Parameter(torch.eye(7))
    assert all(map(torch.equal, other(x), want))


# Parameters given as arguments -----------------------------------------------------------------

GIVEN = {
    "Leaky beta": lambda p: snn.Leaky(p),
    "Leaky threshold": lambda p: snn.Leaky(0.9, threshold=p),
    "Leaky factor": lambda p: snn.Leaky(0.9, graded_spikes_factor=p),
    "Lapicque beta": lambda p: snn.Lapicque(p),
    "Lapicque R": lambda p: snn.Lapicque(R=p, C=2.0),
    "Lapicque C": lambda p: snn.Lapicque(R=2.0, C=p),
    "Synaptic alpha": lambda p: snn.Synaptic(p, 0.9),
    "Synaptic beta": lambda p: snn.Synaptic(0.9, p),
    "Alpha alpha": lambda p: snn.Alpha(p, 0.5, threshold=9),
    "Alpha beta": lambda p: snn.Alpha(0.9, p),
    "RLeaky beta": lambda p: snn.RLeaky(p, linear_features=4),
    "RSynaptic alpha": lambda p: snn.RSynaptic(p, 0.5, linear_features=4),
    "SLSTM threshold": lambda p: snn.SLSTM(4, 4, threshold=p),
}


@pytest.mark.parametrize("case", GIVEN)
@pytest.mark.parametrize("kind", [nn.Parameter, torch.Tensor.requires_grad_])
def test_a_given_parameter_is_used_and_trained(case, kind):
    torch.manual_seed(0)
    given = kind(torch.tensor(0.8))
    neuron = GIVEN[case](given)
    for _ in range(4):
        out = neuron(torch.full((2, 4), 0.3))
    sum(each.sum() for each in out).backward()
    assert given.grad is not None and given.grad != 0
    name = case.split()[1].replace("factor", "graded_spikes_factor")
    assert torch.equal(getattr(neuron, name), given)


def test_a_given_parameter_changes_with_its_owner():
    given = nn.Parameter(torch.tensor(0.8))
    lif = snn.Leaky(given, init_hidden=True, output=True)
    lif(torch.ones(1, 1))
    with torch.no_grad():
        given.fill_(0.1)
    assert lif(torch.ones(1, 1))[1].item() == pytest.approx(1.1)  # 1 did not fire


def test_a_given_parameter_is_listed_once():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.tau = nn.Parameter(torch.tensor(0.8))
            self.lif = snn.Leaky(self.tau)

    assert len(list(Net().parameters())) == 1


# Detaching in place ----------------------------------------------------------------------------


@every_model
def test_detach_works_in_place(name):
    neuron, x = make(name), current(name).requires_grad_()
    _, *states = neuron(x)
    assert all(state.requires_grad for state in states)
    neuron.detach(*states)
    assert not any(state.requires_grad for state in states)


# Initial states, and states after a reset ------------------------------------------------------


@every_model
def test_initial_states_have_a_dimension(name):
    neuron = make(name)
    for states in (init(neuron), [getattr(neuron, state) for state in MODELS[name][1]]):
        assert [tuple(state.shape) for state in states] == [(0,)] * len(MODELS[name][1])


@every_model
def test_after_a_reset_the_attributes_are_zeros_of_the_last_shape(name):
    neuron, x = make(name, init_hidden=True), current(name)
    neuron(x)
    shapes = [getattr(neuron, state).shape for state in MODELS[name][1]]
    utils.reset(nn.Sequential(neuron))
    found = [getattr(neuron, state) for state in MODELS[name][1]]
    if name != "RSynaptic":  # 1.0.0 forgets to reset its spk
        assert not any(state.any() for state in found)
    assert [state.shape for state in found] == shapes
    assert [state.shape for state in init(neuron)] == shapes


def written(how, lif):
    if how == "fill_":
        lif.mem.fill_(0.7)
    elif how == "init.constant_":
        nn.init.constant_(lif.mem, 0.7)
    elif how == "data":
        lif.mem.data = torch.full((3, 4), 0.7)
    else:
        lif.mem = torch.full((3, 4), 0.7)


@pytest.mark.parametrize(
    "how, called",
    # Before the first call there is nothing to fill.
    [
        ("fill_", 1),
        ("init.constant_", 1),
        ("data", 1),
        ("assigned", 1),
        ("data", 0),
        ("assigned", 0),
    ],
)
def test_what_is_written_into_the_state_counts(how, called):
    lif, zero = snn.Leaky(0.8, init_hidden=True, output=True), torch.zeros(3, 4)
    if called:
        lif(zero)
        utils.reset(lif)
    written(how, lif)
    torch.testing.assert_close(lif(zero)[1], torch.full((3, 4), 0.8 * 0.7))


# Kept states of another shape ------------------------------------------------------------------


@every_model
@pytest.mark.parametrize("first, then", [(1, 8), (8, 1), (8, 3)])
@pytest.mark.filterwarnings("ignore:.*starts anew")
def test_a_left_over_state_of_another_batch_starts_fresh(name, first, then):
    neuron = make(name, init_hidden=True, output=True)
    for _ in range(3):
        neuron(current(name, batch=first))
    x = current(name, batch=then, seed=2)
    assert all(map(torch.equal, neuron(x), make(name, init_hidden=True, output=True)(x)))


@pytest.mark.parametrize("first, then", [((4,), (8, 4)), ((3, 1), (3, 5)), ((2, 3), (2, 3, 3))])
@pytest.mark.filterwarnings("ignore:.*starts anew")
def test_a_left_over_state_that_would_broadcast_starts_fresh(first, then):
    lif = snn.Leaky(0.8, init_hidden=True, output=True)
    for _ in range(3):
        lif(torch.full(first, 0.9))
    assert torch.equal(lif(torch.full(then, 0.1))[1], torch.full(then, 0.1))


def test_initial_states_serve_smaller_and_larger_batches():
    lif = snn.Leaky(0.8)
    for batch in (8, 3, 9):
        mem = lif.init_leaky()
        for _ in range(2):
            _, mem = lif(torch.full((batch, 4), 0.5), mem)
        assert torch.equal(mem, torch.full((batch, 4), 0.9))


# The membrane as an attribute ------------------------------------------------------------------


@every_model
@pytest.mark.parametrize("hidden", [True, False])
def test_the_attribute_is_the_tensor_that_was_returned(name, hidden):
    neuron = make(name, init_hidden=hidden, output=hidden)
    out = neuron(current(name).requires_grad_())
    for state, returned in zip(MODELS[name][1][::-1], out[::-1], strict=False):
        assert getattr(neuron, state) is returned and returned.requires_grad


def test_a_loss_may_read_the_attribute():
    fc, lif = nn.Linear(4, 3), snn.Leaky(0.9)
    mem = lif.init_leaky()
    for x in torch.rand(5, 2, 4):
        spk, mem = lif(fc(x), mem)
    del spk, mem
    lif.mem.sum().backward()
    assert fc.weight.grad.any()


# Names of modules ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module, name",
    [
        ("_neurons", "Leaky"),
        ("_neurons", "SpikingNeuron"),
        ("_neurons", "LIF"),
        ("_neurons.neurons", "LIF"),
        ("_neurons.leaky", "Leaky"),
        ("_neurons.rleaky", "RecurrentOneToOne"),
        ("_neurons.rsynaptic", "RecurrentOneToOne"),
        ("_layers", "GradedSpikes"),
        ("_layers.bntt", "BatchNormTT1d"),
    ],
)
def test_modules_have_the_names_of_1_0_0(module, name):
    assert callable(getattr(importlib.import_module(f"snntorch.{module}"), name))


@pytest.mark.parametrize("name", ["neurons", "leaky", "alpha", "slstm", "bntt"])
def test_modules_are_attributes_of_the_package(name):
    assert getattr(snn, name).__name__.endswith(f".{name}")


# The list of instances -------------------------------------------------------------------------


def test_instances_are_a_list():
    snn.SpikingNeuron.init()
    a, b = snn.Leaky(0.9), snn.Synaptic(0.9, 0.8)
    instances = snn.SpikingNeuron.instances
    assert len(instances) == 2 and list(instances) == [a, b] and instances.index(b) == 1
    instances.remove(a)
    assert a not in instances and b in instances and instances[0] is b
    instances.append(a)
    assert instances.pop() is a
    instances.clear()
    assert len(instances) == 0
    snn.SpikingNeuron.instances = []
    c = snn.Leaky(0.9)
    assert snn.SpikingNeuron.instances == [c]
    snn.SpikingNeuron.init()
    assert len(snn.SpikingNeuron.instances) == 0


# Warnings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes, cls", [((3,), "StateLeaky"), ((2, 3), "LinearLeaky")])
def test_settings_of_spikes_without_spikes_warn(sizes, cls):
    text = "StateLeaky: spike-related settings are unused when output=False"
    for setting in (
        {"learn_threshold": True},
        {"spike_grad": snn.surrogate.atan()},
        {"surrogate_disable": True},
        {"graded_spikes_factor": 2.0},
        {"learn_graded_spikes_factor": True},
    ):
        with pytest.warns(UserWarning, match=text if cls == "StateLeaky" else text[10:]):
            getattr(snn, cls)(0.9, *sizes, output=False, **setting)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(snn, cls)(0.9, *sizes, output=False)
        getattr(snn, cls)(0.9, *sizes, learn_threshold=True)


# Numbers in a state_dict -----------------------------------------------------------------------


def test_numbers_load_whatever_their_type():
    file = snn.Leaky(1, threshold=2).state_dict()
    file = {name: torch.tensor(int(value)) for name, value in file.items()}
    lif = snn.Leaky(0.5)
    lif.load_state_dict(file)
    assert lif.beta == 1 and lif.threshold == 2


def test_a_decay_from_resistance_and_capacitance_has_a_dimension():
    assert snn.Lapicque(R=5, C=1e-3, time_step=1e-3).state_dict()["beta"].shape == (1,)
    assert snn.Lapicque(0.9, R=5.0).state_dict()["beta"].shape == ()


# What differential tests against 1.0.0 found -----------------------------------------------------


@pytest.mark.parametrize("size", [4, 20_000])
def test_firing_may_write_the_membrane(size):
    class HardReset(snn.Leaky):
        def fire(self, mem):
            spk = super().fire(mem)
            self.mem = self.mem * (1 - spk.detach())
            return spk

    lif = HardReset(beta=0.9)
    mem = lif.init_leaky()
    for fired in (0, 1, 0, 1):
        spk, mem = lif(torch.full((1, size), 0.6), mem)
        assert torch.equal(spk, torch.full_like(spk, fired))
        torch.testing.assert_close(mem, torch.full_like(mem, 0.6 * (1 - fired)))


@pytest.mark.parametrize("size", [4, 20_000])
@pytest.mark.parametrize("make", [lambda: snn.Leaky(0.9), lambda: snn.Synaptic(0.8, 0.9)])
def test_the_gradient_of_a_membrane_goes_through_its_spikes(make, size):
    neuron, x = make(), torch.full((1, size), 0.9, requires_grad=True)
    spk, *_, mem = neuron(x)
    (want,) = torch.autograd.grad(spk.sum(), mem, retain_graph=True)
    mem.retain_grad()
    spk.sum().backward()
    assert (want > 0.5).all() and torch.equal(mem.grad, want)


@pytest.mark.parametrize("mechanism", ["subtract", "zero"])
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize(
    "make, extra",
    [
        (lambda **kw: snn.Leaky(0.5, **kw), 0),
        (lambda **kw: snn.Synaptic(0.0, 0.5, **kw), 1),
        (lambda **kw: snn.RLeaky(0.5, V=0.0, all_to_all=False, **kw), 1),
    ],
    ids=["leaky", "synaptic", "rleaky"],
)
def test_the_gradient_goes_through_an_immediate_reset_alone(make, extra, mechanism, late):
    neuron = make(reset_mechanism=mechanism, reset_delay=late)
    x, zero = torch.full((1, 1), 1.2, requires_grad=True), torch.zeros(1, 1)
    spk, *_, mem = neuron(x, *[zero] * extra, zero)
    (slope,) = torch.autograd.grad(mem.sum(), x)
    surrogate = 1 / (1 + (math.pi * 0.2) ** 2)
    want = 1.0 if late else {"subtract": 1 - surrogate, "zero": -1.2 * surrogate}[mechanism]
    assert spk.item() == 1 and slope.item() == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize("size", [4, 20_000])
@pytest.mark.parametrize("owner", ["Leaky", "SpikingNeuron"])
def test_a_method_put_in_place_of_the_library_s(monkeypatch, owner, size):
    lif, x = snn.Leaky(0.9), torch.full((1, size), 0.5)
    assert not lif(x)[0].any()
    monkeypatch.setattr(getattr(snn, owner), "fire", lambda self, mem: (mem > 0.2).float())
    monkeypatch.setattr(getattr(snn, owner), "mem_reset", lambda self, mem: torch.zeros_like(mem))
    with torch.no_grad():
        for _ in range(4):
            spk, mem = lif(x)
    assert spk.all() and (mem > 1.7).all()  # was never reset


@pytest.mark.parametrize("what", ["beta", "threshold", "state"])
def test_doubles_of_parameters_and_states_do_not_reach_the_next_layer(what):
    many, x = torch.full((4,), 0.9, dtype=torch.float64), torch.rand(3, 4)
    given = {} if what == "state" else {what: many}
    lif = snn.Leaky(**{"beta": 0.9, **given})
    states = (torch.zeros(3, 4, dtype=torch.float64),) if what == "state" else ()
    assert nn.Linear(4, 2)(lif(x, *states)[0]).dtype == torch.float32


def test_going_on_after_inference_mode():
    lif = snn.Leaky(0.9, init_hidden=True, output=True)
    with torch.inference_mode():
        lif(torch.ones(5, 2))
    with torch.no_grad():
        assert lif(torch.ones(5, 2))[1].unique().item() == pytest.approx(1.9)
    with torch.inference_mode():
        lif(torch.ones(5, 2))
    lif.detach_hidden()
    fc = nn.Linear(2, 2)
    lif(fc(torch.ones(5, 2)))[1].sum().backward()
    assert fc.weight.grad.any()


def test_importing_everything_brings_torch_nn_and_surrogate():
    space = {}
    exec("from snntorch import *", space)
    assert {"torch", "nn", "surrogate", "Leaky"} <= space.keys()


def test_states_may_be_deleted_and_set_anew():
    lif = snn.Leaky(0.5, init_hidden=True, output=True)
    lif(torch.ones(1, 2))
    del lif.mem
    lif.mem = torch.full((1, 2), 0.8)
    torch.testing.assert_close(lif(torch.zeros(1, 2))[1], torch.full((1, 2), 0.4))


def test_one_graded_spike_for_all():
    assert torch.equal(snn.GradedSpikes(1, 2.0)(torch.ones(1, 3)), torch.full((1, 3), 2.0))


def test_a_decay_that_was_not_given_is_none():
    assert snn.LeakyParallel(4, 3).beta is None


OWN_NAMES = "states _states _step _update _reset _call _model _spikes _first _kept _name _set _get"


@pytest.mark.parametrize("name", OWN_NAMES.split())
def test_a_subclass_names_its_own_as_it_likes(name):
    class Method(snn.Leaky):
        pass

    setattr(Method, name, lambda self, *args: torch.zeros(1))

    class Attribute(snn.Leaky):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            setattr(self, name, [])

    for cls in (Method, Attribute):
        lif = cls(beta=0.9, init_hidden=True, output=True)
        utils.reset(nn.Sequential(lif))
        for _ in range(3):
            _, mem = lif(torch.ones(1, 2))
        torch.testing.assert_close(mem, torch.full((1, 2), 1.71))


@pytest.mark.parametrize("part", ["_init_recurrent_net", "_init_recurrent_linear"])
def test_a_subclass_makes_its_own_recurrent_layer(part):
    def make_layer(self):
        self.recurrent = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh())

    cls = type("User", (snn.RLeaky,), {part: make_layer})
    torch.manual_seed(0)
    lif = cls(0.5, linear_features=4)
    _, mem = lif(torch.ones(2, 4), torch.ones(2, 4), torch.zeros(2, 4))
    weight = lif.recurrent[0].weight
    torch.testing.assert_close(mem, 1 + torch.tanh(weight.sum(1)).expand(2, 4))


def test_a_subclass_makes_its_own_one_to_one_recurrence():
    class User(snn.RLeaky):
        def _init_recurrent_one_to_one(self):
            self.recurrent = nn.Identity()

    lif = User(0.5, V=0.25, all_to_all=False)
    for _ in range(2):
        _, mem = lif(torch.ones(1, 2), torch.ones(1, 2), torch.zeros(1, 2))
        assert mem.tolist() == [[2, 2]]
