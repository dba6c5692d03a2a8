"""Reasons why a layer cannot be exported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from .._network import rules
from .._neurons.neurons import SpikingNeuron
from .._torch import class_of
from .layers import WRITE
from .network import Last
from .neurons import NEURONS, kind

VANISHING = nn.Identity, _DropoutNd, _BatchNorm
"""Layers without a node: they pass their input on, or are folded into the layer before them."""


def refusal(layer: nn.Module) -> str | None:
    """Return why a layer cannot be exported, None if it can."""
    cls = kind(layer)
    if ".quantized." in class_of(layer).__module__:
        return (
            "has a quantized weight, and weights of NIR are floating-point; export the network "
            "before you quantize it"
        )
    known = (*WRITE, *NEURONS)
    if cls not in known and not isinstance(layer, (Last, *VANISHING)):
        names = ", ".join(each.__name__ for each in known)
        return f"has no counterpart in NIR; exported are {names}, and classes in module_map"
    if isinstance(layer, SpikingNeuron) and (layer.refractory or layer._snn_feedback):
        option = "refractory" if layer.refractory else "recurrent"
        return f"is made with {option}, which no node can express"
    if names := ", ".join(overridden(layer)):
        return f"overrides {names} of {cls.__name__}, which no node can express"
    return None


def overridden(layer: nn.Module) -> list[str]:
    """Return the names that change what a layer computes, in a subclass or in the layer itself."""
    if isinstance(layer, SpikingNeuron):
        return sorted(layer._snn_overridden)
    own = {"forward"} & vars(layer).keys()
    return sorted({*own, *rules.overridden(class_of(layer), kind(layer))})


def _marks(values: Iterable[Any]) -> list[tuple[int, int]]:
    """Return marks that change when values are replaced or modified in place."""
    return [
        (id(v), v._version if isinstance(v, Tensor) and not v.is_inference() else 0) for v in values
    ]


def run(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a layer, and raise if a hook changes its input or output, which no node can express."""
    seen: list[Any] = []  # with the output itself, so that its id is not reused

    def see(layer: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        seen.extend((_marks((*args, *kwargs.values())), _marks(_packed(out)), out))

    given = _marks((*args, *kwargs.values()))
    handle = layer.register_forward_hook(see, prepend=True, with_kwargs=True)
    try:
        value = layer(*args, **kwargs)
    finally:
        handle.remove()
    if seen[:2] != [given, _marks(_packed(value))]:
        raise NotImplementedError(
            "a hook changes its input or output; remove the hook, or turn it into a layer"
        )
    return value


def _packed(out: Any) -> Any:
    return out if isinstance(out, tuple) else (out,)
