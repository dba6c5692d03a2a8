"""Neurons with gates: what the input gives to them is one product over all steps, and so are the
gradients of all weights. The steps themselves are PyTorch's, whose sigmoid and tanh are fast."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import memory
from .feedback import feedback
from .fused import ONCE
from .problem import Problem, Solution


def refuses(problem: Problem) -> str | None:
    """Return why a neuron with gates cannot be solved here, or None if it can."""
    if problem.reset != "none" and not problem.delay:
        return "its reset is part of the step that fires"
    return None


def solve(problem: Problem) -> Solution:
    """Run the sequence of a neuron with gates."""
    cell, x = problem.neuron, problem.x
    rows = x.shape[: cell._snn_dim]
    drive = cell._snn_drive(x.reshape(-1, *x.shape[cell._snn_dim :]))
    drive = drive.view(*rows, *drive.shape[1:])
    syn, mem, *last = _Gated.apply(
        problem, drive, *problem.states, problem.threshold, *problem.weights
    )
    over = mem.flatten(0, 1) if mem.dim() > 1 - cell._snn_dim else mem
    spikes = cell.fire(cell._snn_observed(over))
    spikes = spikes.view(*mem.shape[: cell._snn_dim], *spikes.shape[cell._snn_dim :])
    return Solution(spikes, None if problem.only_spikes else (syn, mem), tuple(last))


_sigmoid_adjoint, _tanh_adjoint = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward
# Of the input, forget, candidate and output gates.
_ADJOINTS = _sigmoid_adjoint, _sigmoid_adjoint, _tanh_adjoint, _sigmoid_adjoint


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        problem: Problem,
        drive: Tensor,
        syn: Tensor,
        mem: Tensor,
        threshold: Tensor,
        *weights: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        cell, time = problem.neuron, problem.num_steps
        syn, mem = first = (syn.contiguous(), mem.contiguous())
        product = feedback(problem.recurrent, weights, mem.shape)
        needed = any(ctx.needs_input_grad)
        shape = drive.shape if problem.static else drive.shape[1:]
        gates = memory.empty((time if needed else 1, *shape), drive)
        syns, mems = (memory.empty((time, *mem.shape), mem) for _ in range(2))
        for t in range(time):
            now = gates[t if needed else 0]
            product.forward(mem, now)
            now += drive if problem.static else drive[t]
            into, forget, candidate, out = cell._snn_split(now)
            for gate in (into, forget, out):
                gate.sigmoid_()
            new = cell._snn_model.update(into, forget, candidate.tanh_(), out, syn, mem)
            if problem.reset != "none":
                new = cell._snn_reset(new, (syn, mem), cell.mem_reset(mem), problem.reset)
            syns[t], mems[t] = new
            syn, mem = syns[t], mems[t]
        ctx.problem, ctx.count = problem.kept(), len(weights)
        ctx.save_for_backward(threshold, *weights, *first, gates, syns, mems)
        return syns, mems, syn.clone(), mem.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(ONCE)
        problem: Problem = ctx.problem
        cell = problem.neuron
        threshold, *tensors = ctx.saved_tensors
        weights, (syn, mem, gates, syns, mems) = tensors[: ctx.count], tensors[ctx.count :]
        product = feedback(problem.recurrent, weights, mem.shape)
        d_gates, d_threshold = memory.empty(gates.shape, gates), torch.zeros_like(threshold)
        g_syn, g_mem, *last = grads
        d_syn, d_mem = (torch.zeros_like(mem) if g is None else g for g in last)
        for t in reversed(range(problem.num_steps)):
            old_syn, old_mem = (syns[t - 1], mems[t - 1]) if t else (syn, mem)
            d_syn = d_syn if g_syn is None else d_syn + g_syn[t]
            d_mem = d_mem if g_mem is None else d_mem + g_mem[t]
            if problem.reset == "subtract":
                d_step = cell.mem_reset(old_mem) * d_mem
                d_threshold -= d_step.sum_to_size(threshold.shape)
            elif problem.reset == "zero":
                d_mem = d_mem - cell.mem_reset(old_mem) * d_mem
            into, forget, candidate, out = opened = cell._snn_split(gates[t])
            squashed = syns[t].tanh()
            d_syn = d_syn + _tanh_adjoint(d_mem * out, squashed)
            d_opened = candidate * d_syn, old_syn * d_syn, into * d_syn, d_mem * squashed
            d_syn = forget * d_syn
            places = zip(cell._snn_split(d_gates[t]), _ADJOINTS, d_opened, opened, strict=True)
            for place, adjoint, d_gate, gate in places:
                place.copy_(adjoint(d_gate, gate))
            d_mem = torch.empty_like(old_mem)
            product.backward(d_gates[t], d_mem)
        before = torch.cat((mem.unsqueeze(0), mems[:-1]))
        d_weights = product.d_weights(d_gates, before)[: len(weights)]
        d_drive = d_gates.sum(0) if problem.static else d_gates
        return None, d_drive, d_syn, d_mem, d_threshold, *d_weights
