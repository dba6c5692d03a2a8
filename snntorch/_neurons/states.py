"""Modules with states: plain tensors, declared by name, that are no part of the model itself."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._torch import is_compiling


class Instances(Sequence["Stateful"]):
    """The living neurons in order of creation, held weakly: it keeps none of them alive."""

    def __init__(self) -> None:
        self._neurons: weakref.WeakValueDictionary[int, Stateful] = weakref.WeakValueDictionary()
        self._numbers = count()

    def append(self, neuron: Stateful) -> None:
        """Add a neuron, weakly."""
        self._neurons[next(self._numbers)] = neuron

    def __iter__(self) -> Iterator[Stateful]:
        return iter(list(self._neurons.values()))

    def __len__(self) -> int:
        return len(self._neurons)

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]


class _ClassOrInstance:
    """A method for one neuron when called on it, for every living one when called on a class."""

    def __init__(self, function: Callable[[Any], None]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, neuron: Stateful | None, owner: type[Stateful]) -> Callable[[], None]:
        return partial(self._call, owner.instances if neuron is None else (neuron,), owner)

    def _call(self, neurons: Sequence[Stateful], owner: type[Stateful]) -> None:
        for neuron in neurons:
            if isinstance(neuron, owner):
                self.function(neuron)


def _one_or_all(states: Iterable[Tensor]) -> Tensor | tuple[Tensor, ...]:
    states = tuple(states)
    return states[0] if len(states) == 1 else states


class Stateful(nn.Module):
    """Parent of modules that carry states from call to call.

    A state moves with ``.to()``, and is in no ``state_dict``, pickle or copy: a copied or loaded
    module starts reset. It can be read and set as an attribute of its name.
    """

    states: ClassVar[tuple[str, ...]] = ()
    """Names of the states in the order of the call."""

    instances: ClassVar[Instances] = Instances()
    """All living neurons in order of creation, held weakly."""

    _name: ClassVar[str]
    _initial_state: Callable[..., Tensor]

    # For each name the newest state; where the caller holds the graph, without it, and a weak
    # reference to the very tensor that was returned.
    _states: dict[str, tuple[Tensor | None, weakref.ref[Tensor] | None]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._name = cls.__name__
        for name in cls.__dict__.get("states", ()):
            get, keep = partial(cls._get, name=name), partial(cls._set, name=name)
            setattr(cls, name, property(get, keep, doc=f"The newest state ``{name}``."))

    def _begin(self) -> None:
        """Start a life of its own: without states, and on the list of instances."""
        self._forget()
        type(self).instances.append(self)

    def _forget(self) -> None:
        # Every name stands there from the start: a compiled graph is guarded by the names.
        self._states = dict.fromkeys(self.states, (None, None))

    @classmethod
    def init(cls) -> None:
        """Start the list of instances anew."""
        Stateful.instances = Instances()

    @staticmethod
    def detach(*states: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the states cut from the graph: new tensors, the given ones stay as they are."""
        return _one_or_all(state.detach() for state in states)

    @staticmethod
    def zeros(*states: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return zeros like the given states."""
        return _one_or_all(torch.zeros_like(state) for state in states)

    @_ClassOrInstance
    def reset_hidden(self) -> None:
        """Forget the states of this neuron; called on a class, of all its living neurons."""
        self.reset_mem()

    @_ClassOrInstance
    def detach_hidden(self) -> None:
        """Cut the states of this neuron from the graph; called on a class, of all its neurons."""
        self._map_states(torch.detach)

    def reset_mem(self) -> Tensor | tuple[Tensor, ...]:
        """Forget the states, and return initial ones that fit any batch."""
        return self.init_states()

    def init_states(self, *sizes: int) -> Tensor | tuple[Tensor, ...]:
        """Forget the states, and return initial ones.

        :param sizes: none for states that fit any batch (zeros without a dimension); else the
            shape of the states, which then come after spikes of the same shape
        :returns: the states in the order of the call; with sizes, spikes first
        """
        self._forget()
        names = self.states if not sizes or "spk" in self.states else ("spk", *self.states)
        return _one_or_all(self._initial_state(*sizes) for _ in names)

    def _get(self, name: str) -> Tensor:
        state = self._newest(name)
        return self._initial_state() if state is None else state

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.states:  # nn.Module would register a parameter under that name
            self._set(value, name)
        else:
            super().__setattr__(name, value)

    def _set(self, value: Tensor, name: str) -> None:
        self._states[name] = value, None

    def _newest(self, name: str) -> Tensor | None:
        """Return a state, or None where there is none: the very tensor that the last call
        returned while somebody holds it, so that its graph goes on."""
        kept, returned = self._states[name]
        alive = None if returned is None else returned()
        return kept if alive is None else alive

    def _remember(self, new: Sequence[Tensor], explicit: bool) -> None:
        """Keep the new states, after an explicit call without their graph."""
        for name, state in zip(self.states, new, strict=True):
            if explicit and state.requires_grad:
                returned = None if is_compiling() else weakref.ref(state)
                self._states[name] = state.detach(), returned
            else:
                self._states[name] = state, None

    def _map_states(self, function: Callable[[Tensor], Tensor]) -> None:
        for name in self.states:
            state = self._newest(name)
            if state is not None:
                self._set(function(state), name)

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any) -> Stateful:
        super()._apply(fn, *args, **kwargs)
        self._map_states(fn)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_states"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._begin()

    def _replicate_for_data_parallel(self) -> Stateful:
        replica = super()._replicate_for_data_parallel()
        replica._forget()
        return replica
