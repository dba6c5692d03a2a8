"""Neurons made from equations: by hand, against a loop in NumPy, and what is refused."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import snntorch as snn
from snntorch import utils

T, B, N = 40, 3, 5


def izhikevich_update(states, current):
    v, u = states["v"], states["u"]
    dv = 0.04 * v**2 + 5 * v + 140 - u + current
    du = 0.02 * (0.2 * v - u)
    return {"v": v + dv, "u": u + du}


def izhikevich_reset(states, spk, threshold):
    v, u = states["v"], states["u"]
    fired = spk.detach().bool()
    v = torch.where(fired, torch.full_like(v, -65.0), v)
    u = torch.where(fired, u + 8.0, u)
    return {"v": v, "u": u}


Izhikevich = snn.neuron_from_equations(
    "Izhikevich",
    state_names=("v", "u"),
    update_fn=izhikevich_update,
    spike_state="v",
    reset_fn=izhikevich_reset,
    init_values={"v": -65.0, "u": -13.0},
)


def leaky_update(states, current):
    return {"mem": 0.5 * states["mem"] + current}


Plain = snn.neuron_from_equations("Plain", ["mem"], leaky_update)


def adaptive_update(states, current):
    slow = 0.75 * states["slow"] + 0.125 * states["mem"]
    return {"slow": slow, "mem": 0.9 * states["mem"] + current - slow}


# The state that fires is not the first, and the dict is in another order.
Adaptive = snn.neuron_from_equations("Adaptive", ("slow", "mem"), adaptive_update, "mem")


def current(*lead, dtype=torch.float32):
    return 20 * torch.rand(*lead, N, dtype=dtype)


def loop(x, threshold=30.0, v=-65.0, u=-13.0):
    """The neuron of Izhikevich in float64, one sample and neuron after the other."""
    outs = np.zeros((3, *x.shape))
    for place in np.ndindex(x.shape[1:]):
        a, b = v, u
        for t in range(len(x)):
            a, b = (
                a + 0.04 * a * a + 5 * a + 140 - b + x[(t, *place)],
                b + 0.02 * (0.2 * a - b),
            )
            fires = a > threshold
            a, b = (-65.0, b + 8.0) if fires else (a, b)
            outs[(slice(None), t, *place)] = fires, a, b
    return outs


def test_values_equal_a_loop_in_numpy():
    x = current(T, B, dtype=torch.float64)
    neuron, states, found = Izhikevich(threshold=30.0).double(), (), []
    for each in x:
        spk, *states = neuron(each, *states)
        found.append(torch.stack((spk, *states)))
    want = loop(x.numpy())
    assert want[0].any()
    np.testing.assert_allclose(torch.stack(found, 1).numpy(), want, rtol=1e-9)


def test_the_default_reset_by_hand():
    neuron = Plain()
    assert issubclass(Plain, snn.CustomNeuron) and issubclass(Plain, snn.Neuron)
    spk, mem = neuron(torch.tensor([[0.75, 1.0, 1.5]]))
    assert spk.tolist() == [[0, 0, 1]] and mem.tolist() == [[0.75, 1.0, 0.5]]
    spk, mem = neuron(torch.tensor([[0.75, 2.25, 0.5]]), mem)
    # Reset in the step of the spike, by one threshold.
    assert spk.tolist() == [[1, 1, 0]] and mem.tolist() == [[0.125, 1.75, 0.75]]


def test_the_default_is_a_leaky_neuron_that_is_reset_at_once():
    x = torch.randn(T, B, N)
    neuron, leaky = (
        Plain(0.7, snn.surrogate.sigmoid()),
        snn.Leaky(0.5, 0.7, snn.surrogate.sigmoid()),
    )
    leaky.reset_delay, results = False, []
    for each in (neuron, leaky):
        leaf = x.clone().requires_grad_()
        outs = snn.unroll(each, leaf)
        (outs[0].sum() + outs[1].square().sum()).backward()
        results.append((*outs, leaf.grad))
    assert results[0][0].any() and all(map(torch.equal, results[0][:2], results[1][:2]))
    torch.testing.assert_close(results[0][2], results[1][2])


def test_the_gradient_of_the_default_reset_goes_through_the_spikes():
    slope, x = 1 / (1 + 25 * 0.5) ** 2, torch.tensor([[2.0]], requires_grad=True)
    spk, mem = Plain(1.5, "fast_sigmoid")(x)
    assert torch.autograd.grad(mem, x, retain_graph=True)[0].item() == pytest.approx(
        1 - 1.5 * slope
    )
    assert torch.autograd.grad(spk, x)[0].item() == pytest.approx(slope)


def test_a_reset_of_detached_spikes_has_no_gradient_through_them():
    """Where the neuron of Izhikevich fires, its new v is a constant."""
    x = torch.tensor([[200.0, 0.0]], requires_grad=True)
    spk, v, u = Izhikevich(30.0)(x)
    assert spk.tolist() == [[1, 0]] and v[0, 0] == -65 and u.tolist() == [[-5, -13]]
    assert torch.autograd.grad(v.sum(), x, retain_graph=True)[0].tolist() == [[0, 1]]


def test_reset_fn_gets_spikes_before_they_are_scaled_and_the_threshold():
    seen = []

    def reset(states, spk, threshold):
        seen.append((spk, threshold))
        return {"mem": states["mem"] - spk}

    Seeing = snn.neuron_from_equations("Seeing", ("mem",), leaky_update, "mem", reset)
    neuron = Seeing(threshold=0.5, graded_spikes_factor=3.0)
    spk, mem = neuron(torch.tensor([[2.0, 0.25]]))
    assert spk.tolist() == [[3, 0]] and mem.tolist() == [[1, 0.25]]
    assert seen[0][0].tolist() == [[1, 0]] and seen[0][1] is neuron.threshold


@pytest.mark.parametrize("cls, threshold", [(Izhikevich, 30.0), (Plain, 5.0), (Adaptive, 5.0)])
def test_a_kernel_gives_the_bits_of_the_loop(cls, threshold):
    x = current(T, B)
    assert snn.explain(cls(threshold), x)[0].backend == "numba"
    neuron, states, outs = cls(threshold), (), []
    for each in x:
        spk, *states = neuron(each, *states)
        outs.append((spk, *states))
    for backend in ("numba", "reference"):
        found = snn.unroll(cls(threshold), x, backend=backend)
        assert found[0].any()
        assert all(map(torch.equal, found, map(torch.stack, zip(*outs, strict=True))))


@pytest.mark.parametrize("cls, threshold", [(Izhikevich, 30.0), (Adaptive, 5.0)])
def test_a_kernel_gives_the_gradients_of_the_loop(cls, threshold):
    x, results = current(T, B, dtype=torch.float64), []
    for backend in ("numba", "reference"):
        neuron = cls(threshold, learn_threshold=True, learn_graded_spikes_factor=True).double()
        leaf = x.clone().requires_grad_()
        outs = snn.unroll(neuron, leaf, backend=backend)
        sum((1 + i) * out.sum() for i, out in enumerate(outs)).backward()
        results.append((leaf.grad, *(p.grad for p in neuron.parameters())))
    assert all(each.any() for each in results[1])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want)


def test_what_kernels_do_not_have_runs_in_pytorch():
    Exponential = snn.neuron_from_equations(
        "Exponential",
        ("v",),
        lambda states, x: {"v": 0.9 * states["v"] + torch.special.i0(states["v"] - 1) + x},
    )
    (stage,) = snn.explain(Exponential(), current(T, B))
    assert stage.backend == "reference" and "do not have i0" in stage.reason
    assert snn.unroll(Exponential(), current(T, B))[0].any()


# As every neuron ------------------------------------------------------------------------------


def test_init_hidden_and_output():
    x = current(B)
    spk, v, u = Izhikevich(30.0)(x)
    hidden, both = (
        Izhikevich(30.0, init_hidden=True),
        Izhikevich(30.0, init_hidden=True, output=True),
    )
    assert torch.equal(hidden(x), spk) and torch.equal(hidden.v, v) and torch.equal(hidden.u, u)
    assert all(map(torch.equal, both(x), (spk, v, u)))
    net = nn.Sequential(nn.Linear(7, N), Izhikevich(30.0, init_hidden=True))
    inputs = 20 * torch.rand(T, B, 7)
    got = snn.unroll(net, inputs)
    utils.reset(net)
    assert torch.equal(got, torch.stack([net(each) for each in inputs]))


def test_a_call_without_states_goes_on_from_the_last_one():
    x = current(4, B)
    neuron = Izhikevich(30.0)
    outs = [neuron(each) for each in x]
    want, states = Izhikevich(30.0), {}
    for each, out in zip(x, outs, strict=True):
        spk, v, u = want(each, **states)
        states = {"u": u, "v": v}
        assert all(map(torch.equal, out, (spk, v, u)))


def test_the_states_before_the_first_step_come_back():
    neuron = Izhikevich(30.0, init_hidden=True)
    first = neuron(current(B)), neuron.v
    assert first[1].unique().numel() > 1
    utils.reset(neuron)
    assert (neuron.v == -65).all() and (neuron.u == -13).all()
    spk, v, u = neuron.init_states(2, 4)
    assert not spk.any() and v.tolist() == [[-65.0] * 4] * 2 and u.tolist() == [[-13.0] * 4] * 2
    each = torch.arange(N) / 10
    Started = snn.neuron_from_equations("Started", ("a", "mem"), adaptive, init_values={"a": each})
    assert torch.equal(Started().init_states(2, N)[1], each.expand(2, N))


def adaptive(states, x):
    return {"a": states["a"] + x, "mem": states["mem"]}


def test_a_recurrent_neuron_by_hand():
    neuron = Plain(recurrent=0.5)
    spk, mem = neuron(torch.tensor([[1.5]]))
    assert (spk.item(), mem.item()) == (1, 0.5)
    spk, mem = neuron(torch.tensor([[0.25]]), spk, mem)
    assert (spk.item(), mem.item()) == (0, 0.25 + 0.25 + 0.5)


def test_a_refractory_neuron_by_hand():
    neuron, states, seen = Plain(refractory=2), (), []
    for _ in range(5):
        spk, *states = neuron(torch.tensor([[1.5]]), *states)
        seen.append((spk.item(), *(state.item() for state in states)))
    # Without input, and not reset, until the countdown is over.
    assert seen == [(1, 0.5, 2), (0, 0.25, 1), (0, 0.125, 0), (1, 0.5625, 2), (0, 0.28125, 1)]


@pytest.mark.parametrize(
    "options",
    [{"recurrent": 0.3}, {"recurrent": nn.Linear(N, N)}, {"refractory": 3}],
    ids=["one to one", "dense", "refractory"],
)
def test_options_of_every_neuron_in_kernels(options):
    x = current(T, B)
    got, want = (
        snn.unroll(Izhikevich(30.0, **options), x, backend=b) for b in ("numba", "reference")
    )
    assert got[0].any() and len(got) == 3 + ("refractory" in options)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b)


def test_inhibition_and_quantization():
    neuron = Plain(inhibition=True)
    spk, mem = neuron(torch.tensor([[1.5, 2.0, 0.5]]))
    assert spk.tolist() == [[0, 1, 0]] and mem.tolist() == [[1.5, 1.0, 0.5]]
    neuron = Plain(state_quant=torch.round)
    assert neuron(torch.tensor([[0.75]]))[1].item() == 1


def test_the_reset_signal_is_that_of_the_state_that_fires():
    neuron = Izhikevich(threshold=-50.0, init_hidden=True)
    neuron(current(B))
    neuron.v, neuron.u = torch.tensor([[-60.0, -40.0]]), torch.tensor([[0.0, -90.0]])
    neuron(torch.zeros(1, 2))
    assert neuron.reset.tolist() == [[0, 1]]


@pytest.mark.parametrize("replicate", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies(replicate):
    neuron = Izhikevich(threshold=30.0, learn_threshold=True, refractory=1)
    neuron(current(B))
    replica = replicate(neuron)
    assert type(replica) is Izhikevich and replica.refractory == 1
    assert replica.threshold is not neuron.threshold and (replica.v == -65).all()
    x = current(T, B)
    assert all(map(torch.equal, snn.unroll(replica, x), snn.unroll(neuron, x)))


def test_the_class_is_one_of_the_module_that_makes_it():
    assert (Izhikevich.__module__, Izhikevich.__qualname__) == (__name__, "Izhikevich")
    assert pickle.loads(pickle.dumps(Izhikevich)) is Izhikevich
    assert "states v, u" in Izhikevich.__doc__ and repr(Izhikevich(30.0)) == (
        "Izhikevich(threshold=30)"
    )


def test_a_summary():
    net = nn.Sequential(nn.Linear(7, N), Izhikevich(30.0, init_hidden=True))
    rows = str(snn.summary(net, 20 * torch.rand(T, B, 7))).splitlines()
    assert any("Izhikevich" in row for row in rows)


def test_state_dict():
    state = Izhikevich(threshold=30.0).state_dict()
    other = Izhikevich()
    other.load_state_dict(state)
    assert other.threshold == 30 and not {"v", "u"} & state.keys()


def test_a_subclass_may_add_to_it():
    class Named(Izhikevich):
        def __init__(self, rest, **options):
            super().__init__(**options)
            self.initial = {"v": rest}

    assert Named(-70.0, threshold=30.0).init_states(1)[1].item() == -70


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiled_by_pytorch():
    neuron, x = Izhikevich(30.0), current(B)
    step = torch.compile(neuron, backend="aot_eager", fullgraph=True)
    _, v, u = step(x)
    assert all(map(torch.equal, step(x, v, u), neuron(x, v, u)))


# Errors ---------------------------------------------------------------------------------------


def make(**changed):
    given = {"name": "Wrong", "state_names": ("v", "u"), "update_fn": izhikevich_update}
    return snn.neuron_from_equations(**{**given, **changed})


WRONG = [
    ({"name": 3}, TypeError, "name=3 must be a string"),
    ({"name": "a b"}, ValueError, "name='a b' must be an identifier"),
    ({"state_names": "v"}, TypeError, "Wrong: state_names='v' must be a tuple of names"),
    ({"state_names": None}, TypeError, "state_names=None must be a tuple of names"),
    ({"state_names": ()}, ValueError, r"state_names=\(\) must name at least one state"),
    ({"state_names": (1,)}, TypeError, r"states=\(1,\) must be a tuple of names"),
    ({"state_names": ("v", "v")}, ValueError, "'v' in .* cannot be the name of a state"),
    ({"state_names": ("v", "_u")}, ValueError, "'_u' in .* cannot be the name of a state"),
    ({"state_names": ("v", "fire")}, ValueError, "'fire' in .* cannot be the name of a state"),
    ({"state_names": ("v", "spike")}, ValueError, "'spike' in .* cannot be the name of a state"),
    ({"state_names": ("threshold",)}, ValueError, "'threshold' in .* cannot be the name"),
    ({"update_fn": None}, TypeError, "Wrong: update_fn=None must be a function"),
    ({"reset_fn": "zero"}, TypeError, "Wrong: reset_fn='zero' must be a function"),
    ({"spike_state": "w"}, ValueError, "spike_state='w' must be one of 'v', 'u'"),
    ({"init_values": {"w": 1.0}}, ValueError, "a value for 'w'; it must be one of 'v', 'u'"),
    ({"init_values": {"v": "1"}}, TypeError, r"init_values\['v'\]='1' must be a number"),
    ({"init_values": {"v": True}}, TypeError, r"init_values\['v'\]=True must be a number"),
    ({"init_values": [1.0]}, TypeError, r"init_values=\[1.0\] must be a dict"),
]


@pytest.mark.parametrize("changed, error, message", WRONG, ids=[m for _, _, m in WRONG])
def test_wrong_arguments(changed, error, message):
    with pytest.raises(error, match=message):
        make(**changed)


RETURNS = [
    ({"v": 1}, ValueError, "did not return 'u'; expected the states 'v', 'u'"),
    ({}, ValueError, "did not return 'v', 'u'; expected"),
    ({"v": 1, "u": 1, "w": 1}, ValueError, "returned 'w'; expected the states 'v', 'u'"),
    ({"v": 1, "w": 1}, ValueError, "did not return 'u' and returned 'w'; expected"),
    ((1, 1), TypeError, "returned a tuple; expected a dict of the states 'v', 'u'"),
    (None, TypeError, "returned a NoneType; expected a dict"),
    ({"v": 1, "u": 0.5}, TypeError, "returned a float for 'u'; expected a tensor"),
]


@pytest.mark.parametrize("returned, error, message", RETURNS, ids=[m for _, _, m in RETURNS])
@pytest.mark.parametrize("function", ["update_fn", "reset_fn"])
def test_what_functions_return_is_checked(function, returned, error, message):
    def give(states, *_):
        v = states["v"]
        if isinstance(returned, dict):
            return {name: v if value == 1 else value for name, value in returned.items()}
        return returned

    neuron = make(**{function: give})()
    for call in (neuron, lambda x: snn.unroll(neuron, x[None])):
        with pytest.raises(error, match=f"Wrong: {function} {message}"):
            call(current(B))


def test_a_function_may_change_the_dict_that_it_gets():
    def update(states, x):
        states["mem"] = states["mem"] + x
        return states

    neuron, state = make(state_names=("mem",), update_fn=update)(), torch.zeros(1, 1)
    assert neuron(torch.ones(1, 1), state)[1].item() == 1 and state.item() == 0


def test_wrong_calls():
    x = current(B)
    neuron, hidden = Izhikevich(30.0), Izhikevich(30.0, init_hidden=True)
    _, v, u = neuron(x)
    with pytest.raises(TypeError, match=r"Izhikevich has 2 states \(v, u\), but 1 was given"):
        neuron(x, v)
    with pytest.raises(TypeError, match="but 3 were given; pass all of them, or none"):
        neuron(x, v, u, u)
    with pytest.raises(TypeError, match="but 1 was given"):
        neuron(x, u=u)
    with pytest.raises(TypeError, match="'w' is not a state that is left to be given"):
        neuron(x, v, w=u)
    with pytest.raises(TypeError, match=r"states \(v, u\) were passed with init_hidden=True"):
        hidden(x, v, u)
    with pytest.raises(TypeError, match="were passed with init_hidden=True"):
        hidden(x, v)


def test_wrong_options():
    for option in ({"reset_mechanism": "zero"}, {"reset_delay": False}):
        (name,) = option
        with pytest.raises(TypeError, match=f"Izhikevich: {name}=.*its step is reset in its own"):
            Izhikevich(30.0, **option)
    with pytest.raises(TypeError, match="beta"):
        Izhikevich(30.0, beta=0.9)
    with pytest.raises(TypeError, match="CustomNeuron has neither a step nor an update"):
        snn.CustomNeuron()
