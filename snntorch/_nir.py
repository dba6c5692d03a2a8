"""What both directions of NIR share: time constants, neurons as NIR sees them, the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ._neurons.lapicque import Lapicque
from ._neurons.leaky import Leaky
from ._neurons.neurons import SpikingNeuron
from ._neurons.nir import NIRLeaky, NIRSynaptic, membrane
from ._neurons.rleaky import RLeaky
from ._neurons.rsynaptic import RSynaptic
from ._neurons.synaptic import Synaptic
from ._table import table
from ._torch import class_of

KEY = "snntorch"
"""Metadata key of what NIR itself cannot express."""

# 1 - 2^-54 rounds to 1: this much decay is none, in float64 too.
_NO_DECAY = 2.0**-54


def time_constant(decay: Any, dt: float) -> Any:
    r"""Return the time constant whose forward Euler step decays by ``decay``, in seconds."""
    return dt / np.maximum(1 - decay, _NO_DECAY)


def decay(tau: Any, dt: float) -> Any:
    r"""Return what is left after one forward Euler step, :math:`1 - dt / \tau`."""
    return np.maximum(1 - dt / tau, 0)


def gain(r: Any, tau: Any, dt: float) -> Any:
    r"""Return what one unit of input adds in one forward Euler step, :math:`r\, dt / \tau`."""
    return r * dt / tau


def integrator_gain(r: Any, dt: float) -> Any:
    """Return the same without a leak, :math:`r dt`; some libraries write ``r = 1`` instead."""
    return np.where(r == 1, 1.0, r * dt)


def check_dt(dt: float) -> float:
    """Return the time step, or raise."""
    if not isinstance(dt, int | float | np.number) or not 0 < dt < float("inf"):
        raise ValueError(f"dt={dt!r} must be a positive number, the time step in seconds")
    return float(dt)


def array(tensor: Tensor) -> np.ndarray:
    """Return a tensor as an array, wherever it lives."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


# Layers ----------------------------------------------------------------------------------------

# A subclass may define these and compute what its parent computes.
_INERT = {"extra_repr", "reset_parameters"}
_SPECIAL = {"__call__", "__getattr__", "__getattribute__", "__setattr__"}


def kind(layer: nn.Module) -> type:
    """Return a layer's class in torch or here, which a subclass of the user's may come from."""
    mro = class_of(layer).__mro__
    return next(c for c in mro if c.__module__.startswith(("torch.nn.", "snntorch.")))


def overridden(layer: nn.Module) -> list[str]:
    """Return the names that change what a layer computes, in a subclass or in the layer itself."""
    if isinstance(layer, SpikingNeuron):
        return sorted(layer._overridden)
    mro, parent = class_of(layer).__mro__, kind(layer)
    own = {name for cls in mro[: mro.index(parent)] for name in vars(cls)} - _INERT
    own |= {"forward"} & vars(layer).keys()
    return sorted(n for n in own if (n in _SPECIAL if n.startswith("__") else hasattr(parent, n)))


# Neurons in NIR's terms ----------------------------------------------------------------------

# The type of a node and its fields, each of the layer's shape.
Fields = tuple[str, dict[str, np.ndarray]]
Shape = tuple[int, ...]


def spread(tensor: Tensor, shape: Shape) -> np.ndarray:
    """Return one value for each element of a sample of the given shape."""
    values = array(tensor)
    beyond = values.ndim - len(shape)
    if beyond > 0:  # as in (1, 8) for samples of 8, which broadcasts over the batch
        if values.shape[:beyond] != (1,) * beyond:
            raise NotImplementedError(
                f"a parameter of shape {values.shape} differs from sample to sample; NIR has one "
                f"value for each element of a sample, here of the shape {shape}"
            )
        values = values.reshape(values.shape[beyond:])
    return np.array(np.broadcast_to(values, shape))


def _values(shape: Shape, *tensors: Tensor) -> list[np.ndarray]:
    """Return one float64 for each neuron: in float32 a time constant loses bits of the decay."""
    return [spread(tensor, shape).astype(np.float64) for tensor in tensors]


def _pull(current: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """Return the shift of the resting potential that equals a constant input current."""
    return np.divide(current, 1 - decay, out=np.zeros_like(current), where=decay != 1)


def _first_order(beta: Any, gain: Any, v_leak: Any, firing: dict[str, Any], dt: float) -> Fields:
    fire = "F" if firing else ""
    if (beta == 1).all():
        return f"I{fire}", {"r": gain / dt, **firing}
    tau = time_constant(beta, dt)
    return f"LI{fire}", {"tau": tau, "r": gain * (tau / dt), "v_leak": v_leak, **firing}


def _second_order(
    alpha: Any, beta: Any, gain: Any, v_leak: Any, firing: dict[str, Any], dt: float
) -> Fields:
    tau_syn, tau_mem = time_constant(alpha, dt), time_constant(beta, dt)
    inside = {"tau_syn": tau_syn, "tau_mem": tau_mem, "w_in": tau_syn / dt}
    node = "CubaLIF" if firing else "CubaLI"
    return node, {**inside, "r": gain * (tau_mem / dt), "v_leak": v_leak, **firing}


def _leaky(neuron: Any, shape: Shape, dt: float) -> Fields:
    beta, threshold = _values(shape, *neuron._decays(), neuron.threshold)
    zero = np.zeros(shape)
    firing = {"v_threshold": threshold, "v_reset": zero}
    return _first_order(beta, zero + 1, zero, firing, dt)


def _lapicque(neuron: Any, shape: Shape, dt: float) -> Fields:
    R, conductance, time_step, beta, threshold = _values(shape, *neuron._decays(), neuron.threshold)
    zero = np.zeros(shape)
    firing = {"v_threshold": threshold, "v_reset": zero}
    return _first_order(beta, R * conductance * time_step, zero, firing, dt)


def _synaptic(neuron: Any, shape: Shape, dt: float) -> Fields:
    alpha, beta, threshold = _values(shape, *neuron._decays(), neuron.threshold)
    zero = np.zeros(shape)
    firing = {"v_threshold": threshold, "v_reset": zero}
    return _second_order(alpha, beta, zero + 1, zero, firing, dt)


def _nir_leaky(neuron: Any, shape: Shape, dt: float) -> Fields:
    tensors = neuron.threshold, neuron.scale, neuron.bias, neuron.v_reset
    beta, threshold, scale, bias, v_reset = _values(shape, *neuron._decays(), *tensors)
    v_leak = _pull(bias, beta) + v_reset
    return _first_order(beta, scale, v_leak, _firing(neuron, threshold, v_reset), dt)


def _nir_synaptic(neuron: Any, shape: Shape, dt: float) -> Fields:
    tensors = neuron.threshold, neuron.scale, neuron.syn_0, neuron.v_reset
    alpha, beta, threshold, scale, syn_0, v_reset = _values(shape, *neuron._decays(), *tensors)
    v_leak = _pull(syn_0, beta) + v_reset
    return _second_order(alpha, beta, scale, v_leak, _firing(neuron, threshold, v_reset), dt)


def _firing(neuron: Any, threshold: np.ndarray, v_reset: np.ndarray) -> dict[str, Any]:
    if neuron.spike_grad is membrane:
        return {}
    return {"v_threshold": threshold + v_reset, "v_reset": v_reset}


_NEURONS: dict[type[SpikingNeuron], Callable[[Any, Shape, float], Fields]] = {
    Leaky: _leaky,
    Lapicque: _lapicque,
    Synaptic: _synaptic,
    RLeaky: _leaky,
    RSynaptic: _synaptic,
    NIRLeaky: _nir_leaky,
    NIRSynaptic: _nir_synaptic,
}
NEURONS = tuple(_NEURONS)
"""The classes that have a counterpart in NIR."""


def fields(neuron: Any, shape: Shape, dt: float, unit_r: bool = False) -> Fields:
    """Return a neuron as a node of NIR, without what only metadata can say.

    :param shape: the shape of one sample
    :param unit_r: write ``r = 1``, and potentials in units of ``v / r``: the same spikes
    """
    node, values = _NEURONS[kind(neuron)](neuron, shape, dt)
    if not unit_r or "v_threshold" not in values or (values["r"] <= 0).any():
        return node, values
    unit = values["r"] * dt if node == "IF" else values["r"]
    potentials = {name: v / unit for name, v in values.items() if name.startswith("v_")}
    return node, {**values, **potentials, "r": np.ones(shape)}


# The report ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What becomes of one node."""

    node: str
    """Its name in the graph."""
    nir: str
    """Its type there."""
    here: str
    """The module here; empty for what is part of the wiring or of another module."""
    note: str = ""
    """How it is converted, unless that is obvious."""
    approximate: str = ""
    """What is not exact."""
    elsewhere: str = ""
    """What a reader that knows only the core of NIR does differently."""


class Report(tuple[Row, ...]):
    """What becomes of a graph: one :class:`Row` for each node; a table when printed."""

    def __str__(self) -> str:
        rows = [("node", "NIR", "here", "remarks")]
        for row in self:
            labelled = (
                row.note,
                row.approximate and f"approximate: {row.approximate}",
                row.elsewhere and f"elsewhere: {row.elsewhere}",
            )
            first, *more = [remark for remark in labelled if remark] or [""]
            rows += [(row.node, row.nir, row.here, first), *(("", "", "", m) for m in more)]
        return table(rows)

    __repr__ = __str__

    def remarks(self, column: str) -> str:
        """Return the remarks of one column, each with the nodes that it is about."""
        about: dict[str, list[str]] = {}
        for row in self:
            about.setdefault(getattr(row, column), []).append(row.node)
        return "; ".join(
            f"{', '.join(nodes)}: {remark}" for remark, nodes in about.items() if remark
        )
