"""Networks for the IPUs of Graphcore, which poptorch trains.

poptorch records what a model's forward pass does, loss and all, and differentiates the record
itself. The backward pass of an autograd function is therefore ignored, values cannot be read, and
buffers cannot be assigned. While the form for IPUs is on,

- spikes and quantized states carry their gradient in ordinary arithmetic, with ``detach``;
- losses skip the checks that read values;
- compiled kernels are not used, and :func:`snntorch.unroll` writes out its time steps;
- neurons built without a ``spike_grad`` get :func:`~snntorch.surrogate.straight_through_estimator`.

It is on

- while poptorch records a model;
- after :func:`enable`, and inside :func:`enabled`;
- always, in the distribution ``snntorch-ipu``.

Values and gradients equal those of the ordinary form, up to the order of sums. The derivative of a
spike is zero where the membrane is infinite.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["enable", "enabled", "is_enabled"]

# The build of the distribution snntorch-ipu writes True here.
_on = False

_here: ContextVar[bool | None] = ContextVar("ipu", default=None)


def enable(on: bool = True) -> None:
    """Turn the form for IPUs on or off in the whole program.

    Call it before the network is made: the default surrogate is chosen then.

    :param on: True to turn it on, False to turn it off; default True
    """
    global _on
    _on = on


@contextmanager
def enabled(on: bool = True) -> Iterator[None]:
    """Turn the form for IPUs on or off inside a ``with`` block, in this thread.

    :param on: True to turn it on, False to turn it off; default True
    """
    token = _here.set(on)
    try:
        yield
    finally:
        _here.reset(token)


def is_enabled() -> bool:
    """Tell whether the form for IPUs is on.

    :returns: inside :func:`enabled`, the value that it set; otherwise True after :func:`enable`, in
        the distribution ``snntorch-ipu``, and while poptorch records a model
    """
    here = _here.get()
    if here is not None:
        return here
    # A program that poptorch runs has imported it: nothing is imported here.
    poptorch = sys.modules.get("poptorch")
    return _on or (poptorch is not None and poptorch.isRunningOnIpu())
