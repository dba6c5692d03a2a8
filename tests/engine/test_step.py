"""A single step in one fused call, against the plain step in PyTorch."""

import gc
import weakref

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


def test_an_input_that_is_changed_afterwards_is_noticed_where_it_is_read(calls):
    x = torch.randn(B, 5).requires_grad_()
    current = 2 * x
    spk, _ = snn.Leaky(beta=0.9)(current, torch.zeros(()))
    current.add_(1)
    with pytest.raises(RuntimeError, match="held by somebody, unchanged"):
        torch.autograd.grad(spk.sum(), x, create_graph=True)
    spk.sum().backward()
    neuron = snn.Alpha(alpha=0.9, beta=0.8, learn_beta=True)
    current = 2 * x
    spk, *_ = neuron(current)
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


@pytest.mark.parametrize("size", [5, 200_000])  # the second in recycled memory
def test_outputs_may_be_changed_in_place(size, calls):
    results = []
    for backend in ("reference", None):
        torch.manual_seed(0)
        neuron, x = snn.Leaky(beta=0.9), torch.randn(B, size).requires_grad_()
        with snn.use_backend(backend):
            spk, mem = neuron(x, torch.zeros(()))
        mem.clamp_(min=-0.1)
        spk.mul_(2)
        (mem.square().sum() + spk.sum()).backward()
        results.append(x.grad)
    assert calls
    torch.testing.assert_close(*results)
    hidden = snn.Leaky(beta=0.9, init_hidden=True)
    spikes = snn.unroll(hidden, torch.randn(4, B, size).requires_grad_())
    spikes[0] = 0
    hidden.mem[:, :2] = 0
    spikes.sum().backward()


def test_inputs_and_states_may_be_changed_before_the_backward_pass(calls):
    """A buffer for the current and one for the state, written anew at each step."""
    grads = []
    for buffered in (False, True):
        torch.manual_seed(0)
        neuron = snn.Leaky(beta=0.9, learn_beta=True, learn_threshold=True)
        current, state, total = torch.empty(B, 5), torch.zeros(B, 5), 0.0
        for _ in range(3):
            new = torch.randn(B, 5)
            current = current.copy_(new) if buffered else new
            spk, mem = neuron(current, state)
            state = state.copy_(mem.detach()) if buffered else mem.detach()
            total = total + spk.sum() + mem.sum()
        total.backward()
        grads.append((neuron.beta.grad, neuron.threshold.grad))
    assert len(calls) == 12
    assert grads[0] == grads[1]


def test_an_input_from_inference_mode(calls):
    with torch.inference_mode():
        x = torch.randn(B, 5)
    neuron = snn.Leaky(beta=0.9, learn_beta=True)
    spk, _ = neuron(x, torch.ones(B, 5))
    spk.sum().backward()
    assert calls and neuron.beta.grad != 0


def test_several_gradients_at_once(calls):
    x, vectors = torch.randn(B, 5).requires_grad_(), torch.randn(4, B, 5)
    for run in (lambda: snn.Leaky(0.9)(x, torch.zeros(()))[0], lambda: snn.unroll(hidden(), x, 1)):
        spk = run()
        each = vectors.view(4, *spk.shape)
        one_by_one = [torch.autograd.grad(spk, x, v, retain_graph=True)[0] for v in each]
        (batched,) = torch.autograd.grad(spk, x, each, is_grads_batched=True)
        torch.testing.assert_close(batched, torch.stack(one_by_one))


def hidden():
    return snn.Leaky(beta=0.9, init_hidden=True)


def test_a_second_derivative_after_a_first(calls):
    x = torch.randn(B, 5).requires_grad_()
    _, mem = snn.Leaky(beta=0.9)(x, torch.zeros(()))
    mem.square().sum().backward(retain_graph=True)
    (first,) = torch.autograd.grad(mem.pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert calls
    torch.testing.assert_close(second, 6 * x)


def test_memory_of_the_input_is_free_after_the_backward_pass(calls):
    x = torch.randn(B, 5).requires_grad_()
    current = 2 * x
    kept = weakref.ref(current)
    spk, _ = snn.Leaky(beta=0.9)(current, torch.zeros(()))
    del current
    assert kept() is not None  # for a second derivative
    spk.sum().backward()
    assert kept() is None and calls


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
