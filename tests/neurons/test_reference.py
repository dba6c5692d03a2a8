"""Each model against the independent loop of its documented equation, in float64."""

import numpy as np
import torch
from models import roll
from reference import NumpyOps, TorchOps, run
from releases import gradients_of
from slopes import SLOPES


def late(delay):
    return {} if delay else {"reset_delay": False}


def pool(library, model):
    """Return max pooling by 2 of an image of 4 by 4, where the model pools."""
    if model.fired is None:
        return None
    largest = library.amax if library is torch else np.max
    return lambda a: largest(a.reshape(*a.shape[:2], 2, 2, 2, 2), (3, 5))


def parameters(neuron):
    return {**dict(neuron.named_parameters()), **dict(neuron.named_buffers())}


def test_values_equal_the_numpy_loop(model, reset, delay):
    neuron = model.make(reset_mechanism=reset, **late(delay)).double()
    x = model.input(30, 4, dtype=torch.float64)
    with torch.no_grad():
        got, _ = roll(model, neuron, x)
    p = {name: value.detach().numpy() for name, value in parameters(neuron).items()}
    want = run(
        NumpyOps(),
        model.cls,
        p,
        x.numpy(),
        (4, *model.hidden),
        reset,
        delay,
        pool=pool(np, model),
        model=model,
    )
    assert 0.02 < want["spk"].mean() < 0.98
    np.testing.assert_array_equal(got[0].numpy(), want["spk"])
    for name, state in zip(model.states[-len(got) + 1 :], got[1:], strict=True):
        np.testing.assert_allclose(state.numpy(), want[name], rtol=1e-9, atol=1e-12)


def test_gradients_equal_those_of_the_loop(model, reset, delay):
    neuron = model.make(reset_mechanism=reset, learn_threshold=True, **late(delay)).double()
    for name in model.keys if model.equation else ("alpha", "beta"):
        if name in neuron._buffers and model.cls != "Lapicque":
            value = neuron._buffers.pop(name)
            neuron.register_parameter(name, torch.nn.Parameter(value))
    x = model.input(10, 3, dtype=torch.float64).requires_grad_()
    learnt = [x, *neuron.parameters()]
    got, _ = roll(model, neuron, x)
    o = TorchOps(SLOPES["atan"])
    want = run(
        o,
        model.cls,
        parameters(neuron),
        x,
        (3, *model.hidden),
        reset,
        delay,
        pool=pool(torch, model),
        model=model,
    )
    names = ["spk", *model.states[-len(got) + 1 :]]
    weights = [torch.randn_like(out) for out in got]
    sums = [
        sum((w * out).sum() for w, out in zip(weights, outs, strict=True))
        for outs in (got, [want[name] for name in names])
    ]
    grads = [gradients_of(s, learnt) for s in sums]
    for ours, theirs in zip(*grads, strict=True):
        assert (ours - theirs).norm() <= 1e-10 * theirs.norm()
