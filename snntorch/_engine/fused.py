"""The one autograd function around any kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..surrogate import SpikeGrad
from . import reference
from .feedback import FEEDBACKS, ConvFeedback, LinearFeedback
from .kernels import INLINED, MODELS, Spec, reads_x
from .problem import Problem


@dataclass(frozen=True)
class Scan:
    """How a layer's sequence is to be run; calling it runs it."""

    backend: Any
    problem: Problem
    """What is run, without its input and states."""
    source: Callable[[], Tensor | None]
    """The input as it is given to the call, while somebody else holds it."""
    rows: int
    """How often the parameters of the neurons repeat over the sample batch."""
    shape: torch.Size
    """Shape of the states, in the order in which they lie in memory."""
    parameters: tuple[str, ...]
    vectors: frozenset[str]
    """Parameters that have a value for each neuron."""

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

    def spec(self, dtype: torch.dtype, **kwargs: Any) -> Spec:
        return Spec(
            dtype=str(dtype).removeprefix("torch."),
            model=str(self.problem.model),
            reset=self.problem.reset,
            delay=self.problem.delay,
            vectors=self.vectors,
            dense=self.dense,
            **kwargs,
        )

    @property
    def kept(self) -> tuple[str, ...]:
        """States as the problem orders them, by their names in the equation."""
        names = MODELS[str(self.problem.model)][0]
        return ("spk", *names) if self.problem.feeds_back else names

    @property
    def traced(self) -> tuple[str, ...]:
        """States whose trace is returned."""
        return () if self.problem.only_spikes else MODELS[str(self.problem.model)][0]

    @property
    def num_steps(self) -> int:
        return self.problem.num_steps

    @property
    def dense(self) -> bool:
        """Whether the feedback is a product over neurons."""
        return self.problem.recurrent is not None

    def feedback(self, weights: Sequence[Tensor]) -> LinearFeedback | ConvFeedback:
        """Return the product of a dense feedback."""
        layer: Any = self.problem.recurrent
        return FEEDBACKS[type(layer)](layer, weights, self.shape)

    def split(self, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], ...]:
        """Return states, parameters and weights."""
        a, b = len(self.kept), len(self.kept) + len(self.parameters)
        return tensors[:a], tensors[a:b], tensors[b:]


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scan: Scan, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        states, parameters, weights = scan.split(tensors)
        names = ("x", *scan.kept, *scan.parameters, "weight", "bias")
        needs = {n for n, need in zip(names, ctx.needs_input_grad[1:], strict=False) if need}
        known = {"x", *scan.parameters}
        spec = scan.spec(x.dtype, wanted=frozenset(needs & known))
        # What the backward pass reads: the membrane that fired, and old states where it must.
        instant = not spec.delay and spec.reset != "none"
        saved = {"u" if instant else "mem", *spec.olds} if needs else set()
        saved |= {"spk"} if needs & {"weight", "bias"} else set()
        stores = (saved - {"spk"}) | set(scan.traced)
        over_time = (scan.num_steps, *scan.shape)
        traces = {name: x.new_empty(over_time) for name in ("spk", *sorted(stores))}
        kept = {f"at_{n}": s.detach().clone() for n, s in zip(scan.kept, states, strict=True)}
        timed = {"x": x, **{f"to_{name}": trace for name, trace in traces.items()}}
        if scan.dense:
            timed["feedback"] = x.new_empty(scan.shape)
        run = scan.backend.Run(
            scan.spec(x.dtype, stores=frozenset(stores)),
            False,
            timed,
            {},
            kept,
            parameters,
            (),
            scan.rows,
            1 if scan.dense else scan.num_steps,
        )
        if scan.dense:
            feedback = scan.feedback(weights)
            for t in range(scan.num_steps):
                feedback.forward(kept["at_spk"], timed["feedback"])
                run.take(t, 1)
        else:
            run.take(0, scan.num_steps)
        saves = {n: traces[n] for n in saved}
        saves |= {"x": x} if reads_x(spec) else {}
        ctx.scan, ctx.spec, ctx.names = scan, spec, tuple(saves)
        ctx.save_for_backward(*tensors, *saves.values())
        finals = [kept[f"at_{n}"].view(scan.shape) for n in scan.kept]
        return traces["spk"], *(traces[n] for n in scan.traced), *finals

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        scan: Scan = ctx.scan
        count = len(ctx.saved_tensors) - len(ctx.names)
        states, parameters, weights = scan.split(ctx.saved_tensors[:count])
        saved = dict(zip(ctx.names, ctx.saved_tensors[count:], strict=True))
        if torch.is_grad_enabled():
            x = saved["x"] if "x" in saved else scan.source()
            return None, *_differentiably(scan, x, states, parameters, grads, ctx)
        u = saved["u"] if "u" in saved else saved["mem"]
        names = ("spk", *scan.traced)
        given = {n: g for n, g in zip(names, grads, strict=False) if g is not None}
        timed = {"to_u": u, **{f"g_{name}": grad for name, grad in given.items()}}
        timed |= {"x": saved["x"]} if reads_x(ctx.spec) else {}
        slope, values = _slope(scan, u, parameters, timed)
        spec = replace(
            ctx.spec,
            slope=slope,
            parameters=len(values),
            given=frozenset(given),
            static=scan.problem.static,
        )
        if "x" in spec.wanted:
            timed["to_x"] = u.new_zeros(scan.shape) if scan.problem.static else torch.empty_like(u)
        if scan.dense:
            timed["to_feedback"] = torch.empty_like(u)
        finals = dict(zip(scan.kept, grads[len(names) :], strict=True))
        first = dict(zip(scan.kept, states, strict=True))
        kept = {
            f"at_{n}": u.new_zeros(u[0].numel()) if g is None else g.reshape(-1).clone()
            for n, g in finals.items()
        }
        run = scan.backend.Run(
            spec,
            True,
            {**timed, **{f"old_{n}": saved[n] for n in spec.olds}},
            {f"old_{n}": first[n] for n in spec.olds},
            kept,
            parameters,
            values,
            scan.rows,
            1 if scan.dense else scan.num_steps,
        )
        d_weights: list[Tensor | None] = [None for _ in weights]
        if scan.dense:
            feedback, d_feedback = scan.feedback(weights), timed["to_feedback"]
            for t in reversed(range(scan.num_steps)):
                run.take(t, 1)
                feedback.backward(d_feedback[t], kept["at_spk"])
            if "spk" in saved:
                before = torch.cat((first["spk"].view(1, *scan.shape), saved["spk"][:-1]))
                d_weights[:] = feedback.d_weights(d_feedback, before)[: len(weights)]
        else:
            run.take(0, scan.num_steps)
        learnt = dict(zip(spec.learns, run.summed(), strict=True))
        return (
            None,
            timed.get("to_x"),
            *(kept[f"at_{n}"] for n in scan.kept),
            *(learnt.get(name) for name in scan.parameters),
            *d_weights,
        )


def _differentiably(
    scan: Scan,
    x: Tensor | None,
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    ctx: Any,
) -> list[Tensor | None]:
    """Return the gradients of the inputs on the graph, by running the reference again."""
    if x is None or scan.dense:
        raise RuntimeError(
            "a fused sequence is differentiated twice only without a dense feedback, and while "
            "its input is held by somebody; run it with backend='reference'"
        )
    lead = () if scan.problem.static else (scan.num_steps,)
    with torch.enable_grad():
        # Views of their own: a state may have come from the same input, by an earlier call.
        inputs = [each.view_as(each) for each in (x, *states, *parameters)]
        x, states = inputs[0], inputs[1 : 1 + len(states)]
        *decays, threshold, factor = inputs[1 + len(states) :]
        V = decays.pop() if scan.problem.feeds_back else None
        stated = replace(
            scan.problem,
            x=x.reshape(*lead, scan.rows, -1),
            states=tuple(state.reshape(scan.rows, -1) for state in states),
            step=scan.problem.step_with(tuple(decays), V, threshold, factor),
        )
        solution = reference.solve(stated)
    outs = [solution.spikes, *(solution.traces or ()), *solution.states]
    given = [(o.reshape(g.shape), g) for o, g in zip(outs, grads, strict=True) if g is not None]
    wanted = [i for i, need in enumerate(ctx.needs_input_grad[1:]) if need]
    found = torch.autograd.grad(
        [o for o, _ in given if o.requires_grad],
        [inputs[i] for i in wanted],
        [g for o, g in given if o.requires_grad],
        create_graph=True,
        allow_unused=True,
    )
    of = dict(zip(wanted, found, strict=True))
    return [of.get(i) for i in range(len(inputs))]


def _slope(
    scan: Scan, u: Tensor, parameters: Sequence[Tensor], timed: dict[str, Tensor]
) -> tuple[str | None, tuple[float, ...]]:
    """Return how the kernel gets the surrogate's slope, and the surrogate's parameters."""
    spike_grad = scan.problem.spike_grad
    if not isinstance(spike_grad, SpikeGrad):
        return None, ()
    function, values = spike_grad.function, spike_grad.parameters
    if function in INLINED and not any(isinstance(value, Tensor) for value in values):
        return function.__name__, values
    threshold = parameters[scan.parameters.index("threshold")]
    rows = u.reshape(len(u), -1, len(threshold))
    timed["slopes"] = spike_grad.slope(rows - threshold).reshape(u.shape)
    return "given", ()
