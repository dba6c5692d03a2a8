"""Neurons over time on a backend, with their gradients."""

import torch
from releases import gradients_of

import snntorch as snn


def run(neuron, x, backend, **kwargs):
    """Return outputs and last states, and the gradients of their sum, each with a random sign."""
    leaf = x.detach().requires_grad_()
    outs = snn.unroll(neuron, leaf, backend=backend, **kwargs)
    outs = outs if isinstance(outs, tuple) else (outs,)
    outs = (*outs, *(neuron._snn_newest(state) for state in neuron.states))
    leaves = [leaf, *(p for p in neuron.parameters() if p.requires_grad)]
    torch.manual_seed(3)
    loss = sum((torch.randn(out.shape).sign() * out.float()).sum() for out in outs)
    return outs, gradients_of(loss, leaves)


def learnable(row, **options):
    flags = {f"learn_{name}": True for name in (*row.vectors, "threshold") if name != "V"}
    return row.make(**flags, **options)


class Adaptive(snn.Neuron):
    """A user's neuron, as in the documentation. Nothing in it, or in the library, is for a
    backend."""

    states = ("mem", "slow")

    def __init__(self, beta=0.8, **options):
        super().__init__(**options)
        self.parameter("beta", beta, learn=True)
        self.parameter("gain", torch.linspace(0.1, 0.3, 5), learn=True)

    @staticmethod
    def step(x, mem, slow, beta, gain, threshold, spike, fired):
        mem = beta * mem + x + 0.1 * x.tanh() - fired(mem - threshold) * threshold
        slow = 0.9 * slow + gain * mem.clamp(-0.5, 1.2) ** 4
        return spike(mem - threshold - slow), mem, slow
