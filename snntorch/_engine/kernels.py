"""What a kernel reads, works out and writes, forward and backward, whatever runs it.

A kernel is a loop over time around a derived step. ``numba_source.py``, ``triton_source.py`` and
``torch_source.py`` write the loops.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from .. import dynamics, surrogate
from ..dynamics import Dynamics
from . import store
from .derive import GIVEN, INPUT, SPIKES, Derived, derive
from .writer import NUMBA, Language, Writer

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
    # either
    language: Language = NUMBA

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
    """What a forward kernel does at each step, between reading and writing."""

    lines: tuple[str, ...]
    states: tuple[str, ...]
    """States that are read, ``s_<name>`` in the lines."""
    inputs: tuple[str, ...]
    """The same for inputs."""
    results: dict[str, str]
    """The text of the spikes and of the new states."""
    stores: dict[str, str]
    """The text of what is written at each step beside the spikes."""
    saved: tuple[str, ...]
    """What may be stored beside the new states."""


def _forward(spec: Spec) -> Forward:
    step, of = spec.derived, spec.dynamics
    writer = Writer(spec.language, {})
    results = {name: writer.text(node) for name, node in step.states.items()}
    results = {SPIKES: writer.text(step.spikes), **results}
    saved = {**step.saved, OVERDRIVE: step.overdrive}
    stored = {**step.states, **saved}
    stores = {name: writer.text(node) for name, node in stored.items() if name in spec.stores}
    states = tuple(name for name in of.states if f"s_{name}" in writer.read)
    inputs = tuple(name for name in of.inputs if f"s_{name}" in writer.read)
    return Forward(tuple(writer.lines), states, inputs, results, stores, tuple(saved))


@dataclass(frozen=True)
class Backward:
    """What a backward kernel does at each step, between reading and writing."""

    lines: tuple[str, ...]
    news: tuple[str, ...]
    """Saved values of the step itself that are read, ``new_<name>`` in the lines."""
    olds: tuple[str, ...]
    """States of the step before that are read, ``s_<name>``."""
    inputs: tuple[str, ...]
    """Inputs that are read, ``s_<name>``."""
    results: dict[str, str]
    """The text of the gradients, of the inputs, states and parameters."""


def _backward(spec: Spec) -> Backward:
    step, of = spec.derived, spec.dynamics
    saved = {**step.states, **step.saved}
    if of.recurrent:  # spikes are cheap to work out again, and differentiated on the way
        saved.pop(of.states[0])
    absent = [] if SPIKES in spec.given else [f"g_{SPIKES}"]
    known = {node: f"new_{name}" for name, node in saved.items()}
    writer = Writer(spec.language, known, absent)
    names = [*of.inputs, *of.states, *spec.learns]
    asked = [n for n in names if n != INPUT or INPUT in spec.wanted]
    if spec.dense and of.recurrent:
        asked.remove(of.states[0])  # the product gives that gradient
    results = {name: writer.text(step.gradients[name]) for name in asked}
    read = writer.read
    news = tuple(name for name in saved if f"new_{name}" in read)
    olds = tuple(name for name in of.states if f"s_{name}" in read)
    inputs = tuple(name for name in of.inputs if f"s_{name}" in read)
    return Backward(tuple(writer.lines), news, olds, inputs, results)


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
    slope = getattr(spec.slope, "__qualname__", spec.slope)
    key = [spec.dynamics.name, spec.language.name, spec.dtype, slope]
    key += [spec.count, spec.static, *map(sorted, (spec.stores, spec.given, spec.wanted))]
    name = hashlib.sha256((_sources() + repr(key)).encode()).hexdigest()[:24]
    path = store.folder() / f"{kind.__name__.lower()}_{name}.json"
    try:
        fields = json.loads(path.read_text())
        read: dict[str, Any] = {
            n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()
        }
        return kind(**read)
    except (OSError, ValueError, TypeError):
        body = make(spec)
        with suppress(OSError):
            store.write(path, json.dumps(asdict(body)))
        return body


@cache
def _sources() -> str:
    """Return all that bodies are made from."""
    package = Path(dynamics.__file__).parent
    engine = (f"_engine/{name}.py" for name in ("derive", "writer", "kernels"))
    names = ("dynamics.py", "surrogate.py", *engine)
    files = [*map(package.joinpath, names), *sorted(package.glob("_neurons/*.py"))]
    return torch.__version__ + "".join(file.read_text() for file in files)


def whole(spec: Spec, back: bool) -> Spec:
    """Return a kernel that reads and writes all that it can."""
    of = spec.dynamics
    if not back:
        return replace(spec, stores=frozenset((*of.states, *forward(spec).saved)))
    wanted = frozenset((INPUT, *of.parameters))
    return replace(spec, given=frozenset((SPIKES, *of.states[of.recurrent :])), wanted=wanted)


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


def reads(spec: Spec, back: bool) -> tuple[list[str], list[str]]:
    """Return the names of arrays that are read: over time, and before the loop."""
    kinds = arrays(spec, back)
    written = {f"to_{i}" for i in spec.dynamics.inputs} if back else set()
    over_time = [a for a in kinds["timed"] if a not in written and (back or a.startswith("in_"))]
    firsts = [f"first_{a}" for a in (*kinds["before"], *kinds["kept"])]
    vectors = [f"p_{p}" for p in spec.dynamics.parameters if p in spec.vectors]
    return [*over_time, *kinds["before"]], [*firsts, *vectors]


def writes(spec: Spec, back: bool) -> tuple[list[str], list[str]]:
    """Return the names of arrays that are written: over time, and after the loop."""
    kinds, (over_time, _) = arrays(spec, back), reads(spec, back)
    summed = [f"to_{INPUT}"] if back and spec.static and INPUT in spec.wanted else []
    timed = [a for a in kinds["timed"] if a not in over_time and a not in summed]
    return timed, [*kinds["kept"], *kinds["sums"], *summed]


class Task(NamedTuple):
    """What a backend's ``Run`` makes ready to take time steps: a kernel and its arrays."""

    spec: Spec
    backward: bool
    timed: dict[str, Tensor]
    """Tensors ``[T, ...]`` by the names of :func:`arrays`, or of one step, which is that of all."""
    before: dict[str, Tensor]
    """States before the first step."""
    kept: dict[str, Tensor]
    """States, written after the last step or at each."""
    initial: dict[str, Tensor]
    """What they are before the steps are taken, or the same tensors."""
    parameters: Sequence[Tensor]
    """Those of the neurons, as ``Run.laid_out``."""
    slope: tuple[float, ...]
    """Parameters of the surrogate."""
    at_once: int
    """How many steps will be taken at once."""
