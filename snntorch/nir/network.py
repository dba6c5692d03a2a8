"""Modules for imported graphs that are not a chain of layers."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from .._neurons.states import Stateful
from .._torch import is_compiling


class Last(Stateful):
    """The value of another layer in the last step, where a cycle of a graph is cut.

    :param shape: the shape of one sample
    :param dims: the number of dimensions of one sample of the input
    """

    states = ("value",)

    def __init__(self, shape: tuple[int, ...], dims: int) -> None:
        super().__init__()
        self.shape, self.dims = shape, dims
        self._snn_begin()

    def _initial_state(self, *sizes: int) -> Tensor:
        return torch.zeros(sizes)

    def forward(self, x: Tensor, value: Tensor | None = None) -> Tensor:
        """Return the value of the last step, or store the value of this one.

        :param x: input of the network ``[B, ...]``, for the batch size
        :param value: value to store; None to return that of the last step
        :returns: the value ``[B, ...]``, zeros at the first step
        """
        if value is not None:
            self._snn_remember((value,))
            return value
        last = self._snn_newest("value")
        return x.new_zeros(*x.shape[: x.dim() - self.dims], *self.shape) if last is None else last

    def extra_repr(self) -> str:
        """Return the shape as ``print(net)`` shows it."""
        return f"shape={self.shape}"


# The value of a node in this step by its name, or in the last step by ("last", name).
Key = str | tuple[str, str]


class Network(nn.Module):
    """A graph of layers that runs one time step per call.

    :param layers: the layers by their path
    :param inputs: names of the inputs, in the order of the call
    :param steps: for each layer, in the order of execution, its name, its path, and the keys of the
        values that are summed as its input
    :param outputs: for each output, the keys of the values that are summed
    :param last: for the path of each :class:`Last`, the name of the node whose value it stores
    """

    def __init__(
        self,
        layers: dict[str, nn.Module],
        inputs: list[str],
        steps: list[tuple[str, str, list[Key]]],
        outputs: list[list[Key]],
        last: dict[str, str],
    ) -> None:
        super().__init__()
        for path, layer in layers.items():
            *stem, name = path.split(".")
            parent: nn.Module = self
            for part in stem:
                if part not in parent._modules:
                    parent.add_module(part, nn.Module())
                parent = parent.get_submodule(part)
            parent.add_module(name, layer)
        self._inputs, self._steps, self._outputs, self._last = inputs, steps, outputs, last

    def forward(self, input: Tensor, *more: Tensor) -> Any:
        """Run one step.

        :param input: the input ``[B, ...]``; further inputs follow it
        :returns: the output, or a tuple of several
        :raises TypeError: the wrong number of inputs
        """
        signals = input, *more
        if len(signals) != len(self._inputs):
            raise TypeError(
                f"{len(signals)} inputs are given; the network takes {', '.join(self._inputs)}"
            )
        values: dict[Key, Tensor] = dict(zip(self._inputs, signals, strict=True))
        for path, name in self._last.items():
            values["last", name] = self.get_submodule(path)(input)
        for name, path, sources in self._steps:
            values[name] = self.get_submodule(path)(_sum(values, sources))
        for path, name in self._last.items():
            self.get_submodule(path)(input, values[name])
        out = tuple(_sum(values, sources) for sources in self._outputs)
        return out[0] if len(out) == 1 else out


def _sum(values: dict[Key, Tensor], keys: list[Key]) -> Tensor:
    first, *others = (values[key] for key in keys)
    for other in others:
        first = first + other
    return first


class State(dict[str, tuple[Tensor, ...]]):
    """The states of a network: for each layer, by its path, a tuple in the order of its call."""


class NetworkWithState(Network):
    """A :class:`Network` that takes and returns its state: ``out, state = net(x, state)``.

    The layers keep their states themselves. Without a state, or with the one that the last call
    returned, they continue from there, also after a reset or detach. Any other state is restored
    first.
    """

    _newest: weakref.ref[State] | None = None
    """The state that the last call returned."""

    def forward(self, input: Tensor, *more: Any, state: Mapping[str, Any] | None = None) -> Any:
        """Run one step.

        :param input: the input ``[B, ...]``; further inputs follow it
        :param state: a state that an earlier call returned, after the inputs or by name
        :returns: the output, or a tuple of several, and the new :class:`State`
        :raises TypeError: the wrong number of inputs, or ``state`` is not a mapping
        :raises ValueError: ``state`` does not fit the layers
        """
        if state is None and len(more) == len(self._inputs):
            more, state = more[:-1], more[-1]
        self._restore(state)
        out = super().forward(input, *more)
        if isinstance(input, fx.Proxy):  # no layer has run
            return out, None
        new = State(
            (path, tuple(getattr(layer, name) for name in layer._snn_state_names))
            for path, layer in self._stateful().items()
        )
        self._newest = None if is_compiling() else weakref.ref(new)
        return out, new

    def _stateful(self) -> dict[str, Stateful]:
        return {path: each for path, each in self.named_modules() if isinstance(each, Stateful)}

    def _restore(self, state: Any) -> None:
        """Restore the states that an earlier call returned."""
        if state is None or (self._newest is not None and state is self._newest()):
            return
        if not isinstance(state, Mapping):
            raise TypeError(
                f"state is a {type(state).__name__}; pass what the last call returned, or None"
            )
        layers = self._stateful()
        given = {path: states for path, states in state.items() if states is not None}
        for path, states in given.items():
            if path not in layers:
                raise ValueError(
                    f"state has an entry {path!r}; the layers with states are {', '.join(layers)}"
                )
            names = layers[path].states
            if (
                not isinstance(states, tuple | list)
                or len(states) != len(names)
                or not all(isinstance(each, Tensor) for each in states)
            ):
                raise ValueError(
                    f"state[{path!r}] is {states!r}; it must be a tuple of the tensors "
                    f"{', '.join(names)}"
                )
        for path, states in given.items():
            for name, each in zip(layers[path].states, states, strict=True):
                setattr(layers[path], name, each)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_newest": None}  # a copy starts reset
