"""Run a plan: each layer over all time steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from .._engine import backends
from .._neurons.neurons import SpikingNeuron
from .._torch import is_compiling, is_traced, sizes
from .compile import Compiled
from .pieces import PIECE, in_pieces
from .plan import Plan
from .pooling import pooled_by
from .rules import Rule, Stage
from .signal import Signal

# Layers whose inner results are larger than what they take and return.
_WIDE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MaxPool2d)
# Layers that compute nothing.
_VIEWS = (nn.Identity, nn.Flatten, nn.Unflatten)


def _pieces(layers: Sequence[nn.Module], x: Tensor) -> int:
    """Return the number of chunks into which to split a sequence for some layers."""
    working = [layer for layer in layers if not isinstance(layer, _VIEWS)]
    # A lone product gains nothing from the cache.
    if not working or (len(working) == 1 and not isinstance(working[0], _WIDE)) or is_traced():
        return 1
    size = most = float(x.numel() * x.element_size())
    for layer in layers:
        for kind in ("features", "channels"):
            if hasattr(layer, f"in_{kind}"):
                size *= getattr(layer, f"out_{kind}") / getattr(layer, f"in_{kind}")
        most = max(most, size)
    return min(len(x), math.ceil(most / PIECE))


def _once(layer: Any, x: Tensor) -> Any:
    """Call a layer without states, and leave its input as it is."""
    out = pooled_by(layer, x)
    if out is not None:
        return out
    return layer(x.clone() if getattr(layer, "inplace", False) else x)


def _each_has_a_row(stage: Stage, x: Tensor, out: Any) -> Any:
    """Raise if a layer that is called once for all steps does not return all of them."""
    if not isinstance(out, Tensor) or sizes(out.shape)[:1] != sizes(x.shape)[:1]:
        got = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
        raise ValueError(
            f"layer {stage} is run over all steps at once, and returned {got} for an input of "
            f"shape {tuple(x.shape)}; it has to return a tensor with as many rows. If its class is "
            "registered with register_layer, choose another rule"
        )
    return out


def _in_turn(stages: Sequence[Stage], x: Tensor) -> Any:
    """Run layers without states, each once over all time steps."""
    for stage in stages:
        dims = cast(Rule, stage.rule).dims
        as_is = dims is None or x.dim() - 1 == dims
        rows = x if as_is else x.flatten(0, 1)
        out = _each_has_a_row(stage, rows, _once(stage.module, rows))
        x = out if as_is else out.unflatten(0, x.shape[:2])
    return x


def _fold(stages: Sequence[Stage], signal: Signal, backend: str | None) -> Signal:
    """Run layers without states, one after the other, over all time steps."""
    x = signal.over_time()
    if not isinstance(x, Tensor):  # of a layer that is called step by step
        for stage in stages:
            signal = _step([stage], signal, backend)
        return signal
    count = _pieces([stage.module for stage in stages], x)
    return signal.then(in_pieces(lambda part: _in_turn(stages, part), x, count))


def _hoist(stages: Sequence[Stage], signal: Signal, backend: str | None) -> Signal:
    """Run a layer without states once, for an input that is the same at each step."""
    return signal.then(_once(stages[0].module, signal.value), static=True)


def _scan(stages: Sequence[Stage], signal: Signal, backend: str | None) -> Signal:
    """Run a neuron over all time steps on a backend."""
    neuron: Any = stages[0].module
    if not isinstance(signal.value, Tensor):
        return _step(stages, signal, backend)
    posed = neuron._snn_pose(signal.value, signal.num_steps, signal.static)
    solution = backends.solve(posed, backend)
    neuron._snn_remember(solution.states)
    if solution.traces is None:
        return signal.then(solution.spikes)
    return signal.then(neuron._snn_packed(solution.spikes, solution.traces))


def _whole(stages: Sequence[Stage], signal: Signal, backend: str | None) -> Signal:
    """Call a layer that takes a whole sequence."""
    layer, x = cast(Any, stages[0].module), signal.over_time()
    if stages[0].rule is not None:  # a user's layer
        return signal.then(_each_has_a_row(stages[0], x, layer(x)))
    newest = map(layer._snn_newest, layer._snn_state_names)
    kept = [state for state in newest if state is not None]
    # torch.compile cannot set a context variable.
    chosen = backend and not is_compiling()
    with backends.use_backend(backend) if chosen else nullcontext():
        return signal.then(layer(x, *kept))


def _step(stages: Sequence[Stage], signal: Signal, backend: str | None) -> Signal:
    """Call a layer at each time step."""
    layer = stages[0].module
    out = [layer(step) for step in signal.steps()]
    alike = all(isinstance(each, Tensor) and each.shape == out[0].shape for each in out)
    return signal.then(torch.stack(out) if alike else out)


_loops: WeakKeyDictionary[nn.Module, Compiled] = WeakKeyDictionary()


def _loop(stages: Sequence[Stage], signal: Signal, backend: str | None) -> Signal:
    """Call a network at each time step, and work out layer by layer what it does."""
    net = stages[0].module
    if is_compiling() or isinstance(net, SpikingNeuron):  # whose overridden step is a cycle anyway
        return _step(stages, signal, backend)
    compiled = _loops.get(net)
    if compiled is None or compiled.backend != backend:
        compiled = _loops[net] = Compiled(type(net).__name__, True, backend)

    def step(net: nn.Module, x: Any, num_steps: int, static: bool) -> Any:
        return _step(stages, signal, backend).result()

    value = compiled.run(step, (net, signal.value, signal.num_steps, signal.static), {})
    return signal.then(value)


_RUN: dict[str, Callable[[Sequence[Stage], Signal, str | None], Signal]] = {
    "hoist": _hoist,
    "fold": _fold,
    "scan": _scan,
    "whole": _whole,
    "step": _step,
    "loop": _loop,
}


def _groups(plan: Plan) -> list[list[Stage]]:
    """Take the layers one by one, and together those that are folded one after the other."""
    groups: list[list[Stage]] = []
    for stage in plan:
        if groups and stage.how == groups[-1][0].how == "fold":
            groups[-1].append(stage)
        else:
            groups.append([stage])
    return groups


def run(plan: Plan, signal: Signal, backend: str | None) -> Any:
    """Run a network over all time steps.

    :returns: what one step returns, in the same structure, with tensors stacked over time
    """
    given = signal
    for group in _groups(plan):
        how = group[0].how
        if how == "step" and signal is not given:
            # The layer may overwrite what a loop computes anew for it at each step.
            signal = signal.repeated()
        signal = _RUN[how](group, signal, backend)
    return signal.result()
