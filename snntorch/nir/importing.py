"""Import from NIR: convert a graph, or a file with one, to an ordinary module."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from itertools import groupby, pairwise
from keyword import iskeyword
from os import PathLike
from typing import TYPE_CHECKING, Any
from warnings import warn

import numpy as np
import torch
from torch import nn

from .._layers.scale import Scale
from .._neurons.leaky import Leaky
from .._neurons.recurrent import RecurrentLIF
from .._neurons.rleaky import RLeaky
from .._neurons.rsynaptic import RSynaptic
from .._neurons.states import Stateful
from .._neurons.synaptic import Synaptic
from . import metadata, neurons, recurrence
from .common import Converter, Edges, check_dt, check_map, own_metadata
from .network import Key, Last, Network, NetworkWithState
from .reporting import Report, Row
from .wiring import READ, Wiring, check_wiring, flat, load, unknown, wire

if TYPE_CHECKING:
    import nir


_RECURRENT: dict[type, type[RecurrentLIF]] = {Leaky: RLeaky, Synaptic: RSynaptic}


def _module(node: Any, loop: Any, c: Converter) -> tuple[nn.Module, bool]:
    """Return the module of a node, and whether the recurrent connection is inside."""
    _check_finite(node)
    restored = metadata.read(node, loop, c)
    if restored is not None:
        return restored, isinstance(restored, RecurrentLIF)
    plain: Any = READ[type(node).__name__](node, c)
    cls = _RECURRENT.get(type(plain))
    if loop is None or cls is None:
        return plain, False
    decays = {name: getattr(plain, name) for name in ("alpha", "beta") if hasattr(plain, name)}
    kwargs = {**decays, "threshold": plain.threshold, **neurons.FIRING}
    return recurrence.make(cls, kwargs, loop, c), True


def _check_finite(node: Any) -> None:
    """Raise if a neuron has a value that would make its membrane NaN."""
    if type(node).__name__ not in neurons.READ:
        return
    for name, value in vars(node).items():
        values = np.asarray(value)
        if values.dtype.kind == "f":
            # An infinite time constant means no leak; an infinite threshold is never reached.
            may_be_infinite = name.startswith("tau") or name == "v_threshold"
            if (np.isnan(values) if may_be_infinite else ~np.isfinite(values)).any():
                raise ValueError(f"{name} has the value {values[~np.isfinite(values)].flat[0]}")


def convert(
    graph: Any,
    dt: float | None,
    dtype: torch.dtype | None = None,
    init_hidden: bool = True,
    node_map: Any = None,
    known: Mapping[str, nn.Module] | None = None,
) -> tuple[nn.Module, Report]:
    """Return the module of a graph, and a report on each of its nodes.

    :param known: the modules of some nodes, by their name
    """
    import nir

    node_map = check_map("node_map", node_map, nir.NIRNode, (nir.NIRGraph, nir.Input, nir.Output))
    graph = load(graph, node_map)
    own = own_metadata(graph)
    dt = check_dt(own.get("dt", 1e-4) if dt is None else dt)
    if "dt" in own and not np.isclose(own["dt"], dt, rtol=1e-9, atol=0):
        raise ValueError(
            f"dt={dt:g}, but the graph was exported for steps of {own['dt']:g} s; pass "
            f"dt={own['dt']:g}"
        )
    if dtype is None:
        dtype = getattr(torch, str(own.get("dtype")), torch.get_default_dtype())
    nodes, edges = flat(graph)
    check_wiring(nodes, edges)
    known = {**_mapped(nodes, node_map), **(known or {})}
    modules, loops, rows = _modules(nodes, edges, known, Converter(dt, dtype))
    inside = set(loops.values())  # weights that are part of a neuron
    wired = wire(
        {name: node for name, node in nodes.items() if name not in inside},
        [edge for edge in edges if not inside & set(edge)],
    )
    shapes, paths = _shapes(wired, modules, known, dtype), _paths(modules, loops)
    module = _assemble(wired, modules, shapes, paths, init_hidden)
    for name in {a for a, _ in wired.cut}:
        note = f"{rows[name].note}; its value comes back one step later"
        rows[name] = replace(rows[name], note=note.removeprefix("; "))
    notes = [Row(name, "", "", note=str(note)) for name, note in own.get("notes", {}).items()]
    table = [rows[name] for name in (*wired.order, *sorted(inside))]
    return module, Report([*table, *notes])


def _mapped(nodes: dict[str, Any], node_map: dict[Any, Any]) -> dict[str, nn.Module]:
    """Return the modules of the nodes that the user's functions convert."""
    modules = {n: node_map[type(node)](node) for n, node in nodes.items() if type(node) in node_map}
    for name, module in modules.items():
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"node_map[{type(nodes[name]).__name__}] returned a {type(module).__name__} for "
                f"node {name!r}; expected an nn.Module"
            )
    return modules


def _modules(
    nodes: dict[str, Any], edges: Edges, known: Mapping[str, nn.Module], c: Converter
) -> tuple[dict[str, nn.Module], dict[str, str], dict[str, Row]]:
    """Return the module of each node, the weights that are inside neurons, by the name of the
    neuron, and a row of the report for each node."""
    loops = recurrence.loops_of(nodes, edges)
    loops = {name: weight for name, weight in loops.items() if not {name, weight} & known.keys()}
    modules: dict[str, nn.Module] = {}
    rows: dict[str, Row] = {}
    for name in sorted(nodes, key=lambda name: name in loops.values()):  # neurons come first
        node, kind = nodes[name], type(nodes[name]).__name__
        c.note = c.approximate = ""
        if name in known:
            modules[name], c.note = known[name], "converted by a user's function"
        elif name in loops.values():
            neuron = next(n for n, weight in loops.items() if weight == name)
            c.note = f"recurrent weight of {neuron}"
        elif kind in READ:
            try:
                modules[name], fused = _module(node, nodes.get(loops.get(name, "")), c)
            except NotImplementedError as error:
                raise NotImplementedError(f"node {name!r} ({kind}): {error}") from None
            except (ValueError, RuntimeError) as error:
                raise ValueError(f"node {name!r} ({kind}): {error}") from error
            if not fused:
                loops.pop(name, None)
        elif kind not in ("Input", "Output"):
            raise unknown(name, kind)
        here = type(modules[name]).__name__ if name in modules else ""
        rows[name] = Row(name, kind, here, c.note, c.approximate, metadata.elsewhere(node))
    return modules, loops, rows


def _shapes(
    wired: Wiring, modules: dict[str, nn.Module], known: Mapping[str, nn.Module], dtype: torch.dtype
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
        if name in known and (declared := _size(node.output_type)) is not None:
            shapes[name] = declared
            continue
        if not _takes(node, shape, wired):
            raise ValueError(f"{where}; it takes {_size(node.input_type)}")
        if module is None or isinstance(module, Stateful | Scale):
            shapes[name] = shape
            continue
        try:
            with torch.no_grad():
                module = deepcopy(module) if name in known else module  # it may change
                shapes[name] = tuple(module(torch.zeros(1, *shape, dtype=dtype)).shape[1:])
        except (RuntimeError, IndexError) as error:
            raise ValueError(f"{where}: {error}") from error
    for name in {a for a, _ in wired.cut}:
        if shapes[name] != (declared := _size(wired.nodes[name].output_type)):
            raise ValueError(f"node {name!r} gives the shape {shapes[name]}, not {declared}")
    return shapes


def _takes(node: Any, shape: tuple[int, ...], wired: Wiring) -> bool:
    """Tell whether a node takes this shape, as far as it declares one."""
    wanted, kind = _size(node.input_type), type(node).__name__
    if wanted is None or wanted == shape or np.prod(wanted) == 1:
        return True
    if kind == "Output":
        # nir infers wrong sizes behind some convolutions; some libraries write the batch too.
        return bool(wired.named("Conv2d")) or wanted[-len(shape) :] == shape
    return "Conv" in kind and wanted[1:] == shape[1:]  # nir miscounts grouped channels


def _sample(name: str, node: Any, readers: list[Any]) -> tuple[int, ...]:
    """Return an input's shape, without the batch dimension that some libraries write."""
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
    """Return a valid attribute name of a module."""
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
    node_map: Mapping[type[nir.NIRNode], Callable[[Any], nn.Module]] | None = None,
) -> nn.Module:
    r"""Return a NIR graph as a module that runs one time step per call.

    Neurons are integrated by forward Euler,

    .. math::

        \beta = 1 - dt / \tau, \qquad U[t+1] = \beta U[t] + (1 - \beta) v_{\rm leak}
        + \frac{r\, dt}{\tau} X[t+1] ,

    fire if :math:`U > v_{\rm threshold}`, and are then set to :math:`v_{\rm reset}`. Graphs that
    :func:`~snntorch.export_to_nir` wrote come back as they were, with every kind of reset.

    The network is called ``out, state = net(x, state)``, first as ``net(x)``, and is a
    :class:`~snntorch.nir.NetworkWithState`. With ``init_hidden=True`` it returns the output alone:
    a chain of nodes becomes an ``nn.Sequential``, which :func:`~snntorch.unroll` runs on its fast
    path, any other graph a :class:`~snntorch.nir.Network`. In both, :func:`utils.reset
    <snntorch.utils.reset>` resets the neurons. In a cycle other than a neuron's own recurrent
    connection, the value of one neuron comes back one step later.

    :param graph: a ``nir.NIRGraph``, or the path of a file with one
    :param init_hidden: whether to return the output without the state. Default: ``False``
    :param dt: time step in seconds. Default: ``1e-4``
    :param dtype: floating-point dtype of the parameters. Default: ``None``, that of the exported
        network, or PyTorch's default
    :param node_map: for a class of nodes, a function that returns its module, which takes and
        returns one tensor ``[B, ...]`` at each step. It takes precedence over this library's
        conversion. Default: ``None``
    :returns: a module from input ``[B, ...]`` to spikes ``[B, ...]`` of one step, with the state
        unless ``init_hidden``. Several inputs are arguments in alphabetical order; several outputs
        are a tuple in alphabetical order
    :raises FileNotFoundError: there is no such file
    :raises NotImplementedError: a node of an unknown type
    :raises TypeError: ``graph`` is not a graph, or ``node_map`` is not a map from classes of nodes
        to functions that return modules
    :raises ValueError: an unreadable file; ``dt`` is not positive, differs from that of the export,
        or exceeds a time constant; an edge is missing, duplicate or dangling; shapes disagree

    Source: J. E. Pedersen et al., "Neuromorphic intermediate representation: A unified instruction
    set for interoperable brain-inspired computing", Nature Communications 15 (2024) 8122.
    """
    module, report = convert(graph, dt, dtype, init_hidden, node_map)
    if approximations := report.remarks("approximate"):
        warn(f"this import is approximate; {approximations}", stacklevel=2)
    return module


def report(
    graph: nir.NIRGraph | str | PathLike[str],
    *,
    dt: float | None = None,
    node_map: Mapping[type[nir.NIRNode], Callable[[Any], nn.Module]] | None = None,
) -> Report:
    """Tell how each node of a graph is imported here, and what another reader does differently.

    :param graph: a ``nir.NIRGraph``, or the path of a file with one
    :param dt: time step in seconds. Default: ``None``, that of the export, or 1e-4
    :param node_map: for a class of nodes, a function that returns its module, as for
        :func:`~snntorch.import_from_nir`. Default: ``None``
    :returns: one :class:`Row` for each node; a table when printed
    :raises FileNotFoundError: there is no such file
    :raises NotImplementedError: a node of an unknown type
    :raises TypeError: ``graph`` or ``node_map`` has the wrong type
    :raises ValueError: as :func:`~snntorch.import_from_nir`
    """
    return convert(graph, dt, node_map=node_map)[1]
