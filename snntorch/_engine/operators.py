"""A neuron's whole sequence as one operator, which torch.compile and torch.export keep as it is.

An operator takes tensors, numbers and text. What else belongs to a problem, its step and its
surrogate, goes by the name under which it is registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..dynamics import REGISTERED as DYNAMICS
from ..surrogate import REGISTERED as SURROGATES
from ..surrogate import SpikeGrad, no_surrogate
from . import cpu, fused
from .derive import INPUT, SPIKES
from .problem import Problem, Solution

# The backends that run inside the operator.
RUNS = {cpu.NAME: cpu.Run}


def solve(problem: Problem, backend: str) -> Solution:
    """Solve a problem by the operator."""
    dynamics: Any = problem.dynamics
    spike_grad: Any = problem.spike_grad
    tensors = (problem.x, *problem.states, *problem.parameters)
    graph = torch.is_grad_enabled()
    need = [graph and tensor.requires_grad for tensor in tensors]
    fires = spike_grad is not no_surrogate
    outs = torch.ops.snntorch.scan(
        problem.x,
        list(problem.states),
        list(problem.parameters),
        dynamics.key,
        spike_grad._key if fires else "",
        [float(number) for number in spike_grad.parameters] if fires else [],
        problem.num_steps,
        problem.static,
        problem.only_spikes,
        need,
        backend,
    )
    count = len(dynamics.states)
    spikes, finals = outs[0], outs[1 : 1 + count]
    factor = dict(zip(dynamics.parameters, need[1 + count :], strict=True)).get("factor", False)
    if not fires and not factor:  # spikes without a gradient
        spikes = spikes.detach()
        finals = [finals[0].detach(), *finals[1:]] if dynamics.recurrent else finals
    if problem.only_spikes:
        return Solution(spikes, None, tuple(finals))
    traces = outs[1 + count : 1 + 2 * count - dynamics.recurrent]
    first = (spikes,) if dynamics.recurrent else ()
    return Solution(spikes, (*first, *traces), tuple(finals))


class _Tape:
    """What an autograd function keeps between its passes."""

    def __init__(self, need: Sequence[bool]) -> None:
        self.needs_input_grad = (False, *need)
        self.saved_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors

    def set_materialize_grads(self, value: bool) -> None: ...

    def mark_non_differentiable(self, *tensors: Tensor) -> None: ...


def _posed(
    x: Tensor,
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    dynamics: str,
    surrogate: str,
    slope: Sequence[float],
    num_steps: int,
    static: bool,
    only_spikes: bool,
) -> Problem:
    return Problem(
        x=x,
        static=static,
        num_steps=num_steps,
        states=tuple(states),
        step=lambda *_: NotImplemented,
        only_spikes=only_spikes,
        dynamics=DYNAMICS[dynamics],
        parameters=tuple(parameters),
        spike_grad=SpikeGrad(SURROGATES[surrogate], *slope) if surrogate else no_surrogate,
        inhibition=False,
        state_quant=False,
        recurrent=None,
        weights=(),
    )


def _planned(problem: Problem, need: Sequence[bool], backend: str) -> tuple[Any, tuple[str, ...]]:
    """Return what the forward pass keeps, and the names of results that only the backward pass
    reads."""
    spec = fused.spec_of(problem, RUNS[backend].language)
    states = spec.dynamics.states
    traced = () if problem.only_spikes else states[spec.dynamics.recurrent :]
    plan = fused.planned(spec, traced, tuple(need))
    known = {INPUT, SPIKES, *traced, *states[: spec.dynamics.recurrent]}
    return plan, tuple(name for name in plan.saves if name not in known)


def _dense(x: Tensor, static: bool) -> Tensor:
    """Return an input whose samples are contiguous, as results are then."""
    sample = x if static else x[0]
    return x if sample.is_contiguous() else x.contiguous()


def _scan(
    x: Tensor,
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    dynamics: str,
    surrogate: str,
    slope: Sequence[float],
    num_steps: int,
    static: bool,
    only_spikes: bool,
    need: Sequence[bool],
    backend: str,
) -> list[Tensor]:
    """Return spikes, last states, traces, and what else the backward pass reads."""
    rule = (dynamics, surrogate, slope, num_steps, static, only_spikes)
    problem = _posed(_dense(x, static), states, parameters, *rule)
    plan, extra = _planned(problem, need, backend)
    scan, inputs, _ = fused.posed(problem, RUNS[backend])
    tape, shape = _Tape(need), problem.states[-1].shape
    with torch.no_grad():
        outs = fused._Fused.forward(tape, scan, *inputs)
    count = 1 + len(scan.traced)
    skipped = len(tape.saved_tensors) - len(plan.saves)
    saved = dict(zip(plan.saves, tape.saved_tensors[skipped:], strict=True))
    finals = [final.view(shape) for final in outs[count:]]
    return [outs[0], *finals, *outs[1:count], *(saved[name] for name in extra)]


def _scan_shapes(x: Tensor, states: Any, parameters: Any, *rest: Any) -> list[Tensor]:
    *rule, need, backend = rest
    problem = _posed(x, states, parameters, *rule)
    _, extra = _planned(problem, need, backend)
    traced = 0 if problem.only_spikes else len(states) - problem.dynamics.recurrent  # type: ignore
    shape = states[-1].shape
    over_time = (problem.num_steps, *shape)
    finals = [state.new_empty(shape) for state in states]
    kept = [x.new_empty(over_time) for _ in range(1 + traced + len(extra))]
    return [kept[0], *finals, *kept[1:]]


def _scan_backward(
    grads: Sequence[Tensor | None],
    saved: Sequence[Tensor],
    firsts: Sequence[Tensor],
    parameters: Sequence[Tensor],
    shape: Sequence[int],
    dynamics: str,
    surrogate: str,
    slope: Sequence[float],
    num_steps: int,
    static: bool,
    only_spikes: bool,
    need: Sequence[bool],
    backend: str,
) -> list[Tensor]:
    """Return the gradients that are asked for.

    :param grads: those of spikes, last states and traces
    :param saved: what the forward pass kept over time
    :param firsts: states before the first step
    """
    like = next(each for each in (*saved, *grads) if each is not None)
    size = torch.Size(shape)
    count = len(DYNAMICS[dynamics].states)
    standins = [like.new_empty(()).expand(size) for _ in range(1 + count)]
    rule = (dynamics, surrogate, slope, num_steps, static, only_spikes)
    # Of the input and the states, only the shape and the type matter here.
    x = standins[0] if static else standins[0].expand(num_steps, *size)
    problem = _posed(x, standins[1:], parameters, *rule)
    plan, _ = _planned(problem, need, backend)
    scan, inputs, _ = fused.posed(problem, RUNS[backend])
    flat = inputs[1 + count :]
    tape: Any = _Tape(need)
    tape.scan, tape.plan = scan, plan
    kept = [
        _dense(each, static and name == INPUT) for name, each in zip(plan.saves, saved, strict=True)
    ]
    tape.saved_tensors = (*flat, *firsts, *kept)
    spikes, finals, traces = grads[0], grads[1 : 1 + count], grads[1 + count :][: len(scan.traced)]
    with torch.no_grad():
        _, d_x, *others = fused._Fused.backward(tape, spikes, *traces, *finals)
    depth = max((p.dim() for p in parameters if p.numel() > 1), default=0)
    results = [d_x, *others[:count]]
    for parameter, grad in zip(parameters, others[count:], strict=True):
        if grad is not None and parameter.numel() > 1:  # of the neurons that repeat over a layer
            grad = grad.reshape(-1, *size[len(size) - depth :]).sum(0).sum_to_size(parameter.shape)
        results.append(grad)
    shapes = [x.shape, *[size] * count, *(parameter.shape for parameter in parameters)]
    dtypes = [like.dtype] * (1 + count) + [parameter.dtype for parameter in parameters]
    return [
        like.new_zeros(shape, dtype=dtype) if each is None else each.reshape(shape).to(dtype)
        for each, shape, dtype, needed in zip(results, shapes, dtypes, need, strict=True)
        if needed
    ]


def _scan_backward_shapes(
    grads: Any, saved: Any, firsts: Any, parameters: Any, shape: Any, *rest: Any
) -> list[Tensor]:
    dynamics, _, _, num_steps, static, _, need, _ = rest
    like = next(each for each in (*saved, *grads) if each is not None)
    results = [like.new_empty(shape if static else (num_steps, *shape))]
    results += [like.new_empty(shape) for _ in DYNAMICS[dynamics].states]
    results += [torch.empty_like(p, memory_format=torch.contiguous_format) for p in parameters]
    return [each for each, needed in zip(results, need, strict=True) if needed]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.set_materialize_grads(False)
    x, states, parameters, *settings = inputs
    *rule, need, backend = settings
    problem = _posed(x, states, parameters, *rule)
    plan, extra = _planned(problem, need, backend)
    names = problem.dynamics.states  # type: ignore[union-attr]
    traced = () if problem.only_spikes else names[problem.dynamics.recurrent :]  # type: ignore
    results = dict(zip((*traced, *extra), output[1 + len(names) :], strict=True))
    results |= {INPUT: x, SPIKES: output[0]}
    if problem.dynamics.recurrent:  # type: ignore[union-attr]
        results[names[0]] = output[0]
    # The caller may overwrite a state without a graph, so save a copy.
    firsts = [
        state if needed else state.clone()
        for name, state, needed in zip(names, states, need[1 : 1 + len(names)], strict=True)
        if name in plan.firsts
    ]
    ctx.save_for_backward(*(results[name] for name in plan.saves), *firsts, *parameters)
    ctx.counts = len(plan.saves), len(firsts)
    ctx.shape, ctx.settings = states[-1].shape, settings


def _differentiate(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Any, ...]:
    saves, firsts = ctx.counts
    tensors = ctx.saved_tensors
    parameters = list(tensors[saves + firsts :])
    need = ctx.settings[-2]
    count = len(DYNAMICS[ctx.settings[0]].states)
    given = torch.ops.snntorch.scan_backward(
        list(grads),
        list(tensors[:saves]),
        list(tensors[saves : saves + firsts]),
        parameters,
        list(ctx.shape),
        *ctx.settings,
    )
    waiting = iter(given)
    every = [next(waiting) if needed else None for needed in need]
    return (
        every[0],
        every[1 : 1 + count],
        every[1 + count :],
        *([] if each == [] else None for each in ctx.settings),
    )


def _refuse(ctx: Any, grads: Any) -> None:
    raise RuntimeError(fused.ONCE)


_RULE = (
    "str dynamics, str surrogate, float[] slope, SymInt num_steps, bool static, bool only_spikes, "
    "bool[] need, str backend"
)

if fused.OPERATORS:
    # Not by torch.library.custom_op, which imports the compiler.
    library = torch.library.Library("snntorch", "DEF")
    library.define(f"scan(Tensor x, Tensor[] states, Tensor[] parameters, {_RULE}) -> Tensor[]")
    library.impl("scan", _scan, "CompositeExplicitAutograd")
    torch.library.register_fake("snntorch::scan", _scan_shapes, lib=library)
    torch.library.register_autograd(
        "snntorch::scan", _differentiate, setup_context=_keep, lib=library
    )
    library.define(
        "scan_backward(Tensor?[] grads, Tensor[] saved, Tensor[] firsts, Tensor[] parameters, "
        f"SymInt[] shape, {_RULE}) -> Tensor[]"
    )
    library.impl("scan_backward", _scan_backward, "CompositeExplicitAutograd")
    torch.library.register_fake("snntorch::scan_backward", _scan_backward_shapes, lib=library)
    torch.library.register_autograd("snntorch::scan_backward", _refuse, lib=library)
