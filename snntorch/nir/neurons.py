"""Neurons: written as NIR nodes, and read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._neurons.lapicque import Lapicque
from .._neurons.leaky import Leaky
from .._neurons.neurons import SpikingNeuron, State
from .._neurons.rleaky import RLeaky
from .._neurons.rsynaptic import RSynaptic
from .._neurons.synaptic import Synaptic
from .._torch import class_of
from .common import Converter, Shape, gain, integrator_gain, spread, time_constant


def membrane(u: Tensor) -> Tensor:
    """Return the membrane unchanged: the ``spike_grad`` of an integrator, which does not fire."""
    return u


class _Driven(SpikingNeuron):
    """A neuron whose input is scaled and shifted, and whose states start from given values.

    Potentials are relative to the reset potential: a reset sets them to zero, and the leak towards
    the resting potential is a constant current.
    """

    scale: Tensor
    bias: Tensor
    v_reset: Tensor

    def _snn_drive(self, **values: Any) -> None:
        for name, value in values.items():
            self._snn_register(name, value, False)

    def _snn_as_current(self, input_: Tensor) -> Tensor:
        return super()._snn_as_current(input_) * self.scale + self.bias

    def _snn_fitting(self, name: str, given: State, x: Tensor, shape: torch.Size) -> Tensor:
        if given is None and self._snn_newest(name) is None:
            given = self._buffers[f"{name}_0"]
        return super()._snn_fitting(name, given, x, shape)


class NIRLeaky(_Driven, Leaky):
    r"""A leaky integrator of NIR that :class:`~snntorch.Leaky` cannot represent.

    .. math:: U[t+1] = \beta U[t] + s X[t+1] + b, \qquad U[0] = U_0

    where :math:`U` is relative to the reset potential, to which a spike resets it.

    :param beta: decay :math:`\beta`
    :param scale: input gain :math:`s`
    :param bias: constant input current :math:`b`
    :param v_reset: reset potential in the units of the graph
    :param mem_0: initial membrane :math:`U_0`

    Each is a number or a tensor that broadcasts to one sample. The other arguments are those of
    :class:`~snntorch.Leaky`.
    """

    def __init__(
        self, beta: Any, scale: Any, bias: Any, v_reset: Any, mem_0: Any, **kwargs: Any
    ) -> None:
        super().__init__(beta, **kwargs)
        self._snn_drive(scale=scale, bias=bias, v_reset=v_reset, mem_0=mem_0)


class NIRSynaptic(_Driven, Synaptic):
    r"""A current-based leaky integrator of NIR that :class:`~snntorch.Synaptic` cannot represent.

    .. math::

        I_{\rm syn}[t+1] &= \alpha I_{\rm syn}[t] + s X[t+1] + b, \qquad I_{\rm syn}[0] = I_0 \\
        U[t+1] &= \beta U[t] + I_{\rm syn}[t+1], \qquad U[0] = U_0

    where :math:`U` is relative to the reset potential, to which a spike resets it. With
    :math:`b = (1 - \alpha) I_0` a part :math:`I_0` of the current is constant.

    :param alpha: decay :math:`\alpha` of the current
    :param beta: decay :math:`\beta` of the membrane
    :param scale: input gain :math:`s`
    :param bias: constant input current :math:`b`
    :param v_reset: reset potential in the units of the graph
    :param syn_0: initial current :math:`I_0`
    :param mem_0: initial membrane :math:`U_0`

    Each is a number or a tensor that broadcasts to one sample. The other arguments are those of
    :class:`~snntorch.Synaptic`.
    """

    def __init__(
        self,
        alpha: Any,
        beta: Any,
        scale: Any,
        bias: Any,
        v_reset: Any,
        syn_0: Any,
        mem_0: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(alpha, beta, **kwargs)
        self._snn_drive(scale=scale, bias=bias, v_reset=v_reset, syn_0=syn_0, mem_0=mem_0)


# Written ---------------------------------------------------------------------------------------


def kind(layer: nn.Module) -> type:
    """Return a layer's class in torch or here, or the one that a user's class derives from."""
    mro = class_of(layer).__mro__
    return next(c for c in mro if c.__module__.startswith(("torch.nn.", "snntorch.")))


# The type of a node and its fields, each of the layer's shape.
Fields = tuple[str, dict[str, np.ndarray]]


def _values(shape: Shape, *tensors: Tensor) -> list[np.ndarray]:
    """Return one float64 per neuron; time constants in float32 would lose bits of the decay."""
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


def _write_leaky(neuron: Any, shape: Shape, dt: float) -> Fields:
    beta, threshold = _values(shape, *neuron._snn_values(), neuron.threshold)
    zero = np.zeros(shape)
    firing = {"v_threshold": threshold, "v_reset": zero}
    return _first_order(beta, zero + 1, zero, firing, dt)


def _write_lapicque(neuron: Any, shape: Shape, dt: float) -> Fields:
    R, conductance, time_step, beta, threshold = _values(
        shape, *neuron._snn_values(), neuron.threshold
    )
    zero = np.zeros(shape)
    firing = {"v_threshold": threshold, "v_reset": zero}
    return _first_order(beta, R * conductance * time_step, zero, firing, dt)


def _write_synaptic(neuron: Any, shape: Shape, dt: float) -> Fields:
    alpha, beta, threshold = _values(shape, *neuron._snn_values(), neuron.threshold)
    zero = np.zeros(shape)
    firing = {"v_threshold": threshold, "v_reset": zero}
    return _second_order(alpha, beta, zero + 1, zero, firing, dt)


def _write_nir_leaky(neuron: Any, shape: Shape, dt: float) -> Fields:
    tensors = neuron.threshold, neuron.scale, neuron.bias, neuron.v_reset
    beta, threshold, scale, bias, v_reset = _values(shape, *neuron._snn_values(), *tensors)
    v_leak = _pull(bias, beta) + v_reset
    return _first_order(beta, scale, v_leak, _firing(neuron, threshold, v_reset), dt)


def _write_nir_synaptic(neuron: Any, shape: Shape, dt: float) -> Fields:
    tensors = neuron.threshold, neuron.scale, neuron.syn_0, neuron.v_reset
    alpha, beta, threshold, scale, syn_0, v_reset = _values(shape, *neuron._snn_values(), *tensors)
    v_leak = _pull(syn_0, beta) + v_reset
    return _second_order(alpha, beta, scale, v_leak, _firing(neuron, threshold, v_reset), dt)


def _firing(neuron: Any, threshold: np.ndarray, v_reset: np.ndarray) -> dict[str, Any]:
    if neuron.spike_grad is membrane:
        return {}
    return {"v_threshold": threshold + v_reset, "v_reset": v_reset}


_WRITE: dict[type[SpikingNeuron], Callable[[Any, Shape, float], Fields]] = {
    Leaky: _write_leaky,
    Lapicque: _write_lapicque,
    Synaptic: _write_synaptic,
    RLeaky: _write_leaky,
    RSynaptic: _write_synaptic,
    NIRLeaky: _write_nir_leaky,
    NIRSynaptic: _write_nir_synaptic,
}

NEURONS = tuple(_WRITE)
"""The classes that have a counterpart in NIR."""


def fields(neuron: Any, shape: Shape, dt: float, unit_r: bool = False) -> Fields:
    """Return the type and fields of a neuron's node.

    :param shape: the shape of one sample
    :param unit_r: whether to write ``r = 1``, and potentials in units of ``v / r``
    """
    node, values = _WRITE[kind(neuron)](neuron, shape, dt)
    if not unit_r or "v_threshold" not in values or (values["r"] <= 0).any():
        return node, values
    unit = values["r"] * dt if node == "IF" else values["r"]
    potentials = {name: v / unit for name, v in values.items() if name.startswith("v_")}
    return node, {**values, **potentials, "r": np.ones(shape)}


# Read ------------------------------------------------------------------------------------------


# NIR's own reset: within the step, to one value.
FIRING: dict[str, Any] = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}

INTEGRATOR: dict[str, Any] = {
    "init_hidden": True, "reset_mechanism": "none", "threshold": 0.0, "spike_grad": membrane,
}  # fmt: skip


def _units(factor: Any) -> str:
    return "" if (factor == 1).all() else "membrane in units of v / input gain"


def _read_leaky(node: Any, c: Converter) -> nn.Module:
    if hasattr(node, "tau"):
        beta, factor = c.decay(node.tau), gain(node.r, node.tau, c.dt)
    else:
        beta, factor = np.ones(node.r.shape), integrator_gain(node.r, c.dt)
        if (factor != node.r * c.dt).any():
            c.note = "r = 1 is read as an input gain of 1"
    v_reset = getattr(node, "v_reset", np.zeros(beta.shape))
    pull = (1 - beta) * (getattr(node, "v_leak", v_reset) - v_reset)
    if not hasattr(node, "v_threshold"):
        c.note = c.note or "returns its membrane, does not fire"
        return NIRLeaky(*map(c.tensor, (beta, factor, pull, 0.0, 0.0)), **INTEGRATOR)
    if (factor > 0).all() and not pull.any() and not v_reset.any():
        c.note = c.note or _units(factor)
        return Leaky(c.tensor(beta), c.tensor(node.v_threshold / factor), **FIRING)
    c.note = "membrane is relative to v_reset"
    threshold = c.tensor(node.v_threshold - v_reset)
    driven = map(c.tensor, (beta, factor, pull, v_reset, -v_reset))
    return NIRLeaky(*driven, threshold=threshold, **FIRING)


def _read_synaptic(node: Any, c: Converter) -> nn.Module:
    alpha, beta = c.decay(node.tau_syn), c.decay(node.tau_mem)
    factor = gain(node.w_in, node.tau_syn, c.dt) * gain(node.r, node.tau_mem, c.dt)
    v_reset = getattr(node, "v_reset", np.zeros(beta.shape))
    syn_0 = (1 - beta) * (node.v_leak - v_reset)
    driven: Any = map(
        c.tensor, (alpha, beta, factor, (1 - alpha) * syn_0, v_reset, syn_0, -v_reset)
    )
    if not hasattr(node, "v_threshold"):
        c.note = "returns its membrane, does not fire"
        return NIRSynaptic(*driven, **INTEGRATOR)
    if (factor > 0).all() and not syn_0.any() and not v_reset.any():
        c.note = _units(factor)
        threshold = c.tensor(node.v_threshold / factor)
        return Synaptic(c.tensor(alpha), c.tensor(beta), threshold, **FIRING)
    c.note = "membrane is relative to v_reset"
    return NIRSynaptic(*driven, threshold=c.tensor(node.v_threshold - v_reset), **FIRING)


def read_threshold(node: Any, c: Converter) -> nn.Module:
    """Return a Threshold node as a neuron without memory."""
    c.note = "a neuron without memory"
    return Leaky(0.0, c.tensor(node.threshold), init_hidden=True, reset_mechanism="none")


READ: dict[str, Callable[[Any, Converter], nn.Module]] = {
    "I": _read_leaky,
    "IF": _read_leaky,
    "LI": _read_leaky,
    "LIF": _read_leaky,
    "CubaLI": _read_synaptic,
    "CubaLIF": _read_synaptic,
}
"""For a node's type, the function that returns its neuron."""
