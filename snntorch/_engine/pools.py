"""Compiled pooling of images on the CPU, over windows that do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from . import cpu, memory

Window = tuple[int, int]  # height and width

_TEMPLATE = """import numpy as np
from numba import njit


@njit(cache={cache}, nogil=True, error_model="numpy")
def forward(x, out, places, begin, end, height, width):
    rows, columns = height // {h}, width // {w}
    for plane in range(begin, end):
        for i in range(rows):
            at = (plane * height + i * {h}) * width
            to_at = (plane * rows + i) * columns
            to = out[to_at : to_at + columns]
            place = places[to_at : to_at + columns]
            {rows_of_x}
            {forward}


@njit(cache={cache}, nogil=True, error_model="numpy")
def backward(grad, places, out, begin, end, height, width):
    rows, columns = height // {h}, width // {w}
    for plane in range(begin, end):
        out[plane * height * width : (plane + 1) * height * width] = 0
        for i in range(rows):
            at = (plane * height + i * {h}) * width
            from_at = (plane * rows + i) * columns
            given = grad[from_at : from_at + columns]
            place = places[from_at : from_at + columns]
            to = out[at : at + {h} * width]
            for j in range(columns):
                {backward}
"""


def _source(largest: bool, window: Window, cache: bool) -> str:
    """Return the text of the kernels for maxima, or for means."""
    h, w = window
    values = [f"row{k}[{w} * j + {m}]" for k in range(h) for m in range(w)]
    if largest:
        # Where one comparison decides, no branch is needed, which would be taken at random. It is
        # wrong for a NaN, which counts as the largest: then the row is done again.
        nan = " | ".join(f"({value} != {value})" for value in values)
        forward = ["odd = False", *_maxima(values, "value > best"), f"    odd |= {nan}"]
        again = _maxima(values, "(value > best) | (value != value)")
        forward += ["if odd:", *(f"    {line}" for line in again)]
        backward = ["p = np.intp(place[j])", f"to[p // {w} * width + p % {w} + {w} * j] = given[j]"]
    else:
        forward = ["for j in range(columns):", "    total = x.dtype.type(0)"]
        forward += [f"    total += {value}" for value in values]
        forward += [f"    to[j] = total / x.dtype.type({h * w})"]
        backward = [f"share = given[j] / grad.dtype.type({h * w})"]
        backward += [f"to[{k} * width + {w} * j + {m}] = share" for k in range(h) for m in range(w)]
    rows = [f"row{k} = x[at + {k} * width : at + {k + 1} * width]" for k in range(h)]
    return _TEMPLATE.format(
        cache=cache,
        h=h,
        w=w,
        rows_of_x=f"\n{' ' * 12}".join(rows),
        forward=f"\n{' ' * 12}".join(forward),
        backward=f"\n{' ' * 16}".join(backward),
    )


def _maxima(values: Sequence[str], better: str) -> list[str]:
    """Return the loop over a row that finds the largest of some values, and which one it is."""
    lines = [f"best, at_best = {values[0]}, 0"]
    for number, value in enumerate(values[1:], 1):
        lines += [
            f"value = {value}",
            f"better = {better}",
            "best = value if better else best",
            f"at_best = {number} if better else at_best",
        ]
    lines += ["to[j] = best", "place[j] = at_best"]
    return ["for j in range(columns):", *(f"    {line}" for line in lines)]


@cache
def _kernels(largest: bool, window: Window) -> dict[str, Any]:
    return cpu.compiled("pool", lambda cache: _source(largest, window, cache))


def _run(kernel: Any, arrays: Sequence[Tensor], planes: int, height: int, width: int) -> None:
    flat = [tensor.reshape(-1).numpy() for tensor in arrays]
    parts = max(1, min(cpu.PARTS, planes, planes * height * width // cpu.TASK))
    edges = [planes * i // parts for i in range(parts + 1)]
    calls = [(*flat, edges[i], edges[i + 1], height, width) for i in range(parts)]
    cpu.run_all(kernel, calls)


def pool(largest: bool, window: Window, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maxima or means ``[..., H // h, W // w]`` of images ``[..., H, W]``, and where the
    maxima are in their windows, counted row by row."""
    *lead, height, width = x.shape
    out = memory.empty([*lead, height // window[0], width // window[1]], x)
    places = x.new_empty(out.shape if largest else [0], dtype=torch.uint8)
    kernel = _kernels(largest, window)["forward"]
    _run(kernel, (x, out, places), x.numel() // (height * width), height, width)
    return out, places


def spread(
    largest: bool, window: Window, grad: Tensor, places: Tensor, shape: Sequence[int]
) -> Tensor:
    """Return the gradient of images of some shape, from that of what :func:`pool` returned."""
    *_, height, width = shape
    out = memory.empty(shape, grad)
    kernel = _kernels(largest, window)["backward"]
    _run(kernel, (grad, places, out), out.numel() // (height * width), height, width)
    return out
