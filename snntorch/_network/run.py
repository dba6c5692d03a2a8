"""Run a plan: each layer over all time steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from copy import copy
from typing import Any, cast

import torch
from torch import Tensor, nn

from .._engine import backends, memory
from .._engine.problem import Problem
from .._neurons.neurons import SpikingNeuron
from .._torch import is_compiling, is_traced, sizes
from .plan import Plan, Stage
from .pooling import max_pool, pays
from .rules import Rule

# Layers that compute nothing.
_VIEWS = (nn.Identity, nn.Flatten, nn.Unflatten)

# Consecutive layers run over many steps in chunks of about this many bytes, so that intermediate
# results stay in the cache and, without a graph, need little memory.
PIECE = 2 << 20


class _Split(torch.autograd.Function):
    """Split a sequence into chunks along time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pieces: int) -> tuple[Tensor, ...]:
        return x.tensor_split(pieces)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _Join.apply(*grads), None


class _Join(torch.autograd.Function):
    """Concatenate chunks along time."""

    @staticmethod
    def forward(ctx: Any, *pieces: Tensor) -> Tensor:
        ctx.count = len(pieces)
        shape = [sum(map(len, pieces)), *pieces[0].shape[1:]]
        return torch.cat(pieces, out=memory.empty_alike(shape, pieces[0]))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        return _Split.apply(grad, ctx.count)


def _pieces(layers: Sequence[nn.Module], x: Tensor) -> int:
    """Return the number of chunks into which to split a sequence for some layers."""
    if sum(not isinstance(layer, _VIEWS) for layer in layers) < 2 or is_traced():
        return 1
    size = most = float(x.numel() * x.element_size())
    for layer in layers:
        for kind in ("features", "channels"):
            if hasattr(layer, f"in_{kind}"):
                size *= getattr(layer, f"out_{kind}") / getattr(layer, f"in_{kind}")
        most = max(most, size)
    return min(len(x), math.ceil(most / PIECE))


def _fold(stages: Sequence[Stage], x: Tensor) -> Tensor:
    """Run layers without states, one after the other, over all time steps."""
    count = _pieces([stage.module for stage in stages], x)
    if count == 1:
        return _in_turn(stages, x)
    if torch.is_grad_enabled():
        return _Join.apply(*(_in_turn(stages, part) for part in _Split.apply(x, count)))
    out, begin = torch.empty(0), 0
    for part in x.tensor_split(count):
        piece = _in_turn(stages, part)
        if not begin:
            out = memory.empty_alike([len(x), *piece.shape[1:]], piece)
        out[begin : begin + len(piece)] = piece
        begin += len(piece)
    return out


def _in_turn(stages: Sequence[Stage], x: Tensor) -> Tensor:
    for stage in stages:
        x = _over_rows(stage, x)
    return x


def _over_rows(stage: Stage, x: Tensor) -> Any:
    """Run a layer without states once over all time steps."""
    dims = cast(Rule, stage.rule).dims
    if dims is None or x.dim() - 1 == dims:
        return _each_has_a_row(stage, x, _once(stage.module, x))
    rows = x.flatten(0, 1)
    return _each_has_a_row(stage, rows, _once(stage.module, rows)).unflatten(0, x.shape[:2])


def _each_has_a_row(stage: Stage, x: Tensor, out: Any) -> Any:
    """Raise if a layer that is called once for all steps does not return one row per step."""
    if not isinstance(out, Tensor) or sizes(out.shape)[:1] != sizes(x.shape)[:1]:
        got = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
        raise ValueError(
            f"layer {stage} is run over all steps at once, and returned {got} for an input of "
            f"shape {tuple(x.shape)}; it has to return a tensor with as many rows. If its class is "
            "registered with register_layer, choose another rule"
        )
    return out


def _once(layer: Any, x: Tensor) -> Any:
    """Call a layer without states, and leave its input unchanged."""
    x = x.clone() if getattr(layer, "inplace", False) else x
    return max_pool(layer, x) if pays(layer, x) else layer(x)


def pose(neuron: SpikingNeuron, x: Tensor, num_steps: int, static: bool) -> Problem:
    """Return a neuron's problem, starting from its newest states."""
    x = neuron._snn_as_current(x)
    shape = neuron._snn_state_shape(x if static else x[0])
    neuron._snn_check_parameters(shape)
    states = tuple(neuron._snn_fitting(name, None, x, shape) for name in neuron._snn_state_names)
    return neuron._snn_problem(x, num_steps, static, states)


def _in_time(x: Any, num_steps: int, static: bool) -> Iterable[Any]:
    """Return the input of each step."""
    if static:
        return (x for _ in range(num_steps))
    if isinstance(x, tuple):
        return zip(*(_in_time(each, num_steps, False) for each in x), strict=True)
    if isinstance(x, Tensor) and x.requires_grad:
        # Indexing x[t] would create a gradient of the size of x at each step. Layers may overwrite
        # the copies.
        return (step.clone() for step in x.unbind())
    return (x[t] for t in range(num_steps))


def _repeated(x: Tensor, num_steps: int) -> Tensor:
    return x.expand(num_steps, *x.shape).clone()


def _groups(plan: Plan) -> list[list[Stage]]:
    """Group consecutive folded layers; every other layer is a group by itself."""
    groups: list[list[Stage]] = []
    for stage in plan:
        if groups and stage.how == groups[-1][0].how == "fold":
            groups[-1].append(stage)
        else:
            groups.append([stage])
    return groups


def _run_group(
    group: list[Stage], x: Any, num_steps: int, static: bool, backend: str | None
) -> Any:
    """Run a layer, or several that are folded, over all time steps.

    :param x: a tensor ``[T, ...]``, a tuple of such tensors, or a list over time; the input of one
        step if static
    """
    how, layer = group[0].how, cast(Any, group[0].module)
    if how == "fold" and isinstance(x, Tensor):
        return _fold(group, x.expand(num_steps, *x.shape) if static else x)
    if len(group) > 1:
        for stage in group:
            x = _run_group([stage], x, num_steps, False, backend)
        return x
    if how == "scan" and isinstance(x, Tensor):
        solution = backends.solve(pose(layer, x, num_steps, static), backend)
        layer._snn_remember(solution.states)
        traces = solution.traces
        return solution.spikes if traces is None else layer._snn_packed(solution.spikes, traces)
    if how == "whole":
        x = x.expand(num_steps, *x.shape) if static else x
        if group[0].rule is not None:  # a user's layer
            return _each_has_a_row(group[0], x, layer(x))
        kept = [
            state
            for name in layer._snn_state_names
            if (state := layer._snn_newest(name)) is not None
        ]
        # torch.compile cannot set a context variable.
        chosen = backend and not is_compiling()
        with backends.use_backend(backend) if chosen else nullcontext():
            return layer(x, *kept)
    if how == "hoist":
        return _once(layer, x)
    out = [layer(step) for step in _in_time(x, num_steps, static)]
    alike = all(isinstance(each, Tensor) and each.shape == out[0].shape for each in out)
    return torch.stack(out) if alike else out


def _stacked(steps: list[Any]) -> Any:
    """Stack the outputs of the steps in the structure of one step, with tensors over time."""
    first, alike = steps[0], all(type(step) is type(steps[0]) for step in steps)
    if all(isinstance(step, Tensor) for step in steps):
        return torch.stack(steps)
    if alike and isinstance(first, dict) and all(step.keys() == first.keys() for step in steps):
        out = copy(first)  # keeps the class
        out.update({key: _stacked([step[key] for step in steps]) for key in first})
        return out
    if alike and isinstance(first, tuple | list) and len({len(step) for step in steps}) == 1:
        columns = [_stacked(list(column)) for column in zip(*steps, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)
    return steps


def run(plan: Plan, x: Tensor, num_steps: int, static: bool, backend: str | None) -> Any:
    """Run a network over all time steps.

    :param x: input over time, ``[T, ...]``; the input of one step if ``static``
    :returns: what one step returns, in the same structure, with tensors stacked over time
    """
    out: Any = x
    for group in _groups(plan):
        how = group[0].how
        if static and how == "step" and out is not x:
            # The layer may overwrite its input, which a loop would recompute at each step.
            out, static = _repeated(out, num_steps), False
        out = _run_group(group, out, num_steps, static, backend)
        static = static and how == "hoist"
    if static:
        return _repeated(out, num_steps)
    return _stacked(out) if isinstance(out, list) else out
