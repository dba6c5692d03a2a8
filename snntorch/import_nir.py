"""From NIR to PyTorch: a graph, or a file with one, becomes an ordinary module."""

from __future__ import annotations

import re
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from keyword import iskeyword
from os import PathLike
from typing import TYPE_CHECKING, Any
from warnings import warn

import numpy as np
import torch
from torch import Tensor, fx, nn

from . import _nir, surrogate
from ._layers.scale import Scale
from ._neurons.leaky import Leaky
from ._neurons.nir import NIRLeaky, NIRSynaptic, membrane
from ._neurons.recurrent import RecurrentLIF, same_padding
from ._neurons.rleaky import RLeaky
from ._neurons.rsynaptic import RSynaptic
from ._neurons.states import Stateful
from ._neurons.synaptic import Synaptic
from ._torch import is_compiling

if TYPE_CHECKING:
    import nir

Edges = list[tuple[str, str]]

# Layers that torch.nn lacks --------------------------------------------------------------------


class Delay(Stateful):
    r"""Delay by some steps, :math:`Y[t] = X[t - d]`, with zeros before the first.

    :param steps: :math:`d`, a tensor of non-negative integers that broadcasts to one sample
    """

    states = ("past",)

    steps: Tensor

    def __init__(self, steps: Tensor) -> None:
        super().__init__()
        self.register_buffer("steps", steps.long())
        self.length = int(steps.max())
        self._begin()

    def _initial_state(self, *sizes: int) -> Tensor:
        return torch.zeros(sizes, device=self.steps.device)

    def forward(self, x: Tensor) -> Tensor:
        """Return an earlier input, of the shape ``[B, ...]`` of ``x``."""
        past = self._newest("past")
        if past is None:
            past = x.new_zeros(self.length, *x.shape)
        past = torch.cat([x[None], past])
        self._remember((past[:-1],))
        return past.gather(0, self.steps.expand(1, *x.shape))[0]

    def extra_repr(self) -> str:
        """Return the number of steps as ``print(net)`` shows it."""
        return f"steps={self.steps.unique().tolist()}"


class Last(Stateful):
    """The value of another layer in the last step, where a cycle of a graph is cut.

    :param shape: the shape of one sample
    :param dims: the number of dimensions of one sample of the input
    """

    states = ("value",)

    def __init__(self, shape: tuple[int, ...], dims: int) -> None:
        super().__init__()
        self.shape, self.dims = shape, dims
        self._begin()

    def _initial_state(self, *sizes: int) -> Tensor:
        return torch.zeros(sizes)

    def forward(self, x: Tensor, value: Tensor | None = None) -> Tensor:
        """Return the value of the last step for the batch of ``x``, or keep that of this one."""
        if value is not None:
            self._remember((value,))
            return value
        last = self._newest("value")
        return x.new_zeros(*x.shape[: x.dim() - self.dims], *self.shape) if last is None else last

    def extra_repr(self) -> str:
        """Return the shape as ``print(net)`` shows it."""
        return f"shape={self.shape}"


# Networks ------------------------------------------------------------------------------------


# The value of a node in this step by its name, or in the last step by ("last", name).
Key = str | tuple[str, str]


class Network(nn.Module):
    """A graph of layers that runs one time step per call.

    :param layers: the layers by their path
    :param inputs: names of the inputs, in the order of the call
    :param steps: name and path of each layer, in the order in which they run, and the keys of the
        values whose sum it takes
    :param outputs: the keys of the values whose sum each output is
    :param last: for the path of each :class:`Last`, the name of the node whose value it keeps
    """

    def __init__(
        self,
        layers: dict[str, nn.Module],
        inputs: list[str],
        steps: list[tuple[str, str, list[Key]]],
        outputs: list[list[Key]],
        last: dict[str, str],
    ) -> None:
        super().__init__()
        for path, layer in layers.items():
            *stem, name = path.split(".")
            parent: nn.Module = self
            for part in stem:
                if part not in parent._modules:
                    parent.add_module(part, nn.Module())
                parent = parent.get_submodule(part)
            parent.add_module(name, layer)
        self._inputs, self._steps, self._outputs, self._last = inputs, steps, outputs, last

    def forward(self, input: Tensor, *more: Tensor) -> Any:
        """Run one step.

        :param input: the input ``[B, ...]``; further inputs follow it
        :returns: the output, or a tuple of several
        :raises TypeError: another number of inputs
        """
        signals = input, *more
        if len(signals) != len(self._inputs):
            raise TypeError(
                f"{len(signals)} inputs are given; the network takes {', '.join(self._inputs)}"
            )
        values: dict[Key, Tensor] = dict(zip(self._inputs, signals, strict=True))
        for path, name in self._last.items():
            values["last", name] = self.get_submodule(path)(input)
        for name, path, sources in self._steps:
            values[name] = self.get_submodule(path)(_sum(values, sources))
        for path, name in self._last.items():
            self.get_submodule(path)(input, values[name])
        out = tuple(_sum(values, sources) for sources in self._outputs)
        return out[0] if len(out) == 1 else out


def _sum(values: dict[Key, Tensor], keys: list[Key]) -> Tensor:
    first, *others = (values[key] for key in keys)
    for other in others:
        first = first + other
    return first


class State(dict[str, tuple[Tensor, ...]]):
    """The states of a network: those of each layer by its path, in the order of its call."""


class NetworkWithState(Network):
    """A :class:`Network` that takes and returns its state: ``out, state = net(x, state)``.

    The layers keep their states themselves. Without a state, or with the one that the last call
    returned, they go on from there, also after they were reset or detached. Any other state is
    restored first.
    """

    _newest: weakref.ref[State] | None = None
    """The state that the last call returned."""

    def forward(self, input: Tensor, *more: Any, state: Mapping[str, Any] | None = None) -> Any:
        """Run one step.

        :param input: the input ``[B, ...]``; further inputs follow it
        :param state: a state that an earlier call returned, after the inputs or by name
        :returns: the output, or a tuple of several, and the new :class:`State`
        :raises TypeError: another number of inputs, or ``state`` is not a mapping
        :raises ValueError: ``state`` does not fit the layers
        """
        if state is None and len(more) == len(self._inputs):
            more, state = more[:-1], more[-1]
        self._restore(state)
        out = super().forward(input, *more)
        if isinstance(input, fx.Proxy):  # no layer has run
            return out, None
        new = State(
            (path, tuple(getattr(layer, name) for name in layer.states))
            for path, layer in self._stateful().items()
        )
        self._newest = None if is_compiling() else weakref.ref(new)
        return out, new

    def _stateful(self) -> dict[str, Stateful]:
        return {path: each for path, each in self.named_modules() if isinstance(each, Stateful)}

    def _restore(self, state: Any) -> None:
        """Give the layers the states that an earlier call returned."""
        if state is None or (self._newest is not None and state is self._newest()):
            return
        if not isinstance(state, Mapping):
            raise TypeError(
                f"state is a {type(state).__name__}; pass what the last call returned, or None"
            )
        layers = self._stateful()
        given = {path: states for path, states in state.items() if states is not None}
        for path, states in given.items():
            if path not in layers:
                raise ValueError(
                    f"state has an entry {path!r}; the layers with states are {', '.join(layers)}"
                )
            names = layers[path].states
            if (
                not isinstance(states, tuple | list)
                or len(states) != len(names)
                or not all(isinstance(each, Tensor) for each in states)
            ):
                raise ValueError(
                    f"state[{path!r}] is {states!r}; it must be a tuple of the tensors "
                    f"{', '.join(names)}"
                )
        for path, states in given.items():
            for name, each in zip(layers[path].states, states, strict=True):
                setattr(layers[path], name, each)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_newest": None}  # a copy starts reset


# Files ---------------------------------------------------------------------------------------


def _read(path: str | PathLike[str]) -> nir.NIRGraph:
    """Read a graph from a file; unlike ``nir.read``, say which node is at fault."""
    import h5py
    from nir.serialization import hdf2dict

    try:
        with h5py.File(path, "r") as file:
            data = hdf2dict(file["node"])
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a NIR file: {error}") from error
    try:
        return _node(data, "")
    except NotImplementedError as error:
        raise NotImplementedError(f"{path}: {error}") from None
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error


def _node(data: dict[str, Any], path: str) -> Any:
    """Build a node from its fields, nested graphs without nir's own check of types."""
    import nir

    kind = data.get("type")
    if kind == "NIRGraph":
        nodes = {name: _node(node, f"{path}{name}.") for name, node in data["nodes"].items()}
        edges = [tuple(nir.ir.utils.ensure_str(end) for end in edge) for edge in data["edges"]]
        return nir.NIRGraph(nodes, edges, metadata=data.get("metadata", {}), type_check=False)
    if kind not in _MODULES and kind not in ("Input", "Output"):
        raise _unknown(path[:-1], kind)
    try:
        return nir.dict2NIRNode(data)
    except Exception as error:
        raise ValueError(f"node {path[:-1]!r} ({kind}) cannot be read: {error}") from error


def _unknown(name: str, kind: Any) -> NotImplementedError:
    return NotImplementedError(
        f"node {name!r} is of the type {kind}, which is not known; known are NIRGraph, Input, "
        f"Output, {', '.join(_MODULES)}"
    )


# Wiring --------------------------------------------------------------------------------------


def _flat(graph: nir.NIRGraph, prefix: str = "") -> tuple[dict[str, Any], Edges]:
    """Return nodes and edges, with nested graphs replaced by their content."""
    import nir

    nodes: dict[str, Any] = {}
    outer = {f"{prefix}{name}" for name in graph.nodes}
    edges = [(f"{prefix}{a}", f"{prefix}{b}") for a, b in graph.edges]
    for name, node in graph.nodes.items():
        path = f"{prefix}{name}"
        if not isinstance(node, nir.NIRGraph):
            nodes[path] = _with_arrays(node)
            continue
        inner, wires = _flat(node, f"{path}.")
        for taken in sorted(inner.keys() & (outer | nodes.keys())):
            raise ValueError(
                f"node {taken.removeprefix(path)[1:]!r} of the nested graph {path!r} becomes "
                f"{taken!r}, which another node is called; rename one of them"
            )
        ends = [[n for n in node.nodes if isinstance(node.nodes[n], kind)]
                for kind in (nir.Input, nir.Output)]  # fmt: skip
        if [len(end) for end in ends] != [1, 1]:
            raise ValueError(
                f"nested graph {path!r} has the inputs {ends[0]} and the outputs {ends[1]}; it "
                "needs one of each"
            )
        first, last = (f"{path}.{end[0]}" for end in ends)
        edges = [(last if a == path else a, first if b == path else b) for a, b in edges] + wires
        for end in (first, last):
            del inner[end]
            edges = _without(end, edges)
        nodes.update(inner)
    return nodes, edges


def _with_arrays(node: Any) -> Any:
    """Return a node with arrays for the tensors that some libraries leave in it."""
    node = copy(node)
    fields = {name: _nir.array(v) for name, v in vars(node).items() if isinstance(v, Tensor)}
    vars(node).update(fields)
    return node


def _without(name: str, edges: Edges) -> Edges:
    """Remove a node, and wire its sources to its readers."""
    sources = [a for a, b in edges if b == name]
    kept = (([(s, b) for s in sources] if a == name else [(a, b)]) for a, b in edges if b != name)
    return [edge for each in kept for edge in each]


def _check_wiring(nodes: dict[str, Any], edges: Edges) -> None:
    """Raise if an edge is missing, dangling or duplicate."""
    for edge in edges:
        for loose in set(edge) - nodes.keys():
            raise ValueError(f"edge {edge} names {loose!r}, but the nodes are {sorted(nodes)}")
        if edges.count(edge) > 1:
            raise ValueError(f"duplicate edge {edge}; use a Scale node to double a signal")
    kinds = {name: type(node).__name__ for name, node in nodes.items()}
    for kind, end, way in (("Input", 1, "into"), ("Output", 0, "out of")):
        if kind not in kinds.values():
            raise ValueError(f"the graph has no {kind} node; its nodes are {sorted(nodes)}")
        for edge in edges:
            if kinds[edge[end]] == kind:
                raise ValueError(
                    f"edge {edge} leads {way} node {edge[end]!r} ({kind}), where the graph ends; "
                    "wire the node next to it instead"
                )
        for name in sorted(nodes.keys() - {edge[end] for edge in edges}):
            if kinds[name] != kind:
                raise ValueError(
                    f"no edge leads {way} node {name!r} ({kinds[name]}): an edge is missing"
                )
    both = [*edges, *((b, a) for a, b in edges)]
    start = next(iter(nodes))
    if apart := nodes.keys() - _reached(start, both) - {start}:
        raise ValueError(
            f"the graph is not connected: no edge between {sorted(apart)} and "
            f"{sorted(nodes.keys() - apart)}"
        )


def _reached(start: str, edges: Iterable[tuple[str, str]]) -> set[str]:
    """Return what can be reached along one or more edges."""
    following: dict[str, list[str]] = {}
    for a, b in edges:
        following.setdefault(a, []).append(b)
    seen: set[str] = set()
    todo = [start]
    while todo:
        new = set(following.get(todo.pop(), ())) - seen
        seen |= new
        todo += new
    return seen


@dataclass(frozen=True)
class Wiring:
    """A graph without nesting, as it runs in one step."""

    nodes: dict[str, Any]
    edges: Edges
    order: list[str]
    """The names of the nodes in an order in which they can run."""
    cut: set[tuple[str, str]]
    """The edges that carry the value of the last step."""

    def into(self, name: str) -> list[str]:
        """Return the sources whose sum a node takes."""
        return [a for a, b in self.edges if b == name]

    def named(self, kind: str) -> list[str]:
        """Return the nodes of a type, sorted by name."""
        return sorted(name for name, node in self.nodes.items() if type(node).__name__ == kind)


def wire(nodes: dict[str, Any], edges: Edges) -> Wiring:
    """Find an order in which nodes run, and the edges that carry the last step's value.

    A cycle is cut behind one of its neurons: one that fires if there is one, and the farthest
    from the input, as spikes come back one step later in RLeaky.
    """
    depth = _depths(nodes, edges)
    order: list[str] = []
    cut: set[tuple[str, str]] = set()
    pending = sorted(nodes)

    def late(source: str) -> tuple[bool, int]:
        return hasattr(nodes[source], "v_threshold"), depth[source]

    while pending:
        waits_for: dict[str, list[str]] = {name: [] for name in pending}
        inner = [each for each in edges if waits_for.keys() >= {*each} and each not in cut]
        for a, b in inner:
            waits_for[b].append(a)
        ready = [name for name in pending if not waits_for[name]]
        if not ready:
            able = {
                name: min(map(late, sources))
                for name, sources in waits_for.items()
                if all(type(nodes[a]).__name__ in _NEURONS for a in sources)
                and _reached(name, inner).issuperset(sources)
            }
            if not able:
                raise ValueError(f"nodes {pending} form or follow a cycle without any neuron in it")
            ready = [max(able, key=lambda name: able[name])]
            cut |= {(source, ready[0]) for source in waits_for[ready[0]]}
        order += ready
        pending = [name for name in pending if name not in ready]
    return Wiring(nodes, edges, order, cut)


def _depths(nodes: dict[str, Any], edges: Edges) -> dict[str, int]:
    """Return for each node how many edges it is away from an input."""
    depth = {name: 0 for name, node in nodes.items() if type(node).__name__ == "Input"}
    newest = set(depth)
    while newest:
        newest = {b for a, b in edges if a in newest} - depth.keys()
        depth.update(dict.fromkeys(newest, max(depth.values()) + 1))
    return {name: depth.get(name, len(nodes)) for name in nodes}


# Nodes ---------------------------------------------------------------------------------------


class _Converter:
    """Makes a module of a node; remarks about it gather in ``note`` and ``approximate``."""

    def __init__(self, dt: float, dtype: torch.dtype) -> None:
        self.dt, self.dtype = dt, dtype
        self.note = self.approximate = ""

    def tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(np.array(values), dtype=self.dtype)

    def decay(self, tau: np.ndarray) -> np.ndarray:
        shortest = float(np.min(tau))
        if not shortest >= self.dt * (1 - 1e-6):  # a tau of one step may be rounded
            raise ValueError(
                f"a time constant of {shortest:g} s is shorter than the time step dt={self.dt:g} "
                "s; pass the dt that the graph was made for"
            )
        return _nir.decay(tau, self.dt)

    def layer(self, module: Any, weight: Any, bias: Any) -> nn.Module:
        """Give a module its weight and bias."""
        module.weight = nn.Parameter(self.tensor(weight))
        module.bias = None if bias is None else nn.Parameter(self.tensor(bias))
        return module


def _linear(node: Any, c: _Converter) -> nn.Module:
    if node.weight.ndim != 2:
        raise NotImplementedError(f"a weight of shape {node.weight.shape}; it must be a matrix")
    out, in_ = node.weight.shape
    layer = nn.Linear(in_, out, device="meta")
    return c.layer(layer, node.weight, getattr(node, "bias", None))


def _conv(node: Any, c: _Converter) -> nn.Module:
    cls: Any = {3: nn.Conv1d, 4: nn.Conv2d}[node.weight.ndim]
    out, in_, *kernel = node.weight.shape
    stride, dilation = (_ints(value, len(kernel)) for value in (node.stride, node.dilation))
    padding = node.padding if isinstance(node.padding, str) else _ints(node.padding, len(kernel))
    groups = int(node.groups)
    layer = cls(in_ * groups, out, kernel, stride, padding, dilation, groups, device="meta")
    biased = bool(_own(node).get("bias", True))
    return c.layer(layer, node.weight, node.bias if biased else None)


def _ints(value: Any, count: int) -> tuple[int, ...]:
    return tuple(int(each) for each in np.broadcast_to(np.ravel(value), (count,)))


def _pool(node: Any, c: _Converter) -> nn.Module:
    sizes = (node.kernel_size, node.stride, node.padding)
    kernel_size, stride, padding = ((v[0], v[1]) for v in (_ints(size, 2) for size in sizes))
    divisor = 1 if type(node).__name__ == "SumPool2d" else None
    return nn.AvgPool2d(kernel_size, stride, padding, divisor_override=divisor)


def _flatten(node: Any, c: _Converter) -> nn.Module:
    # NIR counts dimensions without the batch.
    start, end = (int(dim) + (dim >= 0) for dim in (node.start_dim, node.end_dim))
    return nn.Flatten(start, end)


def _delay(node: Any, c: _Converter) -> nn.Module:
    if np.min(node.delay) < 0:
        raise ValueError(f"a negative delay, {np.min(node.delay):g} s")
    steps = np.asarray(node.delay) / c.dt
    if not np.allclose(steps, steps.round(), atol=1e-6, rtol=1e-6):
        c.approximate = f"its delay is rounded to {np.unique(steps.round())} steps"
    return Delay(torch.as_tensor(steps.round()))


def _threshold(node: Any, c: _Converter) -> nn.Module:
    c.note = "a neuron without memory"
    return Leaky(0.0, c.tensor(node.threshold), init_hidden=True, reset_mechanism="none")


def _units(gain: Any) -> str:
    return "" if (gain == 1).all() else "membrane in units of v / input gain"


def _leaky(node: Any, c: _Converter) -> nn.Module:
    if hasattr(node, "tau"):
        beta, gain = c.decay(node.tau), _nir.gain(node.r, node.tau, c.dt)
    else:
        beta, gain = np.ones(node.r.shape), _nir.integrator_gain(node.r, c.dt)
        if (gain != node.r * c.dt).any():
            c.note = "r = 1 read as: each step adds the input itself"
    v_reset = getattr(node, "v_reset", np.zeros(beta.shape))
    pull = (1 - beta) * (getattr(node, "v_leak", v_reset) - v_reset)
    if not hasattr(node, "v_threshold"):
        c.note = c.note or "returns its membrane, does not fire"
        return NIRLeaky(*map(c.tensor, (beta, gain, pull, 0.0, 0.0)), **_INTEGRATOR)
    if (gain > 0).all() and not pull.any() and not v_reset.any():
        c.note = c.note or _units(gain)
        return Leaky(c.tensor(beta), c.tensor(node.v_threshold / gain), **_FIRING)
    c.note = "membrane counted from v_reset"
    threshold = c.tensor(node.v_threshold - v_reset)
    driven = map(c.tensor, (beta, gain, pull, v_reset, -v_reset))
    return NIRLeaky(*driven, threshold=threshold, **_FIRING)


def _synaptic(node: Any, c: _Converter) -> nn.Module:
    alpha, beta = c.decay(node.tau_syn), c.decay(node.tau_mem)
    gain = _nir.gain(node.w_in, node.tau_syn, c.dt) * _nir.gain(node.r, node.tau_mem, c.dt)
    v_reset = getattr(node, "v_reset", np.zeros(beta.shape))
    syn_0 = (1 - beta) * (node.v_leak - v_reset)
    driven: Any = map(c.tensor, (alpha, beta, gain, (1 - alpha) * syn_0, v_reset, syn_0, -v_reset))
    if not hasattr(node, "v_threshold"):
        c.note = "returns its membrane, does not fire"
        return NIRSynaptic(*driven, **_INTEGRATOR)
    if (gain > 0).all() and not syn_0.any() and not v_reset.any():
        c.note = _units(gain)
        threshold = c.tensor(node.v_threshold / gain)
        return Synaptic(c.tensor(alpha), c.tensor(beta), threshold, **_FIRING)
    c.note = "membrane counted from v_reset"
    return NIRSynaptic(*driven, threshold=c.tensor(node.v_threshold - v_reset), **_FIRING)


# NIR's own reset: within the step, to one value.
_FIRING: dict[str, Any] = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}
_INTEGRATOR: dict[str, Any] = {
    "init_hidden": True, "reset_mechanism": "none", "threshold": 0.0, "spike_grad": membrane,
}  # fmt: skip

_Make = Callable[[Any, _Converter], nn.Module]
_NEURONS: dict[str, _Make] = {
    "I": _leaky,
    "IF": _leaky,
    "LI": _leaky,
    "LIF": _leaky,
    "CubaLI": _synaptic,
    "CubaLIF": _synaptic,
}
_MODULES: dict[str, _Make] = {
    **_NEURONS,
    "Affine": _linear,
    "Linear": _linear,
    "Scale": lambda node, c: Scale(c.tensor(node.scale)),
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
    "Flatten": _flatten,
    "Delay": _delay,
    "Threshold": _threshold,
}

# Metadata --------------------------------------------------------------------------------------

_CLASSES = {cls.__name__: cls for cls in _nir.NEURONS}
_RECURRENT: dict[type, type[RecurrentLIF]] = {Leaky: RLeaky, Synaptic: RSynaptic}


def _own(node: Any) -> dict[str, Any]:
    """Return this library's metadata of a node or graph."""
    own = (node.metadata or {}).get(_nir.KEY)
    return own if isinstance(own, dict) else {}


def _arguments(own: dict[str, Any], c: _Converter) -> dict[str, Any]:
    """Return the arguments that a neuron was made with."""
    kwargs: dict[str, Any] = {n: c.tensor(value) for n, value in own["parameters"].items()}
    kwargs |= dict.fromkeys(own.get("learn", "").split(), True)
    flags = "inhibition", "reset_delay", "surrogate_disable", "learn_recurrent"
    kwargs |= {name: bool(own[name]) for name in flags if name in own}
    if name := own.get("surrogate"):
        parameters = np.ravel(own.get("surrogate_parameters", ())).tolist()
        kwargs["spike_grad"] = getattr(surrogate, name)(*parameters)
    elif own.get("membrane"):
        kwargs["spike_grad"] = membrane
    return {**kwargs, "init_hidden": True, "reset_mechanism": own["reset_mechanism"]}


def _restored(node: Any, loop: Any, c: _Converter) -> Any:
    """Return the neuron that was exported, or None if there is none, or the node was changed."""
    own = _own(node)
    cls: Any = _CLASSES.get(str(own.get("class")))
    if cls is None:
        return None
    try:
        if not issubclass(cls, RecurrentLIF):
            neuron = cls(**_arguments(own, c))
        else:
            neuron = _recurrent(cls, _arguments(own, c), loop, c)
        shape, unit_r = tuple(node.input_type["input"]), bool(own.get("unit_r"))
        kind, fields = _nir.fields(neuron, shape, c.dt, unit_r)
    except (ValueError, RuntimeError, LookupError, AttributeError, TypeError):
        # Another size, no recurrent connection, or not written by an export.
        kind, fields = "", {}
    if kind != type(node).__name__ or not all(
        np.allclose(getattr(node, name, 0), value, rtol=1e-6, atol=0)
        for name, value in fields.items()
    ):
        c.approximate = f"was a {own['class']}, but was changed since: read as NIR alone says"
        node.metadata = {}  # of the copy that _flat made: the report is not to believe it either
        return None
    if own.get("custom_surrogate"):
        c.approximate = "its spike_grad is a function, which is not carried: atan instead"
    return neuron


def _feedback(node: Any) -> dict[str, Any] | None:
    """Return the arguments for such a recurrent connection, or None if no neuron has this kind."""
    kind = type(node).__name__
    if kind == "Scale":
        return {"all_to_all": False}
    if kind not in ("Affine", "Linear", "Conv2d") or node.weight.shape[0] != node.weight.shape[1]:
        return None
    out, _, *kernel = node.weight.shape
    if kind != "Conv2d":
        return None if kernel else {"linear_features": out}
    centred = all(size % 2 for size in kernel) and not isinstance(node.padding, str)
    same = centred and _ints(node.padding, 2) == same_padding((kernel[0], kernel[1]))
    plain = _ints(node.stride, 2) == _ints(node.dilation, 2) == (1, 1) and int(node.groups) == 1
    if not plain or not (same or (isinstance(node.padding, str) and node.padding == "same")):
        return None
    return {"conv2d_channels": out, "kernel_size": tuple(kernel)}


def _recurrent(cls: Any, kwargs: dict[str, Any], loop: Any, c: _Converter) -> Any:
    """Make a neuron with a recurrent connection, whose weights are those of the graph."""
    how = None if loop is None else _feedback(loop)
    if how is None:
        raise ValueError("there is no recurrent connection")
    was = kwargs.pop("V", None)
    weights = _one_to_one(loop, was is not None)
    if weights is not None:
        V = c.tensor(weights)
        same = was is not None and (was == V).all()
        return cls(all_to_all=False, V=was if same else V, **kwargs)
    neuron = cls(**how, **kwargs)
    layer: Any = _MODULES[type(loop).__name__](loop, c)
    neuron.recurrent.weight, neuron.recurrent.bias = layer.weight, layer.bias
    neuron.recurrent.requires_grad_(neuron.learn_recurrent)
    return neuron


def _one_to_one(loop: Any, was_so: bool) -> np.ndarray | None:
    """Return the weights of a one-to-one recurrent connection, None if it is of another kind."""
    if type(loop).__name__ == "Scale":
        return loop.scale
    if not was_so or type(loop).__name__ != "Linear":
        return None
    diagonal = np.diag(loop.weight)
    return diagonal if (loop.weight == np.diag(diagonal)).all() else None


def _module(node: Any, loop: Any, c: _Converter) -> tuple[nn.Module, bool]:
    """Return the module of a node, and whether the recurrent connection is inside."""
    _check_finite(node)
    restored = _restored(node, loop, c)
    if restored is not None:
        return restored, isinstance(restored, RecurrentLIF)
    plain: Any = _MODULES[type(node).__name__](node, c)
    cls = _RECURRENT.get(type(plain))
    if loop is None or cls is None:
        return plain, False
    decays = {name: getattr(plain, name) for name in ("alpha", "beta") if hasattr(plain, name)}
    return _recurrent(cls, {**decays, "threshold": plain.threshold, **_FIRING}, loop, c), True


def _check_finite(node: Any) -> None:
    """Raise if a neuron has a value that would make its membrane NaN."""
    if type(node).__name__ not in _NEURONS:
        return
    for name, value in vars(node).items():
        values = np.asarray(value)
        if values.dtype.kind == "f":
            # An infinite time constant means no leak; an infinite threshold is never reached.
            may_be_infinite = name.startswith("tau") or name == "v_threshold"
            if (np.isnan(values) if may_be_infinite else ~np.isfinite(values)).any():
                raise ValueError(f"{name} has the value {values[~np.isfinite(values)].flat[0]}")


def _loops(nodes: dict[str, Any], edges: Edges) -> dict[str, str]:
    """Return for each neuron the one weight that connects it to itself alone."""
    loops: dict[str, str] = {}
    for name in (name for name, node in nodes.items() if hasattr(node, "v_threshold")):
        weights = [
            b
            for a, b in edges
            if a == name and (b, name) in edges and sum(b in edge for edge in edges) == 2
        ]
        if len(weights) == 1 and _feedback(nodes[weights[0]]):
            loops[name] = weights[0]
    return loops


def _elsewhere(node: Any) -> str:
    """Tell what a reader that knows only the core of NIR does differently."""
    own, differs = _own(node), []
    reset, delay = own.get("reset_mechanism", "zero"), own.get("reset_delay", True)
    if own.get("membrane"):
        reset = "zero"
    if reset == "subtract":
        differs.append("resets to v_reset, where this neuron subtracts its threshold")
    elif reset == "none":
        differs.append("resets to v_reset, where this neuron is not reset")
    elif delay and own.get("class", "Leaky") not in ("Leaky", "NIRLeaky"):
        differs.append(
            "resets in the step of the spike, where this neuron is cleared in the next one"
        )
    if own.get("inhibition"):
        differs.append("lets all neurons fire, where here one of each sample does")
    if np.any(np.not_equal(own.get("parameters", {}).get("graded_spikes_factor", 1), 1)):
        differs.append("fires spikes of 1, where they are graded here")
    kernel = node.weight.shape[2:] if type(node).__name__ == "Conv2d" else ()
    if len(set(kernel)) > 1 or int(getattr(node, "groups", 1)) > 1:
        differs.append("nir.read needs type_check=False: it infers a wrong shape")
    return "; ".join(differs)


# Putting it together -----------------------------------------------------------------------------


def _load(graph: Any) -> nir.NIRGraph:
    """Return the given graph, that of a file, or one of a single node."""
    import nir

    if isinstance(graph, str | PathLike):
        return _read(graph)
    if not isinstance(graph, nir.NIRNode):
        raise TypeError(f"graph is a {type(graph).__name__}; a nir.NIRGraph or a path is needed")
    return graph if isinstance(graph, nir.NIRGraph) else nir.NIRGraph.from_list(graph)


def wiring(graph: Any) -> Wiring:
    """Return a graph without nesting, as it runs."""
    nodes, edges = _flat(_load(graph))
    _check_wiring(nodes, edges)
    return wire(nodes, edges)


def convert(
    graph: Any, dt: float | None, dtype: torch.dtype | None = None, init_hidden: bool = True
) -> tuple[nn.Module, _nir.Report]:
    """Return the module of a graph, and a report on each of its nodes."""
    graph = _load(graph)
    own = _own(graph)
    dt = _nir.check_dt(own.get("dt", 1e-4) if dt is None else dt)
    if "dt" in own and not np.isclose(own["dt"], dt, rtol=1e-9, atol=0):
        raise ValueError(
            f"dt={dt:g}, but the graph was exported for steps of {own['dt']:g} s; pass "
            f"dt={own['dt']:g}"
        )
    if dtype is None:
        dtype = getattr(torch, str(own.get("dtype")), torch.get_default_dtype())
    nodes, edges = _flat(graph)
    _check_wiring(nodes, edges)
    modules, loops, rows = _modules(nodes, edges, _Converter(dt, dtype))
    inside = set(loops.values())  # weights that are part of a neuron
    wired = wire(
        {name: node for name, node in nodes.items() if name not in inside},
        [edge for edge in edges if not inside & set(edge)],
    )
    shapes, paths = _shapes(wired, modules, dtype), _paths(modules, loops)
    module = _assemble(wired, modules, shapes, paths, init_hidden)
    for name in {a for a, _ in wired.cut}:
        note = f"{rows[name].note}; its value comes back one step later"
        rows[name] = replace(rows[name], note=note.removeprefix("; "))
    notes = [_nir.Row(name, "", "", note=str(note)) for name, note in own.get("notes", {}).items()]
    table = [rows[name] for name in (*wired.order, *sorted(inside))]
    return module, _nir.Report([*table, *notes])


def _modules(
    nodes: dict[str, Any], edges: Edges, c: _Converter
) -> tuple[dict[str, nn.Module], dict[str, str], dict[str, _nir.Row]]:
    """Return the module of each node, the weights that are inside neurons, by the name of the
    neuron, and a row of the report for each node."""
    loops = _loops(nodes, edges)
    modules: dict[str, nn.Module] = {}
    rows: dict[str, _nir.Row] = {}
    for name in sorted(nodes, key=lambda name: name in loops.values()):  # neurons come first
        node, kind = nodes[name], type(nodes[name]).__name__
        c.note = c.approximate = ""
        if name in loops.values():
            c.note = "feedback of " + next(n for n, weight in loops.items() if weight == name)
        elif kind in _MODULES:
            try:
                modules[name], fused = _module(node, nodes.get(loops.get(name, "")), c)
            except NotImplementedError as error:
                raise NotImplementedError(f"node {name!r} ({kind}): {error}") from None
            except (ValueError, RuntimeError) as error:
                raise ValueError(f"node {name!r} ({kind}): {error}") from error
            if not fused:
                loops.pop(name, None)
        elif kind not in ("Input", "Output"):
            raise _unknown(name, kind)
        here = type(modules[name]).__name__ if name in modules else ""
        rows[name] = _nir.Row(name, kind, here, c.note, c.approximate, _elsewhere(node))
    return modules, loops, rows


def _shapes(
    wired: Wiring, modules: dict[str, nn.Module], dtype: torch.dtype
) -> dict[str, tuple[int, ...]]:
    """Return the shape of one sample of each node's output, or raise where shapes disagree."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name in wired.order:
        node = wired.nodes[name]
        given = {
            a: _size(wired.nodes[a].output_type) if (a, name) in wired.cut else shapes[a]
            for a in wired.into(name)
        }
        if not given:
            readers = [wired.nodes[b] for a, b in wired.edges if a == name]
            shapes[name] = _sample(name, node, readers)
            continue
        shape = next(iter(given.values()))
        if shape is None or any(each != shape for each in given.values()):
            raise ValueError(f"the signals into node {name!r} differ in shape: {given}")
        where = (
            f"node {name!r} ({type(node).__name__}) does not take the shape {shape} of {[*given]}"
        )
        module = modules.get(name)
        if not _takes(node, shape, wired):
            raise ValueError(f"{where}; it takes {_size(node.input_type)}")
        if module is None or isinstance(module, Stateful | Scale):
            shapes[name] = shape
            continue
        try:
            with torch.no_grad():
                shapes[name] = tuple(module(torch.zeros(1, *shape, dtype=dtype)).shape[1:])
        except (RuntimeError, IndexError) as error:
            raise ValueError(f"{where}: {error}") from error
    for name in {a for a, _ in wired.cut}:
        if shapes[name] != (declared := _size(wired.nodes[name].output_type)):
            raise ValueError(f"node {name!r} gives the shape {shapes[name]}, not {declared}")
    return shapes


def _takes(node: Any, shape: tuple[int, ...], wired: Wiring) -> bool:
    """Tell whether a node that declares a shape declares this one."""
    wanted, kind = _size(node.input_type), type(node).__name__
    if wanted is None or wanted == shape or np.prod(wanted) == 1:
        return True
    if kind == "Output":
        # nir infers wrong sizes behind some convolutions; some libraries write the batch too.
        return bool(wired.named("Conv2d")) or wanted[-len(shape) :] == shape
    return "Conv" in kind and wanted[1:] == shape[1:]  # nir miscounts grouped channels


def _sample(name: str, node: Any, readers: list[Any]) -> tuple[int, ...]:
    """Return an input's shape without the batch that some libraries write into it."""
    shape = _size(node.input_type)
    if shape is None:
        raise ValueError(f"node {name!r} (Input) has no shape")
    for size in (_size(reader.input_type) for reader in readers):
        if size and len(size) < len(shape) and shape[-len(size) :] == size:
            return size
    return shape


def _size(types: dict[str, Any] | None) -> tuple[int, ...] | None:
    size = None if types is None else next(iter(types.values()), None)
    return None if size is None else tuple(int(n) for n in size)


_TAKEN = {*dir(nn.Sequential()), *dir(NetworkWithState({}, [], [], [], {})), "last"}


def _attribute(name: str) -> str:
    """Return a name that a module can have as an attribute."""
    name = re.sub(r"\W", "_", name)
    return f"{name}_" if not name or iskeyword(name) or name in _TAKEN else name


def _paths(modules: dict[str, nn.Module], loops: dict[str, str]) -> dict[str, str]:
    """Return a path for each module: its node's name, mangled where it is not a valid attribute."""
    paths: dict[str, str] = {}
    for name in modules:
        stem, _, last = name.rpartition(".")
        whole = stem and last == "lif" and loops.get(name, "").startswith(f"{stem}.")
        paths[name] = ".".join(map(_attribute, (stem if whole else name).split(".")))
    taken = set(paths.values())
    if len(taken) < len(paths) or any(a.startswith(f"{b}.") for a in taken for b in taken):
        paths = {name: _attribute(f"{name}_{i}") for i, name in enumerate(modules)}
    return paths


def _assemble(
    wired: Wiring,
    modules: dict[str, nn.Module],
    shapes: dict[str, tuple[int, ...]],
    paths: dict[str, str],
    init_hidden: bool,
) -> nn.Module:
    """Return a network; with hidden states, a chain of layers as nn.Sequential."""
    steps = [name for name in wired.order if name in modules]
    inputs, outputs, cut = wired.named("Input"), wired.named("Output"), wired.cut
    is_line = set(wired.edges) == set(pairwise([*inputs, *steps, *outputs]))
    if init_hidden and is_line and len(inputs) == len(outputs) == 1:
        nested = _nested([(paths[name], modules[name]) for name in steps])
        if nested is not None:
            return nested
    layers = {paths[name]: modules[name] for name in steps}
    last = {f"last.{paths[name]}": name for name in sorted({a for a, _ in cut})}
    for path, name in last.items():
        layers[path] = Last(shapes[name], len(shapes[inputs[0]]))

    def sources(name: str) -> list[Key]:
        return [("last", a) if (a, name) in cut else a for a in wired.into(name)]

    called = [(name, paths[name], sources(name)) for name in steps]
    make = Network if init_hidden else NetworkWithState
    return make(layers, inputs, called, [sources(name) for name in outputs], last)


def _nested(layers: list[tuple[str, nn.Module]]) -> nn.Sequential | None:
    """Return layers as nn.Sequential, nested as their paths say, or None if they do not nest."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for head, group in groupby(layers, key=lambda layer: layer[0].partition(".")[0]):
        inner = [(path.partition(".")[2], module) for path, module in group]
        part = inner[0][1] if not inner[0][0] else _nested(inner)
        if head in parts or part is None:
            return None
        parts[head] = part
    return nn.Sequential(parts)


def import_from_nir(
    graph: nir.NIRGraph | str | PathLike[str],
    *,
    init_hidden: bool = False,
    dt: float = 1e-4,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    r"""Return a NIR graph as a module that runs one time step per call.

    Neurons are integrated by forward Euler,

    .. math::

        \beta = 1 - dt / \tau, \qquad U[t+1] = \beta U[t] + (1 - \beta) v_{\rm leak}
        + \frac{r\, dt}{\tau} X[t+1] ,

    fire if :math:`U > v_{\rm threshold}`, and are then set to :math:`v_{\rm reset}`. Graphs that
    :func:`~snntorch.export_nir.export_to_nir` wrote come back as they were, with every kind of
    reset.

    The network is called ``out, state = net(x, state)``, first as ``net(x)``, and is a
    :class:`NetworkWithState`. With ``init_hidden=True`` it returns the output alone: a chain of
    nodes becomes an ``nn.Sequential``, which :func:`~snntorch.unroll` runs on its fast path, any
    other graph a :class:`Network`. In both, :func:`utils.reset <snntorch.utils.reset>` resets the
    neurons. In a cycle that is more than a neuron's own recurrent connection, the value of one
    neuron comes back one step later.

    :param graph: a ``nir.NIRGraph``, or the path of a file with one
    :param init_hidden: return the output without the state. Default: ``False``
    :param dt: time step in seconds
    :param dtype: floating point type of the parameters; default, that of the exported network, or
        torch's default
    :returns: a module from input ``[B, ...]`` to spikes ``[B, ...]`` of one step, with the state
        unless ``init_hidden``. Several inputs are arguments in alphabetical order; several outputs
        are a tuple in alphabetical order
    :raises FileNotFoundError: there is no such file
    :raises NotImplementedError: a node of an unknown type
    :raises ValueError: an unreadable file; ``dt`` is not positive, differs from that of the export,
        or exceeds a time constant; an edge is missing, duplicate or dangling; shapes disagree

    Source: J. E. Pedersen et al., "Neuromorphic intermediate representation: A unified instruction
    set for interoperable brain-inspired computing", Nature Communications 15 (2024) 8122.
    """
    module, report = convert(graph, dt, dtype, init_hidden)
    if approximations := report.remarks("approximate"):
        warn(f"this import is approximate; {approximations}", stacklevel=2)
    return module
