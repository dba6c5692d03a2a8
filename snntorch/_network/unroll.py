"""Run a network over many time steps, and explain how."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .._engine import backends, memory
from .._neurons.sequence import WholeSequence
from .._torch import is_compiling
from .graph import restore, states_of, undisturbed
from .plan import Plan, make_plan
from .rules import Stage
from .run import run
from .signal import Signal


def unroll(
    net: nn.Module,
    x: Tensor,
    num_steps: int | None = None,
    *,
    reset: bool = True,
    backend: str | None = None,
) -> Any:
    r"""Run a network over many time steps at once.

    It returns what a loop that calls the network at each step returns,

    .. math:: Y[t] = \mathrm{net}(X[t]), \qquad 0 \le t < T ,

    stacked over time, with the same gradients and the same final states, only faster.

    :param net: a neuron, an ``nn.Sequential``, nested or not, or any other module, which is then
        called step by step
    :param x: input ``[T, B, ...]``, time first; with ``num_steps``, one batch ``[B, ...]`` that is
        shown at every step
    :param num_steps: number of time steps :math:`T` of an input that does not change; default
        None, the input has a time dimension
    :param reset: whether to start from reset neurons; False to continue from the states of the last
        call, or from states set by hand, with their gradient; default True
    :param backend: backend that runs the neurons, ``"numba"``, ``"triton"``, ``"torch.compile"`` or
        ``"reference"``; default None, that of the device if it supports the neuron
    :returns: what one step returns, in the same structure, with tensors stacked to ``[T, B, ...]``
        and anything else as a list over time
    :raises TypeError: ``x`` is not a tensor, ``num_steps`` is not an integer, or a neuron before
        another layer would pass on its states (it needs ``init_hidden=True``)
    :raises ValueError: no time step, an unknown backend, or a chosen backend that does not support
        a neuron

    If an error is raised, all neurons keep their previous states. In-place layers that run over all
    steps at once leave ``x`` unchanged. A ``spike_grad``, a ``state_quant`` and a parametrization
    are assumed not to draw random numbers.
    """
    return through_time(net, Signal.of(x, num_steps), reset, backend)


def through_time(
    net: nn.Module, signal: Signal, reset: bool = True, backend: str | None = None
) -> Any:
    """:func:`unroll` for a caller that knows what has time."""
    kept = states_of(net)
    plan = make_plan(net, signal.static)
    backends.check(backend)
    if not is_compiling():
        memory.keep_pages()
    try:
        for neuron, _ in kept if reset else ():
            neuron.reset_hidden()
        return run(plan, signal, backend)
    except BaseException:
        restore(kept)
        raise


def explain(
    net: nn.Module, x: Tensor, num_steps: int | None = None, *, backend: str | None = None
) -> Plan:
    """Tell how :func:`unroll` runs each layer of a network, and why it is not faster.

    ``print(snn.explain(net, x))`` shows a table. To find the shapes, it runs one step of the layers
    before the last neuron. States, buffers and random numbers are restored, but hooks see that
    step.

    :param net: network, as for :func:`unroll`
    :param x: input ``[T, B, ...]``, or one batch ``[B, ...]`` with ``num_steps``
    :param num_steps: number of time steps :math:`T` of an input that does not change; default None
    :param backend: backend that runs the neurons; default None, the fastest one for each
    :returns: one :class:`~snntorch._network.plan.Stage` for each layer
    :raises TypeError: as :func:`unroll`
    :raises ValueError: as :func:`unroll`
    """
    if (compiled := getattr(net, "_snn_compiled", None)) is not None:
        return _explain_compiled(compiled, net, x, num_steps)
    signal = Signal.of(x, num_steps)
    kept = states_of(net)
    plan = make_plan(net, signal.static)
    backends.check(backend)
    step, static, steps = x if signal.static else x[0], signal.static, signal.num_steps
    last = max((i for i, stage in enumerate(plan) if stage.how == "scan"), default=-1)
    stages = list(plan)
    try:
        for neuron, _ in kept:
            neuron.reset_hidden()
        with torch.no_grad(), torch.random.fork_rng([x.device] if x.is_cuda else []):
            for i, stage in enumerate(plan[: last + 1]):
                if stage.how == "scan":
                    layer: Any = stage.module
                    over_time = step if static else step.expand(steps, *step.shape)
                    name, reason = backends.choose(
                        layer._snn_pose(over_time, steps, static), backend
                    )
                    stages[i] = replace(stage, backend=name, reason=reason)
                if i < last:
                    step = _without_traces(stage, step, steps)
                static = static and stage.how == "hoist"
    finally:
        restore(kept)
    return Plan(stages)


def _explain_compiled(compiled: Any, net: Any, x: Any, num_steps: int | None) -> Plan:
    if num_steps is not None:
        raise TypeError(
            f"num_steps={num_steps} with a compiled network, which loops over time itself; pass "
            "what it takes, several arguments as a tuple"
        )
    args = x if isinstance(x, tuple) else (x,)
    if not isinstance(net, nn.Module):
        return compiled.explain(net.__wrapped__, args)
    plain: Any = type(net)
    with undisturbed(net):
        return compiled.explain(plain._snn_plain.forward, (net, *args))


def _without_traces(stage: Stage, x: Any, num_steps: int) -> Any:
    """Run one step of a layer, and leave its buffers and the input unchanged."""
    layer = stage.module
    if isinstance(layer, WholeSequence):
        return layer(x[None])[0]
    whole = stage.how == "whole"  # such a layer may need all steps
    x = x.expand(num_steps, *x.shape) if whole else x
    x = x.clone() if isinstance(x, Tensor) else x
    if any(isinstance(part, torch.jit.ScriptModule) for part in layer.modules()):
        return deepcopy(layer)(x)  # its buffers cannot be replaced
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    out = functional_call(layer, buffers, (x,))
    return out[0] if whole else out


class Unroll(nn.Module):
    """:func:`unroll` as a module: a network that runs over many time steps at each call.

    Wrap it, not the network inside, with ``DistributedDataParallel`` or ``torch.compile``.

    :param net: network, as for :func:`unroll`
    :param num_steps: number of time steps of an input that does not change; default None, the input
        has a time dimension
    :param reset: whether to start every call from reset neurons; default True
    :param backend: backend that runs the neurons; default None, the fastest one for each
    :raises ValueError: an unknown backend
    """

    def __init__(
        self,
        net: nn.Module,
        num_steps: int | None = None,
        *,
        reset: bool = True,
        backend: str | None = None,
    ) -> None:
        super().__init__()
        self.net, self.num_steps = net, num_steps
        self.reset, self.backend = reset, backends.check(backend)

    def forward(self, x: Tensor) -> Any:
        """Run all time steps.

        :param x: input ``[T, B, ...]``, or ``[B, ...]`` with ``num_steps``
        :returns: what :func:`unroll` returns
        """
        return unroll(self.net, x, self.num_steps, reset=self.reset, backend=self.backend)

    def extra_repr(self) -> str:
        """Return the settings as ``print`` shows them."""
        return f"num_steps={self.num_steps}, reset={self.reset}, backend={self.backend!r}"
