"""From a neuron's step to graphs of scalar operations, forward and backward.

The step is traced together with its vector-Jacobian product on numbers. In the joint graph the new
states are cut: a backward pass reads them from the saved traces, and works out nothing that was
saved. What it does not need falls away, and with it the reading of inputs and old states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ..dynamics import Dynamics

# Names of a neuron's states and parameters begin without an underscore.
INPUT, FEEDBACK, SPIKES = "_x", "_feedback", "_spikes"
GIVEN = "given"
"""In place of a slope: its values are computed outside and given to the backward pass."""


class Unsupported(Exception):
    """An operation of a step that kernels do not have."""


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
    """
    # Loading the tracer takes a second.
    from torch.fx.experimental.proxy_tensor import make_fx

    names = (*dynamics.inputs, *dynamics.states, *dynamics.parameters)
    extra = ("slope",) if slope == GIVEN else tuple(f"q{i}" for i in range(count))
    outs = (SPIKES, *dynamics.states)

    def joint(cotangents: Sequence[Tensor], values: Sequence[Tensor], q: Sequence[Tensor]) -> Any:
        def step(*values: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
            kept: list[Tensor] = []

            def save(value: Tensor) -> Tensor:
                kept.append(value)
                return value

            def spike(u: Tensor) -> Tensor:
                kept.insert(0, u)
                if slope is None:
                    return _fired(u)
                return _spike(lambda u: q[0] if slope == GIVEN else slope(u, *q))(u)

            found = dynamics.step(*values, spike=spike, fired=_fired, save=save)
            return tuple(found), tuple(kept)

        found, pull_back, kept = torch.func.vjp(step, *values, has_aux=True)  # type: ignore[misc]
        return found, kept, pull_back(tuple(cotangents))

    def numbers(count: int, begin: float) -> tuple[Tensor, ...]:
        return tuple(torch.tensor(begin + 0.11 * i, dtype=torch.float64) for i in range(count))

    def trace() -> torch.fx.Graph:
        given = numbers(len(outs), 0.23), numbers(len(names), 0.37), numbers(len(extra), 1.3)
        return make_fx(joint)(*given).graph

    # In a thread of its own, where no mode or hook of the caller is on, such as a checkpoint's.
    with ThreadPoolExecutor(1) as thread:
        graph = thread.submit(trace).result()
    placeholders: list[torch.fx.Node] = [node for node in graph.nodes if node.op == "placeholder"]
    called = (*(f"g_{out}" for out in outs), *(f"s_{name}" for name in names), *extra)
    for node, name in zip(placeholders, called, strict=True):
        node.meta["name"] = name
    (output,) = (node for node in graph.nodes if node.op == "output")
    flat = list(torch.utils._pytree.tree_leaves(output.args[0], is_leaf=lambda a: a is None))
    kept = len(flat) - len(outs) - len(names)
    states = dict(zip(dynamics.states, flat[1 : len(outs)], strict=True))
    overdrive, *others = flat[len(outs) : len(outs) + kept]
    saved = {f"_u{i}": node for i, node in enumerate(others)}
    gradients = dict(zip(names, flat[-len(names) :], strict=True))
    return Derived(flat[0], states, saved, overdrive, gradients)


# Text ----------------------------------------------------------------------------------------

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_COMPARED = {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "==", "ne": "!="}
_SAME = ("detach", "alias", "clone", "view_as", "lift_fresh_copy", "expand")
_MATH = ("exp", "log", "tanh", "sin", "cos", "sqrt")


def _value(op: str, args: Sequence[Any]) -> str:
    """Return the text of an operation on operands that are text, or Python numbers in quotes."""
    if op in _INFIX:
        return _folded(op, args[0], args[1])
    if op in _COMPARED:
        return f"{args[0]} {_COMPARED[op]} {args[1]}"
    if op in _MATH:
        return f"F(math.{op}({args[0]}))"
    if op == "abs":
        return f"abs({args[0]})"
    if op == "neg":
        return "ZERO" if args[0] == "ZERO" else f"-{args[0]}"
    if op == "rsub":
        return _folded("sub", args[1], args[0])
    if op == "reciprocal":
        return f"ONE / {args[0]}"
    if op in ("relu", "relu_"):
        return f"({args[0]} if {args[0]} > ZERO else ZERO)"
    if op in ("sgn", "sign"):
        return f"(ONE if {args[0]} > ZERO else (-ONE if {args[0]} < ZERO else ZERO))"
    if op == "sigmoid":
        return f"ONE / (ONE + F(math.exp(-{args[0]})))"
    if op == "where":
        return f"({args[1]} if {args[0]} else {args[2]})"
    if op == "minimum":
        return f"min({args[0]}, {args[1]})"
    if op == "maximum":
        return f"max({args[0]}, {args[1]})"
    raise Unsupported(f"kernels do not have {op}")


def _folded(op: str, a: str, b: str) -> str:
    """Leave out what a missing gradient, zero, does away with."""
    if op == "mul" and "ZERO" in (a, b):
        return "ZERO"
    if op == "div" and a == "ZERO":
        return "ZERO"
    if op in ("add", "sub") and b == "ZERO":
        return a
    if op == "add" and a == "ZERO":
        return b
    if op == "sub" and a == "ZERO":
        return f"-{b}"
    if op == "mul" and "ONE" in (a, b):
        return b if a == "ONE" else a
    return f"{a} {_INFIX[op]} {b}"


class Writer:
    """Writes the statements that work out nodes of a graph, each once, when they are asked for.

    :param known: text for nodes that need not be worked out, and for gradients by name that are
        missing
    """

    def __init__(self, known: dict[torch.fx.Node, str], absent: Iterable[str] = ()) -> None:
        self.known, self.absent = dict(known), frozenset(absent)
        self.lines: list[str] = []
        self.read: set[str] = set()
        """Names of placeholders and known nodes that were read."""
        self._named = {node: text for node, text in known.items()}

    def text(self, node: Any) -> str:
        """Return the text that stands for a node's value."""
        if node is None:
            return "ZERO"
        if not isinstance(node, torch.fx.Node):
            return _number(node)
        if node in self._named:
            self.read.add(self._named[node])
        if node not in self.known:
            self.known[node] = self._write(node)
        return self.known[node]

    def _write(self, node: torch.fx.Node) -> str:
        if node.op == "placeholder":
            name = node.meta["name"]
            if name in self.absent:
                return "ZERO"
            self.read.add(name)
            return name
        if node.op == "get_attr":
            value = getattr(node.graph.owning_module, str(node.target))
            return _number(value.item())
        target: Any = node.target
        op = target.overloadpacket.__name__
        if op in _SAME or (op == "pow" and node.args[1] == 1):
            return self.text(node.args[0])
        if op == "zeros_like":
            return "ZERO"
        if op == "ones_like":
            return "ONE"
        if op in ("scalar_tensor", "full"):
            return _number(node.args[0] if op == "scalar_tensor" else node.args[1])
        if op == "full_like":
            return _number(node.args[1])
        if op == "_to_copy":
            source: Any = node.args[0]
            text = self.text(source)
            logical = source.target.overloadpacket.__name__ in _COMPARED
            return self._named_value(f"(ONE if {text} else ZERO)") if logical else text
        if op == "pow":
            base, power = self.text(node.args[0]), node.args[1]
            if power == 2 or power == 3:
                return self._named_value(" * ".join([base] * (2 if power == 2 else 3)))
            if isinstance(power, int | float):
                return self._named_value(f"F(math.pow({base}, {float(power)!r}))")
        if node.kwargs:
            raise Unsupported(f"kernels do not have {op} with {', '.join(node.kwargs)}")
        return self._named_value(_value(op, [self.text(arg) for arg in node.args]))

    def _named_value(self, text: str) -> str:
        if text.isidentifier():
            return text
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name


def _number(value: Any) -> str:
    return "ONE" if value == 1 else f"F({float(value)!r})"
