"""Shared by export and import: forward Euler, arrays, and parameter values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

KEY = "snntorch"
"""Metadata key of what NIR itself cannot express."""

Shape = tuple[int, ...]
Edges = list[tuple[str, str]]

# 1 - 2^-54 rounds to 1 in float64, which means no decay.
_NO_DECAY = 2.0**-54


def time_constant(decay: Any, dt: float) -> Any:
    r"""Return the time constant in seconds whose forward Euler step has this decay."""
    return dt / np.maximum(1 - decay, _NO_DECAY)


def decay(tau: Any, dt: float) -> Any:
    r"""Return the decay of one forward Euler step, :math:`1 - dt / \tau`."""
    return np.maximum(1 - dt / tau, 0)


def gain(r: Any, tau: Any, dt: float) -> Any:
    r"""Return the input gain of one forward Euler step, :math:`r\, dt / \tau`."""
    return r * dt / tau


def integrator_gain(r: Any, dt: float) -> Any:
    """Return the input gain without a leak, :math:`r dt`; some libraries write ``r = 1`` for 1."""
    return np.where(r == 1, 1.0, r * dt)


def check_dt(dt: float) -> float:
    """Return the time step as a float, or raise ValueError."""
    if not isinstance(dt, int | float | np.number) or not 0 < dt < float("inf"):
        raise ValueError(f"dt={dt!r} must be a positive number, the time step in seconds")
    return float(dt)


def check_map(name: str, given: Any, base: type, wiring: tuple[type, ...] = ()) -> dict[Any, Any]:
    """Return a map from classes to functions as a dict, or raise TypeError."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} is {given!r}; expected a dict from classes to functions")
    for cls, function in given.items():
        if not (isinstance(cls, type) and issubclass(cls, base)) or cls in wiring:
            but = f", except {', '.join(each.__name__ for each in wiring)}" if wiring else ""
            raise TypeError(
                f"{name} has the key {cls!r}; expected a class derived from {base.__name__}{but}"
            )
        if not callable(function):
            raise TypeError(f"{name}[{cls.__name__}] is {function!r}; expected a function")
    return dict(given)


def array(tensor: Tensor) -> np.ndarray:
    """Return a tensor on any device as an array."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def spread(tensor: Tensor, shape: Shape) -> np.ndarray:
    """Return one value for each element of a sample of the given shape."""
    values = array(tensor)
    beyond = values.ndim - len(shape)
    if beyond > 0:  # such as (1, 8) for samples of 8, which broadcasts over the batch
        if values.shape[:beyond] != (1,) * beyond:
            raise NotImplementedError(
                f"a parameter of shape {values.shape} differs from sample to sample; NIR has one "
                f"value for each element of a sample, here of the shape {shape}"
            )
        values = values.reshape(values.shape[beyond:])
    return np.array(np.broadcast_to(values, shape))


def ints(value: Any, count: int) -> tuple[int, ...]:
    """Return ``count`` ints from one number or from as many."""
    return tuple(int(each) for each in np.broadcast_to(np.ravel(value), (count,)))


class Converter:
    """Converts nodes to modules; collects remarks in ``note`` and ``approximate``."""

    def __init__(self, dt: float, dtype: torch.dtype) -> None:
        self.dt, self.dtype = dt, dtype
        self.note = self.approximate = ""

    def tensor(self, values: Any) -> Tensor:
        """Return values of a node as a tensor of the network's dtype."""
        return torch.as_tensor(np.array(values), dtype=self.dtype)

    def decay(self, tau: np.ndarray) -> np.ndarray:
        """Return the decay of a time constant, or raise if the constant is too short."""
        shortest = float(np.min(tau))
        if not shortest >= self.dt * (1 - 1e-6):  # a tau of one step may be rounded
            raise ValueError(
                f"a time constant of {shortest:g} s is shorter than the time step dt={self.dt:g} "
                "s; pass the dt that the graph was made for"
            )
        return decay(tau, self.dt)

    def layer(self, module: Any, weight: Any, bias: Any) -> nn.Module:
        """Set a module's weight and bias, and return it."""
        module.weight = nn.Parameter(self.tensor(weight))
        module.bias = None if bias is None else nn.Parameter(self.tensor(bias))
        return module


def own_metadata(node: Any) -> dict[str, Any]:
    """Return this library's metadata of a node or graph."""
    own = (node.metadata or {}).get(KEY)
    return own if isinstance(own, dict) else {}
