"""Checks of arguments. Errors name the argument, its value and what is accepted."""

from __future__ import annotations

import operator
from typing import Any

from torch import nn


def check_net(net: nn.Module) -> None:
    """Raise TypeError if a network is not a module."""
    if not isinstance(net, nn.Module):
        raise TypeError(f"net is a {type(net).__name__}; a neuron or another nn.Module is needed")


def check_integer(name: str, value: Any, accepted: str = "an integer") -> int:
    """Return an integer as an int, or raise TypeError."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; expected {accepted}") from None


def check_count(name: str, value: Any, least: int) -> int:
    """Return an integer of at least ``least`` as an int, or raise."""
    accepted = f"an integer of at least {least}"
    count = check_integer(name, value, accepted)
    if count < least:
        raise ValueError(f"{name} is {count}; expected {accepted}")
    return count


def check_share(name: str, value: float) -> float:
    """Return a fraction of the time steps, or raise ValueError."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; expected a fraction of the steps, from 0 to 1")
    return value
