"""What goes from layer to layer."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any
from warnings import warn

import torch
from torch import Tensor

from .._checks import check_integer


@dataclass(frozen=True)
class Signal:
    """Values over time."""

    value: Any
    """A tensor ``[T, ...]``, a tuple of such, or a list over time; that of one step if static."""
    num_steps: int
    static: bool
    """Whether the value is the same at each step."""

    @classmethod
    def of(cls, x: Tensor, num_steps: int | None) -> Signal:
        """Return what a user gives to a network; raise if it is invalid."""
        if not isinstance(x, Tensor):
            raise TypeError(f"x is a {type(x).__name__}; a tensor [T, B, ...] is needed")
        if x.is_nested:
            raise TypeError(
                "x is a nested tensor; pad its sequences to one length, for example by "
                "torch.nested.to_padded_tensor, with time first"
            )
        if static := num_steps is not None:
            steps = check_integer("num_steps", num_steps)
            given = f"num_steps={steps}"
            if x.dim() > 2 and x.shape[0] == steps:
                warn(
                    f"num_steps={steps} is also the first dimension of x, {tuple(x.shape)}: with "
                    "num_steps, x is one batch shown at every step; leave num_steps out if x has "
                    "time",
                    stacklevel=3,
                )
        else:
            steps = x.shape[0] if x.dim() else 0
            given = f"x of shape {tuple(x.shape)} holds no time step"
        if steps < 1:
            raise ValueError(f"{given}; at least one time step is needed")
        return cls(x, steps, static)

    def then(self, value: Any, static: bool = False) -> Signal:
        """Return what a layer makes of this."""
        return Signal(value, self.num_steps, static)

    def over_time(self) -> Any:
        """Return the values with a time dimension."""
        x = self.value
        return x.expand(self.num_steps, *x.shape) if self.static else x

    def repeated(self) -> Signal:
        """Return the same with memory for each step, where it is static."""
        return self.then(self.over_time().clone()) if self.static else self

    def steps(self) -> Iterable[Any]:
        """Return what comes in at each step."""
        x = self.value
        if self.static:
            return (x for _ in range(self.num_steps))
        if isinstance(x, tuple):
            return zip(*(self.then(each).steps() for each in x), strict=True)
        if isinstance(x, Tensor) and x.requires_grad:
            # The gradient of x[t] would be as large as x, at each step. A layer may overwrite a
            # copy.
            return (step.clone() for step in x.unbind())
        return (x[t] for t in range(self.num_steps))

    def result(self) -> Any:
        """Return what one step returns, in the same structure, with tensors over time."""
        x = self.repeated().value
        return _stacked(x) if isinstance(x, list) else x


def _stacked(steps: list[Any]) -> Any:
    first, alike = steps[0], all(type(step) is type(steps[0]) for step in steps)
    if all(isinstance(step, Tensor) for step in steps):
        return torch.stack(steps)
    if alike and isinstance(first, dict) and all(step.keys() == first.keys() for step in steps):
        out = copy(first)  # of the same class
        out.update({key: _stacked([step[key] for step in steps]) for key in first})
        return out
    if alike and isinstance(first, tuple | list) and len({len(step) for step in steps}) == 1:
        columns = [_stacked(list(column)) for column in zip(*steps, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)
    return steps
