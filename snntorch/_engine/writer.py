"""Statements that work out a graph of scalar operations, in the language of a backend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch


class Unsupported(Exception):
    """An operation of a step that kernels do not have."""


@dataclass(frozen=True, eq=False)
class Language:
    """How operations are written. ``{0}``, ``{1}``, ... stand for operands: names, or numbers in
    quotes. A kernel defines ``F``, the type of its numbers, and ``ZERO`` and ``ONE``."""

    name: str
    number: str
    infinity: str
    nan: str
    choice: str
    """The second operand where the first is true, else the third."""
    negation: str
    inversion: str
    """Of a truth value."""
    quotient: str
    power: str
    single: str
    """A value rounded to single precision."""
    function: str
    """A function of one number: the name is ``{name}``."""
    own: dict[str, str]
    """Operations that have a text of the language's own."""

    def where(self, condition: str, a: str, b: str) -> str:
        """Return the text of a choice."""
        return self.choice.format(condition, a, b)

    @cached_property
    def texts(self) -> dict[str, str]:
        """The operations that are more than an infix."""
        where, quotient = self.where, self.quotient
        exp, sqrt = (self.function.replace("{name}", name) for name in ("exp", "sqrt"))
        relu = where("{0} <= ZERO", "ZERO", "{0}")
        sign = where("{0} > ZERO", "ONE", where("{0} < ZERO", "-ONE", "ZERO"))
        # NaN if one of them is.
        maximum = where("{0} >= {1}", "{0}", where("{1} > {0}", "{1}", "{0} + {1}"))
        minimum = where("{0} <= {1}", "{0}", where("{1} < {0}", "{1}", "{0} + {1}"))
        step = where("{0} == ZERO", "{1}", where("{0} > ZERO", "ONE", "ZERO"))
        texts = {
            "clamp_max": minimum,
            "clamp_min": maximum,
            "heaviside": step,
            "maximum": maximum,
            "minimum": minimum,
            "neg": self.negation,
            "reciprocal": quotient.format("ONE", "{0}"),
            "relu": relu,
            "relu_": relu,
            "rsqrt": quotient.format("ONE", sqrt),
            "sgn": sign,
            "sigmoid": quotient.format("ONE", f"(ONE + {exp.format(self.negation)})"),
            "sigmoid_backward": "{0} * (ONE - {1}) * {1}",
            "sign": sign,
            "tanh_backward": "{0} * (ONE - {1} * {1})",
            "threshold_backward": where("{1} <= {2}", "ZERO", "{0}"),
            **self.own,
        }
        texts |= {op: f"{{0}} {sign} {{1}}" for op, sign in _COMPARED.items()}
        # The last bit of these differs from that of PyTorch's vectors; of sqrt too, where it calls
        # MKL.
        functions = ("exp", "log", "tanh", "sin", "cos", "sqrt")
        return texts | {op: self.function.replace("{name}", op) for op in functions}

    @cached_property
    def powers(self) -> dict[float, str]:
        """The powers that are products."""
        sqrt = self.function.replace("{name}", "sqrt")
        return {
            0: "ONE",
            1: "{0}",
            2: "{0} * {0}",
            3: "{0} * {0} * {0}",
            -1: self.quotient.format("ONE", "{0}"),
            -2: self.quotient.format("ONE", "({0} * {0})"),
            -0.5: self.quotient.format("ONE", sqrt),
        }

    def logical(self, name: str) -> str | None:
        """Return an operation on truth values, if there is one."""
        known = {"and": "{0} & {1}", "or": "{0} | {1}", "xor": "{0} != {1}", "not": self.inversion}
        return known.get(name)

    def value(self, op: str, args: Sequence[str]) -> str:
        """Return the text of an operation on operands that are numbers."""
        if op in _INFIX:
            return self._folded(op, args[0], args[1])
        if op == "rsub":
            return self._folded("sub", args[1], args[0])
        if op == "neg" and args[0] == "ZERO":
            return "ZERO"
        if op not in self.texts:
            raise Unsupported(f"kernels do not have {op}")
        return self.texts[op].format(*args)

    def _folded(self, op: str, a: str, b: str) -> str:
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
            return self.negation.format(b)
        if op == "mul" and "ONE" in (a, b):
            return b if a == "ONE" else a
        return self.quotient.format(a, b) if op == "div" else f"{a} {_INFIX[op]} {b}"

    def constant(self, value: Any, kind: torch.dtype | None = None) -> str:
        """Return the text of a number, or of a truth value."""
        if kind == torch.bool:
            return str(bool(value))
        value = float(value)
        if kind == torch.float32:
            value = torch.tensor(value, dtype=kind).item()
        if value == 1:
            return "ONE"
        if math.isfinite(value):
            return self.number.format(repr(value))
        sign = "-" if value < 0 else ""
        return self.number.format(self.nan if value != value else sign + self.infinity)


_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_COMPARED = {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "==", "ne": "!="}

NUMBA = Language(
    name="numba",
    number="F({0})",
    infinity="math.inf",
    nan="math.nan",
    choice="({1} if {0} else {2})",
    negation="-{0}",
    inversion="not {0}",
    quotient="{0} / {1}",
    power="F(math.pow({0}, {1}))",
    single="F(np.float32({0}))",
    function="F(math.{name}({0}))",
    own={
        "abs": "abs({0})",
        "ceil": "F(np.ceil({0}))",
        "floor": "F(np.floor({0}))",
        "round": "F(np.rint({0}))",
        "trunc": "F(np.trunc({0}))",
    },
)
# Triton negates by a subtraction from zero, which loses the sign of a zero. Its kernels define the
# functions; quotients and roots are rounded as by IEEE 754, which Triton's own are not.
TRITON = Language(
    name="triton",
    number="tl.full((), {0}, F)",
    infinity='float("inf")',
    nan='float("nan")',
    choice="tl.where({0}, {1}, {2})",
    negation="-1.0 * {0}",
    inversion="{0} == False",
    quotient="divide({0}, {1})",
    power="power({0}, {1})",
    single="({0}).to(tl.float32).to(F)",
    function="{name}({0})",
    own={
        "abs": "tl.abs({0})",
        "ceil": "tl.ceil({0})",
        "floor": "tl.floor({0})",
        "round": "rint({0})",
        "trunc": "tl.where({0} < ZERO, tl.ceil({0}), tl.floor({0}))",
    },
)
# On tensors of any shape; a kernel defines ``number``, a tensor of one value.
TORCH = Language(
    name="torch",
    number="number({0})",
    infinity='float("inf")',
    nan='float("nan")',
    choice="torch.where({0}, {1}, {2})",
    negation="-{0}",
    inversion="~{0}",
    quotient="{0} / {1}",
    power="torch.pow({0}, {1})",
    single="({0}).to(torch.float32).to(F)",
    function="torch.{name}({0})",
    own={op: f"torch.{op}({{0}})" for op in ("abs", "ceil", "floor", "round", "trunc")},
)

SAME = ("detach", "alias", "clone", "view_as", "expand")
_CONSTANT = {"zeros": 0, "zeros_like": 0, "new_zeros": 0, "ones": 1, "ones_like": 1, "new_ones": 1}
# Where the value is among the arguments.
_FILLED = {"scalar_tensor": 0, "full": 1, "full_like": 1, "new_full": 2}
_OF_WHOLE_NUMBERS = ("add", "sub", "rsub", "mul", "neg", "where")


def name_of(node: torch.fx.Node) -> str:
    """Return the name of a node's operation."""
    target: Any = node.target
    return target.overloadpacket.__name__


def _type(node: torch.fx.Node) -> torch.dtype:
    if node.op == "get_attr":
        raise Unsupported(
            "kernels do not have a tensor from outside the step; make it a number, or a "
            "parameter of the neuron"
        )
    return node.meta["val"].dtype


class Writer:
    """Writes the statements that work out nodes of a graph, each once, when they are asked for.

    Numbers that a step computes in single precision whatever its input, such as ``(v > 1) * 0.3``,
    are rounded to it.

    :param language: what they are written in
    :param known: text for nodes that need not be worked out, and for gradients by name that are
        missing
    """

    def __init__(
        self, language: Language, known: dict[torch.fx.Node, str], absent: Iterable[str] = ()
    ) -> None:
        self.language, self.known, self.absent = language, dict(known), frozenset(absent)
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
            return self.language.constant(node)
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
            return self.language.constant(node, torch.bool if logical else like)
        text = self.text(node)
        if node is None or (_type(node) == torch.bool) == logical:
            return text
        if node not in self._converted:
            self._converted[node] = self._named_value(
                f"{text} != ZERO" if logical else self.language.where(text, "ONE", "ZERO")
            )
        return self._converted[node]

    def _write(self, node: torch.fx.Node) -> str:
        if node.op == "placeholder":
            name = node.meta["name"]
            if name in self.absent:
                return "ZERO"
            self.read.add(name)
            return name
        kind, op, args = _type(node), name_of(node), node.args
        if node.meta["val"].dim():
            raise Unsupported(f"kernels do not have {op} of shape {tuple(node.meta['val'].shape)}")
        if op in SAME:
            return self.text(args[0])
        if op == "lift_fresh_copy":  # of a number that the step makes a tensor of
            source: Any = args[0]
            value = getattr(node.graph.owning_module, source.target).item()
            return self.language.constant(value, kind)
        if op in _CONSTANT:
            value = _CONSTANT[op]
            return self.language.constant(value, kind) if value or kind == torch.bool else "ZERO"
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
        return self.language.constant(value, kind)

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
        return self._named_value(self.language.single.format(text)) if rounds else text

    def _logical(self, op: str, args: Sequence[Any], kind: torch.dtype) -> str | None:
        """Return the text of an operation on truth values, or None if it is not one."""
        if op in ("where", "masked_fill", "masked_fill_"):
            if op == "where":
                decides, a, b = args
            else:
                b, decides, a = args
            chosen = [self._operand(each, kind == torch.bool, kind) for each in (a, b)]
            return self.language.where(self._operand(decides, logical=True), *chosen)
        if kind != torch.bool or op in _COMPARED:
            return None
        name = {"mul": "and", "add": "or"}.get(op, op.rstrip("_").rpartition("_")[2])
        text = self.language.logical(name)
        if text is None:
            raise Unsupported(f"kernels do not have {op} of {kind}")
        return text.format(*(self._operand(each, logical=True) for each in args))

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
                    a = self._named_value(self.language.value(name, [str(a), bound]))
            return str(a)
        operands = ["ZERO" if each is None else each for each in (a, *rest)]
        if op == "pow" and not isinstance(args[1], torch.fx.Node | None):
            exponent: Any = args[1]
            other = self.language.power.format("{0}", repr(float(exponent)))
            text = self.language.powers.get(exponent, other).format(a)
        else:
            text = self.language.value(op, operands)
        if kind == torch.bool:  # a comparison
            return text
        if not kind.is_floating_point and op not in _OF_WHOLE_NUMBERS:
            raise Unsupported(f"kernels do not have {op} of {kind}")
        if kind in (torch.float16, torch.bfloat16):
            raise Unsupported(f"kernels do not have {op} of {kind}")
        return text if kind != torch.float32 else self.language.single.format(text)

    def _named_value(self, text: str) -> str:
        if text.isidentifier():
            return text
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name
