"""Run unchanged code with a loop over time layer by layer: ``snn.compile`` and ``snn.lazy``."""

from __future__ import annotations

import functools
import gc
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar, overload

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.utils._device import DeviceContext

from .._engine import backends
from .._torch import (
    RECORDABLE,
    has_global_hooks,
    is_sharded,
    is_traced,
    recording,
    saved_tensor_hooks,
)
from .context import BASES
from .lazy import Lazy, in_use, settled, value_of
from .plan import Plan
from .record import Recorder, recorded

_log = logging.getLogger("snntorch")

Callee = TypeVar("Callee", bound=Callable[..., Any])


def _refused(args: Sequence[Any] = ()) -> str | None:
    """Return why nothing can be recorded here, or None."""
    if not RECORDABLE:
        return "recording needs PyTorch 2.4"
    if is_traced() or any([isinstance(each, Proxy) for each in args]):
        return "something else traces it"
    if any([isinstance(each, nn.Module) and _gathers(each) for each in args]):
        return "layers in it are sharded, and gather their parameters at each call"
    if recording() is not None:
        return "it is part of a recording"
    if saved_tensor_hooks(True) is not None:
        return "there are hooks on saved tensors"
    for place in range(torch._C._len_torch_function_stack()):
        if type(torch._C._get_function_stack_at(place)) is not DeviceContext:
            return "another mode sees each function"
    if has_global_hooks():
        return "there are hooks on all modules"
    if torch.is_anomaly_enabled():
        return "anomaly detection is on"
    return None


def _gathers(net: nn.Module) -> bool:
    """Tell whether layers of a network are sharded; the network itself has gathered its own."""
    if "torch.distributed.fsdp" not in sys.modules:  # as nearly always
        return False
    return any(is_sharded(part) for part in net.modules() if part is not net)


@dataclass
class _Tally:
    """What recording has brought for one kind of call."""

    losses: int = 0
    plain: str | None = None


@dataclass
class Compiled:
    """How a network or function is compiled, and what came of it."""

    name: str
    exact_random: bool
    backend: str | None
    tallies: dict[Any, _Tally] = field(default_factory=dict)

    def run(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a function, and work out what it does layer by layer."""
        key = _kind_of_call(args, kwargs)
        tally = self.tallies.get(key)
        if (tally is not None and tally.plain) or _refused(args):
            return function(*args, **kwargs)
        if tally is None:
            if len(self.tallies) > 256:
                self.tallies.clear()
            tally = self.tallies[key] = _Tally()
        out, recorder = self.record(function, args, kwargs)
        self.judge(tally, recorder)
        return out

    def record(
        self, function: Callable[..., Any], args: Any, kwargs: Any, explain: bool = False
    ) -> tuple[Any, Recorder]:
        """Call a function, and return what it returns and the finished recording."""
        networks = [each for each in args if isinstance(each, nn.Module)]
        out: list[Any] = []
        recorder = Recorder(self.exact_random, self.backend)
        recorder.networks = networks
        if explain:
            recorder.stages = []
        with _uncollected():
            try:
                with recorded(recorder):
                    out.append(function(*args, **kwargs))
            finally:
                modules = chain.from_iterable(net.modules() for net in networks)
                _leave(recorder, out, modules)
        return out[0], recorder

    def explain(self, function: Callable[..., Any], args: Any) -> Plan:
        """Call a function once, and tell how its operations were run."""
        if reason := _refused(args):
            raise RuntimeError(f"nothing can be recorded here: {reason}")
        _, recorder = self.record(function, args, {}, explain=True)
        plan = Plan(recorder.stages or ())
        plan.flushes = tuple(
            f"{count} times by {why}" + (f", {os.path.basename(line[0])}:{line[1]}" if line else "")
            for (why, line), count in recorder.flushes.items()
        )
        tally = self.tallies.get(_kind_of_call(args, {}))
        plan.plain = tally.plain if tally else None
        return plan

    def judge(self, tally: _Tally, recorder: Recorder) -> None:
        """Count whether recording was worth it; after two times that it was not, give up."""
        if recorder.loss is None:
            tally.losses = 0
            return
        tally.losses += 1
        if tally.losses > 1:
            tally.plain = recorder.loss
            _log.info("snn.compile: %s runs as it is from now on: %s", self.name, tally.plain)


_VALUES = frozenset((int, float, bool, str, type(None)))


def _kind_of_call(args: Any, kwargs: dict[str, Any]) -> Any:
    """Return what the profit of a recording depends on: shapes, mode and plain values."""
    kinds: list[Any] = [torch.is_grad_enabled()]
    for each in (*args, *kwargs.values()) if kwargs else args:
        cls = each.__class__
        if cls is Tensor:
            kinds.append(each.shape)
        elif cls in _VALUES:
            kinds.append(each)
        else:
            kinds.append(cls)
            kinds.append(getattr(each, "training", None))
    return tuple(kinds)


BASES.add(Compiled.record.__code__)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from going through a whole recording again and again."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _leave(recorder: Recorder, out: list[Any], modules: Iterable[nn.Module] = ()) -> None:
    """Replace lazy tensors by their values, in results and wherever the user's code put them, and
    forget the recording."""
    try:
        recorder.separate()
        for neuron in recorder.touched:
            kept = neuron._snn_kept()
            for name, state in kept.items():
                if state.__class__ is Lazy:
                    kept[name] = value_of(state) if state._node.values is not None else None
            state = None
        if recorder.pending:  # an operation failed, and there are no results
            return
        settled(out)
        recorder.before.clear()
        if any(map(in_use, recorder.alive)):
            for module in modules:
                _replace(module.__dict__)
                _replace(module._buffers)
    finally:
        recorder.forget()


def _replace(attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        if value.__class__ is Lazy or (isinstance(value, list | dict | tuple) and name[0] != "_"):
            attributes[name] = settled(value)


@overload
def compile(net: Callee, *, exact_random: bool = True, backend: str | None = None) -> Callee: ...


@overload
def compile(
    net: None = None, *, exact_random: bool = True, backend: str | None = None
) -> Callable[[Callee], Callee]: ...


def compile(net: Any = None, *, exact_random: bool = True, backend: str | None = None) -> Any:
    r"""Run an unchanged network, with its own loop over time, layer by layer.

    ``net = snn.compile(net)`` returns what computes the same,

    .. math:: \mathrm{compile}(\mathrm{net})(X) = \mathrm{net}(X),

    with the same gradients, final states, buffers and random numbers, only faster.

    :param net: network whose ``forward`` loops over time, or a function or method that does; left
        out, it returns a decorator
    :param exact_random: whether dropout draws random numbers in the order of the loop; False lets
        it draw those of all steps at once; default True
    :param backend: backend that runs the neurons, ``"numba"``, ``"triton"``, ``"torch.compile"`` or
        ``"reference"``; default None, that of the device if it supports the neuron
    :returns: for a network, an object that shares all its attributes, with the same class name,
        ``state_dict`` and methods; for a function, a function with the same arguments
    :raises TypeError: ``net`` cannot be called, or is a class
    :raises ValueError: an unknown backend

    A call that does not profit, such as one of a single time step, runs as it is from the third
    time on; before PyTorch 2.4 every call does.
    """
    backends.check(backend)
    if net is None:
        return functools.partial(compile, exact_random=exact_random, backend=backend)
    if isinstance(net, torch.jit.ScriptModule):
        raise TypeError(
            f"net is a {type(net).__name__}, which runs no Python; pass the network that it was "
            "made from"
        )
    if isinstance(net, nn.Module):
        return _compiled_module(net, exact_random, backend)
    if not callable(net) or isinstance(net, type):
        raise TypeError(
            f"snn.compile takes a network, a function or a method; {net!r} is none of them"
        )
    compiled = Compiled(getattr(net, "__qualname__", repr(net)), exact_random, backend)

    @functools.wraps(net)
    def run(*args: Any, **kwargs: Any) -> Any:
        return compiled.run(net, args, kwargs)

    run._snn_compiled = compiled  # type: ignore[attr-defined]
    return run


def _compiled_module(net: nn.Module, exact_random: bool, backend: str | None) -> nn.Module:
    """Return an object with the attributes of a network, all of them, and a compiled forward."""
    cls: Any = getattr(net, "_snn_plain", type(net))  # that of a compiled network
    compiled = Compiled(cls.__name__, exact_random, backend)

    @functools.wraps(cls.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        return compiled.run(cls.forward, (self, *args), kwargs)

    made = type(
        cls.__name__,
        (cls,),
        {
            "forward": forward,
            "_snn_compiled": compiled,
            "_snn_plain": cls,
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__doc__": cls.__doc__,
            "__reduce_ex__": _reduce,
            "__copy__": _copy,
            "__deepcopy__": _deepcopy,
        },
    )
    fast: nn.Module = object.__new__(made)
    fast.__dict__ = net.__dict__
    return fast


def _plain(fast: Any) -> nn.Module:
    """Return the network itself, with the attributes that it shares with its compiled form."""
    net: nn.Module = object.__new__(fast._snn_plain)
    net.__dict__ = fast.__dict__
    return net


def _reduce(fast: Any, protocol: Any) -> Any:
    compiled = fast._snn_compiled
    return _restored, (_plain(fast), compiled.exact_random, compiled.backend)


def _restored(net: nn.Module, exact_random: bool, backend: str | None) -> nn.Module:
    return compile(net, exact_random=exact_random, backend=backend)


def _copy(fast: Any) -> nn.Module:
    compiled = fast._snn_compiled
    return _compiled_module(copy(_plain(fast)), compiled.exact_random, compiled.backend)


def _deepcopy(fast: Any, memo: dict[int, Any]) -> nn.Module:
    compiled = fast._snn_compiled
    plain = deepcopy(_plain(fast), memo)
    replica = _compiled_module(plain, compiled.exact_random, compiled.backend)
    memo[id(fast)] = replica
    return replica


@contextmanager
def lazy(*, exact_random: bool = True, backend: str | None = None) -> Iterator[None]:
    """Run a loop over time layer by layer, in a ``with`` block around it.

    Inside the block tensors are lazy; at its end those that are still in use get their values.

    :param exact_random: as for :func:`compile`; default True
    :param backend: as for :func:`compile`; default None
    :raises ValueError: an unknown backend
    """
    backends.check(backend)
    if _refused():
        yield
        return
    recorder = Recorder(exact_random, backend)
    with _uncollected():
        try:
            with recorded(recorder):
                yield
        finally:
            _leave(recorder, [])
