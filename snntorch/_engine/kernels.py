"""The text of the CPU kernels: one generic scan forward, one backward, with an equation inlined.

A kernel walks the time steps of a layer whose neurons lie side by side in memory: ``rows`` (the
batch) of ``N`` neurons. It takes them in chunks whose states stay in the cache, all time steps of
a chunk before the next. Only the text of the loop's body differs between models; it calls the
functions of ``equations.py``, whose source goes into the same module.
"""

from __future__ import annotations

import ast
import inspect
import math
from dataclasses import dataclass
from functools import cache
from textwrap import dedent, indent

from .. import surrogate
from .._neurons import equations

# States and decays of each model, by the names that its equation and adjoint use.
MODELS = {
    "leaky": (("mem",), ("beta",)),
    "rleaky": (("mem",), ("beta",)),
    "lapicque": (("mem",), ("R", "conductance", "time_step", "decay")),
    "synaptic": (("syn", "mem"), ("alpha", "beta")),
    "rsynaptic": (("syn", "mem"), ("alpha", "beta")),
    "alpha": (("exc", "inh", "mem"), ("alpha", "beta", "tau")),
}

# Surrogates whose slope is inlined.
INLINED = (
    surrogate.ATan,
    surrogate.FastSigmoid,
    surrogate.Sigmoid,
    surrogate.StraightThroughEstimator,
    surrogate.Heaviside,
    surrogate.Triangular,
    surrogate.SpikeRateEscape,
    surrogate.SparseFastSigmoid,
    surrogate.LeakySpikeOperator,
)


@dataclass(frozen=True)
class Spec:
    """All that the text of a kernel depends on."""

    dtype: str
    """``"float32"`` or ``"float64"``."""
    model: str
    reset: str
    delay: bool
    vectors: frozenset[str]
    """Parameters that have a value for each neuron."""
    dense: bool = False
    """Whether the feedback is a product over neurons, worked out between single steps."""
    # forward
    stores: frozenset[str] = frozenset()
    """States whose trace is written; ``u`` is the membrane before a reset in the same step."""
    # backward
    slope: str | None = None
    """Class of an inlined surrogate, ``"given"`` for an array of slopes, or None."""
    parameters: int = 0
    """Number of the surrogate's parameters."""
    given: frozenset[str] = frozenset()
    """Outputs that have a gradient: ``spk`` and states."""
    wanted: frozenset[str] = frozenset()
    """Parameters whose gradient is asked for, ``x`` among them."""
    static: bool = False

    @property
    def states(self) -> tuple[str, ...]:
        return MODELS[self.model][0]

    @property
    def decays(self) -> tuple[str, ...]:
        return MODELS[self.model][1]

    @property
    def feeds_back(self) -> bool:
        return self.model in ("rleaky", "rsynaptic")

    @property
    def kept(self) -> tuple[str, ...]:
        """States in the order of the neuron's call."""
        return ("spk", *self.states) if self.feeds_back else self.states

    @property
    def per_neuron(self) -> tuple[str, ...]:
        """Parameters in the order in which a kernel takes them."""
        own = ("V",) if self.feeds_back and not self.dense else ()
        return (*self.decays, *own, "threshold", "factor")

    @property
    def learns(self) -> tuple[str, ...]:
        return tuple(name for name in self.per_neuron if name in self.wanted)

    @property
    def olds(self) -> tuple[str, ...]:
        """States of the step before that the backward step reads."""
        if set(self.decays) & self.wanted:
            names = self.states
        else:
            names = ("mem",) if self.reset != "none" and self.delay else ()
        return (*names, *(("spk",) if "V" in self.wanted else ()))


def _reset(spec: Spec, fired: str) -> list[str]:
    """Reset the updated states, called ``new_...``."""
    if spec.reset == "none":
        return []
    if spec.model == "alpha" and spec.reset == "subtract":
        names = ", ".join(f"new_{s}" for s in spec.states)
        return [f"{names} = eq_alpha_subtract({names}, inh, {fired}, threshold)"]
    if spec.reset == "subtract":
        return [f"new_mem = eq_subtract(new_mem, {fired}, threshold)"]
    names_ = spec.states if spec.model == "alpha" else ("mem",)
    return [f"new_{s} = eq_zero(new_{s}, {fired})" for s in names_]


def _resets_first(spec: Spec) -> bool:
    return spec.model == "leaky" and spec.reset == "zero" and spec.delay


def _forward_body(spec: Spec) -> list[str]:
    body = [f"{s} = at_{s}[n]" for s in spec.states]
    if spec.reset != "none" and spec.delay:
        body += ["fired = ONE if mem > threshold else ZERO"]
    if _resets_first(spec):
        body += ["mem = eq_zero(mem, fired)"]
    new = ", ".join(f"new_{s}" for s in spec.states)
    feedback = ["feedback[n]" if spec.dense else "V * at_spk[n]"] if spec.feeds_back else []
    arguments = ", ".join(["x[n]", *feedback, *spec.states, *spec.decays])
    body += [f"{new} = eq_{spec.model}({arguments})"]
    if spec.delay and not _resets_first(spec):
        body += _reset(spec, "fired")
    body += ["spk = ONE if new_mem > threshold else ZERO"]
    if "u" in spec.stores:
        body += ["to_u[n] = new_mem"]
    if not spec.delay:
        body += _reset(spec, "spk")
    body += ["spk = spk * factor", "to_spk[n] = spk"]
    body += [f"at_{s}[n] = new_{s}" for s in spec.states]
    body += ["at_spk[n] = spk"] if spec.feeds_back else []
    return body + [f"to_{s}[n] = new_{s}" for s in spec.states if s in spec.stores]


def _backward_body(spec: Spec) -> list[str]:
    learns = spec.learns
    body = [f"d_{s} = at_{s}[n]" + (f" + g_{s}[n]" if s in spec.given else "") for s in spec.states]
    body += [f"{s} = old_{s}[n]" for s in spec.olds]
    spikes = (["g_spk[n]"] if "spk" in spec.given else []) + (
        ["at_spk[n]"] if spec.feeds_back else []
    )
    d_spk = " + ".join(spikes)
    body += ["u = to_u[n]", "spiked = ONE if u > threshold else ZERO"]
    if d_spk and "factor" in learns:
        body += [f"sum_factor[n] += ({d_spk}) * spiked"]
    # The spike before it was scaled.
    body += [f"d_fire = ({d_spk}) * factor" if d_spk else "d_fire = ZERO"]
    if not spec.delay and spec.reset == "subtract":
        body += ["d_mem, d_threshold = eq_subtract_adjoint(d_mem, spiked)"]
        body += ["d_fire = d_fire - threshold * d_mem"]
        body += ["sum_threshold[n] += d_threshold"] if "threshold" in learns else []
    if not spec.delay and spec.reset == "zero":
        body += ["d_fire = d_fire - u * d_mem", "d_mem = eq_zero_adjoint(d_mem, spiked)"]
    if spec.slope == "given":
        body += ["through = d_fire * slopes[n]"]
    elif spec.slope:
        arguments = "".join(f", q{i}" for i in range(spec.parameters))
        body += [f"through = d_fire * {spec.slope}_slope(u - threshold{arguments})"]
    if spec.slope:
        body += ["d_mem = d_mem + through"]
        body += ["sum_threshold[n] -= through"] if "threshold" in learns else []
    if spec.reset != "none" and spec.delay:
        body += ["fired = ONE if mem > threshold else ZERO"]
        if _resets_first(spec):
            body += ["mem = eq_zero(mem, fired)"]
        elif spec.model == "alpha" and spec.reset == "subtract":
            body += [
                "d_exc, d_inh, d_mem, d_old_inh, d_threshold = "
                "eq_alpha_subtract_adjoint(d_exc, d_inh, d_mem, fired)"
            ]
        elif spec.reset == "subtract":
            body += ["d_mem, d_threshold = eq_subtract_adjoint(d_mem, fired)"]
        else:
            names = spec.states if spec.model == "alpha" else ("mem",)
            body += [f"d_{s} = eq_zero_adjoint(d_{s}, fired)" for s in names]
        if spec.reset == "subtract" and "threshold" in learns:
            body += ["sum_threshold[n] += d_threshold"]
    # What the adjoint reads without its being wanted may be anything.
    adjoint = getattr(equations, f"{spec.model}_adjoint")
    needed = list(inspect.signature(adjoint).parameters)[len(spec.states) :]
    readable = {*spec.decays, *spec.olds}
    readable |= {"x"} if reads_x(spec) else set()
    values = [f"d_{s}" for s in spec.states]
    values += [("x[n]" if a == "x" else a) if a in readable else "ZERO" for a in needed]
    feedback = ["d_feedback"] if spec.feeds_back else []
    results = ["d_x", *feedback, *(f"d_{s}" for s in spec.states), *(f"d_{p}" for p in spec.decays)]
    body += [f"{', '.join(results)} = eq_{spec.model}_adjoint({', '.join(values)})"]
    if _resets_first(spec):
        body += ["d_mem = eq_zero_adjoint(d_mem, fired)"]
    if spec.model == "alpha" and spec.reset == "subtract" and spec.delay:
        body += ["d_inh = d_inh + d_old_inh"]
    body += [f"sum_{p}[n] += d_{p}" for p in spec.decays if p in learns]
    if spec.dense:
        body += ["to_feedback[n] = d_feedback"]
    elif spec.feeds_back:
        body += ["sum_V[n] += d_feedback * spk"] if "V" in learns else []
        body += ["at_spk[n] = d_feedback * V"]
    if "x" in spec.wanted:
        body += ["to_x[n] += d_x" if spec.static else "to_x[n] = d_x"]
    return body + [f"at_{s}[n] = d_{s}" for s in spec.states]


def reads_x(spec: Spec) -> bool:
    """Tell whether the backward pass reads the input."""
    return spec.model in ("lapicque", "alpha") and bool(set(spec.decays) & spec.wanted)


@cache
def arrays(spec: Spec, backward: bool) -> dict[str, tuple[str, ...]]:
    """Return the names of a kernel's arrays by kind, in the order in which it takes them.

    ``timed`` arrays are flat with a time stride each; ``before`` are timed ones that are read one
    step earlier, with the initial state apart; ``kept`` hold one step, and come with what they hold
    at first; ``sums`` one chunk.
    """
    at = tuple(f"at_{s}" for s in spec.kept)
    if not backward:
        stores = tuple(f"to_{s}" for s in ("u", *spec.states) if s in spec.stores)
        timed = ["x", *(["feedback"] if spec.dense else []), "to_spk", *stores]
        return {"timed": tuple(timed), "before": (), "kept": at, "sums": ()}
    timed = ["to_u", *(["to_feedback"] if spec.dense else [])]
    timed += [f"g_{s}" for s in ("spk", *spec.states) if s in spec.given]
    timed += ["x"] if reads_x(spec) else []
    timed += ["slopes"] if spec.slope == "given" else []
    timed += ["to_x"] if "x" in spec.wanted else []
    before = tuple(f"old_{s}" for s in spec.olds)
    sums = tuple(f"sum_{p}" for p in spec.learns)
    return {"timed": tuple(timed), "before": before, "kept": at, "sums": sums}


# Python's own error model checks each division, and with that nothing is vectorised.
_TEMPLATE = """
@njit(nogil=True, cache={cache}, error_model="numpy")
def total(a):
    # In lanes: one sum after the other is not vectorised.
    lanes = np.zeros(64, F)
    whole = a.shape[0] // 64 * 64
    for low in range(0, whole, 64):
        part = a[low : low + 64]
        for n in range(64):
            lanes[n] += part[n]
    for n in range(whole, a.shape[0]):
        lanes[n - whole] += a[n]
    return lanes.sum()


@njit(nogil=True, cache={cache}, error_model="numpy")
def step({step_arguments}):
    for n in range(at_mem.shape[0]):
{body}


@njit(nogil=True, cache={cache}, error_model="numpy")
def scan({arguments}):
    chunks = (N + size - 1) // size
{buffers}
    for unit in range(first, last):
        row, chunk = unit // chunks, unit % chunks
        low = chunk * size
        high = min(N, low + size)
        start, stop = row * N + low, row * N + high
{begin}
        for i in range(steps):
            t = {t}
{views}
            step({call})
{end}
"""


def source(spec: Spec, backward: bool, cache: bool) -> str:
    """Return the text of the module that holds a kernel, ``scan``."""
    kinds = arrays(spec, backward)
    body = _backward_body(spec) if backward else _forward_body(spec)
    loads = [f"{p} = p_{p}[n]" for p in spec.per_neuron if p in spec.vectors]
    scalars = [f"q{i}" for i in range(spec.parameters)] if backward else []
    parameters = [f"p_{p}" if p in spec.vectors else p for p in spec.per_neuron]
    every = [*kinds["timed"], *kinds["before"], *kinds["kept"], *kinds["sums"]]
    arguments = [
        *(f"{a}_, {a}_t" for a in kinds["timed"]),
        *(f"{a}_, {a}_t, {a}_first" for a in kinds["before"]),
        *(f"{a}_, {a}_first" for a in kinds["kept"]),
        *(f"{a}_out" for a in kinds["sums"]),
        *(f"{p}_" for p in spec.per_neuron),
        *scalars,
        "begin, steps, N, size, first, last",
    ]
    begin = [f"{a} = {a}_[start:stop]" for a in kinds["kept"]]
    begin += [f"{a}[:] = {a}_first[start:stop]" for a in kinds["kept"]]
    begin += [f"p_{p} = {p}_[low:high]" for p in spec.per_neuron if p in spec.vectors]
    begin += [f"{p} = {p}_[0]" for p in spec.per_neuron if p not in spec.vectors]
    begin += [f"{a} = {a}_buffer[: high - low]" for a in kinds["sums"]]
    begin += [f"{a}[:] = ZERO" for a in kinds["sums"]]
    views = [f"{a} = {a}_[t * {a}_t + start : t * {a}_t + stop]" for a in kinds["timed"]]
    for a in kinds["before"]:
        earlier = f"{a}_[(t - 1) * {a}_t + start : (t - 1) * {a}_t + stop]"
        views += [f"{a} = {earlier} if t > 0 else {a}_first[start:stop]"]
    end = []
    for a in kinds["sums"]:
        if a.removeprefix("sum_") in spec.vectors:
            end += [f"{a}_out[low:high] += {a}"]
        else:
            end += [f"{a}_out[0] += total({a})"]
    text = _TEMPLATE.format(
        cache=cache,
        step_arguments=", ".join([*every, *parameters, *scalars]),
        arguments=", ".join(arguments),
        body=indent("\n".join(loads + body), " " * 8),
        buffers=indent(
            "\n".join(f"{a}_buffer = np.empty(size, F)" for a in kinds["sums"]), " " * 4
        ),
        begin=indent("\n".join(begin), " " * 8),
        t="begin + steps - 1 - i" if backward else "begin + i",
        views=indent("\n".join(views), " " * 12),
        call=", ".join([*every, *parameters, *scalars]),
        end=indent("\n".join(end), " " * 8),
    )
    return _prelude(spec.dtype, spec.slope if backward else None) + text


def _prelude(dtype: str, slope: str | None) -> str:
    """Return what stands above a kernel: the equations, and the surrogate's slope."""
    names = [name for name, f in inspect.getmembers(equations, inspect.isfunction)]
    lines = ["import math", "import numpy as np", "from numba import njit", f"F = np.{dtype}"]
    lines += ["ONE, ZERO = F(1), F(0)", _text(equations)]
    lines += [f"{name} = eq_{name} = njit(inline='always')({name})" for name in names]
    if slope not in (None, "given"):
        lines += [_SLOPE_HELPERS, *_slope_text(slope)]
    return "\n".join(lines) + "\n"


@cache
def _text(module: object) -> str:
    return inspect.getsource(module)  # type: ignore[arg-type]


_SLOPE_HELPERS = dedent(
    """
    @njit(inline="always")
    def heaviside_step(u):
        return ONE if u > ZERO else ZERO


    @njit(inline="always")
    def square(a):
        return a * a


    @njit(inline="always")
    def exp(a):
        return F(math.exp(a))


    @njit(inline="always")
    def torch_ones_like(a):
        return ONE
    """
)


class _Typed(ast.NodeTransformer):
    """Keep a slope in the kernel's precision: a bare number would widen it to float64."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.parse(f"F({node.value!r})", mode="eval").body

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if ast.unparse(node) == "math.pi":
            return ast.parse(f"F({math.pi!r})", mode="eval").body
        return ast.Name(ast.unparse(node).replace(".", "_"), ast.Load())

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if isinstance(node.op, ast.Pow) and ast.unparse(node.right) == "2":
            return ast.Call(ast.Name("square", ast.Load()), [self.visit(node.left)], [])
        return self.generic_visit(node)


def _slope_text(name: str) -> list[str]:
    """Return a surrogate's slope, and those that it calls, as text for a kernel."""
    cls = getattr(surrogate, name)
    tree = ast.parse(dedent(inspect.getsource(cls.slope))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    arguments = [argument.arg for argument in tree.args.args]
    called = [
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "slope"
        and isinstance(node.value, ast.Name)
    ]
    lines = [line for each in called for line in _slope_text(each)]
    statements = [_Typed().visit(statement) for statement in tree.body]
    lines += ['@njit(inline="always")', f"def {name}_slope({', '.join(arguments)}):"]
    lines += [indent(ast.unparse(ast.fix_missing_locations(s)), "    ") for s in statements]
    return lines
