"""Run layers over many steps in chunks along time that fit the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .._engine import memory

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


def in_pieces(run: Callable[[Tensor], Tensor], x: Tensor, count: int) -> Tensor:
    """Run a function of a sequence ``[T, ...]`` on a number of chunks of it."""
    if count == 1:
        return run(x)
    if torch.is_grad_enabled():
        return _Join.apply(*map(run, _Split.apply(x, count)))
    out, begin = torch.empty(0), 0
    for part in x.tensor_split(count):
        piece = run(part)
        if not begin:
            out = memory.empty_alike([len(x), *piece.shape[1:]], piece)
        out[begin : begin + len(piece)] = piece
        begin += len(piece)
    return out
