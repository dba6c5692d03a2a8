"""The one autograd function around any kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from .. import surrogate
from .._torch import is_batched
from ..surrogate import no_surrogate
from . import memory
from .derive import FEEDBACK, GIVEN, INPUT, SPIKES, derive
from .feedback import feedback
from .kernels import OVERDRIVE, Spec, backward

ONCE = (
    "a sequence run by a kernel is differentiated once; run it with "
    "snn.use_backend('reference') for second derivatives and batched gradients"
)


@dataclass(frozen=True)
class Scan:
    """How a layer's sequence is to be run; calling it runs it."""

    run: Callable[..., Any]
    """The backend's ``Run``."""
    spec: Spec
    """What the kernels of both directions share."""
    num_steps: int
    static: bool
    only_spikes: bool
    spike_grad: Any
    recurrent: nn.Module | None
    rows: int
    """How often the parameters of the neurons repeat over the sample batch."""
    shape: torch.Size
    """Shape of the states, in the order in which they lie in memory."""

    def __call__(
        self,
        x: Tensor,
        states: Sequence[Tensor],
        parameters: Sequence[Tensor],
        weights: Sequence[Tensor],
    ) -> tuple[Tensor, ...]:
        """Return spikes, traces, and last states, ``spk`` first among these with feedback.

        :param weights: weight and bias of a dense feedback
        """
        return _Fused.apply(self, x, *states, *parameters, *weights)

    @property
    def traced(self) -> tuple[str, ...]:
        """States whose trace is returned."""
        return () if self.only_spikes else _own(self.spec)

    @property
    def over_time(self) -> tuple[int, ...]:
        """Shape of spikes and traces."""
        return self.num_steps, *self.shape

    @property
    def at_once(self) -> int:
        """How many steps a kernel takes in one call: after each, a dense feedback is worked out."""
        return 1 if self.spec.dense else self.num_steps

    def split(self, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], ...]:
        """Return states, parameters and weights."""
        a = len(self.spec.dynamics.states)
        b = a + len(self.spec.dynamics.parameters)
        return tensors[:a], tensors[a:b], tensors[b:]


@dataclass(frozen=True)
class _Forward:
    """What the forward pass writes, and what it keeps for the backward pass."""

    spec: Spec
    traces: tuple[str, ...]
    saves: tuple[str, ...]
    """Names of traces, with those of the inputs that are read again."""
    firsts: tuple[str, ...]
    """States whose value before the first step is read again."""
    backward: Spec
    """The backward kernel, as far as it is known."""


def _own(spec: Spec) -> tuple[str, ...]:
    """Return the states other than the spikes of a recurrent neuron."""
    return spec.dynamics.states[spec.dynamics.recurrent :]


@cache
def _forward(spec: Spec, traced: tuple[str, ...], need: tuple[bool, ...]) -> _Forward:
    dynamics = spec.dynamics
    names = (INPUT, *dynamics.states, *dynamics.parameters, "weight", "bias")
    needs = {name for name, needed in zip(names, need, strict=False) if needed}
    back = replace(
        spec,
        wanted=frozenset(needs & {INPUT, *dynamics.parameters}),
        given=frozenset({SPIKES, *_own(spec)}),
    )
    # The trace of the spikes is that of the first state of a recurrent neuron.
    first = dynamics.states[0] if dynamics.recurrent else None
    read = backward(back) if needs else None
    saved = {*read.news, *read.olds} if read else set()
    saved |= {OVERDRIVE} if needs and spec.slope == GIVEN else set()
    saved |= {first} if first and needs & {"weight", "bias"} else set()
    firsts = tuple(name for name in dynamics.states if read and name in read.olds)
    if first and first in saved and first not in firsts:
        firsts = (first, *firsts)
    stores = (saved - {first}) | set(traced)
    inputs = read.inputs if read else ()
    return _Forward(
        replace(spec, stores=frozenset(stores)),
        (SPIKES, *sorted(stores)),
        (*sorted(saved), *inputs),
        firsts,
        back,
    )


# What a backward kernel takes beside what the forward pass knew of it.
_backward = cache(replace)


def _kept(scan: Scan, given: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return arrays for what a kernel keeps from step to step, and what they are to begin with."""
    initial = {f"at_{name}": tensor.contiguous() for name, tensor in given.items()}
    kept = {name: memory.empty(scan.shape, tensor) for name, tensor in initial.items()}
    if scan.spec.dense:  # a kernel that takes single steps begins anew with what it kept
        for name, tensor in kept.items():
            tensor.copy_(initial[name].view(scan.shape))
        return kept, kept
    return kept, initial


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scan: Scan, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        states, parameters, weights = scan.split(tensors)
        plan = _forward(scan.spec, scan.traced, ctx.needs_input_grad[1:])
        traces = {name: memory.empty(scan.over_time, x) for name in plan.traces}
        timed = {f"in_{INPUT}": x, **{f"to_{name}": trace for name, trace in traces.items()}}
        names = scan.spec.dynamics.states
        kept, initial = _kept(scan, dict(zip(names, states, strict=True)))
        if scan.spec.dynamics.recurrent:
            traces[names[0]] = traces[SPIKES]
        if scan.spec.dense:
            spikes = kept[f"at_{names[0]}"]
            again = FEEDBACK in plan.saves
            traces[FEEDBACK] = memory.empty(scan.over_time if again else scan.shape, x)
            timed[f"in_{FEEDBACK}"] = traces[FEEDBACK]
        run = scan.run(
            plan.spec, False, timed, {}, kept, initial, parameters, (), scan.rows, scan.at_once
        )
        if scan.spec.dense:
            product = feedback(scan.recurrent, weights, scan.shape)
            for t in range(scan.num_steps):
                product.forward(spikes, traces[FEEDBACK][t] if again else traces[FEEDBACK])
                run.take(t, 1)
        else:
            run.take(0, scan.num_steps)
        ctx.scan, ctx.plan = scan, plan
        if any(ctx.needs_input_grad):
            # The caller may overwrite a state without a graph, so save a copy.
            first = {
                name: state if needed else state.clone()
                for name, state, needed in zip(
                    names, states, ctx.needs_input_grad[2:], strict=False
                )
                if name in plan.firsts
            }
            saved = [x if name == INPUT else traces[name] for name in plan.saves]
            ctx.save_for_backward(*parameters, *first.values(), *saved, *weights)
        if scan.spike_grad is no_surrogate and "factor" not in plan.backward.wanted:
            recurrent = [kept[f"at_{names[0]}"]] if scan.spec.dynamics.recurrent else []
            ctx.mark_non_differentiable(traces[SPIKES], *recurrent)
        return traces[SPIKES], *(traces[name] for name in scan.traced), *kept.values()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        scan: Scan = ctx.scan
        plan: _Forward = ctx.plan
        if torch.is_grad_enabled() or any(is_batched(g) for g in grads if g is not None):
            raise RuntimeError(ONCE)
        tensors = ctx.saved_tensors  # once: a checkpoint gives them no second time
        dynamics = scan.spec.dynamics
        a = len(dynamics.parameters)
        b = a + len(plan.firsts)
        c = b + len(plan.saves)
        parameters, weights = tensors[:a], tensors[c:]
        first = dict(zip(plan.firsts, tensors[a:b], strict=True))
        saved = dict(zip(plan.saves, tensors[b:c], strict=True))
        outputs = (SPIKES, *scan.traced)
        given = {n: g for n, g in zip(outputs, grads, strict=False) if g is not None}
        spec = _backward(plan.backward, given=frozenset(given), static=scan.static)
        body = backward(spec)
        timed = {f"to_{name}": saved[name] for name in body.news}
        timed |= {f"gr_{name}": grad for name, grad in given.items()}
        timed |= {f"in_{name}": saved[name] for name in body.inputs}
        like = next(each for each in (*saved.values(), *grads) if each is not None)
        values: tuple[float, ...] = ()
        if spec.slope == GIVEN:
            timed["slopes"] = scan.spike_grad.slope(saved[OVERDRIVE])
        elif spec.slope is not None:
            values = scan.spike_grad.parameters
        if INPUT in spec.wanted:
            shape = scan.shape if spec.static else scan.over_time
            timed[f"to_{INPUT}"] = (
                like.new_zeros(shape) if spec.static else memory.empty(shape, like)
            )
        if spec.dense:
            timed[f"to_{FEEDBACK}"] = memory.empty(scan.over_time, like)
        size, names = scan.shape.numel(), dynamics.states
        finals = {
            n: like.new_zeros(size) if g is None else g.reshape(-1)
            for n, g in zip(names, grads[len(outputs) :], strict=True)
        }
        kept, initial = _kept(scan, finals)
        timed |= {f"old_{name}": saved[name] for name in body.olds}
        before = {f"old_{name}": first[name] for name in body.olds}
        run = scan.run(
            spec, True, timed, before, kept, initial, parameters, values, scan.rows, scan.at_once
        )
        d_weights: list[Tensor | None] = [None for _ in weights]
        if spec.dense:
            product = feedback(scan.recurrent, weights, scan.shape)
            d_feedback = timed[f"to_{FEEDBACK}"]
            for t in reversed(range(scan.num_steps)):
                run.take(t, 1)
                product.backward(d_feedback[t], kept[f"at_{names[0]}"])
            if names[0] in saved:
                earlier = first[names[0]].view(1, *scan.shape)
                spikes = torch.cat((earlier, saved[names[0]][:-1]))
                d_weights[:] = product.d_weights(d_feedback, spikes)[: len(weights)]
        else:
            run.take(0, scan.num_steps)
        learnt = dict(zip(spec.learns, run.summed(), strict=True))
        return (
            None,
            timed.get(f"to_{INPUT}"),
            *(state.view(-1) for state in kept.values()),
            *(learnt.get(name) for name in dynamics.parameters),
            *d_weights,
        )


@cache
def slope_of(dynamics: Any, function: Any, count: int) -> tuple[Any, int]:
    """Return how kernels get a surrogate's slope: by its text, or as values worked out outside."""
    if function.__module__ == surrogate.__name__:
        return function.slope, count
    try:
        derive(dynamics, function.slope, count)
    except Exception:
        return GIVEN, 0
    return function.slope, count
