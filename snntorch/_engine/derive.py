"""From a neuron's step to graphs of scalar operations, forward and backward.

The step is traced together with its vector-Jacobian product on numbers. In the joint graph the new
states are cut: a backward pass reads them from the saved traces, and works out nothing that was
saved. What it does not need falls away, and with it the reading of inputs and old states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..dynamics import Dynamics
from .writer import NUMBA, SAME, Unsupported, Writer, name_of

# Names of a neuron's states and parameters begin without an underscore.
INPUT, FEEDBACK, SPIKES = "_x", "_feedback", "_spikes"
GIVEN = "given"
"""Given instead of a slope: its values are computed outside and given to the backward pass."""


@dataclass(frozen=True)
class Derived:
    """A step and its vector-Jacobian product as one graph."""

    spikes: torch.fx.Node
    states: dict[str, torch.fx.Node]
    """The new states."""
    saved: dict[str, torch.fx.Node]
    """What else a backward pass may read from memory."""
    overdrive: torch.fx.Node
    """By how much the neuron is above its threshold when it fires."""
    gradients: dict[str, torch.fx.Node | float | None]
    """Those of inputs, states and parameters. In the graph ``s_<name>`` stands for the value of one
    of these, and ``g_<name>`` for the gradient of a new state or of the spikes."""


def _fired(u: Tensor) -> Tensor:
    return (u.detach() > 0).to(u.dtype)


def _spike(slope: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(u: Tensor) -> Tensor:
            return (u > 0).to(u.dtype)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad * slope(*ctx.saved_tensors)

    return Spike.apply


@cache
def derive(dynamics: Dynamics, slope: Any, count: int) -> Derived:
    """Trace a step and its vector-Jacobian product.

    :param slope: the surrogate's slope ``slope(u, *q)``, :data:`GIVEN`, or None if spikes carry no
        gradient
    :param count: number of its parameters ``q0``, ...
    :raises Unsupported: an operation that kernels do not have, in the step or in its gradient
    """
    # Loading the tracer takes a second.
    from torch.fx.experimental.proxy_tensor import make_fx

    names = (*dynamics.inputs, *dynamics.states, *dynamics.parameters)
    extra = ("slope",) if slope == GIVEN else tuple(f"q{i}" for i in range(count))
    outs = (SPIKES, *dynamics.states)

    def joint(cotangents: Sequence[Tensor], values: Sequence[Tensor], q: Sequence[Tensor]) -> Any:
        def step(*values: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
            fired: list[Tensor] = []
            kept: list[Tensor] = []

            def save(value: Tensor) -> Tensor:
                kept.append(value)
                return value

            def spike(u: Tensor) -> Tensor:
                fired.append(u)
                if slope is None:
                    return _fired(u)
                return _spike(lambda u: q[0] if slope == GIVEN else slope(u, *q))(u)

            found = dynamics.step(*values, spike=spike, fired=_fired, save=save)
            if len(fired) != 1:
                raise Unsupported(
                    f"kernels need a step that calls spike once, not {len(fired)} times"
                )
            return tuple(found), (*fired, *kept)

        found, pull_back, kept = torch.func.vjp(step, *values, has_aux=True)  # type: ignore[misc]
        return found, kept, pull_back(tuple(cotangents))

    def numbers(count: int, begin: float) -> tuple[Tensor, ...]:
        return tuple(torch.tensor(begin + 0.11 * i, dtype=torch.float64) for i in range(count))

    def trace() -> torch.fx.Graph:
        given = numbers(len(outs), 0.23), numbers(len(names), 0.37), numbers(len(extra), 1.3)
        return make_fx(joint)(*given).graph

    # In a separate thread, where no mode or hook of the caller is on, such as a checkpoint's.
    with ThreadPoolExecutor(1) as thread:
        graph = thread.submit(trace).result()
        tried = thread.submit(_try, dynamics, len(names))
    placeholders: list[torch.fx.Node] = [node for node in graph.nodes if node.op == "placeholder"]
    called = (*(f"g_{out}" for out in outs), *(f"s_{name}" for name in names), *extra)
    for node, name in zip(placeholders, called, strict=True):
        node.meta["name"] = name
    (output,) = (node for node in graph.nodes if node.op == "output")
    flat = _flat(output.args[0])
    kept = len(flat) - len(outs) - len(names)
    states = dict(zip(dynamics.states, flat[1 : len(outs)], strict=True))
    overdrive, *others = flat[len(outs) : len(outs) + kept]
    saved = {f"_u{i}": node for i, node in enumerate(others)}
    gradients = dict(zip(names, flat[-len(names) :], strict=True))
    _check(flat, len(outs) + kept)
    tried.result()
    return Derived(flat[0], states, saved, overdrive, gradients)


def _flat(tree: Any) -> list[Any]:
    if not isinstance(tree, tuple | list):
        return [tree]
    return [leaf for each in tree for leaf in _flat(each)]


def _try(dynamics: Dynamics, count: int) -> None:
    """Raise if a step does not treat each neuron by itself, whatever the shape of a layer, or not
    in the precision that it is given."""

    def step(values: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return dynamics.step(*values, spike=_fired, fired=_fired, save=lambda value: value)

    shape = 2, 3
    layer = torch.linspace(0.2, 1.9, 6 * count, dtype=torch.float32).view(6, count).flip(0)
    with torch.no_grad(), _NoDoubles():
        together = step([value.view(shape) for value in layer.T])
        apart = [step(neuron.unbind()) for neuron in layer]
    for value, each in zip(together, zip(*apart, strict=True), strict=True):
        alone = torch.stack(each).view(shape)
        if value.shape != shape or not torch.allclose(value, alone, 1e-3, 1e-5, equal_nan=True):
            raise Unsupported("it does not give for a layer what it gives for each neuron alone")


class _NoDoubles(TorchDispatchMode):
    """Tells whether a step computes in double precision what it is given in single precision. Its
    trace, in double precision, does not show it."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # constants without dimensions do not change the type of a result
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.dtype == torch.float64 and out.dim():
            raise Unsupported("kernels do not compute single precision in double precision")
        return out


def _check(flat: Sequence[Any], forward: int) -> None:
    """Raise if there is no text for a result, or if a step changes a tensor that others see.

    :param flat: results, first those of the step, then gradients
    :param forward: how many are of the step
    """
    writer = Writer(NUMBA, {})
    for node in flat:
        writer.text(node)
    waiting, seen = list(flat[:forward]), set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        waiting += node.all_input_nodes
        op = "" if node.op != "call_function" else name_of(node)
        if op.endswith("_") and _is_shared(node.args[0]):
            raise Unsupported(f"kernels do not have {op} on a tensor that others see")


def _is_shared(node: Any) -> bool:
    """Tell whether an operation in place changes more than its own result."""
    aliases = (each.op == "call_function" and name_of(each) in SAME for each in (node, *node.users))
    return node.op != "call_function" or any(aliases)
