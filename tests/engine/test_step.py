"""A single step under transforms, checkpoints, and with overridden methods."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

import snntorch as snn

B = 3


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # inside forward_ad
def test_transforms_and_traces_see_every_operation():
    neuron, x = snn.Leaky(beta=0.9), torch.randn(4, B, 5)

    def spikes(x):
        return neuron(x, torch.zeros(()))[0]

    want = torch.stack([spikes(each) for each in x])
    assert torch.equal(torch.vmap(spikes)(x), want)
    grads = torch.func.grad(lambda x: spikes(x).sum())(x[0])
    torch.testing.assert_close(grads, torch.autograd.functional.jacobian(
        lambda x: spikes(x).sum(), x[0]
    ))  # fmt: skip
    traced = make_fx(spikes)(x[0])
    assert torch.equal(traced(x[1]), want[1])
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x[0], torch.ones_like(x[0]))
        mem = snn.Leaky(beta=0.9, surrogate_disable=True)(dual)[1]
        assert torch.equal(
            torch.autograd.forward_ad.unpack_dual(mem).tangent, torch.ones_like(x[0])
        )


# Around the call -----------------------------------------------------------------------------


def own_method(name):
    """A subclass with an overridden public method, and a neuron where it is replaced."""
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
def test_methods_of_ones_own_are_called(name, which):
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


def hidden():
    return snn.Leaky(beta=0.9, init_hidden=True)


@pytest.mark.parametrize("explicit", [True, False])
def test_checkpoints_of_single_steps(explicit):
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
