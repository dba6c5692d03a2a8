"""A neuron's whole sequence as one operator, which torch.compile and torch.export keep as it is.

An operator takes tensors, numbers and text. What else belongs to a problem, its step and its
surrogate, goes by the name under which it is registered.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, get_type_hints

import torch
from torch import Tensor

from ..dynamics import REGISTERED as DYNAMICS
from ..surrogate import REGISTERED as SURROGATES
from ..surrogate import SpikeGrad, no_surrogate
from . import cpu, cuda, fused
from .derive import FEEDBACK, INPUT, SPIKES
from .feedback import padding_of
from .problem import Problem, Solution

# The backends that run inside the operator.
RUNS: dict[str, Any] = {cpu.NAME: cpu.Run, cuda.NAME: cuda.Run}

Tensors = Sequence[Tensor]


class Rule(NamedTuple):
    """What an operator takes beside tensors, in the order of its arguments."""

    dynamics: str
    surrogate: str
    """Empty if spikes carry no gradient."""
    slope: Sequence[float]
    """The surrogate's parameters."""
    padding: Sequence[int]
    num_steps: int
    static: bool
    only_spikes: bool
    need: Sequence[bool]
    """Which of input, states, parameters and weights need a gradient."""
    backend: str


_TYPES = {
    str: "str",
    bool: "bool",
    int: "SymInt",
    Sequence[bool]: "bool[]",
    Sequence[int]: "int[]",
    Sequence[float]: "float[]",
}
_RULE = ", ".join(f"{_TYPES[kind]} {name}" for name, kind in get_type_hints(Rule).items())


def solve(problem: Problem, backend: str) -> Solution:
    """Solve a problem by the operator."""
    dynamics: Any = problem.dynamics
    spike_grad: Any = problem.spike_grad
    graph = torch.is_grad_enabled()
    need = [graph and tensor.requires_grad for tensor in fused.tensors_of(problem)]
    fires = spike_grad is not no_surrogate
    rule = Rule(
        dynamics.key,
        spike_grad._key if fires else "",
        [float(number) for number in spike_grad.parameters] if fires else [],
        padding_of(problem.recurrent),
        problem.num_steps,
        problem.static,
        problem.only_spikes,
        need,
        backend,
    )
    parts = list(problem.states), list(problem.parameters), list(problem.weights)
    outs = torch.ops.snntorch.scan(problem.x, *parts, *rule)
    count = len(dynamics.states)
    spikes, finals = outs[0], outs[1 : 1 + count]
    factor = dict(zip(dynamics.parameters, need[1 + count :], strict=False)).get("factor", False)
    if not fires and not factor:  # spikes without a gradient
        spikes = spikes.detach()
        finals = [finals[0].detach(), *finals[1:]] if dynamics.recurrent else finals
    if problem.only_spikes:
        return Solution(spikes, None, tuple(finals))
    traces = outs[1 + count : 1 + 2 * count - dynamics.recurrent]
    first = (spikes,) if dynamics.recurrent else ()
    return Solution(spikes, (*first, *traces), tuple(finals))


class _Posed:
    """An operator's arguments as a problem, and what is known of it without running it."""

    def __init__(
        self, rule: Rule, x: Tensor, states: Tensors, parameters: Tensors, weights: Tensors
    ) -> None:
        surrogate, dynamics = rule.surrogate, DYNAMICS[rule.dynamics]
        self.rule, self.run = rule, RUNS[rule.backend]
        self.problem = Problem(
            x=x,
            static=rule.static,
            num_steps=rule.num_steps,
            states=tuple(states),
            step=lambda *_: NotImplemented,
            only_spikes=rule.only_spikes,
            dynamics=dynamics,
            parameters=tuple(parameters),
            spike_grad=(
                SpikeGrad(SURROGATES[surrogate], *rule.slope) if surrogate else no_surrogate
            ),
            inhibition=False,
            state_quant=False,
            recurrent=None,
            weights=tuple(weights),
        )
        own = dynamics.recurrent
        self.names = dynamics.states
        self.spec = fused.spec_of(self.problem, self.run.language)
        self.traced = () if rule.only_spikes else self.names[own:]
        self.plan = fused.planned(self.spec, self.traced, tuple(rule.need))
        self.trace_dtype = fused._promoted(x, *states, *parameters)
        single = getattr(torch, self.spec.dtype)
        # A trace in half precision is kept in single precision too.
        apart = rule.only_spikes or self.trace_dtype != single
        known = (INPUT, SPIKES, *(self.names[:own] if apart else self.names))
        kept = [name for name in self.plan.saves if name not in known]
        self.extra = {name: x.dtype if name == FEEDBACK else single for name in kept}
        """Results that only the backward pass reads, with their types."""

    def scan(self) -> tuple[fused.Scan, tuple[Tensor, ...]]:
        """Return how the problem is run, and the tensors for it."""
        scan, inputs, _ = fused.posed(self.problem, self.run)
        return scan._replace(padding=tuple(self.rule.padding)), inputs


def _scan(
    x: Tensor, states: Tensors, parameters: Tensors, weights: Tensors, *settings: Any
) -> list[Tensor]:
    """Return spikes, last states, traces, and what else the backward pass reads."""
    rule, shape = Rule(*settings), states[-1].shape
    if fused._memory_order(x if rule.static else x[0], shape):
        x = x.contiguous()  # results are laid out as those of a contiguous input
    posed = _Posed(rule, x, states, parameters, weights)
    scan, (x, *others) = posed.scan()
    with torch.no_grad():
        outs, kept = fused.run_forward(scan, posed.plan, x, others)
    count = 1 + len(posed.traced)
    return [outs[0], *outs[count:], *outs[1:count], *(kept[name] for name in posed.extra)]


def _scan_shapes(
    x: Tensor, states: Tensors, parameters: Tensors, weights: Tensors, *settings: Any
) -> list[Tensor]:
    rule, shape = Rule(*settings), states[-1].shape
    posed = _Posed(rule, x, states, parameters, weights)
    finals = [
        x.new_empty(shape, dtype=dtype) for dtype in _dtypes(rule, x.dtype, posed.trace_dtype)[1:]
    ]
    over_time = [x.dtype, *(posed.trace_dtype for _ in posed.traced), *posed.extra.values()]
    spikes, *traces = (x.new_empty((rule.num_steps, *shape), dtype=dtype) for dtype in over_time)
    return [spikes, *finals, *traces]


def _dtypes(rule: Rule, dtype: torch.dtype, trace_dtype: torch.dtype) -> list[torch.dtype]:
    """Return the types of an input and the states, given those of the input and the traces."""
    step = DYNAMICS[rule.dynamics]
    spikes = int(step.recurrent)
    return [dtype] * (1 + spikes) + [trace_dtype] * (len(step.states) - spikes)


def _standins(
    rule: Rule,
    like: Sequence[Tensor | None],
    shape: Sequence[int],
    dtype: torch.dtype,
    trace_dtype: torch.dtype,
) -> tuple[Tensor, list[Tensor]]:
    """Return an input and states of which only the shape and the type matter."""
    one = next(each for each in like if each is not None).new_empty(())
    x, *states = (one.to(each).expand(shape) for each in _dtypes(rule, dtype, trace_dtype))
    return x if rule.static else x.expand(rule.num_steps, *shape), states


def _scan_backward(
    grads: Sequence[Tensor | None],
    saved: Tensors,
    firsts: Tensors,
    parameters: Tensors,
    weights: Tensors,
    shape: Sequence[int],
    dtype: torch.dtype,
    trace_dtype: torch.dtype,
    *settings: Any,
) -> list[Tensor]:
    """Return the gradients that are asked for.

    :param grads: those of spikes, last states and traces
    :param saved: what the forward pass kept over time
    :param firsts: states before the first step
    :param shape: that of the states
    :param dtype: that of the input
    :param trace_dtype: that of the traces
    """
    rule = Rule(*settings)
    x, states = _standins(rule, (*saved, *grads), shape, dtype, trace_dtype)
    posed = _Posed(rule, x, states, parameters, weights)
    scan, inputs = posed.scan()
    a = 1 + len(states)
    b = a + len(parameters)
    spikes, finals, traces = grads[0], grads[1:a], grads[a:][: len(posed.traced)]
    with torch.no_grad():
        results = fused.run_backward(
            scan,
            posed.plan,
            (inputs[a:b], weights),
            dict(zip(posed.plan.firsts, firsts, strict=True)),
            dict(zip(posed.plan.saves, saved, strict=True)),
            [spikes, *traces, *finals],
        )
    depth = max((p.dim() for p in parameters if p.numel() > 1), default=0)
    repeated = -1, *shape[len(shape) - depth :]
    found = []
    for i, of in enumerate((x, *states, *parameters, *weights)):
        if not rule.need[i]:
            continue
        grad = results[i]
        if grad is None:
            grad = torch.zeros_like(of, memory_format=torch.contiguous_format)
        elif a <= i < b:  # of one neuron, or of those that repeat over a layer
            many = of.numel() > 1
            grad = grad.reshape(repeated).sum_to_size(of.shape) if many else grad.view(of.shape)
        found.append(grad.to(of.dtype).contiguous())
    return found


def _scan_backward_shapes(
    grads: Any, saved: Any, firsts: Any, parameters: Any, weights: Any, *others: Any
) -> list[Tensor]:
    *kind, rule = *others[:3], Rule(*others[3:])
    x, states = _standins(rule, (*saved, *grads), *kind)
    every = zip((x, *states, *parameters, *weights), rule.need, strict=True)
    dense = torch.contiguous_format
    return [torch.empty_like(each, memory_format=dense) for each, needed in every if needed]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.set_materialize_grads(False)
    x, states, parameters, weights, *settings = inputs
    posed = _Posed(Rule(*settings), x, states, parameters, weights)
    names, plan = posed.names, posed.plan
    kept = {INPUT: x, SPIKES: output[0]}
    if posed.problem.dynamics.recurrent:  # type: ignore[union-attr]
        kept[names[0]] = output[0]
    kept |= dict(zip((*posed.traced, *posed.extra), output[1 + len(names) :], strict=True))
    # The caller may overwrite a state without a graph, so save a copy.
    firsts = [
        state if needed else state.clone()
        for name, state, needed in zip(names, states, posed.rule.need[1:], strict=False)
        if name in plan.firsts
    ]
    parts = [kept[name] for name in plan.saves], firsts, parameters, weights
    ctx.save_for_backward(*chain(*parts))
    ctx.counts = [len(part) for part in parts]
    ctx.kind = list(states[-1].shape), x.dtype, posed.trace_dtype
    ctx.settings = settings


def _differentiate(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Any, ...]:
    tensors = iter(ctx.saved_tensors)
    parts = [list(islice(tensors, count)) for count in ctx.counts]
    given = iter(torch.ops.snntorch.scan_backward(list(grads), *parts, *ctx.kind, *ctx.settings))
    rule = Rule(*ctx.settings)
    every = [next(given) if needed else None for needed in rule.need]
    a = 1 + len(DYNAMICS[rule.dynamics].states)
    b = a + len(parts[2])
    others: Any = ([] if each == [] else None for each in ctx.settings)
    return every[0], every[1:a], every[a:b], every[b:], *others


def _refuse(ctx: Any, grads: Any) -> None:
    raise RuntimeError(fused.ONCE)


if fused.OPERATORS:
    # Not by torch.library.custom_op, which imports the compiler.
    library = torch.library.Library("snntorch", "DEF")
    parts = "Tensor[] parameters, Tensor[] weights"
    library.define(f"scan(Tensor x, Tensor[] states, {parts}, {_RULE}) -> Tensor[]")
    library.impl("scan", _scan, "CompositeExplicitAutograd")
    torch.library.register_fake("snntorch::scan", _scan_shapes, lib=library)
    torch.library.register_autograd(
        "snntorch::scan", _differentiate, setup_context=_keep, lib=library
    )
    library.define(
        f"scan_backward(Tensor?[] grads, Tensor[] saved, Tensor[] firsts, {parts}, "
        f"SymInt[] shape, ScalarType dtype, ScalarType trace_dtype, {_RULE}) -> Tensor[]"
    )
    library.impl("scan_backward", _scan_backward, "CompositeExplicitAutograd")
    torch.library.register_fake("snntorch::scan_backward", _scan_backward_shapes, lib=library)
    torch.library.register_autograd("snntorch::scan_backward", _refuse, lib=library)
