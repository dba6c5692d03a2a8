"""Modules with hidden state: named tensors that are not part of the state_dict."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, MutableSequence, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn

from .._torch import (
    alive,
    backward_task,
    checkpoint_frame,
    is_compiling,
    is_exported,
    is_recorded,
    recording,
)


class Instances(MutableSequence["Stateful"]):
    """The living neurons in order of creation, held weakly: the list keeps none of them alive."""

    def __init__(self) -> None:
        self._neurons: list[weakref.ref[Stateful]] = []

    def insert(self, index: int, value: Stateful) -> None:
        """Add a neuron before the one at ``index``, weakly."""
        living = list(self)
        living.insert(index, value)
        self._hold(living)

    def append(self, value: Stateful) -> None:
        """Add a neuron at the end, weakly."""
        self._neurons.append(weakref.ref(value, self._drop))

    def _hold(self, neurons: Iterable[Stateful]) -> None:
        self._neurons = [weakref.ref(neuron, self._drop) for neuron in neurons]

    def _drop(self, dead: weakref.ref[Stateful]) -> None:
        if dead in self._neurons:
            self._neurons.remove(dead)

    def __iter__(self) -> Iterator[Stateful]:
        living = [neuron() for neuron in list(self._neurons)]  # one may die meanwhile
        return (neuron for neuron in living if neuron is not None)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getitem__(self, index: Any) -> Any:
        return list(self)[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        living = list(self)
        living[index] = value
        self._hold(living)

    def __delitem__(self, index: Any) -> None:
        living = list(self)
        del living[index]
        self._hold(living)


def is_ours(defined: Any) -> bool:
    """Tell whether a class or function is the library's, or PyTorch's."""
    return defined.__module__.partition(".")[0] in ("snntorch", "torch")


class _ClassOrInstance:
    """A method for one neuron when called on it, for every living one when called on a class."""

    def __init__(self, function: Callable[[Any], None]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, neuron: Stateful | None, owner: type[Stateful]) -> Callable[[], None]:
        return partial(self._call, list(owner.instances) if neuron is None else [neuron], owner)

    def _call(self, neurons: Sequence[Stateful], owner: type[Stateful]) -> None:
        for neuron in neurons:
            if isinstance(neuron, owner):
                self.function(neuron)


class OptionalState:
    """The newest state of a name that only some neurons of a class have."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, neuron: Stateful | None, owner: type[Stateful]) -> Tensor:
        if neuron is None or self.name not in neuron._snn_state_names:
            raise AttributeError(f"{owner.__name__} has no attribute {self.name!r}")
        return neuron._snn_get(self.name)


def one_or_all(states: Iterable[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """Return one state by itself, and several as a tuple."""
    states = tuple(states)
    return states[0] if len(states) == 1 else states


def _cut(state: Tensor) -> Tensor:
    """Cut a state from the graph, in place where autograd allows it."""
    return state.detach() if state._is_view() else state.detach_()


# What a neuron keeps beside its states: the membrane before the last step, or the reset signal
# that was worked out from it.
BEFORE, RESET = "membrane before the last step", "reset signal"


class Stateful(nn.Module):
    """Parent of modules that carry states from call to call.

    A state is the tensor that the last call returned, with its graph. It moves with ``.to()``, and
    is not part of a ``state_dict``, pickle or copy: a copied or loaded module starts reset. It can
    be read and set as an attribute of its name.

    Names that begin with ``_snn_`` are internal. Subclasses are free to use all others, as those
    written for 1.0.0 do.
    """

    states: ClassVar[tuple[str, ...]] = ()
    """Names of the states in the order of the call."""

    instances: ClassVar[MutableSequence[Stateful]] = Instances()
    """All living neurons in order of creation, held weakly."""

    _snn_name: ClassVar[str]
    _snn_state_names: tuple[str, ...] = ()
    _snn_initial_state: Callable[..., Tensor]

    _snn_states: dict[str, Tensor | None]  # None: reset
    _snn_shapes: dict[str, torch.Size]  # of the states before the last reset
    _snn_by_hand: bool  # whether a state was set since the last call
    _snn_task: int  # the backward pass in which the states were reset; -1 if in none
    _snn_reset_on_record: bool  # whether the last reset is part of an exported graph

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._snn_name = cls.__name__
        if is_ours(cls):  # a user's subclass may use the name for something else
            cls._snn_take_states()

    @classmethod
    def _snn_take_states(cls) -> None:
        """Make the names in ``states`` attributes of the newest states."""
        cls._snn_state_names = cls.states
        for name in cls.__dict__.get("states", ()):
            get, keep = partial(cls._snn_get, name=name), partial(cls._snn_set, name=name)
            setattr(cls, name, property(get, keep, doc=f"The newest state ``{name}``."))

    def _snn_begin(self) -> None:
        """Start without states, and join the list of instances."""
        # Every name is there from the start: a compiled graph is guarded by the names.
        self._snn_states = dict.fromkeys((*self._snn_state_names, BEFORE, RESET))
        self._snn_shapes = {}
        self._snn_by_hand, self._snn_task, self._snn_reset_on_record = False, -1, False
        self._init_mem()
        type(self).instances.append(self)

    def _init_mem(self) -> None:
        """Start without states; subclasses written for 1.0.0 override it."""
        self._snn_forget()

    def _snn_forget(self) -> None:
        kept = self._snn_kept()
        if not is_compiling():  # which would make the old states inputs of the graph
            shapes = {n: state.shape for n, state in kept.items() if state is not None}
            self._snn_shapes.update(shapes)
        kept.update(dict.fromkeys(kept))
        if not is_compiling() or is_exported():
            self.__dict__.update(_snn_task=backward_task(), _snn_reset_on_record=is_exported())

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Register a buffer; for the name of a state, set that state."""
        if name in self._snn_state_names:
            self._snn_set(tensor, name)
        else:
            super().register_buffer(name, tensor, persistent)

    @classmethod
    def init(cls) -> None:
        """Start the list of instances anew."""
        owner: Any = next(each for each in cls.__mro__ if "instances" in vars(each))
        owner.instances = Instances()

    @staticmethod
    def detach(*states: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Cut the given states from the graph, in place, and return them.

        :param states: states of any shape
        :returns: the same tensors, or a new one for a state that is a view of another tensor, which
            cannot be cut in place; a single state by itself, several as a tuple
        """
        return one_or_all(map(_cut, states))

    @staticmethod
    def zeros(*states: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Cut the given states from the graph, set them to zero, in place, and return them.

        :param states: states of any shape
        :returns: the same tensors; a single state by itself, several as a tuple
        """
        return one_or_all(_cut(state).zero_() for state in states)

    @_ClassOrInstance
    def reset_hidden(self) -> None:
        """Reset the states of this neuron; called on a class, of all its living neurons."""
        if getattr(self.reset_mem, "__func__", None) is Stateful.reset_mem:
            self._snn_forget()  # the zeros are not needed
        else:
            self.reset_mem()

    @_ClassOrInstance
    def detach_hidden(self) -> None:
        """Cut the states of this neuron from the graph; called on a class, of all its neurons."""
        self._snn_map_states(torch.detach)

    def reset_mem(self) -> Tensor | tuple[Tensor, ...]:
        """Reset the states, and return initial ones that fit any batch."""
        return self.init_states()

    def init_states(self, *sizes: int) -> Tensor | tuple[Tensor, ...]:
        """Reset the states, and return initial ones.

        :param sizes: the shape of the states, which then come after spikes of the same shape.
            None for the attributes of the reset neuron: zeros of the shape that they had last, or
            ``(0,)`` before the first call. A call takes them for any batch
        :returns: the states in the order of the call, as a tuple; a single state by itself, as a
            tensor. With sizes, spikes come first
        """
        self._snn_forget()
        if not sizes:
            return one_or_all(self._snn_get(name) for name in self._snn_state_names)
        names = self._snn_state_names
        names = names if self._snn_keeps_spikes() else ("spk", *names)
        return one_or_all(self._snn_initial_state(name, *sizes) for name in names)

    def _snn_keeps_spikes(self) -> bool:
        """Tell whether the first state is the spikes of the last step."""
        return False

    def _snn_get(self, name: str) -> Tensor:
        if name not in self._snn_state_names:  # of a parent that has more states
            raise AttributeError(f"{self._snn_name} has no state {name!r}")
        state = self._snn_newest(name)
        if state is None:
            # A graph that is compiled or recorded serves later batches, which have other shapes.
            shape = torch.Size((0,)) if is_recorded() else self._snn_shapes.get(name, (0,))
            state = self._snn_initial_state(name, *shape)
            if not is_recorded():
                self._snn_set_kept(name, state)  # what is written into it counts
        return state

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._snn_state_names:  # nn.Module would register a parameter under that name
            self._snn_set(value, name)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._snn_state_names:
            self._snn_set(None, name)
        else:
            super().__delattr__(name)

    def _snn_set(self, value: Tensor | None, name: str) -> None:
        self._snn_set_kept(name, value)
        self.__dict__["_snn_by_hand"] = True

    def _snn_set_kept(self, name: str, value: Tensor | None) -> None:
        if (recorder := recording()) is not None:
            recorder.touched.add(self)
        self._snn_kept()[name] = value

    def _snn_kept(self) -> dict[str, Tensor | None]:
        """Return where the states are kept: while a checkpoint recomputes its part, in a copy of
        what they were when it began."""
        if is_compiling() or (frame := checkpoint_frame()) is None:
            return self._snn_states
        return _replay(frame, self)

    def _snn_newest(self, name: str) -> Tensor | None:
        """Return a state, or None if it was reset."""
        kept = self._snn_kept()
        state = kept[name]
        if state is None or is_compiling():
            return state
        if kept is self._snn_states and backward_task() not in (-1, self._snn_task):
            raise RuntimeError(
                f"{self._snn_name}: backward recomputes a call of a neuron that keeps its states, "
                "and the states that it started from are gone. torch.utils.checkpoint works with "
                "use_reentrant=False and without a checkpoint inside; or pass the states as "
                "arguments of the checkpointed function"
            )
        return alive(state)

    def _snn_remember(self, new: Sequence[Tensor], before: Tensor | None = None) -> None:
        """Keep new states, and the membrane of the step before."""
        kept = self._snn_kept()
        kept.update(zip(self._snn_state_names, new, strict=True))
        kept[BEFORE], kept[RESET] = before, None
        self.__dict__["_snn_by_hand"] = False
        if not is_compiling():
            self.__dict__["_snn_task"] = backward_task()

    def _snn_map_states(self, function: Callable[[Tensor], Tensor]) -> None:
        kept = self._snn_kept()
        for name, state in kept.items():
            state = None if state is None else alive(state)
            kept[name] = None if state is None else function(state)

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any) -> Stateful:
        super()._apply(fn, *args, **kwargs)
        self._snn_map_states(fn)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {
            k: value
            for k, value in self.__dict__.items()
            if k not in ("_snn_states", "_snn_shapes", "_snn_model", "_compiled_call_impl")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._snn_begin()

    def __deepcopy__(self, memo: dict[int, Any]) -> Stateful:
        # Spelled out, because a parametrized module would be copied with its states.
        replica = memo[id(self)] = type(self).__new__(type(self))
        replica.__dict__.update(deepcopy(Stateful.__getstate__(self), memo))
        replica._snn_begin()
        return replica

    def __prepare_scriptable__(self) -> NoReturn:
        raise TypeError(
            f"{self._snn_name}: torch.jit.script cannot read a neuron; use torch.compile, "
            "torch.export or torch.jit.trace"
        )

    def _replicate_for_data_parallel(self) -> Stateful:
        replica = super()._replicate_for_data_parallel()
        replica._snn_states = dict.fromkeys(self._snn_states)
        return replica


# Activation checkpoints -----------------------------------------------------------------------


class _Replay:
    """The states of one neuron when a checkpoint began, and while it is recomputed."""

    def __init__(self, states: dict[str, Tensor | None]) -> None:
        # Without their graph, which holds the checkpoint; yet autograd is to save the same again.
        self.first = {
            name: state if state is None else state.detach().requires_grad_(state.requires_grad)
            for name, state in states.items()
        }
        self.versions = {n: s._version for n, s in self.first.items() if s is not None}
        self.task, self.now = -1, states

    def again(self, task: int, name: str) -> dict[str, Tensor | None]:
        """Return the states in the recomputation of a backward pass."""
        if task != self.task:
            self.task, self.now = task, dict(self.first)
            for state, version in self.versions.items():
                if self.first[state]._version != version:  # type: ignore[union-attr]
                    raise RuntimeError(
                        f"{name}: state {state} was changed in place after a checkpoint had begun "
                        "from it, so it cannot be recomputed; assign a new tensor instead"
                    )
        return self.now


_replays: weakref.WeakKeyDictionary[Any, weakref.WeakKeyDictionary[Stateful, _Replay]]
_replays = weakref.WeakKeyDictionary()


def _replay(frame: Any, neuron: Stateful) -> dict[str, Tensor | None]:
    """Return where a neuron keeps its states inside a checkpoint."""
    replays = _replays.setdefault(frame, weakref.WeakKeyDictionary())
    task = backward_task()
    if task == -1 and neuron not in replays:
        replays[neuron] = _Replay(neuron._snn_states)
    if task == -1 or neuron not in replays:
        return neuron._snn_states
    return replays[neuron].again(task, neuron._snn_name)
