"""The text of a block of steps in PyTorch's own operations, for torch.compile.

A block takes all neurons of a layer through a few time steps. It changes nothing that it is given,
and returns what it writes.
"""

from __future__ import annotations

from textwrap import indent

from .derive import GIVEN, INPUT, SPIKES
from .kernels import Spec, backward, forward, reads, writes

_TEMPLATE = """import torch

F = torch.{dtype}


def scan({arguments}):
    shape, device = {like}.shape, {like}.device

    def number(value):
        return torch.full((), value, dtype=F, device=device)

    ZERO, ONE = number(0.0), number(1.0)
{first}
    for i in {steps}:
{body}
    return {results}
"""


def _forward(spec: Spec) -> list[str]:
    found = forward(spec)
    loop = [f"s_{s} = at_{s}" for s in found.states]
    loop += [f"s_{i} = in_{i}[i]" for i in found.inputs]
    loop += found.lines
    for name, text in {SPIKES: found.results[SPIKES], **found.stores}.items():
        loop += [f"to_{name}.append(({text}).expand(shape))"]
    return [*loop, *(f"at_{s} = ({found.results[s]}).expand(shape)" for s in spec.dynamics.states)]


def _backward(spec: Spec) -> list[str]:
    found, of = backward(spec), spec.dynamics
    loop = [f"new_{name} = to_{name}[i]" for name in found.news]
    loop += [f"s_{name} = old_{name}[i - 1] if i else first_old_{name}" for name in found.olds]
    loop += [f"s_{name} = in_{name}[i]" for name in found.inputs]
    loop += [f"g_{SPIKES} = gr_{SPIKES}[i]"] if SPIKES in spec.given else []
    for name in of.states:
        more = f" + gr_{name}[i]" if name in spec.given else ""
        loop += [f"g_{name} = at_{name}{more}"]
    loop += ["slope = slopes[i]"] if spec.slope == GIVEN else []
    loop += found.lines
    for name, text in found.results.items():
        if name in of.states:
            loop += [f"at_{name} = ({text}).expand(shape)"]
        elif name == INPUT and spec.static:
            loop += [f"to_{name} = to_{name} + {text}"]
        elif name in of.inputs:
            loop += [f"to_{name}.insert(0, ({text}).expand(shape))"]
        else:
            loop += [f"sum_{name} = sum_{name} + {text}"]
    return loop


def arguments(spec: Spec, back: bool) -> tuple[list[str], list[str]]:
    """Return the names of what a block is given: over time, and of one step."""
    (timed, others), (_, kept) = reads(spec, back), writes(spec, back)
    given = [name.replace("first_at_", "at_") for name in others]
    numbers = [f"p_{p}" for p in spec.dynamics.parameters if p not in spec.vectors]
    numbers += [f"q{q}" for q in range(spec.count)] if back else []
    return timed, [*given, *(name for name in kept if name not in given), *numbers]


def source(spec: Spec, back: bool, steps: int) -> str:
    """Return the text of the module that holds a block, ``scan``.

    It returns lists of rows over time, and what is written once, in the order of
    :func:`~.kernels.writes`.
    """
    timed, others = arguments(spec, back)
    rows, kept = writes(spec, back)
    first = [f"s_{p} = p_{p}" for p in spec.dynamics.parameters] + [f"{name} = []" for name in rows]
    results = [*(f"torch.stack({name})" for name in rows), *kept]
    return _TEMPLATE.format(
        dtype=spec.dtype,
        arguments=", ".join([*timed, *others]),
        like=f"at_{spec.dynamics.states[0]}",
        first=indent("\n".join(first), " " * 4),
        steps=f"reversed(range({steps}))" if back else f"range({steps})",
        body=indent("\n".join(_backward(spec) if back else _forward(spec)), " " * 8),
        results=", ".join(results) + ",",
    )
