"""A single step in one fused call, against the plain step in PyTorch."""

import pytest
import torch
from models import MODELS
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

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
def test_values(row, rule, dtype, calls):
    """Under no_grad a step is fused; where it is to be differentiated, it is PyTorch's."""
    neuron = row.make(learn_threshold=True, **rule).to(dtype)
    x = row.input(B, dtype=dtype)
    states = [torch.full((B, *row.hidden), 0.3, dtype=dtype) for _ in neuron.states]
    plain = three_steps(neuron, x, states)
    assert not calls and sum(out.count_nonzero() for out in plain) > 0
    with torch.no_grad():
        fused = three_steps(neuron, x, states)
    assert len(calls) == 3 and all(map(torch.equal, fused, plain))


REFUSED = {
    "inhibition": {"inhibition": True},
    "quantised": {"state_quant": torch.round},
    "any callable": {"spike_grad": torch.sigmoid},
    "random": {"spike_grad": surrogate.SSO()},
}


@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_steps_as_ever(options, calls):
    with torch.no_grad():
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
    with torch.no_grad():
        snn.Leaky(beta=0.9)(torch.randn(neurons.FUSED - 1))
        with pytest.raises(TypeError):
            snn.Leaky(beta=0.9)(torch.randn(neurons.FUSED))


# Around the call -----------------------------------------------------------------------------


def own_method(name):
    """A class with a public method of its own, and a neuron with one in its place."""
    methods = {
        "mem_reset": lambda mem: torch.zeros_like(mem),
        "fire": lambda mem: 7 * (mem > 0.1).to(mem),
        "fire_inhibition": lambda batch_size, mem: batch_size * (mem > 0.5).to(mem),
    }
    method, options = methods[name], {"inhibition": name == "fire_inhibition"}
    cls = type("Own", (snn.Leaky,), {name: staticmethod(method)})
    instance = snn.Leaky(0.9, init_hidden=True, output=True, **options)
    setattr(instance, name, method)
    return cls(0.9, init_hidden=True, output=True, **options), instance


@pytest.mark.parametrize("name", ["mem_reset", "fire", "fire_inhibition"])
@pytest.mark.parametrize("which", ["subclass", "instance"])
def test_methods_of_ones_own_are_called(name, which, calls):
    neuron = own_method(name)[which == "instance"]
    x = torch.tensor([[0.6, 3.0], [0.3, 0.2]])
    spikes, mems = snn.unroll(neuron, x, 3)
    neuron.reset_hidden()
    outs = [neuron(x) for _ in range(3)]
    assert torch.equal(spikes, torch.stack([spk for spk, _ in outs]))
    assert torch.equal(mems, torch.stack([mem for _, mem in outs]))
    decayed = torch.stack([x, 1.9 * x, 2.71 * x])
    if name == "mem_reset":  # nothing is ever reset
        torch.testing.assert_close(mems, decayed)
    else:
        first = 7 * (x > 0.1) if name == "fire" else 2 * (x > 0.5)
        assert torch.equal(spikes[0], first.float())
    assert not calls


def hidden():
    return snn.Leaky(beta=0.9, init_hidden=True)


@pytest.mark.parametrize("explicit", [True, False])
def test_checkpoints_of_single_steps(explicit, calls):
    """Looking whether a state's graph is still there runs nothing again."""
    fc, results = torch.nn.Linear(4, 5), []
    for checkpointed in (True, False):
        neuron, count = snn.Leaky(beta=0.9, learn_beta=True, init_hidden=not explicit), 0

        def step(x, *states, neuron=neuron):
            nonlocal count
            count += 1
            return neuron(fc(x), *states)

        torch.manual_seed(0)
        total, mem = 0.0, torch.zeros(B, 5)
        for x in torch.randn(6, B, 4):
            states = (mem,) if explicit else ()
            if checkpointed:
                out = checkpoint(step, x, *states, use_reentrant=False)
            else:
                out = step(x, *states)
            spk, mem = out if explicit else (out, None)
            total = total + spk.sum()
        assert count == 6
        if explicit:
            fc.zero_grad()
            total.backward()
            assert count == (12 if checkpointed else 6)
            results.append(fc.weight.grad.clone())
    if explicit:
        assert torch.equal(*results)


def test_checkpoints_of_sequences():
    neuron, x = snn.Leaky(0.9, learn_beta=True, init_hidden=True), torch.randn(5, B, 4)
    grads = []
    for run in (snn.unroll, lambda *args: checkpoint(snn.unroll, *args, use_reentrant=False)):
        neuron.zero_grad()
        leaf = x.clone().requires_grad_()
        run(neuron, leaf).sum().backward()
        grads.append((leaf.grad, neuron.beta.grad.clone()))
    assert torch.equal(grads[0][0], grads[1][0]) and torch.equal(grads[0][1], grads[1][1])
