"""What the neurons share that take a whole sequence at each call."""

from __future__ import annotations

from math import isqrt
from typing import Any, ClassVar

import torch
from torch import Tensor

from .._torch import is_written_out
from ..dynamics import leak
from .neurons import SpikingNeuron, State


class WholeSequence(SpikingNeuron):
    """Parent of the neurons without reset that run over all time steps in one call.

    Unlike a step-wise neuron, they start from zeros unless they are given a state. The last state
    is kept in ``mem``, from where ``unroll(..., reset=False)`` goes on.
    """

    states = ("mem",)
    _snn_resets = False

    _snn_least_dim: ClassVar[int] = 3  # of an input

    def _snn_as_sequence(self, input_: Tensor) -> Tensor:
        """Return the input as a floating point tensor with time."""
        x = self._snn_as_current(input_)
        if x.dim() < self._snn_least_dim or not (torch.jit.is_tracing() or len(x)):
            raise ValueError(
                f"{self._snn_name}: the input has the shape {tuple(x.shape)}; a call takes a whole "
                "sequence [T, B, features], not one time step"
            )
        return x

    def _snn_first(self, given: State, x: Tensor, shape: torch.Size) -> Tensor:
        """Return the state to start from."""
        self._snn_check_parameters(shape)
        return x.new_zeros(shape) if given is None else self._snn_fitting("mem", given, x, shape)


def linear_scan(decay: Tensor, x: Tensor, first: Tensor) -> Tensor:
    r"""Return the states of a linear recurrence at all time steps.

    .. math:: Y[t] = A[t]\, Y[t-1] + X[t], \qquad Y[-1] = Y_0

    It takes about :math:`2 \sqrt T` vectorized steps instead of :math:`T`, and work and memory in
    proportion to :math:`T`: the sequence is cut into chunks that advance side by side, each from
    zero, and then each is given what the one before left. Nothing is divided, so products of
    decays may vanish.

    :param decay: factors :math:`A` ``[T, ...]`` that broadcast to ``x``; ``[1, ...]`` if constant
    :param x: input ``[T, ...]``
    :param first: state :math:`Y_0` of the shape of ``x[0]``
    :returns: states of the shape of ``x``

    Source: G. E. Blelloch, "Prefix Sums and Their Applications", CMU-CS-90-190 (1990).
    """
    dtype = torch.promote_types(decay.dtype, torch.promote_types(x.dtype, first.dtype))
    decay = decay.expand(len(x), *decay.shape[1:]).to(dtype)
    if is_written_out():
        return _stepped(decay, x.to(dtype), first.to(dtype))
    return _LinearScan.apply(decay, x.to(dtype), first.to(dtype))


def _stepped(decay: Tensor, x: Tensor, first: Tensor) -> Tensor:
    trace = [first]
    for each, step in zip(decay.unbind(), x.unbind(), strict=True):
        trace.append(leak(step, trace[-1], each))
    return torch.stack(trace[1:])


def _scan(decay: Tensor, x: Tensor, first: Tensor) -> Tensor:
    steps = len(x)
    size = isqrt(steps - 1) + 1
    # Of each chunk, the states from zero and the products of decays since its start.
    y, products = x.clone(memory_format=torch.contiguous_format), decay.clone()
    for step in range(1, size):
        now, decays = y[step::size], decay[step::size]
        now.addcmul_(decays, y[step - 1 :: size][: len(now)])
        products[step::size] *= products[step - 1 :: size][: len(now)]
    left = first
    for begin in range(0, steps, size):
        chunk = y[begin : begin + size]
        chunk.addcmul_(products[begin : begin + size], left)
        left = chunk[-1]
    return y


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(decay: Tensor, x: Tensor, first: Tensor) -> Tensor:
        return _scan(decay, x, first)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], inputs[2], output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        decay, first, y = ctx.saved_tensors
        # The same recurrence, back in time: d_x[t] = grad[t] + decay[t + 1] * d_x[t + 1].
        later = torch.cat((torch.zeros_like(decay[:1]), decay[1:].flip(0)))
        d_x = linear_scan(later, grad.flip(0), torch.zeros_like(first)).flip(0)
        d_decay = None
        if ctx.needs_input_grad[0]:
            d_decay = (d_x * torch.cat((first[None], y[:-1]))).sum_to_size(decay.shape)
        return d_decay, d_x, decay[0] * d_x[0]
