"""The text of the Triton kernels.

A program takes a block of neurons through all time steps, with their states in registers. What it
reads may lie in memory in any way: its place is found once, before the loop, from the strides of as
many dimensions as cannot be merged. What it writes lies dense.
"""

from __future__ import annotations

from textwrap import indent

from .derive import GIVEN, INPUT, SPIKES
from .kernels import Spec, backward, forward, reads, writes

_TEMPLATE = """import triton
import triton.language as tl
{imports}
F = tl.{dtype}

{functions}
@triton.jit(do_not_specialize=["begin", "steps"])
def scan({arguments}, SIZE: tl.constexpr, STAGES: tl.constexpr):
    ZERO, ONE = tl.full((), 0.0, F), tl.full((), 1.0, F)
    n = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    inside = n < total
{places}
{first}
    for i in tl.range(steps, num_stages=STAGES):
        t = ({step}).to(tl.int64)
{body}
{last}
"""

_FUNCTION = """
@triton.jit
def {name}:
    return {value}
"""
_ROUNDED = "tl.floor(x) + tl.where({above}, 1.0, 0.0)"
_ABOVE = (
    "(x - tl.floor(x) > 0.5) | "
    "((x - tl.floor(x) == 0.5) & (tl.floor(0.5 * tl.floor(x)) != 0.5 * tl.floor(x)))"
)


def _functions(dtype: str, interpreted: bool) -> dict[str, str]:
    """Return what the text of an operation may call."""
    single = dtype == "float32"
    names = ("exp", "log", "sin", "cos")
    found = {f"{name}(x)": f"{'tl' if interpreted else 'libdevice'}.{name}(x)" for name in names}
    found["divide(x, y)"] = "tl.div_rn(x, y)" if single else "x / y"
    found["sqrt(x)"] = "tl.sqrt_rn(x)" if single else "tl.sqrt(x)"
    found["rint(x)"] = _ROUNDED.format(above=_ABOVE)
    if not interpreted:
        return found | {
            "tanh(x)": "libdevice.tanh(x)",
            "power(x, y: tl.constexpr)": "libdevice.pow(x, tl.full((), y, F))",
        }
    # The interpreter has no libdevice. In double precision, since these lose digits.
    wide = "x.to(tl.float64)"
    negative = "1.0 - 2.0 * (y % 2) if y % 1 == 0 else float('nan')"
    power = f"tl.where(x < 0.0, {negative}, 1.0) * tl.exp(tl.log(tl.abs({wide})) * y)"
    less = f"(1.0 - tl.exp(-2.0 * tl.abs({wide}))) / (1.0 + tl.exp(-2.0 * tl.abs({wide})))"
    return found | {
        "tanh(x)": f"tl.where(x < 0.0, -1.0 * ({less}), {less}).to(F)",
        "power(x, y: tl.constexpr)": f"({power}).to(F)",
    }


def _load(array: str, time: str = "") -> str:
    return f"tl.load({array}{time} + place_{array}, mask=inside).to(F)"


def _timed(array: str, t: str = "t") -> str:
    return f" + {t} * time_{array}"


def _forward(spec: Spec) -> tuple[list[str], list[str], list[str]]:
    """Return what is done before the loop, in it, and after it."""
    found, states = forward(spec), spec.dynamics.states
    loop = [f"s_{s} = at_{s}" for s in found.states]
    loop += [f"s_{i} = {_load(f'in_{i}', _timed(f'in_{i}'))}" for i in found.inputs]
    stores = {SPIKES: found.results[SPIKES], **found.stores}
    loop += found.lines
    for name, text in stores.items():
        loop += [f"tl.store(to_{name}{_timed(f'to_{name}')} + n, {text}, mask=inside)"]
    loop += [f"at_{s} = tl.broadcast_to({found.results[s]}, (SIZE,))" for s in states]
    return [], loop, []


def _backward(spec: Spec) -> tuple[list[str], list[str], list[str]]:
    """Return what is done before the loop, in it, and after it."""
    found, of = backward(spec), spec.dynamics
    first, loop, last = [], [], []
    # What is old at one step is new at the next.
    carried = [name for name in found.olds if name in found.news]
    for name in found.olds:
        first += [f"first_{name} = {_load(f'first_old_{name}')}"]
    for name in carried:
        first += [
            f"new_{name} = {_load(f'to_{name}', _timed(f'to_{name}', '(begin + steps - 1)'))}"
        ]
    for name in found.news:
        if name not in carried:
            loop += [f"new_{name} = {_load(f'to_{name}', _timed(f'to_{name}'))}"]
    for name in found.olds:
        old = _load(f"old_{name}", _timed(f"old_{name}", "tl.maximum(t - 1, 0)"))
        loop += [f"s_{name} = tl.where(t > 0, {old}, first_{name})"]
    loop += [f"s_{name} = {_load(f'in_{name}', _timed(f'in_{name}'))}" for name in found.inputs]
    for name in (SPIKES, *of.states):
        more = _load(f"gr_{name}", _timed(f"gr_{name}")) if name in spec.given else ""
        if name != SPIKES:
            loop += [f"g_{name} = at_{name}{' + ' if more else ''}{more}"]
        elif more:
            loop += [f"g_{name} = {more}"]
    loop += [f"slope = {_load('slopes', _timed('slopes'))}"] if spec.slope == GIVEN else []
    loop += found.lines
    for name, text in found.results.items():
        if name in of.states:
            loop += [f"at_{name} = tl.broadcast_to({text}, (SIZE,))"]
        elif name == INPUT and spec.static:
            first += [f"sum_{INPUT} = tl.load(to_{INPUT} + n, mask=inside)"]
            loop += [f"sum_{INPUT} += {text}"]
            last += [f"tl.store(to_{INPUT} + n, sum_{INPUT}, mask=inside)"]
        elif name in of.inputs:
            loop += [f"tl.store(to_{name}{_timed(f'to_{name}')} + n, {text}, mask=inside)"]
        else:
            first += [f"sum_{name} = tl.load(result_sum_{name} + n, mask=inside)"]
            loop += [f"sum_{name} += {text}"]
            last += [f"tl.store(result_sum_{name} + n, sum_{name}, mask=inside)"]
    loop += [f"new_{name} = s_{name}" for name in carried]
    return first, loop, last


def source(spec: Spec, back: bool, rank: int, interpreted: bool = False) -> str:
    """Return the text of the module that holds a kernel, ``scan``.

    :param rank: in how many dimensions what is read has strides
    :param interpreted: whether Triton's interpreter runs it
    """
    (timed, others), (stored, kept) = reads(spec, back), writes(spec, back)
    axes = range(rank)
    arguments = [f"{a}, time_{a}" for a in (*timed, *stored)]
    arguments += [*others, *(f"result_{a}" if a.startswith(("at_", "sum_")) else a for a in kept)]
    arguments += [f"{a}_{d}" for a in (*timed, *others) for d in axes]
    arguments += [f"size_{d}" for d in axes[1:]]
    arguments += [f"p_{p}" for p in spec.dynamics.parameters if p not in spec.vectors]
    # Triton takes numbers as single-precision ones, if not as constants.
    constant = ": tl.constexpr" if spec.dtype == "float64" else ""
    slopes = range(spec.count) if back else ()
    arguments += [f"value_q{q}{constant}" for q in slopes]
    arguments += ["total", "begin", "steps"]
    places = ["rest = n"]
    for d in reversed(axes[1:]):
        places += [f"place_{d} = rest % size_{d}", f"rest = rest // size_{d}"]
    places += ["place_0 = rest"]
    for a in (*timed, *others):
        places += [f"place_{a} = " + " + ".join(f"place_{d} * {a}_{d}" for d in axes)]
    first = [f"at_{s} = {_load(f'first_at_{s}')}" for s in spec.dynamics.states]
    for p in spec.dynamics.parameters:
        first += [f"s_{p} = " + (_load(f"p_{p}") if p in spec.vectors else f"tl.load(p_{p}).to(F)")]
    first += [f"q{q} = tl.full((), value_q{q}, F)" for q in slopes]
    begin, loop, last = _backward(spec) if back else _forward(spec)
    last += [f"tl.store(result_at_{s} + n, at_{s}, mask=inside)" for s in spec.dynamics.states]
    functions = _functions(spec.dtype, interpreted).items()
    return _TEMPLATE.format(
        imports="" if interpreted else "from triton.language.extra import libdevice\n",
        dtype=spec.dtype,
        functions="\n".join(_FUNCTION.format(name=name, value=value) for name, value in functions),
        arguments=", ".join(arguments),
        places=indent("\n".join(places), " " * 4),
        first=indent("\n".join([*first, *begin]), " " * 4),
        step="begin + steps - 1 - i" if back else "begin + i",
        body=indent("\n".join(loop), " " * 8),
        last=indent("\n".join(last), " " * 4),
    )
