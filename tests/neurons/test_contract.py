"""What every neuron promises, whatever its equation."""

import copy
import gc
import io
import math
import pickle
import weakref

import pytest
import torch
from models import COMMON, MODELS, roll, states_of
from torch import nn
from torch.nn.utils import parametrize, prune

import snntorch as snn
from snntorch import utils


def sequence(model, steps=6, batch=3, **kwargs):
    torch.manual_seed(7)
    return model.make(**kwargs), model.input(steps, batch)


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# Calls and states ----------------------------------------------------------------------------


def test_returns_spikes_then_states(model):
    neuron, x = sequence(model)
    out = neuron(x[0])
    states = [name for name in model.states if name != "spk"]
    assert len(out) == 1 + len(states)
    assert out[0].shape == (3, *(model.fired or model.hidden))
    for name, state in zip(states, out[1:], strict=True):
        assert state.shape == (3, *model.hidden)
        assert torch.equal(getattr(neuron, name), state)
    fires = model.mem(out) == 0 if model.cleared else model.mem(out) > neuron.threshold
    assert model.fired or torch.equal(out[0], fires.float())


def test_hidden_states_carry_gradients_through_time(model):
    """The same gradients with hidden and with explicit states, and with a mix of both."""
    neuron, x = sequence(model)
    grads = []
    for how in ("explicit", "hidden", "mixed"):
        utils.reset(neuron)
        x_ = x.clone().requires_grad_()
        if how == "explicit":
            spk, mem = (out for i, out in enumerate(roll(model, neuron, x_)[0]) if i in (0, 1))
        else:
            outs = [neuron(x_[0], *states_of(model.init(neuron)))] if how == "mixed" else []
            outs += [neuron(x_t) for x_t in x_[len(outs) :]]
            spk, mem = (torch.stack([out[i] for out in outs]) for i in (0, 1))
        weight = torch.linspace(-1, 1, spk.numel()).reshape(spk.shape)
        grads.append(torch.autograd.grad((spk * weight).sum() + mem.sum(), x_)[0])
    assert grads[0].norm() > 0
    torch.testing.assert_close(grads[1], grads[0])
    torch.testing.assert_close(grads[2], grads[0])


def test_the_state_is_the_tensor_that_was_returned(model):
    """With its graph, whoever holds it; the next call or a reset lets go of it."""
    neuron, x = sequence(model)
    out = neuron(x[0].requires_grad_(), *states_of(model.init(neuron)))
    mem = model.mem(out)
    assert neuron.mem is mem and mem.requires_grad
    graph, value = weakref.ref(mem), mem.detach().clone()
    del mem
    del out
    gc.collect()
    assert graph() is neuron.mem
    neuron.detach_hidden()
    gc.collect()
    assert graph() is None
    assert torch.equal(neuron.mem, value) and not neuron.mem.requires_grad


def test_init_returns_states_that_fit_any_batch(model):
    neuron, _ = sequence(model)
    initial = states_of(model.init(neuron))
    assert len(initial) == len(model.states)
    for batch in (1, 4, 2):
        got = neuron(model.input(batch), *initial)
        utils.reset(neuron)
        assert equal(got, neuron(model.input(batch)))


def test_init_with_sizes_returns_no_spikes_and_first_states(model):
    neuron, x = sequence(model)
    spk, *states = model.init(neuron, 3, *model.hidden)
    names = [name for name in model.states if name != "spk"]
    assert torch.equal(spk, torch.zeros(3, *model.hidden))
    for name, state in zip(names, states, strict=True):
        assert state.shape == (3, *model.hidden)
        setattr(neuron, name, state)
    assert model.rests(neuron, names)
    given = [spk, *states] if model.states[0] == "spk" else states
    got = neuron(x[0], *given)
    utils.reset(neuron)
    assert equal(got, neuron(x[0]))


def test_states_broadcast(model):
    neuron, x = sequence(model)
    rows = [torch.rand(1, *model.hidden) for _ in model.states]
    full = [row.expand(3, *model.hidden).clone() for row in rows]
    assert equal(neuron(x[0], *rows), neuron(x[0], *full))
    ones = [torch.full((1,), 0.5) for _ in model.states]
    full = [torch.full((3, *model.hidden), 0.5) for _ in model.states]
    assert equal(neuron(x[0], *ones), neuron(x[0], *full))


def test_an_explicit_state_of_another_shape_is_refused(model):
    neuron, x = sequence(model)
    neuron(x[0])
    before = neuron.mem
    wrong = [torch.ones(3, *model.hidden[:-1], 9) for _ in model.states]
    match = rf"{model.cls}.*{model.states[0]}.*9\).*{model.hidden[-1]}\)"
    with pytest.raises(ValueError, match=match):
        neuron(x[0], *wrong)
    assert neuron.mem is before


@pytest.mark.parametrize("first, then", [(3, 2), (2, 3), (1, 3), (3, 1)])
def test_a_kept_state_of_another_shape_starts_fresh(model, first, then):
    """With one warning for each neuron."""
    neuron = model.make()
    neuron(model.input(first))
    match = rf"{model.cls}: state \w+ of shape \({first}, .*shape \({then}, .*utils\.reset"
    with pytest.warns(UserWarning, match=match):
        got = neuron(model.input(then, seed=1))
    utils.reset(neuron)
    assert equal(got, neuron(model.input(then, seed=1)))
    neuron(model.input(first))  # said once


def test_states_can_be_set_by_hand(model):
    neuron, x = sequence(model)
    values = [torch.rand(3, *model.hidden) for _ in model.states]
    want = neuron(x[0], *values)
    utils.reset(neuron)
    for name, value in zip(model.states, values, strict=True):
        setattr(neuron, name, value)
    assert equal(neuron(x[0]), want)


def test_first_states_follow_the_input(model):
    neuron = model.make().to("meta")
    out = neuron(model.input(3).to("meta"))
    assert all(state.device.type == "meta" for state in out)
    with torch.device("meta"):
        built = model.make(learn_threshold=True)
    assert all(p.is_meta for p in built.parameters())
    built.to_empty(device="cpu").load_state_dict(model.make(learn_threshold=True).state_dict())
    assert built(model.input(3))[0].device.type == "cpu"


# Reset and detach ----------------------------------------------------------------------------


def test_reset_and_detach_at_any_depth_and_nowhere_else(model):
    deep, other = (model.make(init_hidden=True) for _ in range(2))
    net = nn.Sequential(nn.Identity(), nn.ModuleDict({"a": nn.ModuleList([deep])}))
    twin = copy.deepcopy(net)
    x = model.input(3).requires_grad_()
    for neuron in (deep, other, twin[1]["a"][0]):
        neuron(x)
    held = deep.mem
    utils.detach(net)
    assert not deep.mem.requires_grad and torch.equal(deep.mem, held)
    assert held.requires_grad and other.mem.requires_grad
    utils.reset(net)
    assert deep.mem.shape == held.shape and model.rests(deep)
    assert torch.equal(other.mem, held) or not model.rests(other)
    utils.reset(deep)
    utils.reset(twin)
    assert model.rests(twin[1]["a"][0])


def test_reset_hidden_of_one_and_of_a_class(model):
    cls = getattr(snn, model.cls)
    a, b = model.make(), model.make()
    other = snn.Leaky(beta=0.9) if model.cls != "Leaky" else snn.Synaptic(alpha=0.9, beta=0.8)
    for neuron in (a, b):
        neuron(model.input(3).requires_grad_())
    other(torch.ones(3))
    a.detach_hidden()
    assert not any(getattr(a, name).requires_grad for name in model.states)
    assert b._snn_newest("mem").requires_grad
    a.reset_hidden()
    assert model.rests(a) and b.mem.dim()
    cls.detach_hidden()
    assert not b.mem.requires_grad and not model.rests(b)
    cls.reset_hidden()
    assert model.rests(b)
    assert torch.equal(other.mem, torch.ones(3))


def test_detaching_leaves_recorded_traces_whole(model):
    neuron, x = sequence(model)
    x.requires_grad_()
    first = neuron(x[0])[1]
    utils.detach(neuron)
    second = neuron(x[1])[1]
    (grad,) = torch.autograd.grad(first.sum() + second.sum(), x)
    assert grad[0].abs().sum() > 0 and grad[1].abs().sum() > 0
    utils.reset(neuron)
    (alone,) = torch.autograd.grad(neuron(x[0])[1].sum(), x)
    torch.testing.assert_close(grad[0], alone[0])


def test_gradients_that_stop_before_an_old_state_are_given():
    lif = snn.Leaky(beta=0.9, init_hidden=True)
    weight = torch.ones(1, requires_grad=True)
    lif(weight * torch.ones(3)).sum().backward()
    x = torch.ones(3, requires_grad=True)
    (grad,) = torch.autograd.grad(lif(x).sum(), x)
    assert grad.abs().sum() > 0


# Life and death ------------------------------------------------------------------------------


def test_instances_lists_the_living_in_order(model):
    gc.collect()
    before = len(snn.SpikingNeuron.instances)
    a, b = model.make(), model.make()
    c = copy.deepcopy(a)
    d = pickle.loads(pickle.dumps(b))
    assert list(snn.Leaky.instances)[before:] == [a, b, c, d]
    assert snn.LIF.instances[-1] is d
    del c
    gc.collect()
    assert list(snn.SpikingNeuron.instances)[before:] == [a, b, d]


def test_no_neuron_outlives_its_holder(model):
    gc.collect()
    before = len(snn.SpikingNeuron.instances)
    x = model.input(1).requires_grad_()
    for i in range(1000):
        neuron = model.make(init_hidden=True)
        if i % 100 == 0:
            neuron(x)
    del neuron
    gc.collect()
    assert len(snn.SpikingNeuron.instances) == before


def test_init_empties_the_list():
    kept = list(snn.SpikingNeuron.instances)
    a = snn.Leaky(beta=0.9)
    snn.Leaky.init()
    assert len(snn.SpikingNeuron.instances) == 0
    b = snn.Leaky(beta=0.9)
    assert list(snn.Leaky.instances) == [b]
    for neuron in (*kept, a):
        snn.Leaky.instances.append(neuron)


# Copies and files ----------------------------------------------------------------------------


def test_copies_start_reset_and_compute_the_same(model):
    neuron, x = sequence(model, learn_threshold=True)
    want, _ = roll(model, neuron, x)
    neuron(x[0].clone().requires_grad_())
    file = io.BytesIO()
    torch.save(neuron, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    for twin in (copy.deepcopy(neuron), copy.copy(neuron), loaded):
        assert twin.mem.shape == (0,)
        assert equal(roll(model, twin, x)[0], want)
        assert type(twin.threshold) is nn.Parameter
    assert neuron.mem.any()


def test_state_dict_has_the_published_keys(model):
    neuron, x = sequence(model)
    keys = COMMON | model.keys
    assert set(neuron.state_dict()) == keys
    neuron(x[0])
    assert set(neuron.state_dict()) == keys
    assert {name for name, _ in neuron.named_buffers()} <= keys
    assert set(model.make(learn_threshold=True, reset_mechanism="none").state_dict()) == keys


@pytest.mark.parametrize("row", [m for m in MODELS if m.mechanism], ids=lambda m: m.id)
def test_reset_mechanism_can_be_set_and_loaded(row):
    model = row
    x = model.input(12, 3)
    neurons = {r: model.make(reset_mechanism=r) for r in ("subtract", "zero", "none")}
    for mechanism, number in (("none", 2), ("zero", 1), ("subtract", 0)):
        want, _ = roll(model, neurons[mechanism], x)
        assert neurons[mechanism].reset_mechanism_val.item() == number
        for change in ("set", "load"):
            late = model.make(reset_mechanism="zero" if mechanism == "none" else "none")
            late.load_state_dict(neurons[mechanism].state_dict(), strict=change == "load")
            late.reset_mechanism = mechanism if change == "set" else late.reset_mechanism
            assert late.reset_mechanism == mechanism
            assert equal(roll(model, late, x)[0], want)


def test_parameters_are_copies_of_what_is_given(model):
    for name in model.vectors:
        given = torch.full(model.hidden, getattr(model.make(), name).item())
        a, b = (model.make(**{name: given}) for _ in range(2))
        assert getattr(a, name).data_ptr() != getattr(b, name).data_ptr() != given.data_ptr()
        given.zero_()
        assert getattr(a, name).sum() != 0


# Dtypes --------------------------------------------------------------------------------------


def test_states_stay_float32_under_autocast(model):
    neuron, x = sequence(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = neuron(x[0].bfloat16())
    assert all(state.dtype == torch.float32 for state in out)


# Arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [m for m in MODELS if len(m.vectors) > 1], ids=lambda m: m.id)
def test_vectors_act_on_each_neuron_by_itself(row):
    """A layer with a value for each neuron equals single neurons side by side."""
    values = torch.tensor([0.55, 0.6, 0.7, 0.8, 0.95])
    for name in row.vectors:
        for learn in (False, True):
            flag = "learn_recurrent" if name == "V" else f"learn_{name}"
            kwargs = {name: values, flag: learn}
            layer = row.make(**kwargs)
            x = row.input(20, 4)
            got, _ = roll(row, layer, x)
            for i, value in enumerate(values):
                alone, _ = roll(row, row.make(**{**kwargs, name: value}), x[..., i : i + 1])
                for a, b in zip(got, alone, strict=True):
                    torch.testing.assert_close(a[..., i : i + 1], b)
            assert isinstance(getattr(layer, name), nn.Parameter) == learn


def test_learnable_arguments_get_gradients(model):
    flags = {f"learn_{name}": True for name in model.vectors if name != "V"}
    neuron = model.make(**flags)
    out, _ = roll(model, neuron, model.input(10, 3))
    sum(each.sum() for each in out).backward()
    for name, parameter in neuron.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert parameter.grad.abs().sum() > 0, name


def test_a_neuron_of_the_users_own():
    """Written for 1.0.0: it keeps its state itself and resets it in reset_mem."""

    class Resonator(snn.LIF):
        def __init__(self, beta):
            super().__init__(beta, threshold=0.5)
            self.register_buffer("mem", torch.zeros(1), persistent=False)

        def reset_mem(self):
            self.mem = torch.zeros_like(self.mem)
            return self.mem

        def forward(self, x):
            reset = self.mem_reset(self.mem)
            self.mem = self.beta.clamp(0, 1) * self.mem + x - reset * self.threshold
            return self.fire(self.mem)

    net = nn.Sequential(Resonator(beta=0.5))
    twin = snn.Leaky(beta=0.5, threshold=0.5, init_hidden=True)
    x = torch.rand(10, 3)
    for _ in range(2):
        for x_t in x:
            assert torch.equal(net(x_t), twin(x_t))
        utils.reset(net)
        utils.reset(twin)
    assert torch.equal(net[0].mem, torch.zeros(3))
    assert isinstance(snn.SpikingNeuron.instances[-1], snn.Leaky)


def test_integer_arguments_can_be_learned():
    neuron = snn.Leaky(beta=1, threshold=1, learn_beta=True, learn_threshold=True)
    assert neuron.beta.dtype == neuron.threshold.dtype == torch.float32
    neuron(torch.ones(2))[1].sum().backward()


def test_surrogate_disable_cuts_spikes_from_the_graph(model):
    neuron, x = sequence(model, surrogate_disable=True)
    want = sequence(model)[0](x[0])
    for name in model.keys & {"recurrent.weight", "V"}:
        neuron.get_parameter(name).requires_grad_(False)
    out = neuron(x[0].requires_grad_())
    assert torch.equal(out[0], want[0])
    assert not out[0].requires_grad and model.mem(out).requires_grad


def test_inhibition_lets_one_fire(model):
    neuron, x = sequence(model, inhibition=True, reset_mechanism="none")
    free = model.make(reset_mechanism="none")
    free.load_state_dict(neuron.state_dict())
    for _ in range(2 if model.cls == "Alpha" else 1):  # its membrane rises in the second step
        out = neuron(3 * x[0].abs())
        want, *_ = free(3 * x[0].abs())
    spk, mem = out[0], model.mem(out)
    flat, all_of_them = spk.flatten(1), want.flatten(1)
    assert all_of_them.sum() > len(spk)
    assert torch.equal(flat.sum(1), all_of_them.amax(1))
    if not model.fired and not model.cleared:
        fired = flat.sum(1) > 0
        assert torch.equal(flat.argmax(1)[fired], mem.flatten(1).argmax(1)[fired])


def test_inhibition_scales_graded_spikes_and_resets_the_held_back():
    lif = snn.Leaky(beta=0.5, inhibition=True, graded_spikes_factor=2.5)
    spk, mem = lif(torch.tensor([[1.5, 2.5, 0.5]]), torch.zeros(1, 3))
    assert spk.tolist() == [[0, 2.5, 0]]
    _, mem = lif(torch.zeros(1, 3), mem)
    assert mem.tolist() == [[-0.25, 0.25, 0.25]]


def test_graded_spikes_leave_the_membrane_alone():
    for delay in (True, False):
        x = MODELS[0].input(20, 3)
        plain = snn.Leaky(beta=0.8, reset_delay=delay)
        want, _ = roll(MODELS[0], plain, x)
        for factor in (2.5, 0.0):
            graded = snn.Leaky(beta=0.8, reset_delay=delay, graded_spikes_factor=factor)
            got, _ = roll(MODELS[0], graded, x)
            assert torch.equal(got[0], factor * want[0]) and torch.equal(got[1], want[1])


def test_quantiser_sees_every_state_and_keeps_gradients(model):
    def quantise(state):
        return state + (torch.round(state * 8) / 8 - state).detach()

    neuron, x = sequence(model, state_quant=quantise)
    out = neuron(x[0].requires_grad_())
    for state in out[1:]:
        assert torch.equal(state * 8, torch.round(state * 8))
    model.mem(out).sum().backward()
    assert x.grad[0].abs().sum() > 0 if x.grad is not None else True


@pytest.mark.parametrize("kernel_size", [2, 3, 4, (2, 3)])
def test_convolutions_keep_the_size_of_the_image(kernel_size):
    for make in (
        lambda: snn.RLeaky(beta=0.9, conv2d_channels=2, kernel_size=kernel_size),
        lambda: snn.SConv2dLSTM(in_channels=2, out_channels=2, kernel_size=kernel_size),
    ):
        assert make()(torch.rand(1, 2, 5, 6))[-1].shape == (1, 2, 5, 6)


def test_V_can_be_set_and_follows_the_module():
    rlif = snn.RLeaky(beta=0.9, all_to_all=False, learn_recurrent=False)
    assert set(rlif.state_dict()) == {*COMMON, "beta", "V"}
    rlif.V = torch.tensor([0.25, 0.5])
    assert rlif.V.tolist() == rlif.recurrent.V.tolist() == [0.25, 0.5]
    _, mem = rlif(torch.zeros(2), torch.ones(2), torch.zeros(2))
    assert mem.tolist() == [0.25, 0.5]
    rlif.double()
    assert rlif.recurrent.V.dtype == torch.float64
    learnt = snn.RLeaky(beta=0.9, all_to_all=False, learn_V=True)
    parameter = learnt.V
    learnt.V = torch.tensor(2.0)
    assert learnt.V is parameter is learnt.recurrent.V and parameter.item() == 2
    learnt.V = torch.nn.Parameter(torch.tensor(3.0))
    assert len(list(learnt.parameters())) == 1
    loaded = snn.RLeaky(beta=0.9, all_to_all=False)
    loaded.load_state_dict(learnt.state_dict())
    assert loaded.V is loaded.recurrent.V and loaded.V.item() == learnt.recurrent.V.item() == 3
    parametrize.register_parametrization(loaded, "V", torch.nn.ReLU())
    assert loaded.double()(torch.ones(1, 3, dtype=torch.float64))[1].dtype == torch.float64
    heard = []
    learnt.recurrent.register_forward_hook(lambda *_: heard.append(1))
    spk, mem = learnt(torch.full((1, 2), 1.5))
    learnt(torch.zeros(1, 2), spk, mem)
    assert len(heard) == 2 and learnt.mem.tolist() == [[pytest.approx(3 + 0.9 * 1.5 - 1)] * 2]


def test_hooks_of_an_lstm_cell_are_called():
    torch.manual_seed(0)
    lstm, plain, heard = snn.SLSTM(4, 3), snn.SLSTM(4, 3), []
    plain.load_state_dict(lstm.state_dict())
    lstm.lstm_cell.register_forward_hook(lambda *_: heard.append(1))
    x = torch.randn(2, 4)
    for _ in range(3):
        torch.testing.assert_close(lstm(x), plain(x))
    assert len(heard) == 3
    prune.l1_unstructured(lstm.lstm_cell, "weight_hh", 0.5)  # by a hook
    for _ in range(2):
        lstm.reset_hidden()
        sum(lstm(x)[2].sum() for _ in range(3)).backward()
    assert (lstm.lstm_cell.weight_hh_orig.grad == 0).sum() == 18


def test_a_first_state_that_is_learned():
    lif = snn.Leaky(beta=0.5, init_hidden=True)
    first = torch.nn.Parameter(torch.tensor([[0.5, 1.0]]))
    lif.mem = first
    assert not list(lif.parameters())
    lif(torch.zeros(1, 2))
    lif.mem.sum().backward()
    assert first.grad.tolist() == [[0.5, 0.5]]


def test_an_empty_batch_has_no_winner():
    spk, _ = snn.Leaky(beta=0.9, inhibition=True)(torch.zeros(0, 5))
    assert spk.shape == (0, 5)


def test_lapicque_learns_a_decay_that_R_and_C_give():
    given = {"R": 5.0, "C": 2.0, "time_step": 3.0}
    learnt, fixed = snn.Lapicque(**given, learn_beta=True), snn.Lapicque(**given)
    torch.testing.assert_close(learnt.beta.detach(), torch.tensor([-0.3]).exp())
    x, mem = torch.tensor([0.25]), torch.tensor([0.5])
    # R (T/RC) x + (1 - T/RC) mem, with T/RC = 0.3
    for lif in (learnt, fixed):
        torch.testing.assert_close(lif(x, mem)[1].detach(), torch.tensor([0.3 * 1.25 + 0.7 * 0.5]))


def test_lapicque_parameters_follow_a_learnable_beta():
    lif = snn.Lapicque(beta=0.9, learn_beta=True, R=2.0)
    with torch.no_grad():
        lif.beta.fill_(0.5)
    want = 1 / (2 * torch.log(torch.tensor(2.0)))
    torch.testing.assert_close(lif.C.detach(), want)
    torch.testing.assert_close(lif.state_dict()["C"], want)
    # R (1/RC) x + (1 - 1/RC) mem, with 1/RC = ln 2
    _, mem = lif(torch.tensor([1.0]), torch.tensor([0.5]))
    torch.testing.assert_close(mem.item(), 2 * 0.693147 + (1 - 0.693147) * 0.5, rtol=1e-5, atol=0)
    (grad,) = torch.autograd.grad(mem.sum(), lif.beta)
    # d/dbeta of (2 - 0.5) (-ln beta)
    torch.testing.assert_close(grad.item(), -1.5 / 0.5)
    for _ in range(2):
        utils.reset(lif)
        lif(torch.ones(1))[1].sum().backward()


def test_printing_shows_the_parameters():
    assert repr(snn.Leaky(beta=0.9)) == "Leaky(beta=0.9, reset_mechanism='subtract', threshold=1)"
    assert "beta=(3,)" in repr(snn.Leaky(beta=torch.rand(3)))
    assert "beta=0.25" in repr(snn.Leaky(beta=0.25, learn_beta=True))


@pytest.mark.parametrize("given", [{"R": 5.0, "C": 1.0}, {"beta": 0.7}, {"beta": 0.7, "R": 5.0}])
@pytest.mark.parametrize("learn_beta", [False, True])
def test_printing_shows_the_decay_of_lapicque(given, learn_beta):
    """Its ``beta`` is exp(-T/RC); a step decays by 1 - T/RC."""
    lif = snn.Lapicque(**given, learn_beta=learn_beta)
    for beta in (lif.beta.item(), 0.8) if learn_beta else (lif.beta.item(),):
        with torch.no_grad():
            lif.beta.fill_(beta)
        _, mem = lif(torch.zeros(1), torch.tensor([0.5]))
        assert mem.item() == pytest.approx(0.5 * (1 + math.log(beta)), rel=1e-5)
        shown = dict(part.split("=") for part in lif.extra_repr().split(", "))
        assert float(shown["beta"]) == pytest.approx(beta, rel=1e-3)
        assert float(shown["decay"]) == pytest.approx(2 * mem.item(), rel=1e-3)
        for circuit in "RC":
            assert float(shown[circuit]) == pytest.approx(getattr(lif, circuit).item(), rel=1e-3)


BAD = [
    (lambda: snn.Leaky(beta=None), TypeError, "beta=None"),
    (lambda: snn.Leaky(beta="0.9"), TypeError, "beta='0.9'"),
    (lambda: snn.Leaky(beta=0.9, threshold=None), TypeError, "threshold=None"),
    (lambda: snn.Leaky(beta=0.9, reset_mechanism="add"), ValueError, "'add'.*'subtract', 'zero'"),
    (lambda: snn.Leaky(beta=0.9, state_quant=4), TypeError, "state_quant=4.*state_quant"),
    (lambda: snn.Alpha(alpha=0.8, beta=0.9), ValueError, "alpha=0.8 must be greater"),
    (lambda: snn.Lapicque(), ValueError, "give beta, or two of the three"),
    (lambda: snn.Lapicque(R=1.0), ValueError, "R=1.0.*give beta"),
    (lambda: snn.Lapicque(R=-1.0, C=1.0), ValueError, "R=.*-1.*must be positive"),
    (lambda: snn.Lapicque(beta=0.9, R=1.0, C=9.5), ValueError, "C=9.5; give beta, or two"),
    (lambda: snn.RLeaky(beta=0.9), TypeError, "linear_features, or conv2d_channels"),
    (
        lambda: snn.RLeaky(beta=0.9, all_to_all=False, linear_features=3),
        TypeError,
        "one-to-one feedback",
    ),
    (
        lambda: snn.RSynaptic(alpha=0.9, beta=0.8, conv2d_channels=3),
        TypeError,
        "RSynaptic.*kernel_size=None",
    ),
    (
        lambda: snn.SConv2dLSTM(1, 2, 3, max_pool=2, avg_pool=2),
        ValueError,
        "max_pool=2 and avg_pool=2",
    ),
]


@pytest.mark.parametrize("build, error, match", BAD)
def test_bad_arguments_are_named(build, error, match):
    gc.collect()
    before = len(snn.SpikingNeuron.instances)
    with pytest.raises(error, match=match):
        build()
    gc.collect()
    assert len(snn.SpikingNeuron.instances) == before


def test_bad_calls_are_named(model):
    neuron, x = sequence(model)
    neuron(x[0])
    before = neuron.mem
    with pytest.raises(TypeError, match=rf"{model.cls}.*tuple.*init_hidden=True"):
        neuron((x[0], x[0]))
    with pytest.raises(TypeError, match=rf"{model.cls}.*{model.states[0]} is a tuple"):
        neuron(x[0], (before,), *[None] * (len(model.states) - 1))
    with pytest.raises(TypeError, match=rf"{model.cls}.*complex"):
        neuron(x[0].to(torch.complex64))
    for name in model.vectors:
        value = torch.full((3 + model.hidden[-1],), 0.5)
        misfit = model.make(**{name: value})
        with pytest.raises(ValueError, match=rf"{model.cls}: {name} of shape \({len(value)},\)"):
            misfit(x[0])
    hidden = model.make(init_hidden=True)
    hidden(x[0])
    before_hidden = hidden.mem
    with pytest.raises(TypeError, match=rf"{model.cls}.*init_hidden=True; leave them out"):
        hidden(x[0], *[torch.zeros(3, *model.hidden)] * len(model.states))
    assert neuron.mem is before and hidden.mem is before_hidden


def test_a_single_state_that_is_unpacked_is_named(model):
    neuron, x = sequence(model)
    neuron(x[0])
    states = neuron.init_states()
    if len(model.states) > 1:
        assert len(neuron(x[0], *states)) >= 2
    else:
        with pytest.raises(TypeError, match=r"1 state \(mem\), but 3 .* pass mem, not \*mem"):
            neuron(x[0], *states)
        assert len(neuron(x[0], states)) == 2
