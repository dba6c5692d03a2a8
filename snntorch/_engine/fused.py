"""What all backends with kernels share: the problems they take, and the one autograd function."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .. import surrogate
from .._torch import autocast_on, constant, is_batched, is_compiling, is_plain, is_traced
from ..dynamics import REGISTERED as DYNAMICS
from ..dynamics import Dynamics
from ..surrogate import REGISTERED as SURROGATES
from ..surrogate import SpikeGrad, StochasticSpikeOperator, no_surrogate
from . import memory, reference
from .derive import FEEDBACK, GIVEN, INPUT, SPIKES, derive
from .feedback import feedback, padding_of
from .feedback import refuses as refuses_feedback
from .kernels import OVERDRIVE, Spec, Task, backward
from .problem import Problem, Solution
from .writer import Language

ONCE = (
    "a sequence run by a kernel is differentiated once; run it with "
    "snn.use_backend('reference') for second derivatives and batched gradients"
)


def tensors_of(problem: Problem) -> tuple[Tensor, ...]:
    """Return all that a problem is made of."""
    return (problem.x, *problem.states, *problem.parameters, *problem.weights)


def refuses(problem: Problem) -> str | None:
    """Return why kernels cannot solve a problem, on whatever device, or None if they can."""
    x, spike_grad = problem.x, problem.spike_grad
    if problem.dynamics is None and problem.projection is None:
        return "its update is not elementwise"
    if problem.recurrent is not None and (reason := refuses_feedback(problem.recurrent)):
        return reason
    products = problem.recurrent is not None or problem.projection is not None
    if products and autocast_on(x.device.type):
        return "products under autocast have another dtype"
    if problem.inhibition:
        return "inhibition compares all neurons of a sample"
    if problem.state_quant:
        return "states are quantised"
    if not all(map(is_plain, tensors_of(problem))):
        return "tensors are of a subclass"
    if not x.numel() or not all(state.numel() for state in problem.states):
        return "there are no neurons"
    if is_traced() and not _becomes_operator(problem):
        return "it is being traced"
    if spike_grad is not no_surrogate:
        if not isinstance(spike_grad, SpikeGrad):
            return "the surrogate is a callable that may not fire by a step"
        if any(isinstance(q, Tensor) and q.numel() > 1 for q in spike_grad.parameters):
            return "the surrogate's parameters are tensors"
        if not _has_slope(spike_grad._key):
            return "the surrogate has no slope that is a function of the membrane alone"
    return None


def refuses_mixed(problem: Problem) -> str | None:
    """Return why tensors are not of one device and type, or None if they are; beside half precision
    there may be single precision."""
    x, tensors = problem.x, tensors_of(problem)
    if any(tensor.device != x.device for tensor in tensors):
        return "tensors are on several devices"
    half = x.dtype in (torch.float16, torch.bfloat16)
    if not half and x.dtype not in (torch.float32, torch.float64):
        return f"{x.dtype} is not compiled"
    taken = (x.dtype, torch.float32) if half else (x.dtype,)
    if any(t.dtype not in taken for t in tensors if t.dim()):
        return "parameters or states have another dtype than the input"
    if any(weight.dtype != x.dtype for weight in problem.weights):
        return "weights have another dtype than the input"
    return None


@cache
def warn(reason: str, advice: str) -> None:
    """Warn once that sequences run on the reference backend."""
    warnings.warn(
        f"{reason}; its sequences run on the slower reference backend. {advice}; "
        "SNNTORCH_BACKEND=reference silences this warning.",
        stacklevel=2,
    )


OPERATORS = hasattr(torch.library, "register_autograd")  # since torch 2.4


def _becomes_operator(problem: Problem) -> bool:
    """Tell whether a problem goes into the graph of torch.compile or torch.export as it is."""
    if not OPERATORS or not is_compiling():
        return False
    numbers = getattr(problem.spike_grad, "parameters", ())
    return problem.dynamics is not None and all(
        isinstance(number, int | float) for number in numbers
    )


@constant
def _has_slope(surrogate: str) -> bool:
    function = SURROGATES[surrogate]
    return function._by_slope and not issubclass(function, StochasticSpikeOperator)


def solve(problem: Problem, run: Any) -> Solution:
    """Run a layer's sequence in one pass each way.

    :param run: the backend's ``Run``
    """
    if problem.dynamics is None:
        return _solve_projected(problem)
    scan, inputs, order = posed(problem, run)
    outs = scan(*inputs)
    count = 1 + len(scan.traced)
    (spikes, *traces), finals = outs[:count], outs[count:]
    if order is not None:
        back = [order.index(d) for d in range(len(order))]
        spikes, *traces = (out.permute(0, *(1 + d for d in back)) for out in outs[:count])
        finals = tuple(final.permute(back) for final in finals)
    traces = [spikes, *traces] if problem.dynamics.recurrent else traces
    return Solution(spikes, None if problem.only_spikes else tuple(traces), finals)


def posed(problem: Problem, run: Any) -> tuple[Scan, tuple[Tensor, ...], list[int] | None]:
    """Return how a problem is run, the input, states, parameters and weights for it, and the order
    of dimensions in which a state lies in memory, None for their own."""
    x, shape = problem.x.resolve_neg(), problem.states[-1].shape
    spec = spec_of(problem, run.language)
    order, states = None, problem.states
    if not (x.is_contiguous() or problem.weights):
        order = _memory_order(x if problem.static else x[0], shape)
    depth = max((p.dim() for p in problem.parameters if p.numel() > 1), default=0)
    dtype = getattr(torch, spec.dtype)
    # Gradients of parameters in half precision are summed in single precision.
    values = [_cast(parameter, dtype) for parameter in problem.parameters]
    parameters = [
        run.laid_out(value, depth, shape, order) if value.numel() > 1 else value.reshape(1)
        for value in values
    ]
    if order is not None:
        x = x.permute(order if problem.static else [0, *(1 + d for d in order)])
        states = tuple(state.permute(order) for state in states)
        shape = torch.Size(shape[d] for d in order)
    scan = Scan(
        run=run,
        spec=spec,
        num_steps=problem.num_steps,
        static=problem.static,
        only_spikes=problem.only_spikes,
        spike_grad=problem.spike_grad,
        padding=padding_of(problem.recurrent),
        shape=shape,
        dtype=x.dtype,
        trace_dtype=_promoted(x, *problem.states, *problem.parameters),
    )
    return scan, (x, *states, *parameters, *problem.weights), order


def spec_of(problem: Problem, language: Language) -> Spec:
    """Return what the kernels of a problem share."""
    dynamics: Any = problem.dynamics
    slope = _slope(dynamics, problem.spike_grad)
    return _spec_of(language, problem.x.dtype, dynamics, *slope, _vectors(problem))


def names_of(problem: Problem) -> tuple[str, str, int, tuple[str, ...]]:
    """Return what :func:`spec_by_name` takes: what torch.compile can hand over as a constant."""
    dynamics: Any = problem.dynamics
    spike_grad: Any = problem.spike_grad
    if spike_grad is no_surrogate:
        return dynamics.key, "", 0, _vectors(problem)
    return dynamics.key, spike_grad._key, len(spike_grad.parameters), _vectors(problem)


def spec_by_name(
    language: Language,
    dtype: torch.dtype,
    dynamics: str,
    surrogate: str,
    count: int,
    vectors: tuple[str, ...],
) -> Spec:
    """Return the same as :func:`spec_of`.

    :param count: number of the surrogate's parameters
    """
    step = DYNAMICS[dynamics]
    slope = slope_of(step, SURROGATES[surrogate], count) if surrogate else (None, 0)
    return _spec_of(language, dtype, step, *slope, vectors)


def _vectors(problem: Problem) -> tuple[str, ...]:
    """Return the names of parameters that have a value for each neuron."""
    dynamics: Any = problem.dynamics
    named = zip(dynamics.parameters, problem.parameters, strict=True)
    return tuple(name for name, parameter in named if parameter.numel() > 1)


@cache
def _spec_of(
    language: Language,
    dtype: torch.dtype,
    dynamics: Any,
    slope: Any,
    count: int,
    vectors: tuple[str, ...],
) -> Spec:
    return Spec(
        dtype="float64" if dtype == torch.float64 else "float32",
        dynamics=dynamics,
        vectors=frozenset(vectors),
        slope=slope,
        count=count,
        language=language,
    )


def _solve_projected(problem: Problem) -> Solution:
    """Take the product of the input for all steps at once. The steps themselves are PyTorch's,
    whose sigmoid and tanh are fast."""
    assert problem.projection is not None
    x, step = problem.projection(problem.x)
    return reference.solve(problem._replace(x=x, step=step))


def _slope(dynamics: Dynamics, spike_grad: Any) -> tuple[Any, int]:
    if spike_grad is no_surrogate:
        return None, 0
    if any(isinstance(value, Tensor) for value in spike_grad.parameters):
        return GIVEN, 0
    return slope_of(dynamics, spike_grad.function, len(spike_grad.parameters))


def _promoted(x: Tensor, *others: Tensor) -> torch.dtype:
    """Return the type of what is worked out from an input together with states and parameters."""
    dtype = x.dtype
    for other in others:
        if other.dtype != dtype and other.dim():
            dtype = torch.promote_types(dtype, other.dtype)
    return dtype


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert a tensor, without a call of PyTorch where there is nothing to do."""
    return tensor if tensor.dtype is dtype else tensor.to(dtype)


def in_order(tensor: Tensor, order: list[int] | None) -> Tensor:
    """Return a tensor with its dimensions in the order in which a state lies in memory."""
    return tensor if order is None else tensor.permute(order)


def _memory_order(sample: Tensor, shape: torch.Size) -> list[int] | None:
    """Return the order of dimensions in which a sample lies dense in memory, if it is another one
    than theirs."""
    if sample.shape != shape or sample.is_contiguous():
        return None
    strides = sample.stride()
    order = sorted(range(len(shape)), key=lambda d: (strides[d], shape[d]), reverse=True)
    return order if sample.permute(order).is_contiguous() else None


class Scan(NamedTuple):
    """How a layer's sequence is to be run; calling it runs it."""

    run: Callable[..., Any]
    """The backend's ``Run``."""
    spec: Spec
    """What the kernels of both directions share."""
    num_steps: int
    static: bool
    only_spikes: bool
    spike_grad: Any
    padding: tuple[int, ...]
    """Of a convolution that feeds back."""
    shape: torch.Size
    """Shape of the states, in the order in which they lie in memory."""
    dtype: torch.dtype
    """Of the input and the spikes. A kernel computes in at least single precision, and keeps so
    what it reads again."""
    trace_dtype: torch.dtype
    """Of the states that are returned."""

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return spikes, traces, and last states, ``spk`` first among these with feedback.

        :param inputs: the input, states, parameters, and weight and bias of a dense feedback
        """
        return _Fused.apply(self, *inputs)

    @property
    def traced(self) -> tuple[str, ...]:
        """States whose trace is returned."""
        return () if self.only_spikes else _own(self.spec)

    @property
    def spec_dtype(self) -> torch.dtype:
        """The type in which a kernel computes."""
        return getattr(torch, self.spec.dtype)

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
def planned(spec: Spec, traced: tuple[str, ...], need: tuple[bool, ...]) -> _Forward:
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


def _kept(
    scan: Scan, given: dict[str, Tensor], like: Tensor
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return arrays for what a kernel keeps from step to step, and what they are to begin with."""
    dtypes = dict.fromkeys(given, scan.spec_dtype if scan.spec.dense else scan.trace_dtype)
    if scan.spec.dynamics.recurrent:
        dtypes[scan.spec.dynamics.states[0]] = scan.dtype
    initial = {f"at_{name}": tensor for name, tensor in given.items()}
    kept = {f"at_{name}": memory.empty(scan.shape, like, dtypes[name]) for name in given}
    if scan.spec.dense:  # a kernel that takes single steps begins anew with what it kept
        for name, tensor in kept.items():
            tensor.copy_(initial[name])
        return kept, kept
    return kept, initial


def run_forward(
    scan: Scan, plan: _Forward, x: Tensor, tensors: Sequence[Tensor]
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Return spikes, traces and last states; and, by name, all that is kept over time."""
    states, parameters, weights = scan.split(tensors)
    dtypes = dict.fromkeys(plan.traces, scan.trace_dtype)
    dtypes |= {name: scan.spec_dtype for name in plan.saves if name in dtypes}
    dtypes[SPIKES] = scan.dtype
    traces = {name: memory.empty(scan.over_time, x, dtype) for name, dtype in dtypes.items()}
    timed = {f"in_{INPUT}": x, **{f"to_{name}": trace for name, trace in traces.items()}}
    names = scan.spec.dynamics.states
    kept, initial = _kept(scan, dict(zip(names, states, strict=True)), x)
    if scan.spec.dynamics.recurrent:
        traces[names[0]] = traces[SPIKES]
    if scan.spec.dense:
        spikes = kept[f"at_{names[0]}"]
        again = FEEDBACK in plan.saves
        traces[FEEDBACK] = memory.empty(scan.over_time if again else scan.shape, x)
        timed[f"in_{FEEDBACK}"] = traces[FEEDBACK]
    run = scan.run(Task(plan.spec, False, timed, {}, kept, initial, parameters, (), scan.at_once))
    if scan.spec.dense:
        product = feedback(weights, scan.padding, scan.shape)
        for t in range(scan.num_steps):
            product.forward(spikes, traces[FEEDBACK][t] if again else traces[FEEDBACK])
            run.take(t, 1)
    else:
        run.take(0, scan.num_steps)
    outs = [traces[SPIKES], *(_cast(traces[name], scan.trace_dtype) for name in scan.traced)]
    finals = [kept[f"at_{name}"] for name in names]
    own = scan.spec.dynamics.recurrent
    finals = [*finals[:own], *(_cast(final, scan.trace_dtype) for final in finals[own:])]
    return [*outs, *finals], traces


def run_backward(
    scan: Scan,
    plan: _Forward,
    tensors: tuple[Sequence[Tensor], Sequence[Tensor]],
    first: dict[str, Tensor],
    saved: dict[str, Tensor],
    grads: Sequence[Tensor | None],
) -> tuple[Tensor | None, ...]:
    """Return the gradients of input, states, parameters and weights.

    :param tensors: parameters and weights
    :param first: states before the first step
    :param saved: what the forward pass kept over time
    :param grads: those of spikes, traces and last states
    """
    (parameters, weights), dynamics = tensors, scan.spec.dynamics
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
            like.new_zeros(shape, dtype=scan.spec_dtype)
            if spec.static
            else memory.empty(shape, like, scan.dtype)
        )
    if spec.dense:
        timed[f"to_{FEEDBACK}"] = memory.empty(scan.over_time, like, scan.dtype)
    names = dynamics.states
    finals = {
        n: like.new_zeros(scan.shape, dtype=scan.spec_dtype) if g is None else g
        for n, g in zip(names, grads[len(outputs) :], strict=True)
    }
    kept, initial = _kept(scan, finals, like)
    timed |= {f"old_{name}": saved[name] for name in body.olds}
    before = {f"old_{name}": first[name] for name in body.olds}
    run = scan.run(Task(spec, True, timed, before, kept, initial, parameters, values, scan.at_once))
    d_weights: list[Tensor | None] = [None for _ in weights]
    if spec.dense:
        product = feedback(weights, scan.padding, scan.shape)
        d_feedback = timed[f"to_{FEEDBACK}"]
        for t in reversed(range(scan.num_steps)):
            run.take(t, 1)
            product.backward(d_feedback[t], kept[f"at_{names[0]}"])
        if names[0] in saved:
            earlier = first[names[0]].to(scan.dtype)[None]
            spikes = torch.cat((earlier, saved[names[0]][:-1]))
            d_weights[:] = product.d_weights(d_feedback, spikes)[: len(weights)]
    else:
        run.take(0, scan.num_steps)
    learnt = dict(zip(spec.learns, run.summed(), strict=True))
    return (
        timed.get(f"to_{INPUT}"),
        *kept.values(),
        *(learnt.get(name) for name in dynamics.parameters),
        *d_weights,
    )


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scan: Scan, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        plan = planned(scan.spec, scan.traced, ctx.needs_input_grad[1:])
        outs, traces = run_forward(scan, plan, x, tensors)
        ctx.scan, ctx.plan = scan, plan
        if any(ctx.needs_input_grad):
            states, parameters, weights = scan.split(tensors)
            names = scan.spec.dynamics.states
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
            own, count = scan.spec.dynamics.recurrent, 1 + len(scan.traced)
            ctx.mark_non_differentiable(outs[0], *outs[count : count + own])
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        scan: Scan = ctx.scan
        plan: _Forward = ctx.plan
        if torch.is_grad_enabled() or any(is_batched(g) for g in grads if g is not None):
            raise RuntimeError(ONCE)
        tensors = ctx.saved_tensors  # once: a checkpoint gives them no second time
        a = len(scan.spec.dynamics.parameters)
        b = a + len(plan.firsts)
        c = b + len(plan.saves)
        others = tensors[:a], tensors[c:]
        first = dict(zip(plan.firsts, tensors[a:b], strict=True))
        saved = dict(zip(plan.saves, tensors[b:c], strict=True))
        return None, *run_backward(scan, plan, others, first, saved, grads)


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
