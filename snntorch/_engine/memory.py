"""Memory of large outputs, kept for the next: fresh pages cost more than the arithmetic."""

from __future__ import annotations

import ctypes
import os
import platform
import weakref
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from .._torch import element_size

# Below, the C library recycles by itself; above, it returns each block to the system.
LEAST = 1 << 20
# How much memory may wait for its next use: a sixteenth of the machine's.
LIMIT = 1 << 29
if hasattr(os, "sysconf"):
    LIMIT = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 16

_TRIM_THRESHOLD = -1  # M_TRIM_THRESHOLD of malloc.h

# Blocks that wait, by address, the longest first. Taking and giving are single operations on the
# dictionary: a block may come back from any thread at any time.
_idle: dict[int, Tensor] = {}
_used: set[int] = set()  # addresses of those that do not wait


def empty(shape: Sequence[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return an uninitialised tensor, on the CPU in memory that comes back when it is gone.

    :param like: gives the device, and the type if it is not given
    """
    dtype = like.dtype if dtype is None else dtype
    size = torch.Size(shape).numel() * element_size(dtype)
    if size < LEAST or like.device.type != "cpu":
        return like.new_empty(shape, dtype=dtype)
    block = _take(size)
    if block is None:
        block = torch.empty(size, dtype=torch.uint8, device="cpu")
    array = block.numpy()[:size]
    _used.add(block.data_ptr())
    # Build the final shape directly: autograd forbids in-place changes of a view that a custom
    # function returns.
    known = getattr(np, str(dtype).removeprefix("torch."), None)
    if known is not None:
        array = array.view(known).reshape(shape)
    # The tensor holds this array until the last view of it is gone.
    weakref.finalize(array, _give, block).atexit = False
    tensor = torch.from_numpy(array)
    return tensor.view(dtype).view(shape) if known is None else tensor


def empty_alike(shape: Sequence[int], like: Tensor) -> Tensor:
    """Return the same with its dimensions in the order in which those of ``like`` lie in memory."""
    order = sorted(range(like.dim()), key=like.stride().__getitem__, reverse=True)
    dense = empty([shape[d] for d in order], like)
    return dense.permute([order.index(d) for d in range(like.dim())])


def _take(size: int) -> Tensor | None:
    for address, block in reversed(list(_idle.items())):
        if size <= block.numel() <= size + size // 4 and _idle.pop(address, None) is not None:
            return block
    return None


@cache
def keep_pages() -> None:
    """Let the C library keep the memory of large results of PyTorch's functions.

    glibc gives a freed block back to the system if it is larger than any freed before, up to the
    size of this one, which is never touched and costs nothing; and the end of its heap, if more
    than a threshold of it is free.
    """
    np.empty((32 << 20) - (64 << 10), dtype=np.uint8)  # by NumPy, which no tracer of PyTorch sees
    if platform.libc_ver()[0] == "glibc" and "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        ctypes.CDLL(None).mallopt(_TRIM_THRESHOLD, min(LIMIT, 2**31 - 1))


def shares_numpy(tensor: Tensor) -> bool:
    """Tell whether NumPy may write into a tensor, of which PyTorch would not know."""
    storage = tensor.untyped_storage()
    return not (storage.resizable() or storage.data_ptr() in _used or tensor.is_shared())


def _give(block: Tensor) -> None:
    _used.discard(block.data_ptr())
    _idle[block.data_ptr()] = block
    waiting = list(_idle.items())
    idle = sum(block.numel() for _, block in waiting)
    for address, longest in waiting:
        if idle <= LIMIT:
            break
        _idle.pop(address, None)
        idle -= longest.numel()
