"""The step in the parts that subclasses written for 1.0.0 override."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..dynamics import Model
from .states import RESET, Stateful, is_ours, one_or_all

States = tuple[Tensor, ...]

# What a subclass or a single neuron may define instead of the library's.
PARTS = (
    "_base_state_function",
    "_base_sub",
    "_base_zero",
    "_base_int",
    "_base_state_reset_zero",
    "_base_state_reset_sub_function",
    "state_function",
    "mem_reset",
    "fire",
    "fire_inhibition",
)


class Overridable(Stateful):
    """Parent of neurons whose dynamics a subclass may override in parts.

    A step that is overridden runs as in release 1.0.0. The old states are in the attributes of
    their names. ``mem_reset(mem)`` gives the attribute ``reset``; then ``state_function(input_)``
    gives the new states, by ``_base_sub``, ``_base_zero`` or ``_base_int`` for the three reset
    mechanisms, each on top of ``_base_state_function``, the update without a reset; and
    ``fire(mem)`` or ``fire_inhibition(batch_size, mem)`` gives the spikes.
    """

    _snn_overridden: ClassVar[frozenset[str]] = frozenset()
    """Which of these parts, and of ``forward``, are not the library's."""
    _snn_own_part: ClassVar[str | None] = None
    """One of these parts, if there is one: the step is not the library's."""
    _snn_made_with: ClassVar[tuple[tuple[str, Any], ...]] = ()
    """The parts as they were when the class was made."""

    _snn_resets: ClassVar[bool] = True  # whether the model has a reset at all
    # For a reset mechanism, the part that tells what it takes off the new states.
    _snn_taken_off: ClassVar[dict[str, str]] = {}

    _snn_model: Model
    """What distinguishes the neuron from others."""

    mem: Tensor
    reset: Tensor
    reset_mechanism: Any
    threshold: Tensor
    reset_delay: bool
    refractory: int
    state_quant: Any
    mem_reset: Callable[[Tensor], Tensor]
    _snn_update: Callable[[Tensor, States], States]
    _snn_spikes: Callable[[States], States]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._snn_overridden = frozenset(
            name for name in (*PARTS, "forward") if not _is_ours(cls, name)
        )
        cls._snn_own_part = next((name for name in PARTS if name in cls._snn_overridden), None)
        cls._snn_made_with = tuple((name, getattr(cls, name, None)) for name in PARTS)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in PARTS:
            self.__dict__.update(_snn_overridden=self._snn_overridden | {name}, _snn_own_part=name)
        elif name == "forward":
            self.__dict__["_snn_overridden"] = self._snn_overridden | {name}
        super().__setattr__(name, value)

    def _snn_changed_part(self) -> str | None:
        """Return the name of a part of the step that is not the library's, if there is one."""
        if self._snn_own_part is None:
            cls = type(self)
            for name, function in cls._snn_made_with:
                if getattr(cls, name, None) is not function:  # replaces the library's
                    self.__dict__.update(
                        _snn_overridden=self._snn_overridden | {name}, _snn_own_part=name
                    )
        return self._snn_own_part

    # The parts ---------------------------------------------------------------------------------

    def state_function(self, input_: Tensor) -> Any:
        """Return the new states, after the reset that the attribute ``reset`` asks for."""
        parts = {"subtract": self._base_sub, "zero": self._base_zero, "none": self._base_int}
        return parts[self.reset_mechanism if self._snn_resets else "none"](input_)

    def _base_state_function(self, input_: Tensor) -> Any:
        """Return the new states before any reset."""
        new = self._snn_update(input_, self._snn_old())
        return one_or_all(new)

    def _base_int(self, input_: Tensor) -> Any:
        return self._base_state_function(input_)

    def _base_sub(self, input_: Tensor) -> Any:
        return self._snn_base_reset(input_, "subtract")

    def _base_zero(self, input_: Tensor) -> Any:
        if self._snn_model.zero_first:
            self.mem = self.mem - self.reset * self.mem
            return self._base_state_function(input_)
        return self._snn_base_reset(input_, "zero")

    def _snn_base_reset(self, input_: Tensor, mechanism: str) -> Any:
        new = _as_states(self._base_state_function(input_))
        if mechanism in self._snn_taken_off:
            taken = getattr(self, self._snn_taken_off[mechanism])(input_)
            new = tuple(state - self.reset * part for state, part in zip(new, taken, strict=True))
        else:
            new = self._snn_after_reset(new, self._snn_old(), self.reset, mechanism)
        return one_or_all(new)

    def _base_state_reset_zero(self, input_: Tensor) -> Any:
        """Return what a reset to zero takes off the new states: the membrane as the model itself
        updates it."""
        *others, mem = self._snn_update(input_, self._snn_old())
        return *(0 for _ in others), mem

    def _snn_old(self) -> States:
        return tuple(getattr(self, name) for name in self._snn_state_names)

    # The step ----------------------------------------------------------------------------------

    def _snn_overridden_step(self, x: Tensor, old: States) -> tuple[Tensor, States]:
        """Advance by one time step, part by part; return spikes and new states."""
        if self.refractory:
            raise TypeError(
                f"{self._snn_name}: refractory={self.refractory} with {self._snn_own_part} of the "
                "subclass; a step that is overridden in parts has no refractory period"
            )
        kept = self._snn_kept()
        kept.update(zip(self._snn_state_names, old, strict=True))
        mem = old[self._snn_model.membrane]
        late = self._snn_resets and self.reset_delay
        kept[RESET] = self.mem_reset(mem) if late else torch.zeros_like(mem)
        new = self._snn_all_states(_as_states(self.state_function(x)), old)
        if self.state_quant:
            new = tuple(map(self.state_quant, new))
        names = self._snn_state_names[-len(new) :]
        kept.update(zip(names, new, strict=True))
        spk, scaled = self._snn_spikes(new)
        new = tuple(getattr(self, name) for name in names)  # firing may write them
        if self._snn_resets and not self.reset_delay and self.reset_mechanism != "none":
            new = self._snn_after_reset(new, old, spk, self.reset_mechanism)
        return scaled, (scaled, *new) if self._snn_model.recurrent else new

    def _snn_after_reset(self, new: States, old: States, fired: Tensor, mechanism: str) -> States:
        old = old[1:] if self._snn_model.recurrent else old
        return self._snn_model.reset(mechanism, new, old, fired, self.threshold)

    def _snn_all_states(self, new: States, old: States) -> States:
        """Return all states that a step returns from those that ``state_function`` gave."""
        return new


def _is_ours(cls: type, name: str) -> bool:
    """Tell whether a class takes a method from the library itself."""
    definer = next((each for each in cls.__mro__ if name in vars(each)), torch.nn.Module)
    return is_ours(definer)


def _as_states(value: Any) -> States:
    return tuple(value) if isinstance(value, tuple | list) else (value,)
