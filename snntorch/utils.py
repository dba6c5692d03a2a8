"""Handling whole networks."""

from torch import nn

from ._neurons.states import Stateful


def reset(net: nn.Module) -> None:
    """Reset the hidden states of every neuron in a network, at any depth, and of no other.

    :param net: a neuron, or a module that contains some
    """
    for module in net.modules():
        if isinstance(module, Stateful):
            module.reset_mem()


def detach(net: nn.Module) -> None:
    """Cut the hidden states of every neuron in a network from the graph, keeping their values.

    :param net: a neuron, or a module that contains some
    """
    for module in net.modules():
        if isinstance(module, Stateful):
            module.detach_hidden()
