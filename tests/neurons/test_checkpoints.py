"""Activation checkpoints around neurons that keep their states."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import snntorch as snn
from snntorch import utils

T, B = 12, 3


def network(model):
    torch.manual_seed(0)
    neuron = model.make(init_hidden=True)
    return nn.Sequential(nn.Identity(), neuron)


def gradients(net, x, run):
    """Return the loss's gradients, and the states before and after the backward pass."""
    utils.reset(net)
    net.zero_grad()
    x = x.clone().requires_grad_()
    out = run(x)
    (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
    found = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    return {"x": x.grad, **found}


def in_chunks(net, wrap):
    def part(chunk):
        return snn.unroll(net, chunk, reset=False)

    return lambda x: torch.cat([wrap(part, chunk) for chunk in x.split(4)])


def in_steps(net, wrap):
    return lambda x: torch.stack([wrap(net, step) for step in x])


def in_loops(net, wrap):
    def part(chunk):
        return torch.stack([net(step) for step in chunk])

    return lambda x: torch.cat([wrap(part, chunk) for chunk in x.split(4)])


def plainly(function, *args):
    return function(*args)


def checkpointed(function, *args):
    return checkpoint(function, *args, use_reentrant=False)


@pytest.mark.costly
@pytest.mark.parametrize("how", [in_chunks, in_steps, in_loops])
def test_gradients_are_those_without(model, how):
    net, x = network(model), model.input(T, B)
    want = gradients(net, x, how(net, plainly))
    mem = net[1].mem
    got = gradients(net, x, how(net, checkpointed))
    assert got.keys() == want.keys() and want["x"].any()
    for name, value in want.items():
        torch.testing.assert_close(got[name], value, msg=lambda m, name=name: f"{name}: {m}")
    # The recomputation leaves the states as the forward pass did.
    assert torch.equal(net[1].mem, mem)
    x = model.input(B, seed=1)
    after = net(x)
    gradients(net, model.input(T, B), how(net, plainly))
    assert torch.equal(net(x), after)


def test_a_checkpoint_around_two_neurons():
    torch.manual_seed(0)
    lifs = [snn.Leaky(0.9, init_hidden=True) for _ in range(2)]
    net, x = nn.Sequential(lifs[0], nn.Linear(4, 4), lifs[1]), torch.rand(T, B, 4)
    want = gradients(net, x, in_loops(net, plainly))
    torch.testing.assert_close(gradients(net, x, in_loops(net, checkpointed)), want)


def test_a_graph_that_is_kept_is_recomputed_each_time():
    lif, x = snn.Leaky(0.9, init_hidden=True), torch.rand(T, B, 4, requires_grad=True)
    out = in_chunks(lif, checkpointed)(x).sum()
    first = torch.autograd.grad(out, x, retain_graph=True)[0]
    assert first.any() and torch.equal(torch.autograd.grad(out, x)[0], first)


def test_a_sequence_from_reset_neurons():
    lif, x = snn.Leaky(0.9, init_hidden=True), torch.rand(T, B, 4)
    want = gradients(lif, x, lambda x: snn.unroll(lif, x))
    got = gradients(lif, x, lambda x: checkpointed(snn.unroll, lif, x))
    torch.testing.assert_close(got, want)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_reentrant_checkpoints_are_refused():
    lif, x = snn.Leaky(0.9, init_hidden=True), torch.rand(T, B, 4, requires_grad=True)
    out = in_steps(lif, lambda *args: checkpoint(*args, use_reentrant=True))(x)
    with pytest.raises(RuntimeError, match=r"Leaky: backward recomputes.*use_reentrant=False"):
        out.sum().backward()


def test_reentrant_checkpoints_with_explicit_states():
    lif, grads = snn.Leaky(0.9), []
    for wrap in (plainly, lambda *args: checkpoint(*args, use_reentrant=True)):
        x = torch.rand(T, B, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
        mem, total = torch.zeros(B, 4), 0
        for step in x:
            spk, mem = wrap(lif, step, mem)
            total = total + spk.sum()
        total.backward()
        grads.append(x.grad)
    torch.testing.assert_close(*grads)


def test_reentrant_checkpoints_that_reset():
    lif, grads = snn.Leaky(0.9, init_hidden=True), []
    for wrap in (plainly, lambda *args: checkpoint(*args, use_reentrant=True)):
        x = torch.rand(T, B, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
        wrap(lambda x: snn.unroll(lif, x), x).sum().backward()
        grads.append(x.grad)
    torch.testing.assert_close(*grads)


def test_nested_checkpoints_are_right_or_refused():
    lif, x = snn.Leaky(0.9, init_hidden=True), torch.rand(T, B, 4)

    def nested(wrap, after):
        return lambda x: torch.stack([wrap(lambda s: after(wrap(lif, 2 * s)), step) for step in x])

    def itself(x):
        return x

    # Here what is recomputed ends where the inner checkpoint begins ...
    want = gradients(lif, x, nested(plainly, itself))
    torch.testing.assert_close(gradients(lif, x, nested(checkpointed, itself)), want)
    # ... but here it does not.
    with pytest.raises(RuntimeError, match=r"without a checkpoint inside"):
        gradients(lif, x, nested(checkpointed, torch.exp))


def test_a_state_that_was_changed_since_is_refused():
    lif, x = snn.Leaky(0.9, init_hidden=True), torch.rand(B, 4, requires_grad=True)
    lif(torch.ones(B, 4))
    mem = lif.mem
    out = checkpointed(lif, x)
    mem.fill_(0.3)
    with pytest.raises(RuntimeError, match=r"Leaky: state mem was changed in place"):
        out.sum().backward()
