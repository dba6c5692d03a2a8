"""Subclasses that override a part of the step, against recordings of 1.0.0, and what runs them."""

import numpy as np
import overridden
import pytest
import torch
from project import TESTS

import snntorch as snn
from snntorch import utils

GOLDEN = np.load(TESTS / "golden" / "overrides.npz")


@pytest.fixture(params=overridden.cases(), ids="-".join)
def case(request):
    return request.param


def test_traces_and_gradients_of_1_0_0(case):
    """50 steps: spikes and states to the bit, or to rounding after products; so do gradients."""
    got = overridden.run(overridden.make(*case), overridden.current(case[0]))
    prefix = "/".join(case) + "/"
    want = {name[len(prefix) :]: GOLDEN[name] for name in GOLDEN.files if name.startswith(prefix)}
    assert got.keys() == want.keys()
    for name, value in want.items():
        if name.startswith("grad") or "lstm" in case[0]:
            np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(got[name], value, err_msg=name)
    assert 0 < want["out0"].mean() < 0.9


def test_a_sequence_is_the_loop_of_steps(case):
    x = overridden.current(case[0])
    looped, unrolled = overridden.make(*case), overridden.make(*case)
    want = [torch.stack(each) for each in zip(*[looped(step) for step in x], strict=True)]
    with torch.no_grad():
        got = snn.unroll(unrolled, x)
    assert all(map(torch.equal, got, want))
    assert torch.equal(unrolled.mem, looped.mem) and torch.equal(unrolled.reset, looped.reset)


@pytest.mark.parametrize("how", ["update", "firing", "own", "assigned"])
def test_the_plan_names_what_is_overridden(how):
    neuron = overridden.make("leaky", how, "subtract", output=False)
    (stage,) = snn.explain(neuron, overridden.current("leaky"))
    named = {
        "update": "_base_state_function",
        "firing": "fire, mem_reset",
        "own": "forward",
        "assigned": "state_function",
    }
    assert stage.how == "loop" and stage.reason == f"overrides {named[how]}"


@pytest.mark.parametrize("name", overridden.MODELS)
def test_a_subclass_that_overrides_nothing_is_as_fast(name):
    cls, kwargs, _ = overridden.MODELS[name]
    x = overridden.current(name)
    with torch.no_grad():
        torch.manual_seed(0)
        plain = cls(init_hidden=True, **kwargs)
        torch.manual_seed(0)
        user = type("User", (overridden.Trained, cls), {})(init_hidden=True, **kwargs)
        assert snn.explain(user, x)[0].how == "scan"
        assert snn.explain(user, x)[0].backend == snn.explain(plain, x)[0].backend == "numba"
        assert torch.equal(snn.unroll(user, x), snn.unroll(plain, x))


@pytest.mark.parametrize("name", ["leaky", "synaptic", "alpha", "lapicque"])
def test_large_steps_of_an_override_are_not_fused(name):
    small, large = (overridden.make(name, "update", "subtract") for _ in range(2))
    x = overridden.current(name)
    for step in x[:5]:
        want = small(step)
        got = large(step.repeat(5000, 1))
    assert all(torch.equal(each[:1], one) for each, one in zip(got, want, strict=True))


def test_an_immediate_reset_keeps_the_overridden_update():
    class User(snn.Leaky):
        def _base_state_function(self, input_):
            return 2 * input_

        def _base_sub(self, input_):
            return super()._base_sub(input_) - 0 * self.reset

    lif = User(0.9, reset_delay=False)
    spk, mem = lif(torch.tensor([[1.5, 0.4]]))
    assert spk.tolist() == [[1, 0]] and mem.tolist() == [[2, pytest.approx(0.8)]]


def test_states_of_an_override_are_quantized():
    def halves(mem):
        return (2 * mem).round() / 2

    lif = overridden.LinearLeak(beta=0.1, state_quant=halves)
    _, mem = lif(torch.tensor([[0.8]]))
    assert mem.item() == 0.5  # 0.7


def test_delta_leaky_takes_an_override():
    class User(snn.DeltaLeaky):
        def _base_state_function(self, input_):
            return self.mem + 2 * input_

    lif = User(0.5, beta=0.9)
    spk, state = lif(torch.tensor([[0.2, 0.3]]))
    assert spk.tolist() == [[0, 1]]
    spk, (mem, previous) = lif(torch.tensor([[0.4, 0.1]]), state)
    torch.testing.assert_close(mem, torch.tensor([[1.2, 0.8]]))
    torch.testing.assert_close(previous, torch.tensor([[0.4, 0.6]]))
    assert spk.tolist() == [[1, 0]]


@pytest.mark.parametrize("cls", ["StateLeaky", "LinearLeaky"])
def test_whole_sequences_take_an_override(cls):
    class User(getattr(snn, cls)):
        def _base_state_function(self, input_):
            return super()._base_state_function(input_) + 1

    kwargs = {"channels": 3} if cls == "StateLeaky" else {"in_features": 3, "out_features": 3}
    torch.manual_seed(0)
    user = User(beta=0.9, **kwargs)
    torch.manual_seed(0)
    plain = getattr(snn, cls)(beta=0.9, **kwargs)
    x = torch.rand(7, 2, 3)
    with torch.no_grad():
        want = plain(x)[1] + 1
        for spk, mem in (user(x), snn.unroll(user, x)):
            torch.testing.assert_close(mem, want)
            assert torch.equal(spk, (mem > 1).float())
    with pytest.raises(ValueError, match=r"overrides _base_state_function.*leave mem out"):
        user(x, torch.zeros(2, 3))


def test_initial_states_of_a_subclass():
    class User(snn.Leaky):
        def _init_mem(self):
            self.register_buffer("mem", torch.full((3, 4), 0.7), False)

        def reset_mem(self):
            self.mem = torch.full((3, 4), 0.5)
            return self.mem

    lif = User(0.8, init_hidden=True, output=True)
    assert lif(torch.zeros(3, 4))[1].unique().item() == pytest.approx(0.56)
    utils.reset(lif)
    assert lif(torch.zeros(3, 4))[1].unique().item() == pytest.approx(0.4)
    assert "mem" not in dict(lif.named_buffers())


@pytest.mark.parametrize("all_to_all", [True, False])
def test_a_recurrent_layer_of_a_subclass_under_unroll(all_to_all):
    class User(snn.RLeaky):
        def _init_recurrent_net(self):
            self.recurrent = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh())

        _init_recurrent_one_to_one = _init_recurrent_net

    kwargs = {"linear_features": 4} if all_to_all else {"all_to_all": False}
    neuron, x = User(0.9, init_hidden=True, **kwargs), 2 * torch.rand(6, 3, 4)
    with torch.no_grad():
        want = torch.stack([neuron(step) for step in x])
        assert torch.equal(snn.unroll(neuron, x), want) and want.any()
