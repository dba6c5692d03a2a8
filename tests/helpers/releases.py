"""What old releases of PyTorch lack."""

from importlib.metadata import version
from importlib.util import find_spec

import pytest
import torch
from torch.utils._pytree import tree_flatten

from snntorch._torch import RECORDABLE


def _release(package):
    return tuple(int(number) for number in version(package).split(".")[:2])


# What snn.compile runs layer by layer; before, it runs plainly.
needs_2_4 = pytest.mark.skipif(not RECORDABLE, reason="needs PyTorch 2.4")
needs_2_5 = pytest.mark.skipif(_release("torch") < (2, 5), reason="needs PyTorch 2.5")
needs_2_1 = pytest.mark.skipif(not hasattr(torch, "compiler"), reason="needs PyTorch 2.1")
# Interpreted, Triton 3.1 computes as it does on a GPU.
TRITON = bool(find_spec("triton")) and _release("triton") >= (3, 1)
needs_triton = pytest.mark.skipif(not TRITON, reason="needs Triton 3.1")


def _clamps_half():
    try:
        torch.zeros(1, dtype=torch.float16).clamp(0, 1)
    except RuntimeError:
        return False
    return True


CLAMPS_HALF = _clamps_half()
half = pytest.param(
    torch.float16,
    marks=pytest.mark.skipif(not CLAMPS_HALF, reason="PyTorch 2.0 cannot clamp float16 on the CPU"),
)


def gradients_of(loss, leaves):
    """Return gradients, zeros for those on which the loss does not depend."""
    leaves = list(leaves)
    grads = torch.autograd.grad(loss, leaves, allow_unused=True)
    return tuple(
        torch.zeros_like(leaf) if each is None else each
        for leaf, each in zip(leaves, grads, strict=True)
    )


def tree_leaves(tree):
    """Return the leaves of nested containers."""
    return tree_flatten(tree)[0]
