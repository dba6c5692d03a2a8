"""The door for many time steps: take a network apart, and run each layer over the whole sequence.

One function, :func:`_plan`, decides for each layer what happens to it: hoist, fold, scan, whole or
step; :func:`unroll` does it and :func:`explain` prints it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, cast
from warnings import warn

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules import module as torch_module
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils import parametrize

from .. import utils
from .._checks import check_integer, check_net
from .._layers.graded_spikes import GradedSpikes
from .._layers.scale import Scale
from .._neurons.neurons import SpikingNeuron
from .._neurons.sequence import WholeSequence
from .._neurons.states import Stateful
from .._table import table
from .._torch import HOOKS, class_of, is_compiling, is_traced, touched
from ..surrogate import SpikeGrad, StochasticSpikeOperator
from . import backends, memory
from .pooling import max_pool, pays
from .problem import Problem, problem

# Layers that may see all time steps at once ---------------------------------------------------


@dataclass(frozen=True)
class _Fold:
    """How a layer without states takes ``T * B`` rows at once."""

    alone: int | None
    """Dimensions of a sample without batch, for which time may stand in; -1 if the layer always
    has a batch, None if it takes anything in front."""
    unless: Callable[[Any], str | None] = lambda layer: None
    """Why this layer, as it is set up, has to be run step by step."""
    random: bool = False
    """Whether the layer draws random numbers in training: never hoisted, each row draws its own."""


def _batch_statistics(norm: nn.BatchNorm2d) -> str | None:
    own = norm.training or norm.running_mean is None
    return "normalises each step by its own statistics" if own else None


def _indices(pool: nn.MaxPool2d) -> str | None:
    return "returns indices too" if pool.return_indices else None


def _batch_dimension(layer: nn.Flatten | nn.Unflatten) -> str | None:
    first = layer.start_dim if isinstance(layer, nn.Flatten) else layer.dim
    kept = isinstance(first, int) and first >= 1
    return None if kept else "may change the batch dimension"


def _each(names: str, fold: _Fold) -> dict[type[nn.Module], _Fold]:
    return {getattr(nn, name): fold for name in names.split()}


_FOLDS = {
    **_each("Identity ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Sigmoid", _Fold(None)),
    **_each("LogSigmoid Softplus Softsign Softshrink Tanh Tanhshrink", _Fold(None)),
    **_each("Hardshrink Hardtanh Hardsigmoid Hardswish Threshold LayerNorm ZeroPad2d", _Fold(None)),
    **_each("Linear", _Fold(1)),
    **_each("Conv1d ConvTranspose1d AvgPool1d AdaptiveAvgPool1d", _Fold(2)),
    **_each("Conv2d ConvTranspose2d AvgPool2d AdaptiveAvgPool2d", _Fold(3)),
    **_each("Conv3d ConvTranspose3d AvgPool3d AdaptiveAvgPool3d", _Fold(4)),
    **_each("MaxPool1d AdaptiveMaxPool1d", _Fold(2, _indices)),
    **_each("MaxPool2d AdaptiveMaxPool2d", _Fold(3, _indices)),
    **_each("MaxPool3d AdaptiveMaxPool3d", _Fold(4, _indices)),
    **_each("PReLU GroupNorm Upsample", _Fold(-1)),
    **_each("Flatten Unflatten", _Fold(-1, _batch_dimension)),
    **_each("BatchNorm1d BatchNorm2d BatchNorm3d", _Fold(-1, _batch_statistics)),
    **_each("Dropout Dropout1d Dropout2d Dropout3d", _Fold(-1, random=True)),
    **_each("AlphaDropout FeatureAlphaDropout", _Fold(-1, random=True)),
    GradedSpikes: _Fold(None),
    Scale: _Fold(None),
}

# Layers that compute nothing.
_VIEWS = (nn.Identity, nn.Flatten, nn.Unflatten)

# The plan -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """What :func:`unroll` does with one layer."""

    path: str
    """Where the layer stands in the network, such as ``"2"`` or ``"block.1"``; ``""`` is all."""
    module: nn.Module
    how: str
    """``"hoist"``, ``"fold"``, ``"scan"``, ``"whole"``, ``"step"``, or ``"loop"`` for the whole
    network."""
    reason: str | None = None
    """Why not faster."""
    backend: str | None = None
    """The backend that runs a scan, once it is known."""
    ordered: bool = False
    """Whether it matters when the layer's steps are run between those of others."""

    @property
    def name(self) -> str:
        """The layer's class."""
        return class_of(self.module).__name__

    def __str__(self) -> str:
        return f"{self.path} ({self.name})" if self.path else self.name


class Plan(tuple[Stage, ...]):
    """What :func:`unroll` does with a network: one :class:`Stage` for each layer; a table when
    printed."""

    def __str__(self) -> str:
        rows = [("layer", "class", "how", "backend", "why not faster")]
        rows += [(s.path, s.name, s.how, s.backend or "", s.reason or "") for s in self]
        return table(rows)

    __repr__ = __str__


def _varies(layer: nn.Module) -> bool:
    """Tell whether a parametrization may give something else at each step."""
    if not layer.training or not parametrize.is_parametrized(layer):
        return False
    parts = layer.get_submodule("parametrizations").modules()
    rules = (part for part in parts if type(part) is not parametrize.ParametrizationList)
    return any(rule._buffers or isinstance(rule, _DropoutNd) for rule in rules)


def _draws(spike_grad: Any) -> bool:
    """Tell whether a surrogate is random; what else is given as one is taken to be a function."""
    return isinstance(spike_grad, SpikeGrad) and spike_grad.function is StochasticSpikeOperator


def _stage(path: str, layer: nn.Module, static: bool) -> Stage:
    """Decide what happens to one layer, whose input is the same at each step if ``static``."""
    fold = _FOLDS.get(class_of(layer))
    if isinstance(layer, WholeSequence):
        return Stage(path, layer, "whole")
    if added := next(filter(None, map(touched, layer.modules())), None):
        return Stage(path, layer, "step", added, ordered=True)
    if _varies(layer):
        return Stage(path, layer, "step", "its parametrization changes over time", ordered=True)
    if isinstance(layer, SpikingNeuron) and layer._overridden:
        changed = ", ".join(sorted(layer._overridden))
        return Stage(path, layer, "step", f"overrides {changed}", ordered=True)
    if isinstance(layer, SpikingNeuron):
        return Stage(path, layer, "scan", ordered=not is_compiling() and _draws(layer.spike_grad))
    if fold is None:
        return Stage(path, layer, "step", "not known to be stateless", ordered=True)
    if reason := fold.unless(layer):
        return Stage(path, layer, "step", reason)
    if static and fold.random and layer.training:
        return Stage(path, layer, "fold", "draws anew at each step")
    return Stage(path, layer, "hoist" if static else "fold")


def _layers(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Take sequential containers apart."""
    if type(module) is not nn.Sequential or touched(module):
        yield path, module
        return
    for name, child in module._modules.items():  # named_children() leaves out repetitions
        yield from _layers(child, f"{path}.{name}" if path else name)


def _plan(net: nn.Module, static: bool) -> Plan:
    """Decide what happens to each layer of a network."""
    stages: list[Stage] = []
    for path, layer in _layers(net):
        stages.append(_stage(path, layer, static))
        static = static and stages[-1].how == "hoist"
    for stage, following in pairwise(stages):
        takes_any = following.how == "step" and class_of(following.module) not in _FOLDS
        if stage.how in ("scan", "whole") and not _only_spikes(stage.module) and not takes_any:
            hidden = "" if stage.how == "whole" else "init_hidden=True and "
            raise TypeError(
                f"layer {stage} would pass spikes and states on to layer {following}; build it "
                f"with {hidden}output=False"
            )
    if reason := _inseparable(stages):
        stages = [Stage("", net, "loop", reason)]
    elif len(stages) == 1 and stages[0].module is net and stages[0].how == "step":
        stages = [replace(stages[0], how="loop")]
    for stage in stages:
        for part in stage.module.modules():
            if stage.how in ("step", "loop") and isinstance(part, WholeSequence):
                raise TypeError(
                    f"{class_of(part).__name__} takes a whole sequence at each call, but "
                    f"{stage.name} has to be run step by step: {stage.reason}"
                )
    return Plan(stages)


def _only_spikes(layer: Any) -> bool:
    return (layer.init_hidden or isinstance(layer, WholeSequence)) and not layer.output


def _inseparable(stages: list[Stage]) -> str | None:
    """Tell why layers cannot be run one after the other, each over the whole time."""
    if any(getattr(torch_module, f"_global_{hooks}") for hooks in HOOKS):
        return "there are hooks on all modules"
    ordered = [stage for stage in stages if stage.ordered]
    # With a layer that takes whole sequences no loop could keep the order.
    if len(ordered) > 1 and not any(stage.how == "whole" for stage in stages):
        order = "may draw random numbers or have side effects, whose order in time is kept"
        return f"{ordered[0]} and {ordered[1]} {order}"
    apart = [stage for stage in stages if stage.how in ("scan", "whole", "step")]
    uses = Counter(part for stage in apart for part in stage.module.modules())
    twice = (stage for stage in apart if any(uses[part] > 1 for part in stage.module.modules()))
    return f"{stage} is shared with another layer" if (stage := next(twice, None)) else None


# Running it -----------------------------------------------------------------------------------


# Layers that run one after the other over many steps take them in pieces of so many bytes: what
# lies between them stays in the cache, and without a graph needs little memory.
PIECE = 2 << 20


class _Split(torch.autograd.Function):
    """Cut in time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pieces: int) -> tuple[Tensor, ...]:
        return x.tensor_split(pieces)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return _Join.apply(*grads), None


class _Join(torch.autograd.Function):
    """Put together in time."""

    @staticmethod
    def forward(ctx: Any, *pieces: Tensor) -> Tensor:
        ctx.count = len(pieces)
        shape = [sum(map(len, pieces)), *pieces[0].shape[1:]]
        return torch.cat(pieces, out=memory.empty_alike(shape, pieces[0]))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        return _Split.apply(grad, ctx.count)


def _pieces(layers: Sequence[nn.Module], x: Tensor) -> int:
    """Return into how many pieces a sequence is to be cut for some layers."""
    if sum(not isinstance(layer, _VIEWS) for layer in layers) < 2 or is_traced():
        return 1
    size = most = float(x.numel() * x.element_size())
    for layer in layers:
        for kind in ("features", "channels"):
            if hasattr(layer, f"in_{kind}"):
                size *= getattr(layer, f"out_{kind}") / getattr(layer, f"in_{kind}")
        most = max(most, size)
    return min(len(x), math.ceil(most / PIECE))


def _fold(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    """Run layers without states, one after the other, over all time steps."""
    count = _pieces(layers, x)
    if count == 1:
        return _in_turn(layers, x)
    if torch.is_grad_enabled():
        return _Join.apply(*(_in_turn(layers, part) for part in _Split.apply(x, count)))
    out, begin = torch.empty(0), 0
    for part in x.tensor_split(count):
        piece = _in_turn(layers, part)
        if not begin:
            out = memory.empty_alike([len(x), *piece.shape[1:]], piece)
        out[begin : begin + len(piece)] = piece
        begin += len(piece)
    return out


def _in_turn(layers: Sequence[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = _over_rows(layer, x)
    return x


def _over_rows(layer: nn.Module, x: Tensor) -> Any:
    """Run a layer without states once over all time steps."""
    alone = _FOLDS[class_of(layer)].alone
    if alone is None or x.dim() - 1 == alone:
        return _once(layer, x)
    return _once(layer, x.flatten(0, 1)).unflatten(0, x.shape[:2])


def _once(layer: Any, x: Tensor) -> Any:
    """Call a layer without states, and leave its input as it is."""
    x = x.clone() if getattr(layer, "inplace", False) else x
    return max_pool(layer, x) if pays(layer, x) else layer(x)


def _pose(neuron: SpikingNeuron, x: Tensor, num_steps: int, static: bool) -> Problem:
    """State a neuron's problem, which starts from its newest states."""
    x = neuron._as_current(x)
    shape = neuron._state_shape(x if static else x[0])
    neuron._check_parameters(shape)
    states = tuple(neuron._fitting(name, None, x, shape) for name in neuron.states)
    return problem(neuron, x, num_steps, static, states)


def _in_time(x: Any, num_steps: int, static: bool) -> Iterable[Any]:
    """Return what comes in at each step."""
    if static:
        return (x for _ in range(num_steps))
    if isinstance(x, tuple):
        return zip(*(_in_time(each, num_steps, False) for each in x), strict=True)
    if isinstance(x, Tensor) and x.requires_grad:
        # The gradient of x[t] would be as large as x, at each step. A layer may overwrite a copy.
        return (step.clone() for step in x.unbind())
    return (x[t] for t in range(num_steps))


def _repeated(x: Tensor, num_steps: int) -> Tensor:
    return x.expand(num_steps, *x.shape).clone()


def _groups(plan: Plan) -> list[list[Stage]]:
    """Take the layers one by one, and together those that are folded one after the other."""
    groups: list[list[Stage]] = []
    for stage in plan:
        if groups and stage.how == groups[-1][0].how == "fold":
            groups[-1].append(stage)
        else:
            groups.append([stage])
    return groups


def _run(group: list[Stage], x: Any, num_steps: int, static: bool, backend: str | None) -> Any:
    """Run a layer, or several that are folded, over all time steps.

    :param x: a tensor ``[T, ...]``, or a tuple of such, or a list over time; that of one step if
        static
    """
    how, layer = group[0].how, cast(Any, group[0].module)
    if how == "fold" and isinstance(x, Tensor):
        layers = [stage.module for stage in group]
        return _fold(layers, x.expand(num_steps, *x.shape) if static else x)
    if len(group) > 1:
        for stage in group:
            x = _run([stage], x, num_steps, False, backend)
        return x
    if how == "scan" and isinstance(x, Tensor):
        solution = backends.solve(_pose(layer, x, num_steps, static), backend)
        layer._remember(solution.states)
        traces = solution.traces
        return solution.spikes if traces is None else layer._packed(solution.spikes, traces)
    if how == "whole":
        x = x.expand(num_steps, *x.shape) if static else x
        kept = [state for name in layer.states if (state := layer._newest(name)) is not None]
        # torch.compile cannot set a context variable.
        chosen = backend and not is_compiling()
        with backends.use_backend(backend) if chosen else nullcontext():
            return layer(x, *kept)
    if how == "hoist":
        return _once(layer, x)
    out = [layer(step) for step in _in_time(x, num_steps, static)]
    alike = all(isinstance(each, Tensor) and each.shape == out[0].shape for each in out)
    return torch.stack(out) if alike else out


def _stacked(steps: list[Any]) -> Any:
    """Stack what the steps returned: the structure of one step, with tensors over time."""
    first, alike = steps[0], all(type(step) is type(steps[0]) for step in steps)
    if all(isinstance(step, Tensor) for step in steps):
        return torch.stack(steps)
    if alike and isinstance(first, dict) and all(step.keys() == first.keys() for step in steps):
        out = copy(first)  # of its own class
        out.update({key: _stacked([step[key] for step in steps]) for key in first})
        return out
    if alike and isinstance(first, tuple | list) and len({len(step) for step in steps}) == 1:
        columns = [_stacked(list(column)) for column in zip(*steps, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)
    return steps


def _check(net: nn.Module, x: Tensor, num_steps: int | None, backend: str | None) -> int:
    """Return the number of time steps, or raise."""
    check_net(net)
    if not isinstance(x, Tensor):
        raise TypeError(f"x is a {type(x).__name__}; a tensor [T, B, ...] is needed")
    if x.is_nested:
        raise TypeError(
            "x is a nested tensor; pad its sequences to one length, for example by "
            "torch.nested.to_padded_tensor, with time first"
        )
    backends.check(backend)
    if num_steps is None:
        num_steps = x.shape[0] if x.dim() else 0
        given = f"x of shape {tuple(x.shape)} holds no time step"
    else:
        num_steps = check_integer("num_steps", num_steps)
        given = f"num_steps={num_steps}"
        if x.dim() > 2 and x.shape[0] == num_steps:
            warn(
                f"num_steps={num_steps} is also the first dimension of x, {tuple(x.shape)}: with "
                "num_steps, x is one batch shown at every step; leave num_steps out if x has time",
                stacklevel=3,
            )
    if num_steps < 1:
        raise ValueError(f"{given}; at least one time step is needed")
    return num_steps


def _states_of(net: nn.Module) -> list[tuple[Stateful, dict[str, Any]]]:
    return [(each, dict(each._kept())) for each in utils._stateful(net)]


def _restore(kept: list[tuple[Stateful, dict[str, Any]]]) -> None:
    for neuron, states in kept:
        neuron._kept().update(states)


def unroll(
    net: nn.Module,
    x: Tensor,
    num_steps: int | None = None,
    *,
    reset: bool = True,
    backend: str | None = None,
) -> Any:
    r"""Run a network over many time steps at once.

    It gives what a loop gives that calls the network at each step,

    .. math:: Y[t] = \mathrm{net}(X[t]), \qquad 0 \le t < T ,

    stacked over time, with the same gradients and the same final states, only faster.

    :param net: a neuron, an ``nn.Sequential``, nested or not, or any other module, which is then
        called step by step
    :param x: input ``[T, B, ...]``, time first; with ``num_steps``, one batch ``[B, ...]`` that is
        shown at every step
    :param num_steps: number of time steps :math:`T` of an input that does not change; default
        None, the input has a time dimension
    :param reset: start from reset neurons; False to go on from the states of the last call, or
        from those set by hand, with their gradient
    :param backend: what runs the neurons; default None, the fastest that can
    :returns: what one step returns, in the same structure, with tensors stacked to ``[T, B, ...]``
        and anything else as a list over time
    :raises TypeError: ``x`` is no tensor, ``num_steps`` no integer, or a neuron amid other layers
        would pass on its states (it needs ``init_hidden=True``)
    :raises ValueError: no time step, an unknown backend, or a chosen one that cannot run a neuron

    If anything is raised, all neurons keep the states that they had. Layers that work in place
    leave ``x`` as it is where they run over all steps at once. A ``spike_grad``, a ``state_quant``
    and a parametrization are taken to be functions, which draw no random numbers.
    """
    steps = _check(net, x, num_steps, backend)
    return through_time(net, x, steps, static=num_steps is not None, reset=reset, backend=backend)


def through_time(
    net: nn.Module,
    x: Tensor,
    num_steps: int,
    *,
    static: bool,
    reset: bool = True,
    backend: str | None = None,
) -> Any:
    """:func:`unroll` for a caller that has checked the arguments and knows what has time."""
    plan, kept, out = _plan(net, static), _states_of(net), x
    try:
        if reset:
            utils.reset(net)
        for group in _groups(plan):
            how = group[0].how
            if static and how == "step" and out is not x:
                # The layer may overwrite what a loop computes anew for it at each step.
                out, static = _repeated(out, num_steps), False
            out = _run(group, out, num_steps, static, backend)
            static = static and how == "hoist"
        if static:
            return _repeated(out, num_steps)
        return _stacked(out) if isinstance(out, list) else out
    except BaseException:
        _restore(kept)
        raise


def explain(
    net: nn.Module, x: Tensor, num_steps: int | None = None, *, backend: str | None = None
) -> Plan:
    """Tell what :func:`unroll` does with each layer of a network, and why it is not faster.

    ``print(snn.explain(net, x))`` shows a table. To learn the shapes, it runs one step of the
    layers before the last neuron; states, buffers and random numbers are as before, but hooks
    see that step.

    :param net: as for :func:`unroll`
    :param x: likewise
    :param num_steps: likewise
    :param backend: likewise
    :returns: one :class:`Stage` for each layer
    :raises TypeError: as :func:`unroll`
    :raises ValueError: as :func:`unroll`
    """
    num_steps, static = _check(net, x, num_steps, backend), num_steps is not None
    plan, kept, step = _plan(net, static), _states_of(net), x if static else x[0]
    last = max((i for i, stage in enumerate(plan) if stage.how == "scan"), default=-1)
    stages = list(plan)
    try:
        utils.reset(net)
        with torch.no_grad(), torch.random.fork_rng([x.device] if x.is_cuda else []):
            for i, stage in enumerate(plan[: last + 1]):
                if stage.how == "scan":
                    over_time = step if static else step.expand(num_steps, *step.shape)
                    layer: Any = stage.module
                    posed = _pose(layer, over_time, num_steps, static)
                    name, reason = backends.choose(posed, backend)
                    stages[i] = replace(stage, backend=name, reason=reason)
                if i < last:
                    step = _without_traces(stage.module, step)
                static = static and stage.how == "hoist"
    finally:
        _restore(kept)
    return Plan(stages)


def _without_traces(layer: nn.Module, x: Any) -> Any:
    """Run one step of a layer, and leave its buffers and the input as they are."""
    if isinstance(layer, WholeSequence):
        return layer(x[None])[0]
    x = x.clone() if isinstance(x, Tensor) else x
    if any(isinstance(part, torch.jit.ScriptModule) for part in layer.modules()):
        return deepcopy(layer)(x)  # its buffers cannot be replaced
    buffers = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    return functional_call(layer, buffers, (x,))


class Unroll(nn.Module):
    """:func:`unroll` as a module: a network that runs over many time steps at each call.

    What is to see whole sequences, such as ``DistributedDataParallel`` or ``torch.compile``, is
    put around it.

    :param net: as for :func:`unroll`, and so are the others
    :param num_steps: number of time steps of an input that does not change
    :param reset: start every call from reset neurons
    :param backend: what runs the neurons
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
