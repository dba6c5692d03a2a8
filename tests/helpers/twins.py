"""A network under ``snn.compile`` against its plain twin: everything that is to be the same."""

import copy

import torch
from releases import tree_leaves
from torch.utils._pytree import tree_flatten, tree_map

import snntorch as snn

# Sums over time of float32 are taken in another order.
EXACT = {torch.float64: {"rtol": 1e-12, "atol": 1e-12}, torch.float32: {"rtol": 1e-4, "atol": 2e-4}}


def states_of(net):
    """Return the states of all neurons, by name; None for those that are reset."""
    return {
        f"{path}.{name}": neuron._snn_newest(name)
        for path, neuron in net.named_modules()
        if isinstance(neuron, snn.SpikingNeuron)
        for name in neuron.states
    }


def left_on(net):
    """Return the tensors that a forward left on its modules as attributes, by name."""
    return {
        f"{path}.{name}": [each for each in tree_leaves(value) if isinstance(each, torch.Tensor)]
        for path, module in net.named_modules()
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(module, snn.SpikingNeuron)
    }


def kind(leaf):
    """Return what a user can tell of a value beside its numbers."""
    if not isinstance(leaf, torch.Tensor):
        return type(leaf), leaf
    return type(leaf), leaf.dtype, leaf.requires_grad, leaf.is_contiguous()


def fresh(value, gradients):
    """Return a copy of an argument, as a leaf of the graph where it can be one."""
    if not isinstance(value, torch.Tensor):
        return value
    return value.clone().requires_grad_(gradients and value.is_floating_point())


def call(net, *args):
    return net(*args)


def linears(run, *args):
    """Return how often a call runs a linear layer."""
    run(*args)  # at first shapes are worked out too
    with torch.profiler.profile() as profile:
        run(*args)
    return [event.name for event in profile.events()].count("aten::linear")


def result(net, *args, run=call, calls=2, gradients=True):
    """Call a network some times in a row, as a user might, and return all that comes of it."""
    args = tree_map(lambda value: fresh(value, gradients), args)
    torch.manual_seed(1)
    with torch.set_grad_enabled(gradients):
        outs = [run(net, *args) for _ in range(calls)]
        drawn, states, left = torch.rand(3), states_of(net), left_on(net)
        leaves, structure = tree_flatten([outs, list(states.values()), left])
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        loss = sum(
            (leaf * torch.linspace(-1, 1, leaf.numel(), dtype=leaf.dtype).view_as(leaf)).sum()
            for leaf in tensors
            if leaf.requires_grad
        )
    grads = {}
    if isinstance(loss, torch.Tensor):
        parameters = {name: each for name, each in net.named_parameters() if each.requires_grad}
        inputs = parameters | {
            f"argument {i}": arg
            for i, arg in enumerate(tree_leaves(args))
            if isinstance(arg, torch.Tensor) and arg.requires_grad
        }
        found = torch.autograd.grad(loss, inputs.values(), allow_unused=True)
        grads = dict(zip(inputs, found, strict=True))
    return {
        "kinds": [structure, *map(kind, leaves)],
        "values": [leaf for leaf in tree_leaves(outs) if isinstance(leaf, torch.Tensor)],
        "states": states,
        "attributes": left,
        "gradients": grads,
        "buffers": dict(net.named_buffers()),
        "random numbers": drawn,
        "arguments": [arg for arg in tree_leaves(args) if isinstance(arg, torch.Tensor)],
    }


def close(got, want, tolerance):
    for key in want:
        if key == "kinds":
            assert got[key] == want[key]
        else:
            torch.testing.assert_close(
                got[key], want[key], **tolerance, msg=lambda text, key=key: f"{key}: {text}"
            )


def assert_same(net, *args, options=None, **kwargs):
    """Compare a network compiled with its plain twin; return what the twin gave."""
    dtype = next((each.dtype for each in net.parameters()), torch.float64)
    want = result(copy.deepcopy(net), *args, **kwargs)
    compiled = snn.compile(copy.deepcopy(net), **(options or {}))
    close(result(compiled, *args, **kwargs), want, EXACT[dtype])
    return want
