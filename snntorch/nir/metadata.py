"""Metadata: properties of a neuron that a NIR node cannot express."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.utils import parametrize

from .. import surrogate
from .._neurons.lapicque import Lapicque
from .._neurons.recurrent import RecurrentLIF
from ..surrogate import SpikeGrad
from . import recurrence
from .common import Converter, array, own_metadata
from .neurons import NEURONS, fields, kind, membrane

_ARGUMENTS = {
    "Leaky": ("beta", "graded_spikes_factor"),
    "Synaptic": ("alpha", "beta"),
    "RLeaky": ("beta", "V"),
    "RSynaptic": ("alpha", "beta", "V"),
    "NIRLeaky": ("beta", "graded_spikes_factor", "scale", "bias", "v_reset", "mem_0"),
    "NIRSynaptic": ("alpha", "beta", "scale", "bias", "v_reset", "syn_0", "mem_0"),
}
"""The tensors that a neuron is built with, beside its threshold."""


def _names(neuron: Any) -> tuple[str, ...]:
    if isinstance(neuron, Lapicque):
        other = "C" if neuron._snn_dependent == "R" else "R"
        return ("beta", other, "time_step") if neuron.learn_beta else ("R", "C", "time_step")
    return _ARGUMENTS[kind(neuron).__name__]


def _parametrized(neuron: Any) -> dict[str, Any]:
    return dict(neuron.parametrizations) if parametrize.is_parametrized(neuron) else {}


def tensors_of(neuron: Any) -> dict[str, Tensor]:
    """Return the tensors of a neuron by name, with parametrizations applied."""
    names = neuron._parameters | neuron._buffers | _parametrized(neuron)
    return {name: t for name in names if (t := getattr(neuron, name)) is not None}


def write(neuron: Any) -> dict[str, Any]:
    """Return the properties of a neuron that a node cannot express."""
    tensors = tensors_of(neuron)
    names = [name for name in ("threshold", *_names(neuron)) if name in tensors]
    if neuron.state_quant:
        raise NotImplementedError("state_quant has no counterpart in NIR; set it to False")
    if "graded_spikes_factor" not in names and (neuron.graded_spikes_factor != 1).any():
        raise NotImplementedError(
            f"graded_spikes_factor of {kind(neuron).__name__} cannot be exported; set it to 1"
        )
    own: dict[str, Any] = {
        "class": kind(neuron).__name__,
        "reset_mechanism": neuron.reset_mechanism,
        # Files cannot store arrays without dimensions, only numbers.
        "parameters": {name: array(t) if t.dim() else t.item()
                       for name, t in tensors.items() if name in names},
    }  # fmt: skip
    made = {name: next(how.parameters(), None) for name, how in _parametrized(neuron).items()}
    learnt = neuron._parameters | made
    learned = [f"learn_{name}" for name in names if learnt.get(name) is not None and name != "V"]
    flags = {name: getattr(neuron, name) for name in ("inhibition", "surrogate_disable")}
    if not isinstance(neuron, Lapicque):
        flags["reset_delay"] = neuron.reset_delay
    if isinstance(neuron, RecurrentLIF):
        flags["learn_recurrent"] = neuron.learn_recurrent
    own |= {"learn": " ".join(learned)} if learned else {}
    return {**own, **flags, **_surrogate(neuron)}


def _surrogate(neuron: Any) -> dict[str, Any]:
    spike_grad = neuron.spike_grad
    if spike_grad is membrane:
        return {"membrane": True}
    if neuron.surrogate_disable:
        return {}
    if not isinstance(spike_grad, SpikeGrad) or any(map(callable, spike_grad.parameters)):
        return {"custom_surrogate": True}
    named: dict[str, Any] = {"surrogate": spike_grad.function.__name__}
    if spike_grad.parameters:
        named["surrogate_parameters"] = np.array(spike_grad.parameters, dtype=np.float64)
    return named


_CLASSES = {cls.__name__: cls for cls in NEURONS}


def _arguments(own: dict[str, Any], c: Converter) -> dict[str, Any]:
    """Return the arguments that a neuron was built with."""
    kwargs: dict[str, Any] = {n: c.tensor(value) for n, value in own["parameters"].items()}
    kwargs |= dict.fromkeys(own.get("learn", "").split(), True)
    flags = "inhibition", "reset_delay", "surrogate_disable", "learn_recurrent"
    kwargs |= {name: bool(own[name]) for name in flags if name in own}
    if name := own.get("surrogate"):
        parameters = np.ravel(own.get("surrogate_parameters", ())).tolist()
        kwargs["spike_grad"] = getattr(surrogate, name)(*parameters)
    elif own.get("membrane"):
        kwargs["spike_grad"] = membrane
    return {**kwargs, "init_hidden": True, "reset_mechanism": own["reset_mechanism"]}


def read(node: Any, loop: Any, c: Converter) -> Any:
    """Return the neuron that was exported, or None if there is none, or the node was changed."""
    own = own_metadata(node)
    cls: Any = _CLASSES.get(str(own.get("class")))
    if cls is None:
        return None
    try:
        if not issubclass(cls, RecurrentLIF):
            neuron = cls(**_arguments(own, c))
        else:
            neuron = recurrence.make(cls, _arguments(own, c), loop, c)
        shape, unit_r = tuple(node.input_type["input"]), bool(own.get("unit_r"))
        node_type, values = fields(neuron, shape, c.dt, unit_r)
    except (ValueError, RuntimeError, LookupError, AttributeError, TypeError):
        # Another size, no recurrent connection, or not written by an export.
        node_type, values = "", {}
    if node_type != type(node).__name__ or not all(
        np.allclose(getattr(node, name, 0), value, rtol=1e-6, atol=0)
        for name, value in values.items()
    ):
        c.approximate = f"was a {own['class']}, but was changed since; its metadata is ignored"
        node.metadata = {}  # of the copy that flat made, so that the report ignores it too
        return None
    if own.get("custom_surrogate"):
        c.approximate = "its spike_grad is an arbitrary callable, which is not stored; atan is used"
    return neuron


def elsewhere(node: Any) -> str:
    """Tell what a reader that knows only the core of NIR does differently."""
    own, differs = own_metadata(node), []
    reset, delay = own.get("reset_mechanism", "zero"), own.get("reset_delay", True)
    if own.get("membrane"):
        reset = "zero"
    if reset == "subtract":
        differs.append("resets to v_reset, where this neuron subtracts its threshold")
    elif reset == "none":
        differs.append("resets to v_reset, where this neuron is not reset")
    elif delay and own.get("class", "Leaky") not in ("Leaky", "NIRLeaky"):
        differs.append(
            "resets in the step of the spike, where this neuron is cleared in the next one"
        )
    if own.get("inhibition"):
        differs.append("lets all neurons fire, where here only one per sample fires")
    if np.any(np.not_equal(own.get("parameters", {}).get("graded_spikes_factor", 1), 1)):
        differs.append("fires spikes of 1, where they are graded here")
    kernel = node.weight.shape[2:] if type(node).__name__ == "Conv2d" else ()
    if len(set(kernel)) > 1 or int(getattr(node, "groups", 1)) > 1:
        differs.append("nir.read needs type_check=False: it infers a wrong shape")
    return "; ".join(differs)
