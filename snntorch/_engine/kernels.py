"""The text of the CPU kernels: one generic scan forward, one backward, around a derived step.

A kernel walks the time steps of a layer whose neurons lie side by side in memory: ``rows`` (the
batch) of ``N`` neurons. It takes them in chunks whose states stay in the cache, all time steps of
a chunk before the next. Only the text of the loop's body differs between models; ``derive.py``
gives it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from textwrap import indent
from typing import Any, TypeVar

import torch

from .. import dynamics, surrogate
from ..dynamics import Dynamics
from . import store
from .derive import GIVEN, INPUT, SPIKES, Derived, Writer, derive

OVERDRIVE = "_overdrive"
"""What is stored where slopes are worked out outside a kernel."""


@dataclass(frozen=True)
class Spec:
    """All that the text of a kernel depends on."""

    dtype: str
    """``"float32"`` or ``"float64"``."""
    dynamics: Dynamics
    vectors: frozenset[str]
    """Parameters that have a value for each neuron."""
    # forward
    stores: frozenset[str] = frozenset()
    """What is written at each step beside the spikes: new states, and other saved values."""
    # backward
    slope: Any = None
    """The surrogate's slope, ``"given"`` for an array of slopes, or None."""
    count: int = 0
    """Number of the surrogate's parameters."""
    given: frozenset[str] = frozenset()
    """Outputs that have a gradient: spikes and states."""
    wanted: frozenset[str] = frozenset()
    """Inputs and parameters whose gradient is asked for."""
    static: bool = False

    @property
    def dense(self) -> bool:
        """Whether an input is worked out from the spikes between single steps."""
        return len(self.dynamics.inputs) > 1

    @property
    def learns(self) -> tuple[str, ...]:
        return tuple(name for name in self.dynamics.parameters if name in self.wanted)

    @property
    def derived(self) -> Derived:
        return derive(self.dynamics, self.slope, self.count)


@dataclass(frozen=True)
class Forward:
    """The body of a forward kernel."""

    lines: tuple[str, ...]
    saved: tuple[str, ...]
    """What may be stored beside the new states."""


def _forward(spec: Spec) -> Forward:
    step = spec.derived
    # Each state in a variable before any is written.
    writer = Writer({})
    results = {name: writer.text(node) for name, node in step.states.items()}
    spikes = writer.text(step.spikes)
    saved = {**step.saved, OVERDRIVE: step.overdrive}
    stored = {**step.states, **saved}
    stores = [f"to_{s}[n] = {writer.text(stored[s])}" for s in stored if s in spec.stores]
    of, read = spec.dynamics, writer.read
    loads = [f"s_{s} = at_{s}[n]" for s in of.states if f"s_{s}" in read]
    loads += [f"s_{i} = in_{i}[n]" for i in of.inputs if f"s_{i}" in read]
    writes = [f"to_{SPIKES}[n] = {spikes}", *(f"at_{s}[n] = {text}" for s, text in results.items())]
    return Forward((*loads, *writer.lines, *writes, *stores), tuple(saved))


@dataclass(frozen=True)
class Backward:
    """The body of a backward kernel, and what it reads."""

    lines: tuple[str, ...]
    news: tuple[str, ...]
    """Saved values of the step itself."""
    olds: tuple[str, ...]
    """States of the step before."""
    inputs: tuple[str, ...]


def _backward(spec: Spec) -> Backward:
    step, of = spec.derived, spec.dynamics
    saved = {**step.states, **step.saved}
    if of.recurrent:  # spikes are cheap to work out again, and differentiated on the way
        saved.pop(of.states[0])
    absent = [] if SPIKES in spec.given else [f"g_{SPIKES}"]
    writer = Writer({node: f"new_{name}" for name, node in saved.items()}, absent)
    names = [*of.inputs, *of.states, *spec.learns]
    asked = [n for n in names if n != INPUT or INPUT in spec.wanted]
    if spec.dense and of.recurrent:
        asked.remove(of.states[0])  # the product gives that gradient
    results = {name: writer.text(step.gradients[name]) for name in asked}
    read = writer.read
    news = tuple(name for name in saved if f"new_{name}" in read)
    olds = tuple(name for name in of.states if f"s_{name}" in read)
    inputs = tuple(name for name in of.inputs if f"s_{name}" in read)
    loads = [f"new_{name} = to_{name}[n]" for name in news]
    loads += [f"s_{name} = old_{name}[n]" for name in olds]
    loads += [f"s_{name} = in_{name}[n]" for name in inputs]
    loads += [f"g_{SPIKES} = gr_{SPIKES}[n]"] if SPIKES in spec.given else []
    for name in of.states:
        more = f" + gr_{name}[n]" if name in spec.given else ""
        loads += [f"g_{name} = at_{name}[n]{more}"]
    loads += ["slope = slopes[n]"] if "slope" in read else []
    writes = []
    for name, text in results.items():
        if name in of.states:
            writes += [f"at_{name}[n] = {text}"]
        elif name == INPUT:
            writes += [f"to_{INPUT}[n] {'+=' if spec.static else '='} {text}"]
        elif name in of.inputs:
            writes += [f"to_{name}[n] = {text}"]
        else:
            writes += [f"sum_{name}[n] += {text}"]
    return Backward((*loads, *writer.lines, *writes), news, olds, inputs)


@cache
def forward(spec: Spec) -> Forward:
    """Return the body of the forward kernel."""
    return _known(spec, Forward, _forward)


@cache
def backward(spec: Spec) -> Backward:
    """Return the body of the backward kernel."""
    return _known(spec, Backward, _backward)


Body = TypeVar("Body", Forward, Backward)


def _known(spec: Spec, kind: type[Body], make: Callable[[Spec], Body]) -> Body:
    """Return a body from the user's folder, or make it: loading the tracer takes a second."""
    slope = getattr(spec.slope, "__module__", None)
    if spec.dynamics.name is None or slope not in (None, surrogate.__name__):
        return make(spec)  # a user's, which may change without notice
    key = [spec.dynamics.name, spec.dtype, getattr(spec.slope, "__qualname__", spec.slope)]
    key += [spec.count, spec.static, *map(sorted, (spec.stores, spec.given, spec.wanted))]
    name = hashlib.sha256((_sources() + repr(key)).encode()).hexdigest()[:24]
    path = store.folder() / f"{kind.__name__.lower()}_{name}.json"
    try:
        return kind(**{field: tuple(v) for field, v in json.loads(path.read_text()).items()})
    except (OSError, ValueError, TypeError):
        body = make(spec)
        with suppress(OSError):
            store.write(path, json.dumps(asdict(body)))
        return body


@cache
def _sources() -> str:
    """Return all that bodies are made from."""
    package = Path(dynamics.__file__).parent
    names = ("dynamics.py", "surrogate.py", "_engine/derive.py", "_engine/kernels.py")
    files = [*map(package.joinpath, names), *sorted(package.glob("_neurons/*.py"))]
    return torch.__version__ + "".join(file.read_text() for file in files)


@cache
def arrays(spec: Spec, back: bool) -> dict[str, tuple[str, ...]]:
    """Return the names of a kernel's arrays by kind, in the order in which it takes them.

    ``timed`` arrays are flat with a time stride each; ``before`` are timed ones that are read one
    step earlier, with the initial state apart; ``kept`` hold one step, and come with what they hold
    at first; ``sums`` one chunk.
    """
    step = spec.dynamics
    at = tuple(f"at_{s}" for s in step.states)
    if not back:
        names = (*step.states, *forward(spec).saved)
        stores = tuple(f"to_{s}" for s in names if s in spec.stores)
        inputs = tuple(f"in_{i}" for i in step.inputs)
        return {"timed": (*inputs, f"to_{SPIKES}", *stores), "before": (), "kept": at, "sums": ()}
    body = backward(spec)
    timed = [f"to_{name}" for name in body.news]
    timed += [f"to_{name}" for name in step.inputs[1:]]
    timed += [f"gr_{s}" for s in (SPIKES, *step.states) if s in spec.given]
    timed += [f"in_{name}" for name in body.inputs]
    timed += ["slopes"] if spec.slope == GIVEN else []
    timed += [f"to_{INPUT}"] if INPUT in spec.wanted else []
    before = tuple(f"old_{s}" for s in body.olds)
    sums = tuple(f"sum_{p}" for p in spec.learns)
    return {"timed": tuple(timed), "before": before, "kept": at, "sums": sums}


# Python's own error model checks each division, and with that nothing is vectorised.
_TEMPLATE = """import math
import numpy as np
from numba import njit

F = np.{dtype}
ONE, ZERO = F(1), F(0)


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
    for n in range({length}.shape[0]):
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


def source(spec: Spec, back: bool, cache: bool) -> str:
    """Return the text of the module that holds a kernel, ``scan``."""
    kinds, names = arrays(spec, back), spec.dynamics.parameters
    body = (backward if back else forward)(spec).lines
    loads = [f"s_{p} = p_{p}[n]" for p in names if p in spec.vectors]
    scalars = [f"q{i}" for i in range(spec.count)] if back else []
    parameters = [f"p_{p}" if p in spec.vectors else f"s_{p}" for p in names]
    every = [*kinds["timed"], *kinds["before"], *kinds["kept"], *kinds["sums"]]
    arguments = [
        *(f"all_{a}, stride_{a}" for a in kinds["timed"]),
        *(f"all_{a}, stride_{a}, first_{a}" for a in kinds["before"]),
        *(f"all_{a}, first_{a}" for a in kinds["kept"]),
        *(f"result_{a}" for a in kinds["sums"]),
        *(f"all_p_{p}" for p in names),
        *scalars,
        "begin, steps, N, size, first, last",
    ]
    begin = [f"{a} = all_{a}[start:stop]" for a in kinds["kept"]]
    begin += [f"{a}[:] = first_{a}[start:stop]" for a in kinds["kept"]]
    begin += [f"p_{p} = all_p_{p}[low:high]" for p in names if p in spec.vectors]
    begin += [f"s_{p} = all_p_{p}[0]" for p in names if p not in spec.vectors]
    begin += [f"{a} = buffer_{a}[: high - low]" for a in kinds["sums"]]
    begin += [f"{a}[:] = ZERO" for a in kinds["sums"]]
    views = [
        f"{a} = all_{a}[t * stride_{a} + start : t * stride_{a} + stop]" for a in kinds["timed"]
    ]
    for a in kinds["before"]:
        earlier = f"all_{a}[(t - 1) * stride_{a} + start : (t - 1) * stride_{a} + stop]"
        views += [f"{a} = {earlier} if t > 0 else first_{a}[start:stop]"]
    end = []
    for a in kinds["sums"]:
        if a.removeprefix("sum_") in spec.vectors:
            end += [f"result_{a}[low:high] += {a}"]
        else:
            end += [f"result_{a}[0] += total({a})"]
    return _TEMPLATE.format(
        dtype=spec.dtype,
        cache=cache,
        length=kinds["kept"][0],
        step_arguments=", ".join([*every, *parameters, *scalars]),
        arguments=", ".join(arguments),
        body=indent("\n".join([*loads, *body]), " " * 8),
        buffers=indent(
            "\n".join(f"buffer_{a} = np.empty(size, F)" for a in kinds["sums"]), " " * 4
        ),
        begin=indent("\n".join(begin), " " * 8),
        t="begin + steps - 1 - i" if back else "begin + i",
        views=indent("\n".join(views), " " * 12),
        call=", ".join([*every, *parameters, *scalars]),
        end=indent("\n".join(end), " " * 8),
    )
