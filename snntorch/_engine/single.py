"""One time step in one kernel each way, for loops that stay in Python.

The kernels are those of a sequence, for one step. For small layers the time of the host decides,
so all but the tensors themselves is worked out once. Of a step of ``Leaky``, forward and backward,
one kernel each takes the place of 11 and 9 operations. Triton's launcher costs the host as much as
four or five of them, and the rest about as much as it takes to call the operations from Python; so
it pays for layers of every size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from .._torch import is_batched, is_plain, is_traced
from ..dynamics import Dynamics
from ..surrogate import SpikeGrad, heaviside_step, no_surrogate
from . import cuda, fused
from .derive import GIVEN, INPUT, SPIKES
from .kernels import Backward, Spec, backward, reads, writes
from .problem import Problem, States
from .writer import TRITON

# How many kinds of steps are remembered, such as those of other batch sizes.
MOST = 4096


def step(
    dynamics: Dynamics, x: Tensor, states: States, parameters: States, spike_grad: Any
) -> tuple[Tensor, ...] | None:
    """Take a step, or return None where PyTorch's operations are to take it.

    :param states: those before the step; of a recurrent neuron its spikes are the first
    :returns: the spikes, and the new states but for the spikes
    """
    if is_traced() or (x.is_cpu and not cuda.interpreted()):
        return None
    if isinstance(spike_grad, SpikeGrad):
        surrogate, slope = spike_grad.function, spike_grad.parameters
    elif spike_grad is no_surrogate:
        surrogate, slope = None, ()
    else:
        return None
    tensors = x.resolve_neg(), *states, *parameters
    grad = torch.is_grad_enabled()
    kinds = [
        (type(t), t.dtype, t.device, t.shape, t.stride(), grad and t.requires_grad) for t in tensors
    ]
    key = dynamics, surrogate, *map(type, slope), *kinds
    try:
        plan = _plans[key]
    except KeyError:
        if len(_plans) >= MOST:
            _plans.clear()
        plan = _plans[key] = _planned(dynamics, tensors, spike_grad)
    if plan is None:
        return None
    if plan.asked:
        return _Step.apply(plan, spike_grad, *tensors)
    return tuple(plan.forward(tensors)[: len(plan.outs)])


class _Call:
    """A kernel with the layout of its arrays, ready to take one step.

    :param places: where its arguments are among what :meth:`__call__` takes, by their names
    :param given: tensors of the same layouts, up to those that it writes
    :param dense: strides of what it writes
    """

    def __init__(
        self,
        spec: Spec,
        back: bool,
        places: dict[str, int],
        given: Sequence[Tensor],
        dense: tuple[int, ...],
    ) -> None:
        (timed, others), (stored, results) = reads(spec, back), writes(spec, back)
        read = (*timed, *others)
        like = given[places[read[0]]]
        shape = like.shape
        order = sorted(range(len(shape)), key=lambda d: (dense[d], shape[d]), reverse=True)
        strides = [given[places[name]].expand(shape).stride() for name in read]
        sizes, merged = cuda._merged(
            tuple(shape[d] for d in order), tuple(tuple(each[d] for d in order) for each in strides)
        )
        count, self.numbers = 1 + max(places.values()), [0, 1, shape.numel()]
        begin, steps, total = count, count + 1, count + 2

        def number(value: int) -> int:
            self.numbers.append(value)
            return count + len(self.numbers) - 1

        taken: list[int] = []
        for name in (*timed, *stored):
            taken += [places[name], number(0)]
        taken += [places[name] for name in (*others, *(f"result_{name}" for name in results))]
        taken += [number(stride) for each in merged for stride in each]
        taken += [number(size) for size in sizes[1:]]
        taken += [places[f"p_{p}"] for p in spec.dynamics.parameters if p not in spec.vectors]
        taken += [places[f"q{i}"] for i in range(spec.count if back else 0)]
        self.take, self.device = itemgetter(*taken, total, begin, steps), like.device
        self.size = 32 * cuda.WARPS * 16 // like.element_size()  # 16 bytes for each thread
        kernel = cuda._kernel(spec, back, len(sizes), cuda.interpreted())
        self.launch = kernel[(-(-shape.numel() // self.size),)]

    def __call__(self, *given: Any) -> None:
        with cuda._on(self.device):
            self.launch(
                *self.take((*given, *self.numbers)),
                SIZE=self.size,
                STAGES=1,
                num_warps=cuda.WARPS,
                enable_fp_fusion=False,
            )


class _Plan:
    """How a step is taken for tensors of certain types and layouts.

    :param tensors: the input, the states and the parameters
    :param needs: which of them need gradients
    """

    def __init__(self, spec: Spec, tensors: Sequence[Tensor], needs: Sequence[bool]) -> None:
        of, x = spec.dynamics, tensors[0]
        self.spec, self.shape, self.device, self.dtype = spec, x.shape, x.device, x.dtype
        self.names = (INPUT, *of.states, *of.parameters)
        self.outs = (of.states[0] if of.recurrent else SPIKES, *of.states[of.recurrent :])
        self.asked = frozenset(name for name, need in zip(self.names, needs, strict=True) if need)
        # What a backward pass reads is written for it alone: a caller may overwrite new states.
        self.stores: tuple[str, ...] = ()
        self.reads: frozenset[str] = frozenset()
        self.constant: frozenset[str] = frozenset()
        """Outputs that do not depend on what needs a gradient."""
        if self.asked:
            body = backward(self._backward_spec(True))
            self.stores, self.reads = body.news, frozenset((*body.olds, *body.inputs))
            self.constant = frozenset(self.outs) - _used(body, self.asked)
        order = fused._memory_order(x, x.shape) or range(x.dim())
        back = [order.index(d) for d in range(x.dim())]
        dense = torch.empty([x.shape[d] for d in order], device="meta").permute(back)
        self.dense = dense.stride()
        number, state = getattr(torch, spec.dtype), fused._promoted(*tensors)
        self.dtypes = dict.fromkeys((*of.parameters, *self.stores), number)
        self.dtypes |= dict.fromkeys(of.states, state)
        self.dtypes |= {INPUT: x.dtype, self.outs[0]: x.dtype}
        self.written = [*map(self.dtypes.get, self.outs), *(number for _ in self.stores)]
        read = [f"in_{INPUT}", *(f"first_at_{n}" for n in of.states)]
        read += [f"p_{n}" for n in of.parameters]
        results = [f"to_{SPIKES}", *(f"result_at_{n}" for n in self.outs[1:])]
        places = _places(read, results, [f"to_{n}" for n in self.stores])
        # Spikes that are a state are written twice, to one place.
        places |= {f"result_at_{n}": len(read) for n in of.states[: of.recurrent]}
        spec = replace(spec, stores=frozenset(self.stores))
        self.call = _Call(spec, False, places, tensors, self.dense)
        self.backs: dict[Any, _Call] = {}

    def forward(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the spikes, the new states, and what a backward pass reads."""
        new = [self._empty(dtype) for dtype in self.written]
        self.call(*tensors, *new)
        return new

    def backward(
        self,
        tensors: Sequence[Tensor],
        stored: Sequence[Tensor],
        grads: Sequence[Tensor | None],
        slope: Sequence[float],
    ) -> list[Tensor | None]:
        """Return the gradients of the input, the states and the parameters."""
        some = next(grad for grad in grads if grad is not None)
        given = [*tensors, *stored]
        for name, grad in zip(self.outs, grads, strict=True):
            if grad is None:  # of a constant, it is not read
                grad = some if name in self.constant else some.new_zeros(()).expand(self.shape)
            given.append(grad)
        # Hooks on saved tensors may return them in another layout.
        key = grads[0] is None, *[t if t is None else t.stride() for t in given]
        call = self.backs.get(key)
        if call is None:
            call = self.backs[key] = self._backward_call(grads[0] is not None, given)
        of = self.spec.dynamics
        found = {name: self._empty(self.dtypes[name]) for name in (INPUT, *of.states)}
        learns = [name for name in of.parameters if name in self.asked]
        sums = {name: self._empty(self.dtypes[name]).zero_() for name in learns}
        call(*given, *found.values(), *sums.values(), *slope)
        values = dict(zip(self.names, tensors, strict=True))
        found |= {name: each.sum_to_size(values[name].shape) for name, each in sums.items()}
        return [found[name] if name in self.asked else None for name in self.names]

    def _backward_spec(self, spikes: bool) -> Spec:
        of = self.spec.dynamics
        # The gradient of spikes that are a state comes as that of the state.
        given = frozenset((SPIKES,) if spikes and not of.recurrent else ())
        return replace(self.spec, given=given, wanted=self.asked & {INPUT, *of.parameters})

    def _backward_call(self, spikes: bool, given: Sequence[Any]) -> _Call:
        of, spec = self.spec.dynamics, self._backward_spec(spikes)
        read = [f"in_{INPUT}", *(f"old_{n}" for n in of.states)]
        read += [f"p_{n}" for n in of.parameters]
        grads = [f"first_at_{n}" if n in of.states else f"gr_{n}" for n in self.outs]
        results = [f"to_{INPUT}", *(f"result_at_{n}" for n in of.states)]
        results += [f"result_sum_{n}" for n in spec.learns]
        slope = [f"q{i}" for i in range(spec.count)]
        places = _places(read, [f"to_{n}" for n in self.stores], grads, results, slope)
        # A single step has none before it: the state is read instead.
        places |= {f"first_old_{n}": places[f"old_{n}"] for n in of.states}
        return _Call(spec, True, places, given, self.dense)

    def _empty(self, dtype: torch.dtype) -> Tensor:
        return torch.empty_strided(self.shape, self.dense, dtype=dtype, device=self.device)


def _places(*names: list[str]) -> dict[str, int]:
    """Return where each name is among all."""
    return {name: place for place, name in enumerate(chain(*names))}


def _used(body: Backward, names: frozenset[str]) -> frozenset[str]:
    """Return the outputs whose gradients some gradients are made of."""
    texts = dict(line.split(" = ", 1) for line in body.lines)
    waiting, seen = [body.results[name] for name in names], set[str]()
    while waiting:
        words = set(re.findall(r"\w+", waiting.pop())) - seen
        seen |= words
        waiting += [texts[word] for word in words if word in texts]
    return frozenset(word[2:] for word in seen if word.startswith("g_"))


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: _Plan, spike_grad: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.plan, ctx.spike_grad = plan, spike_grad
        new = plan.forward(tensors)
        outs, stored = new[: len(plan.outs)], new[len(plan.outs) :]
        # What only a second derivative reads may be overwritten, if it needs no gradient.
        ctx.apart = {}
        saved: list[Tensor | None] = []
        for name, tensor in zip(plan.names, tensors, strict=True):
            if name in plan.asked or name in plan.spec.dynamics.parameters:
                saved.append(tensor)
            elif name in plan.reads:
                saved.append(tensor if name == INPUT else tensor.clone())
            else:
                saved.append(None)
                ctx.apart[name] = tensor, _version(tensor)
        ctx.save_for_backward(*saved, *stored)
        if plan.constant:
            named = zip(plan.outs, outs, strict=True)
            ctx.mark_non_differentiable(*(out for name, out in named if name in plan.constant))
        return tuple(outs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        plan: _Plan = ctx.plan
        saved = ctx.saved_tensors  # once: a checkpoint gives them no second time
        tensors, stored = saved[: len(plan.names)], saved[len(plan.names) :]
        given = [grad for grad in grads if grad is not None]
        known = all(is_plain(grad) and not is_batched(grad) for grad in given)
        if torch.is_grad_enabled() or is_traced() or not known:
            return None, None, *_differentiated(ctx, tensors, grads)
        slope = () if plan.spec.slope is None else ctx.spike_grad.parameters
        return None, None, *plan.backward(tensors, stored, grads, slope)


def _differentiated(
    ctx: Any, tensors: Sequence[Tensor | None], grads: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """Return the gradients by PyTorch's operations, which can be differentiated again."""
    plan: _Plan = ctx.plan
    again, of = torch.is_grad_enabled(), plan.spec.dynamics
    with torch.enable_grad():
        inputs = {}
        for name, tensor in zip(plan.names, tensors, strict=True):
            if tensor is None:
                tensor, version = ctx.apart[name]
                if version != _version(tensor):
                    raise RuntimeError(
                        f"a second derivative needs {'the input' if name == INPUT else name} of "
                        "a step as it was, but it was modified in place; pass the step a clone"
                    )
            # A view for each: they may be the same tensor.
            inputs[name] = tensor.view_as(tensor) if name in plan.asked else tensor
        spikes, *states = of.step(*inputs.values(), spike=ctx.spike_grad, fired=_fired)
        outs = spikes.to(plan.dtype), *states[of.recurrent :]
        pairs = [
            (out, grad)
            for out, grad in zip(outs, grads, strict=True)
            if grad is not None and out.requires_grad
        ]
        wanted = [name for name in plan.names if name in plan.asked]
        found = torch.autograd.grad(
            [out for out, _ in pairs],
            [inputs[name] for name in wanted],
            [grad for _, grad in pairs],
            create_graph=again,
            allow_unused=True,
        )
    named = dict(zip(wanted, found, strict=True))
    return [named.get(name) for name in plan.names]


def _fired(overdrive: Tensor) -> Tensor:
    return heaviside_step(overdrive.detach())


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


_plans: dict[tuple[Any, ...], _Plan | None] = {}


def _planned(dynamics: Dynamics, tensors: Sequence[Tensor], spike_grad: Any) -> _Plan | None:
    """Return how a neuron's steps are taken in kernels, or None if they cannot be."""
    x, count = tensors[0], 1 + len(dynamics.states)
    states, parameters = tuple(tensors[1:count]), tuple(tensors[count:])
    problem = Problem(
        x=x,
        static=True,
        num_steps=1,
        states=states,
        step=lambda x, states: (x, states),
        only_spikes=True,
        dynamics=dynamics,
        parameters=parameters,
        spike_grad=spike_grad,
        inhibition=False,
        state_quant=None,
        recurrent=None,
        weights=(),
    )
    if len(dynamics.inputs) > 1 or any(state.shape != x.shape for state in states):
        return None
    if cuda.refuses(problem, quiet=True) is not None:
        return None
    spec = fused.spec_of(problem, TRITON)
    if spec.slope == GIVEN:
        return None
    needs = [torch.is_grad_enabled() and tensor.requires_grad for tensor in tensors]
    return _Plan(spec, tensors, needs)
