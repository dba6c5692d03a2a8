"""From a neuron's step to graphs of scalar operations, forward and backward.

The step is traced together with its vector-Jacobian product on numbers. In the joint graph the new
states are cut: a backward pass reads them from the saved traces, and works out nothing that was
saved. What it does not need falls away, and with it the reading of inputs and old states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..dynamics import Dynamics

# Names of a neuron's states and parameters begin without an underscore.
INPUT, FEEDBACK, SPIKES = "_x", "_feedback", "_spikes"
GIVEN = "given"
"""Given instead of a slope: its values are computed outside and given to the backward pass."""


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
    flat = list(torch.utils._pytree.tree_leaves(output.args[0], is_leaf=lambda a: a is None))
    kept = len(flat) - len(outs) - len(names)
    states = dict(zip(dynamics.states, flat[1 : len(outs)], strict=True))
    overdrive, *others = flat[len(outs) : len(outs) + kept]
    saved = {f"_u{i}": node for i, node in enumerate(others)}
    gradients = dict(zip(names, flat[-len(names) :], strict=True))
    _check(flat, len(outs) + kept)
    tried.result()
    return Derived(flat[0], states, saved, overdrive, gradients)


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
    writer = Writer({})
    for node in flat:
        writer.text(node)
    waiting, seen = list(flat[:forward]), set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        waiting += node.all_input_nodes
        op = "" if node.op != "call_function" else _name(node)
        if op.endswith("_") and _is_shared(node.args[0]):
            raise Unsupported(f"kernels do not have {op} on a tensor that others see")


def _is_shared(node: Any) -> bool:
    """Tell whether an operation in place changes more than its own result."""
    aliases = (each.op == "call_function" and _name(each) in _SAME for each in (node, *node.users))
    return node.op != "call_function" or any(aliases)


# Text ----------------------------------------------------------------------------------------

# Operands are text, {0}, {1}, ...: names, or numbers in quotes.
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_MAXIMUM = "({0} if {0} >= {1} else ({1} if {1} > {0} else {0} + {1}))"  # NaN if one of them is
_MINIMUM = "({0} if {0} <= {1} else ({1} if {1} < {0} else {0} + {1}))"
_TEXTS = {
    "abs": "abs({0})",
    "ceil": "F(np.ceil({0}))",
    "clamp_max": _MINIMUM,
    "clamp_min": _MAXIMUM,
    "floor": "F(np.floor({0}))",
    "heaviside": "({1} if {0} == ZERO else (ONE if {0} > ZERO else ZERO))",
    "maximum": _MAXIMUM,
    "minimum": _MINIMUM,
    "reciprocal": "ONE / {0}",
    "relu": "(ZERO if {0} <= ZERO else {0})",
    "round": "F(np.rint({0}))",
    "rsqrt": "ONE / F(math.sqrt({0}))",
    "sgn": "(ONE if {0} > ZERO else (-ONE if {0} < ZERO else ZERO))",
    "threshold_backward": "(ZERO if {1} <= {2} else {0})",
    "trunc": "F(np.trunc({0}))",
}
_TEXTS |= {"relu_": _TEXTS["relu"], "sign": _TEXTS["sgn"]}
_COMPARED = {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "==", "ne": "!="}
_TEXTS |= {op: f"{{0}} {sign} {{1}}" for op, sign in _COMPARED.items()}
# The last bit of these differs from that of PyTorch's vectors; of sqrt too, where it calls MKL.
_TEXTS |= {op: f"F(math.{op}({{0}}))" for op in ("exp", "log", "tanh", "sin", "cos", "sqrt")}
_TEXTS["sigmoid"] = "ONE / (ONE + F(math.exp(-{0})))"
_TEXTS["sigmoid_backward"] = "{0} * (ONE - {1}) * {1}"
_TEXTS["tanh_backward"] = "{0} * (ONE - {1} * {1})"
_POWERS = {
    0: "ONE",
    1: "{0}",
    2: "{0} * {0}",
    3: "{0} * {0} * {0}",
    -1: "ONE / {0}",
    -2: "ONE / ({0} * {0})",
    -0.5: "ONE / F(math.sqrt({0}))",
}
_LOGICAL = {
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "xor": "{0} != {1}",
    "not": "not {0}",
}
_SAME = ("detach", "alias", "clone", "view_as", "expand")
_CONSTANT = {"zeros": 0, "zeros_like": 0, "new_zeros": 0, "ones": 1, "ones_like": 1, "new_ones": 1}
# Where the value is among the arguments.
_FILLED = {"scalar_tensor": 0, "full": 1, "full_like": 1, "new_full": 2}
_OF_WHOLE_NUMBERS = ("add", "sub", "rsub", "mul", "neg", "where")


def _name(node: torch.fx.Node) -> str:
    target: Any = node.target
    return target.overloadpacket.__name__


def _type(node: torch.fx.Node) -> torch.dtype:
    return node.meta["val"].dtype


def _value(op: str, args: Sequence[str]) -> str:
    """Return the text of an operation on operands that are numbers."""
    if op in _INFIX:
        return _folded(op, args[0], args[1])
    if op == "rsub":
        return _folded("sub", args[1], args[0])
    if op == "neg":
        return "ZERO" if args[0] == "ZERO" else f"-{args[0]}"
    if op not in _TEXTS:
        raise Unsupported(f"kernels do not have {op}")
    return _TEXTS[op].format(*args)


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

    Numbers that a step computes in single precision whatever its input, such as ``(v > 1) * 0.3``,
    are rounded to it.

    :param known: text for nodes that need not be worked out, and for gradients by name that are
        missing
    """

    def __init__(self, known: dict[torch.fx.Node, str], absent: Iterable[str] = ()) -> None:
        self.known, self.absent = dict(known), frozenset(absent)
        self.lines: list[str] = []
        self.read: set[str] = set()
        """Names of placeholders and known nodes that were read."""
        self._named = {node: text for node, text in known.items()}
        self._converted: dict[torch.fx.Node, str] = {}

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

    def _operand(self, node: Any, logical: bool = False, like: Any = None) -> str:
        """Return the text for a number, or for a truth value.

        :param like: the type that numbers written in the step take
        """
        if node is not None and not isinstance(node, torch.fx.Node):
            return _number(node, torch.bool if logical else like)
        text = self.text(node)
        if node is None or (_type(node) == torch.bool) == logical:
            return text
        if node not in self._converted:
            self._converted[node] = self._named_value(
                f"{text} != ZERO" if logical else f"(ONE if {text} else ZERO)"
            )
        return self._converted[node]

    def _write(self, node: torch.fx.Node) -> str:
        if node.op == "placeholder":
            name = node.meta["name"]
            if name in self.absent:
                return "ZERO"
            self.read.add(name)
            return name
        if node.op == "get_attr":
            raise Unsupported(
                "kernels do not have a tensor from outside the step; make it a number, or a "
                "parameter of the neuron"
            )
        op, args, kind = _name(node), node.args, _type(node)
        if node.meta["val"].dim():
            raise Unsupported(f"kernels do not have {op} of shape {tuple(node.meta['val'].shape)}")
        if op in _SAME:
            return self.text(args[0])
        if op == "lift_fresh_copy":  # of a number that the step makes a tensor of
            source: Any = args[0]
            return _number(getattr(node.graph.owning_module, source.target).item(), kind)
        if op in _CONSTANT:
            value = _CONSTANT[op]
            return _number(value, kind) if value or kind == torch.bool else "ZERO"
        if op in _FILLED:
            return self._filled(args[_FILLED[op]], kind)
        if op == "_to_copy":
            return self._copied(args[0], kind)
        if node.kwargs:
            raise Unsupported(f"kernels do not have {op} with {', '.join(node.kwargs)}")
        text = self._logical(op, args, kind) or self._numeric(op, args, kind)
        return self._named_value(text)

    def _filled(self, value: Any, kind: torch.dtype) -> str:
        if isinstance(value, torch.fx.Node):
            raise Unsupported("kernels do not have a constant that depends on tensors")
        return _number(value, kind)

    def _copied(self, source: Any, kind: torch.dtype) -> str:
        """Return the text for a value that is converted to another type."""
        given = _type(source)
        if kind == torch.bool:
            return self._operand(source, logical=True)
        whole = given.is_floating_point and not kind.is_floating_point
        if whole or kind in (torch.float16, torch.bfloat16):
            raise Unsupported(f"kernels do not have a conversion to {kind}")
        text = self._operand(source)
        rounds = kind == torch.float32 and given == torch.float64
        return self._named_value(f"F(np.float32({text}))") if rounds else text

    def _logical(self, op: str, args: Sequence[Any], kind: torch.dtype) -> str | None:
        """Return the text of an operation on truth values, or None if it is not one."""
        if op in ("where", "masked_fill", "masked_fill_"):
            if op == "where":
                decides, a, b = args
            else:
                b, decides, a = args
            chosen = [self._operand(each, kind == torch.bool, kind) for each in (a, b)]
            return f"({chosen[0]} if {self._operand(decides, logical=True)} else {chosen[1]})"
        if kind != torch.bool or op in _COMPARED:
            return None
        name = {"mul": "and", "add": "or"}.get(op, op.rstrip("_").rpartition("_")[2])
        if name not in _LOGICAL:
            raise Unsupported(f"kernels do not have {op} of {kind}")
        return _LOGICAL[name].format(*(self._operand(each, logical=True) for each in args))

    def _numeric(self, op: str, args: Sequence[Any], kind: torch.dtype) -> str:
        """Return the text of an operation on numbers."""
        types = [_type(each) for each in args if isinstance(each, torch.fx.Node)]
        double = torch.float64 in types or kind == torch.float64
        a, *rest = [
            each if each is None else self._operand(each, like=None if double else torch.float32)
            for each in args
        ]
        if op == "clamp":
            for bound, name in zip(rest, ("clamp_min", "clamp_max"), strict=False):
                if bound is not None:
                    a = self._named_value(_value(name, [str(a), bound]))
            return str(a)
        operands = ["ZERO" if each is None else each for each in (a, *rest)]
        if op == "pow" and not isinstance(args[1], torch.fx.Node | None):
            text = _POWERS.get(args[1], f"F(math.pow({{0}}, {float(args[1])!r}))")
            text = text.format(a)
        else:
            text = _value(op, operands)
        if kind == torch.bool:  # a comparison
            return text
        if not kind.is_floating_point and op not in _OF_WHOLE_NUMBERS:
            raise Unsupported(f"kernels do not have {op} of {kind}")
        if kind in (torch.float16, torch.bfloat16):
            raise Unsupported(f"kernels do not have {op} of {kind}")
        return text if kind != torch.float32 else f"F(np.float32({text}))"

    def _named_value(self, text: str) -> str:
        if text.isidentifier():
            return text
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name


def _number(value: Any, kind: torch.dtype | None = None) -> str:
    if kind == torch.bool:
        return str(bool(value))
    value = float(value)
    if kind == torch.float32:
        value = torch.tensor(value, dtype=kind).item()
    if value == 1:
        return "ONE"
    if math.isfinite(value):
        return f"F({value!r})"
    return "F(math.nan)" if value != value else f"F({'-' if value < 0 else ''}math.inf)"
