"""The text of the CPU kernels.

A kernel walks the time steps of a layer whose neurons lie side by side in memory: ``rows`` (the
batch) of ``N`` neurons. It takes them in chunks whose states stay in the cache, all time steps of
a chunk before the next. Only the text of the loop's body differs between models.
"""

from __future__ import annotations

from textwrap import indent

from .derive import GIVEN, INPUT, SPIKES
from .kernels import Spec, arrays, backward, forward


def body(spec: Spec, back: bool) -> list[str]:
    """Return the statements of one step of one neuron, ``n``."""
    return _backward(spec) if back else _forward(spec)


def _forward(spec: Spec) -> list[str]:
    found = forward(spec)
    loads = [f"s_{s} = at_{s}[n]" for s in found.states]
    loads += [f"s_{i} = in_{i}[n]" for i in found.inputs]
    # The spikes come first among the results.
    writes = [
        f"{'to' if name == SPIKES else 'at'}_{name}[n] = {text}"
        for name, text in found.results.items()
    ]
    writes += [f"to_{name}[n] = {text}" for name, text in found.stores.items()]
    return [*loads, *found.lines, *writes]


def _backward(spec: Spec) -> list[str]:
    found, of = backward(spec), spec.dynamics
    loads = [f"new_{name} = to_{name}[n]" for name in found.news]
    loads += [f"s_{name} = old_{name}[n]" for name in found.olds]
    loads += [f"s_{name} = in_{name}[n]" for name in found.inputs]
    loads += [f"g_{SPIKES} = gr_{SPIKES}[n]"] if SPIKES in spec.given else []
    for name in of.states:
        more = f" + gr_{name}[n]" if name in spec.given else ""
        loads += [f"g_{name} = at_{name}[n]{more}"]
    loads += ["slope = slopes[n]"] if spec.slope == GIVEN else []
    writes = []
    for name, text in found.results.items():
        if name in of.states:
            writes += [f"at_{name}[n] = {text}"]
        elif name == INPUT:
            writes += [f"to_{INPUT}[n] {'+=' if spec.static else '='} {text}"]
        elif name in of.inputs:
            writes += [f"to_{name}[n] = {text}"]
        else:
            writes += [f"sum_{name}[n] += {text}"]
    return [*loads, *found.lines, *writes]


# Python's own error model checks each division, and with that nothing is vectorised. Loops copy
# arrays: an assignment to a slice takes seconds to compile, for the text of its errors.
_TEMPLATE = """import math
import numpy as np
from numba import njit

F = np.{dtype}
ONE, ZERO = F(1), F(0)


@njit(nogil=True, cache={cache}, error_model="numpy")
def scan({arguments}):
    chunks = (N + size - 1) // size
{buffers}
    for unit in range(first, last):
        row, chunk = unit // chunks, unit % chunks
        low = chunk * size
        high = min(N, low + size)
        start, stop = row * N + low, row * N + high
        count = high - low
{begin}
        for i in range(steps):
            t = {t}
{views}
            for n in range(count):
{body}
{end}
"""

TOTAL = """import numpy as np
from numba import njit


@njit(nogil=True, cache={cache}, error_model="numpy")
def total(a):
    # In lanes: one sum after the other is not vectorised.
    lanes = np.zeros(64, a.dtype)
    whole = a.shape[0] // 64 * 64
    for low in range(0, whole, 64):
        part = a[low : low + 64]
        for n in range(64):
            lanes[n] += part[n]
    for n in range(whole, a.shape[0]):
        lanes[n - whole] += a[n]
    return lanes.sum()
"""


def source(spec: Spec, back: bool, cache: bool) -> str:
    """Return the text of the module that holds a kernel, ``scan``, which is given ``total``."""
    kinds, names = arrays(spec, back), spec.dynamics.parameters
    loads = [f"s_{p} = p_{p}[n]" for p in names if p in spec.vectors]
    arguments = [
        *(f"all_{a}, stride_{a}" for a in kinds["timed"]),
        *(f"all_{a}, stride_{a}, first_{a}" for a in kinds["before"]),
        *(f"all_{a}, first_{a}" for a in kinds["kept"]),
        *(f"result_{a}" for a in kinds["sums"]),
        *(f"all_p_{p}" for p in names),
        *(f"q{i}" for i in range(spec.count if back else 0)),
        "begin, steps, N, size, first, last",
    ]
    begin = [f"{a} = all_{a}[start:stop]" for a in kinds["kept"]]
    begin += [f"p_{p} = all_p_{p}[low:high]" for p in names if p in spec.vectors]
    begin += [f"s_{p} = all_p_{p}[0]" for p in names if p not in spec.vectors]
    begin += [f"{a} = buffer_{a}[:count]" for a in kinds["sums"]]
    begin += ["for n in range(count):"]
    begin += [f"    {a}[n] = first_{a}[start + n]" for a in kinds["kept"]]
    begin += [f"    {a}[n] = ZERO" for a in kinds["sums"]]
    views = [
        f"{a} = all_{a}[t * stride_{a} + start : t * stride_{a} + stop]" for a in kinds["timed"]
    ]
    for a in kinds["before"]:
        earlier = f"all_{a}[(t - 1) * stride_{a} + start : (t - 1) * stride_{a} + stop]"
        views += [f"{a} = {earlier} if t > 0 else first_{a}[start:stop]"]
    end = []
    for a in kinds["sums"]:
        if a.removeprefix("sum_") in spec.vectors:
            end += ["for n in range(count):", f"    result_{a}[low + n] += {a}[n]"]
        else:
            end += [f"result_{a}[0] += total({a})"]
    return _TEMPLATE.format(
        dtype=spec.dtype,
        cache=cache,
        arguments=", ".join(arguments),
        body=indent("\n".join([*loads, *body(spec, back)]), " " * 16),
        buffers=indent(
            "\n".join(f"buffer_{a} = np.empty(size, F)" for a in kinds["sums"]), " " * 4
        ),
        begin=indent("\n".join(begin), " " * 8),
        t="begin + steps - 1 - i" if back else "begin + i",
        views=indent("\n".join(views), " " * 12),
        end=indent("\n".join(end), " " * 8),
    )
