"""Export to NIR: convert a network of one time step to a graph for other simulators."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any
from warnings import warn

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from .. import utils
from .._network.graph import restore, states_of
from .._network.unroll import Unroll
from .._neurons.neurons import SpikingNeuron
from .._neurons.recurrent import RecurrentLIF
from .._neurons.states import Stateful
from .._torch import class_of, interpreted, proxies_in_buffers
from . import metadata, recurrence
from .checks import VANISHING, overridden, refusal, run
from .common import KEY, Shape, array, check_dt, check_map
from .importing import convert
from .layers import DIMS, WRITE
from .network import Last
from .neurons import fields, kind

if TYPE_CHECKING:
    import nir


_REPEATABLE = Last, nn.Identity, _DropoutNd, nn.AvgPool2d, nn.Flatten
"""Layers that may be called more than once: they vanish, or have no parameters to share."""


def _flattening(input: Any, start_dim: int = 0, end_dim: int = -1) -> nn.Module:
    return nn.Flatten(start_dim, end_dim)


def _pooling(input: Any, *args: Any, **kwargs: Any) -> nn.Module:
    return nn.AvgPool2d(*args, **kwargs)


_FUNCTIONS: dict[Any, Callable[..., nn.Module]] = {
    torch.flatten: _flattening,
    "flatten": _flattening,
    F.avg_pool2d: _pooling,
}
"""Functions, and methods of tensors, that equal a layer."""

_RESHAPES = (torch.reshape, "reshape", "view")

_IN_PLACE = (operator.iadd, "add_")

_ADDITIONS = (operator.add, torch.add, "add", *_IN_PLACE)


class _Signal(fx.Proxy):
    """A signal while a network is traced."""

    def __iadd__(self, other: Any) -> fx.Proxy:  # fx would record it as +
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __len__(self) -> int:
        tracer: Any = self.tracer
        if not tracer.is_tensor(self.node):
            raise fx.proxy.TraceError("len() of a value that may not be a signal")
        return tracer.batch


class _Tracer(fx.Tracer):
    """Records a layer of torch or of this library as one call, and traces any other module.

    :param batch: the first dimension of the sample, and so of each signal
    :param own: the classes of layers that the user converts
    """

    def __init__(self, batch: int, own: Iterable[type]) -> None:
        super().__init__(autowrap_functions=(torch.reshape,))
        self._autowrap_search.append(torch)  # old releases' reshape takes no sizes that are proxies
        self.batch, self.own = batch, own

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Signal(node, self)

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        if class_of(module) in self.own:
            return True
        cls = kind(module)
        of_torch = cls.__module__.startswith("torch.nn.") and not issubclass(cls, nn.Sequential)
        plain = cls in WRITE or (of_torch and cls is not nn.Module)
        if isinstance(module, Stateful) or (plain and not overridden(module)):
            return True
        return super().is_leaf_module(module, path)

    def is_tensor(self, node: fx.Node) -> bool:
        """Tell whether a value is known to be one tensor: an input, or a layer's only output."""
        if node.op == "call_module":
            layer = self.root.get_submodule(str(node.target))
            if class_of(layer) in self.own:
                return False
            return not isinstance(layer, SpikingNeuron) or (layer.init_hidden and not layer.output)
        source = node.args[0] if node.target is operator.getitem else None
        return isinstance(source, fx.Node) and source.op == "placeholder"


class _Step(nn.Module):
    """A network as a function of the tuple of its signals."""

    graph: fx.Graph
    """The recorded operations."""

    def __init__(self, net: nn.Module, count: int, args: Any) -> None:
        super().__init__()
        self.net, self.count, self.args = net, count, args

    def forward(self, signals: Any) -> Any:
        return self.net(*(signals[i] for i in range(self.count)), *self.args)


class _State(str):
    """A state that a layer returned beside its spikes, which is not a signal of the graph."""


Sources = list[str]
"""The nodes whose sum is the value."""


def _name(path: str) -> str:
    return path.replace("/", "_")  # a slash would open a group in the file


def _where(path: str, module: nn.Module) -> str:
    return f"layer {path!r} ({type(module).__name__})" if path else type(module).__name__


def _path(node: fx.Node) -> str:
    return str(node.target).removeprefix("net").strip(".")


def _arguments_of(node: fx.Node) -> list[Any]:
    return [*node.args, *node.kwargs.values()]


def _holds_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or (
        isinstance(value, tuple) and any(map(_holds_tensor, value))
    )


def _merged(before: Shape, after: Shape) -> tuple[int, int] | None:
    """Return the first and last of the dimensions that a reshape merges, None if it does more."""
    same = [a == b for a, b in zip(before, after, strict=False)]
    start = min([*same, False].index(False), len(after) - 1)
    end = start + len(before) - len(after)
    return (start, end) if 0 <= start <= end and before[end + 1 :] == after[start + 1 :] else None


def _sizes(node: fx.Node) -> Any:
    """Return the shape that is passed to a reshape."""
    sizes = node.kwargs.get("shape", node.args[1:])
    return sizes[0] if isinstance(sizes, tuple) and len(sizes) == 1 else sizes


def _numbered(name: str, index: int, count: int) -> str:
    """Return the name of one of several inputs or outputs, which are read in alphabetical order."""
    return name if count == 1 else f"{name}_{index:0{len(str(count - 1))}}"


class _Builder(fx.Interpreter):
    """Runs a traced network once, and builds the NIR graph along the way.

    :param lead: how many dimensions of a signal come before those of one sample
    :param own: the user's functions that convert layers, by class
    """

    def __init__(
        self, traced: _Step, lead: int, dt: float, unit_r: bool, own: dict[Any, Any]
    ) -> None:
        super().__init__(interpreted(traced), garbage_collect_values=False)
        self.extra_traceback = False  # errors name layers, not the trace's operations
        self.lead, self.dt, self.unit_r, self.own = lead, dt, unit_r, own
        self.mapped: dict[str, nn.Module] = {}  # the layers that a user converts, by their node
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.layers: dict[str, nn.Module] = {}
        calls = (node for node in traced.graph.nodes if node.op == "call_module")
        self.ahead = {_name(_path(node)) for node in calls}  # names that layers will need
        self.notes: dict[str, str] = {}
        self.sources: dict[fx.Node, Sources | _State] = {}
        self.last: dict[str, Sources] = {}  # of the modules in which cycles are cut

    def run_node(self, node: fx.Node) -> Any:
        """Run one operation, and add it to the graph."""
        rule = getattr(self, f"_{node.op}")
        if node.op == "call_module":
            self._check(node)
        try:
            value = super().run_node(node)
        except (RuntimeError, IndexError) as error:
            where = _where(_path(node), self.layers.get(_path(node), self.module))
            if isinstance(error, NotImplementedError):
                raise NotImplementedError(f"{where}: {error}") from None
            raise ValueError(f"{where} cannot run on sample_data: {error}") from error
        sources = rule(node, value)
        if sources is not None:
            self.sources[node] = sources
        return value

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Run a layer."""
        return run(self.fetch_attr(target), args, kwargs)

    # Values ----------------------------------------------------------------------------------

    def _shape(self, value: Any) -> Shape:
        spikes = value[0] if isinstance(value, tuple) else value
        return tuple(spikes.shape[self.lead :])

    def _signal(self, value: Any, user: str) -> Sources:
        """Return the nodes behind an argument."""
        sources = self.sources.get(value) if isinstance(value, fx.Node) else None
        if isinstance(sources, _State):
            raise NotImplementedError(f"{user} takes {sources}; in NIR only spikes are signals")
        if sources is None:
            raise NotImplementedError(f"{user} takes {value}, which is not a signal of the network")
        return sources

    def _add(self, name: str, node: Any, sources: Sources, out: Shape | None = None) -> Sources:
        """Add a node behind others."""
        while name in self.nodes or name in self.ahead:
            name += "_"
        self.nodes[name] = node
        for source in sources:
            if (source, name) in self.edges:
                raise NotImplementedError(f"{name} takes the sum of {source} and itself")
            self.edges.append((source, name))
        if out is not None:
            node.output_type = {"output": np.array(out)}
        return [name]

    # Operations of a traced network, by their name in torch.fx ---------------------------------

    def _placeholder(self, node: fx.Node, value: Any) -> None:
        pass

    def _get_attr(self, node: fx.Node, value: Any) -> None:
        pass

    def _call_method(self, node: fx.Node, value: Any) -> Sources | _State | None:
        return self._call_function(node, value)

    def _call_function(self, node: fx.Node, value: Any) -> Sources | _State | None:
        target: Any = node.target
        name = getattr(target, "__name__", target)
        if not _holds_tensor(value):
            return None  # such as a size that is passed to a reshape
        if target is operator.getitem:
            return self._item(node, *node.args)
        if target in _ADDITIONS and not node.kwargs.keys() - {"input", "other"}:
            terms = _arguments_of(node)
            sources = [self._signal(term, f"{name}()") for term in terms]
            shapes = {tuple(self.env[term].shape) for term in terms}
            if len(shapes) > 1:
                raise NotImplementedError(f"{name}() of {sorted(shapes)} would have to broadcast")
            if target in _IN_PLACE and not self._is_fresh(terms[0]):
                raise NotImplementedError(
                    f"{name}() changes a signal in place, and maybe others that share its memory; "
                    "write y = y + x"
                )
            return [each for some in sources for each in some]
        if target in _FUNCTIONS:
            layer = _FUNCTIONS[target](*node.args, **node.kwargs)
            signal = self._signal(_arguments_of(node)[0], f"{name}()")
            return self._layer(node.name, layer, signal, node, value)
        if target in _RESHAPES:
            return self._reshape(node, value, f"{name}() in forward of {self._caller(node)}")
        raise NotImplementedError(
            f"{name}() in forward of {self._caller(node)} has no counterpart in NIR; only layers, "
            "sums, avg_pool2d, torch.flatten, and reshapes that flatten, do; module_map takes the "
            "class of a module as a whole"
        )

    def _caller(self, node: fx.Node) -> str:
        """Return the path of the module whose forward runs an operation."""
        stack = node.meta.get("nn_module_stack") or {"": ("", "")}
        path, entry = list(stack.items())[-1]
        path = entry[0] if isinstance(entry, tuple) else path  # before torch 2.1
        return path.removeprefix("net").strip(".") or "the network"

    def _reshape(self, node: fx.Node, value: Tensor, where: str) -> Sources:
        given = self.env[_arguments_of(node)[0]]
        before, after = tuple(given.shape), tuple(value.shape)
        sources = self._signal(_arguments_of(node)[0], where)
        merged = _merged(before, after) if value.dtype == given.dtype else None
        if merged is None or merged[0] < self.lead:
            raise NotImplementedError(
                f"{where} turns the shape {before} into {after}; NIR can only merge neighboring "
                "dimensions of a sample"
            )
        if before == after:
            return sources
        return self._layer(node.name, nn.Flatten(*merged), sources, node, value)

    def _origin(self, node: fx.Node) -> fx.Node | None:
        """Return the node before the layers that vanish, or None if another node reads it too."""
        while len(node.users) == 1:
            if not isinstance(self._called(node), VANISHING):
                return node
            node = _arguments_of(node)[0]
        return None

    def _called(self, node: Any) -> nn.Module | None:
        """Return the layer of this library or torch that returned a value as its only or first
        output."""
        if node.target is operator.getitem:
            node = node.args[0]
        layer = self.layers[_path(node)] if node.op == "call_module" else None
        return None if layer is None or class_of(layer) in self.own else layer

    def _is_fresh(self, signal: fx.Node) -> bool:
        """Tell whether a signal has separate memory that nothing else reads."""
        origin = self._origin(signal)
        if origin is None:
            return False
        layer = self._called(origin)
        if isinstance(layer, SpikingNeuron):
            return not isinstance(layer, RecurrentLIF)  # which keeps its spikes as a state
        return isinstance(layer, (*DIMS,)) or origin.target in (*_ADDITIONS, F.avg_pool2d)

    def _item(self, node: fx.Node, value: Any, index: Any) -> Sources | _State | None:
        import nir

        if value.op == "placeholder":
            signal = self.env[value][index]
            name = _numbered("input", index, len(self.env[value]))
            return self._add(name, nir.Input({"input": np.array(self._shape(signal))}), [])
        sources = self._signal(value, "getitem()")
        if not isinstance(self.env[value], tuple):
            raise NotImplementedError(
                f"getitem() of a signal, [{index}], has no counterpart in NIR"
            )
        return sources if index == 0 else _State(f"state {index} of {sources[0]}")

    def _check(self, node: fx.Node) -> None:
        """Raise if a layer cannot be exported."""
        path = _path(node)
        module = self.fetch_attr(str(node.target))
        where, own = _where(path, module), class_of(module) in self.own
        if not own and isinstance(module, _DropoutNd | _BatchNorm) and module.training:
            raise ValueError(f"{where} is in training mode; call eval() on the network first")
        if not own and (reason := refusal(module)):
            raise NotImplementedError(f"{where}: {reason}")
        self.ahead.discard(_name(path))
        if path in self.layers and (own or not isinstance(module, _REPEATABLE)):
            raise NotImplementedError(
                f"{where} is called twice in forward; a NIR graph is one time step, in which each "
                "layer appears once"
            )
        self.layers[path] = module

    def _call_module(self, node: fx.Node, value: Any) -> Sources:
        path = _path(node)
        module: Any = self.layers[path]
        signal, *states = _arguments_of(node)
        where = _where(path, module)
        if isinstance(module, Last):
            if states:
                self.last[path] = self._signal(states[0], where)
            return [path]
        sources = self._signal(signal, where)
        for state in states:
            if isinstance(state, fx.Node) and (state in self.sources or self.env[state].any()):
                raise NotImplementedError(f"{where} is given a state; export it at rest")
        name = _name(path) or type(module).__name__.lower()
        if class_of(module) in self.own:
            return self._map(name, module, sources, node, value)
        if isinstance(module, nn.Identity | _DropoutNd):
            return sources
        if isinstance(module, _BatchNorm):
            return self._fold(path, module, node, sources)
        try:
            return self._layer(name, module, sources, node, value)
        except NotImplementedError as error:
            raise NotImplementedError(f"{where}: {error}") from None

    def _layer(
        self, name: str, module: Any, sources: Sources, node: fx.Node, value: Any
    ) -> Sources:
        """Add the node of a layer."""
        import nir

        cls: Any = kind(module)
        shape, out = self._shape(self.env[_arguments_of(node)[0]]), self._shape(value)
        if len(shape) != DIMS.get(cls, len(shape)):
            raise NotImplementedError(
                f"takes samples of the shape {shape}, where NIR has {DIMS[cls]} dimensions; put "
                "nn.Flatten() before it, or name the batch's dimensions in ignore_dims"
            )
        if cls in WRITE:
            made = WRITE[cls](module, shape, self.dt, self.lead)
            made.input_type = {"input": np.array(shape)}
            return self._add(name, made, sources, out)
        own = metadata.write(module) | ({"unit_r": True} if self.unit_r else {})
        node_type, values = fields(module, shape, self.dt, self.unit_r)
        made = getattr(nir, node_type)(**values, metadata={KEY: own})
        if not isinstance(module, RecurrentLIF):
            return self._add(name, made, sources)
        spikes = self._add(f"{name}.lif", made, sources)
        weight = recurrence.write_weight(module, shape, self.dt, self.lead)
        back = self._add(f"{name}.w_rec", weight, spikes, shape)
        self.edges.append((back[0], spikes[0]))
        return spikes

    def _map(self, name: str, module: Any, sources: Sources, node: fx.Node, value: Any) -> Sources:
        """Add the node that the user's function returns for a layer."""
        import nir

        made = self.own[class_of(module)](module)
        if not isinstance(made, nir.NIRNode):
            raise TypeError(
                f"module_map[{class_of(module).__name__}] returned a {type(made).__name__}; "
                "expected a nir.NIRNode"
            )
        if not isinstance(made, nir.NIRGraph):
            made.input_type = {"input": np.array(self._shape(self.env[_arguments_of(node)[0]]))}
            made.output_type = {"output": np.array(self._shape(value))}
        (name,) = self._add(name, made, sources)
        self.mapped[name] = module
        return [name]

    def _fold(self, path: str, norm: Any, node: fx.Node, sources: Sources) -> Sources:
        """Fold a batch normalization into the layer before it."""
        import nir

        origin = self._origin(_arguments_of(node)[0])
        before = None if origin is None else self._called(origin)
        if not isinstance(before, nn.Linear | nn.Conv1d | nn.Conv2d):
            raise NotImplementedError(
                f"{_where(path, norm)} must be the only reader of a Linear or a convolution, to be "
                "folded into it"
            )
        if self.lead != 1:  # another dimension would be mistaken for the channels
            raise NotImplementedError(
                f"{_where(path, norm)} needs a sample with one batch dimension"
            )
        if norm.running_mean is None:
            raise NotImplementedError(f"{_where(path, norm)} has no running statistics to fold")
        # y = (x - mean) / sqrt(variance + eps) * weight + bias
        factor = (norm.running_var.double() + norm.eps).rsqrt()
        factor = factor if norm.weight is None else factor * norm.weight
        offset = -norm.running_mean * factor + (0 if norm.bias is None else norm.bias)
        (source,) = sources
        made = self.nodes[source]
        weight, old = made.weight, getattr(made, "bias", 0.0)
        made.weight = weight * array(factor).reshape(-1, *[1] * (weight.ndim - 1))
        made.weight = made.weight.astype(weight.dtype)
        bias = (old * array(factor) + array(offset)).astype(weight.dtype)
        if isinstance(made, nir.Linear):
            self.nodes[source] = nir.Affine(made.weight, bias)
        else:
            made.bias, made.metadata = bias, {}
        self.notes[path] = f"{type(norm).__name__} folded into {source}"
        return sources

    def _output(self, node: fx.Node, value: Any) -> None:
        import nir

        result: Any = node.args[0]
        results: Any = result if isinstance(result, tuple | list) else (result,)
        found = {r: self.sources.get(r) for r in results if isinstance(r, fx.Node)}
        states = [r for r, sources in found.items() if isinstance(sources, _State)]
        signals = [r for r in results if r is not None and r not in states]
        for state in states:
            self.notes[str(found[state])] = "a state that the network returns; left out"
        for i, signal in enumerate(signals):
            sources = self._signal(signal, "the output")
            out = nir.Output({"output": np.array(self._shape(self.env[signal]))})
            self._add(_numbered("output", i, len(signals)), out, sources)
        if not signals:
            raise NotImplementedError("the network returns states only; in NIR spikes are signals")


def _contents(value: Any, found: dict[int, tuple[Any, Any]]) -> None:
    """Collect the attributes of modules and the containers in them, each with a copy."""
    inside = vars(value) if isinstance(value, nn.Module) else value
    if id(inside) in found or not isinstance(inside, dict | list | set | deque | tuple):
        return
    if not isinstance(inside, tuple):
        found[id(inside)] = inside, dict(inside) if isinstance(inside, dict) else list(inside)
    for each in inside.values() if isinstance(inside, dict) else inside:
        _contents(each, found)


def _trace(module: nn.Module, samples: tuple[Tensor, ...], args: Any, own: Iterable[type]) -> _Step:
    """Record the operations of a network on its signals."""
    step = _Step(module, len(samples), args)
    held: dict[int, tuple[Any, Any]] = {}
    _contents(module, held)
    try:
        with proxies_in_buffers():
            step.graph = _Tracer(len(samples[0]) if samples[0].dim() else 1, own).trace(step)
        return step
    except fx.proxy.TraceError as error:
        raise NotImplementedError(
            f"forward of {type(module).__name__} depends on values of its input ({error}); a NIR "
            "graph is fixed: export a module without such control flow"
        ) from error
    finally:  # forward may have stored fx proxies
        for inside, old in held.values():
            inside.clear()
            (inside.extend if isinstance(inside, list | deque) else inside.update)(old)


def _sample_dims(tensor: Tensor, sample: Tensor) -> int:
    """Return how many dimensions of a sample a neuron's tensor has; leading dimensions of one may
    be there to broadcast over the batch."""
    dims = tensor.dim()
    while 0 < dims <= sample.dim() and tensor.shape[-dims] == 1 != sample.shape[-dims]:
        dims -= 1
    return dims


def _leading(traced: _Step, sample: Tensor, ignore_dims: Any, own: Iterable[type]) -> int:
    """Return how many dimensions of a sample come before those of the network's input."""
    if len(ignore_dims):
        ignored = sorted(int(dim) % max(sample.dim(), 1) for dim in ignore_dims)
        if ignored != list(range(len(ignored))) or len(ignored) >= sample.dim():
            raise ValueError(
                f"ignore_dims={list(ignore_dims)} of a sample of shape {tuple(sample.shape)}; only "
                "the first dimensions, such as [0], can be left out"
            )
        return len(ignored)
    for node in traced.graph.nodes:
        if node.target in _RESHAPES and isinstance(sizes := _sizes(node), tuple | list):
            return min(len(sizes) - 1, 1)
        if node.op == "call_module" or node.target in _FUNCTIONS:
            module: Any = (
                traced.get_submodule(str(node.target))
                if node.op == "call_module"
                else _FUNCTIONS[node.target](*node.args, **node.kwargs)
            )
            if class_of(module) in own:
                continue
            cls = kind(module)
            dims = DIMS.get(cls, 0)
            if isinstance(module, SpikingNeuron):
                dims = max(_sample_dims(t, sample) for t in metadata.tensors_of(module).values())
            if dims and sample.dim() - dims in (0, 1):
                return sample.dim() - dims
            if dims and cls in DIMS:
                raise ValueError(
                    f"sample_data of shape {tuple(sample.shape)} does not suit {cls.__name__}, "
                    f"which takes {dims} dimensions and a batch; give the input of one time step"
                )
            if cls is nn.Flatten:
                start = module.start_dim
                return min(start if start >= 0 else start + sample.dim(), 1)
    return int(sample.dim() > 1)


def export_to_nir(
    module: nn.Module,
    sample_data: Tensor | tuple[Tensor, ...],
    model_name: str = "snntorch",
    model_fwd_args: Any = [],  # noqa: B006
    ignore_dims: Any = [],  # noqa: B006
    *,
    dt: float = 1e-4,
    unit_r: bool = False,
    module_map: Mapping[type[nn.Module], Callable[[Any], nir.NIRNode]] | None = None,
) -> nir.NIRGraph:
    r"""Return a network as a NIR graph.

    Decays become the time constants of the same forward Euler step,

    .. math::

        \tau = \frac{dt}{1 - \beta}, \qquad r = \frac{\tau}{dt}, \qquad
        \tau_{\rm syn} = \frac{dt}{1 - \alpha}, \qquad w_{\rm in} = \frac{\tau_{\rm syn}}{dt} ,

    in float64, so that they come back bit-exact. What NIR cannot express (how a neuron resets,
    graded spikes, inhibition, the surrogate, which parameters learn) is kept in metadata, which
    :func:`~snntorch.import_from_nir` understands; a warning names the neurons that
    another reader will run differently.

    Layers, sums, ``avg_pool2d`` and reshapes that flatten are exported, at any depth of nesting.
    Batch normalization is folded into the layer before it, and dropout vanishes, both in evaluation
    mode only.

    :param module: a network that runs one time step per call
    :param sample_data: an input of one step, with or without a batch; a tuple of inputs for a
        network with several. The network runs on it once; the neurons' states are restored
    :param model_name: name stored in the metadata of the graph. Default: ``"snntorch"``
    :param model_fwd_args: arguments of ``forward`` after the input. Default: none
    :param ignore_dims: batch dimensions of the sample. Default: inferred
    :param dt: time step in seconds. Default: ``1e-4``
    :param unit_r: whether to write ``r = 1`` and scale thresholds instead, for readers that ignore
        ``r``; the spikes are the same. Default: ``False``
    :param module_map: for a class of modules, a function that returns its node. It takes
        precedence over this library's conversion, and applies to that class, not to subclasses.
        Default: ``None``
    :returns: the graph, for ``nir.write`` or :func:`~snntorch.import_from_nir`
    :raises TypeError: ``module`` is not a module, ``sample_data`` is not a tensor, or another
        argument has the wrong type
    :raises NotImplementedError: a layer or an operation that NIR cannot express; the error names it
    :raises ValueError: ``dt`` is not positive; dropout or normalization in training mode; a sample
        of the wrong shape

    Source: J. E. Pedersen et al., "Neuromorphic intermediate representation: A unified instruction
    set for interoperable brain-inspired computing", Nature Communications 15 (2024) 8122.
    """
    import nir

    dt, own_map = check_dt(dt), check_map("module_map", module_map, nn.Module)
    if not isinstance(module, nn.Module):
        raise TypeError(f"module is a {type(module).__name__}; an nn.Module is needed")
    if not isinstance(model_name, str):
        raise TypeError(f"model_name={model_name!r}; a string is needed")
    lists = {"model_fwd_args": model_fwd_args, "ignore_dims": ignore_dims}
    for name, value in lists.items():
        if not isinstance(value, Iterable):
            raise TypeError(f"{name}={value!r}; a list is needed, [] for none")
    module = getattr(module, "_orig_mod", module)  # under torch.compile
    if isinstance(module, Unroll):
        module = module.net
    samples = tuple(sample_data) if isinstance(sample_data, tuple | list) else (sample_data,)
    for sample in samples:
        if not isinstance(sample, Tensor):
            raise TypeError(f"sample_data is a {type(sample).__name__}; a tensor is needed")
    kept = states_of(module)
    try:
        utils.reset(module)
        traced = _trace(module, samples, model_fwd_args, own_map)
        utils.reset(module)
        lead = _leading(traced, samples[0], ignore_dims, own_map)
        builder = _Builder(traced, lead, dt, unit_r, own_map)
        with torch.no_grad():
            builder.run(samples)
    finally:
        restore(kept)
    tensors = [*samples, *module.parameters(), *(b for b in module.buffers() if b.dim())]
    dtypes = [t.dtype for t in tensors if t.is_floating_point()] or [torch.get_default_dtype()]
    dtype = reduce(torch.promote_types, dtypes)
    own = {"dt": dt, "model_name": model_name, "dtype": str(dtype).removeprefix("torch.")}
    if builder.notes:
        own["notes"] = {path.replace("/", "_"): note for path, note in builder.notes.items()}
    edges = [(s, b) for a, b in builder.edges for s in builder.last.get(a, [a])]
    graph = nir.NIRGraph(builder.nodes, edges, metadata={KEY: own}, type_check=False)
    _, report = convert(graph, dt, known=builder.mapped)
    if differences := report.remarks("elsewhere"):
        warn(
            f"a reader that knows only the core of NIR differs at {differences}. "
            "snntorch.export.report(graph) shows it as a table",
            stacklevel=2,
        )
    if approximations := report.remarks("approximate"):
        warn(f"this export is approximate; {approximations}", stacklevel=2)
    return graph
