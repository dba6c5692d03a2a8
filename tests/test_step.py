"""A single step in one fused call, against the plain step in PyTorch."""

import gc
import weakref

import pytest
import torch
from models import MODELS
from torch.fx.experimental.proxy_tensor import make_fx

import snntorch as snn
from snntorch import surrogate
from snntorch._engine import backends, cpu
from snntorch._neurons import neurons

FUSABLE = [m for m in MODELS if "lstm" not in m.id and m.states[0] != "spk"]
B = 3


@pytest.fixture
def calls(monkeypatch):
    """Fuse steps of any size, and count them."""
    made = []

    class Counted(cpu.Run):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(neurons, "FUSED", 1)
    monkeypatch.setattr(cpu, "Run", Counted)
    return made


def three_steps(neuron, x, states):
    """Return all outputs of three steps, of which the last goes on from kept states."""
    first = neuron(x, *states)
    second = neuron(2 * x, *first[-len(states) :])
    return [*first, *second, *neuron(x)]


def cases():
    """Each model in float32, and in float64 each rule of the reset."""
    for model in FUSABLE:
        yield pytest.param(model, {}, torch.float32, id=model.id)
    for reset in ("subtract", "zero", "none"):
        for delay in (True, False):
            rule = {"reset_mechanism": reset, "reset_delay": delay}
            label = f"{reset}-{'late' if delay else 'now'}"
            yield pytest.param(FUSABLE[0], rule, torch.float64, id=label)


@pytest.mark.parametrize("row, rule, dtype", list(cases()))
def test_values_gradients_and_second_derivatives(row, rule, dtype, calls):
    neuron = row.make(learn_threshold=True, **rule).to(dtype)
    results = []
    for backend, count in (("reference", 0), (None, 3)):
        calls.clear()
        x = row.input(B, dtype=dtype).requires_grad_()
        states = [torch.full((B, *row.hidden), 0.3, dtype=dtype) for _ in neuron.states]
        leaves = [x, *(state.requires_grad_() for state in states), neuron.threshold]
        with snn.use_backend(backend):
            outs = three_steps(neuron, x, states)
        assert len(calls) == count
        torch.manual_seed(2)
        loss = sum((torch.randn_like(out) * out).sum() for out in outs)
        options = {"allow_unused": True, "materialize_grads": True}
        grads = torch.autograd.grad(loss, leaves, create_graph=True, **options)
        square = sum(grad.square().sum() for grad in grads)
        seconds = torch.autograd.grad(square, leaves, **options)
        plain = torch.autograd.grad(sum(out.sum() for out in three_steps(neuron, x, states)), x)
        results.append((outs, grads, seconds, plain))
    (truth, *wanted), (outs, *found) = results
    assert sum(out.count_nonzero() for out in outs) > 0
    assert all(map(torch.equal, outs, truth))
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    for ours, true in zip(found, wanted, strict=True):
        for a, b in zip(ours, true, strict=True):
            assert (a - b).norm() <= tolerance * b.norm()


def test_only_the_spikes_or_only_the_membrane_have_a_gradient(calls):
    neuron, x = snn.Leaky(beta=0.9), torch.randn(B, 5).requires_grad_()
    for kept in (0, 1):
        grads = []
        for backend in ("reference", None):
            with snn.use_backend(backend):
                out = neuron(x, torch.zeros(()))[kept]
            grads.append(torch.autograd.grad(out.sum(), x)[0])
        torch.testing.assert_close(*grads)


@pytest.mark.parametrize("row", FUSABLE, ids=lambda m: m.id)
def test_a_graph_does_not_keep_its_neuron(row, calls):
    neuron = row.make()
    kept, out = weakref.ref(neuron), neuron(row.input(B).requires_grad_())
    del neuron
    assert calls
    calls.clear()
    gc.collect()
    assert kept() is None
    out[0].sum().backward()


def test_spikes_without_a_surrogate_are_off_the_graph(calls):
    x = torch.randn(B, 5).requires_grad_()
    spk, mem = snn.Leaky(beta=0.9, surrogate_disable=True)(x)
    assert calls and not spk.requires_grad and mem.requires_grad
    spk, _ = snn.Leaky(0.9, surrogate_disable=True, learn_graded_spikes_factor=True)(x)
    assert spk.requires_grad


def test_an_input_that_is_changed_afterwards_is_noticed(calls):
    neuron, x = snn.Leaky(beta=0.9), torch.randn(B, 5).requires_grad_()
    current = 2 * x
    spk, _ = neuron(current, torch.zeros(()))
    current.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        spk.sum().backward()


REFUSED = {
    "inhibition": {"inhibition": True},
    "quantised": {"state_quant": torch.round},
    "any callable": {"spike_grad": torch.sigmoid},
    "random": {"spike_grad": surrogate.SSO()},
}


@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_steps_as_ever(options, calls):
    snn.Leaky(beta=0.9, **options)(torch.randn(B, 5))
    assert not calls


@pytest.mark.parametrize("row", [m for m in MODELS if m not in FUSABLE], ids=lambda m: m.id)
def test_feedback_and_gates_stay_in_pytorch(row, calls):
    neuron, x = row.make(), row.input(B)
    outs = neuron(x)
    assert not calls
    neuron.reset_mem()
    with snn.use_backend("reference"):
        wanted = neuron(x)
    assert outs[0].shape == (B, *(row.fired or row.hidden))
    assert all(map(torch.equal, outs, wanted))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inside forward_ad
def test_transforms_and_traces_see_every_operation(calls):
    neuron, x = snn.Leaky(beta=0.9), torch.randn(4, B, 5)

    def spikes(x):
        return neuron(x, torch.zeros(()))[0]

    want = torch.stack([spikes(each) for each in x])
    calls.clear()
    assert torch.equal(torch.vmap(spikes)(x), want)
    grads = torch.func.grad(lambda x: spikes(x).sum())(x[0])
    assert not calls
    torch.testing.assert_close(grads, torch.autograd.functional.jacobian(
        lambda x: spikes(x).sum(), x[0]
    ))  # fmt: skip
    calls.clear()
    traced = make_fx(spikes)(x[0])
    assert torch.equal(traced(x[1]), want[1]) and not calls
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x[0], torch.ones_like(x[0]))
        mem = snn.Leaky(beta=0.9, surrogate_disable=True)(dual)[1]
        assert torch.equal(
            torch.autograd.forward_ad.unpack_dual(mem).tangent, torch.ones_like(x[0])
        )
    assert not calls


def test_small_steps_do_not_wait_for_numba(monkeypatch):
    monkeypatch.setattr(backends, "step", None)
    snn.Leaky(beta=0.9)(torch.randn(neurons.FUSED - 1))
    with pytest.raises(TypeError):
        snn.Leaky(beta=0.9)(torch.randn(neurons.FUSED))
