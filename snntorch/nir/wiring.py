"""Graphs: read from files, flattened, and sorted in the order of execution."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from torch import Tensor

from . import layers, neurons
from .common import Edges, array

if TYPE_CHECKING:
    import nir


READ = {**neurons.READ, **layers.READ, "Threshold": neurons.read_threshold}
"""For a node's type, the function that returns its module."""


def _read(path: str | PathLike[str], others: dict[str, Any]) -> nir.NIRGraph:
    """Read a graph from a file; unlike ``nir.read``, errors name the node."""
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
        return _node(data, "", others)
    except NotImplementedError as error:
        raise NotImplementedError(f"{path}: {error}") from None
    except Exception as error:
        raise ValueError(f"{path}: {error}") from error


def _node(data: dict[str, Any], path: str, others: dict[str, Any]) -> Any:
    """Build a node from its fields; nested graphs skip the type check of nir.

    :param others: the classes of nodes that nir does not know, by their name
    """
    import nir

    kind = data.get("type")
    if kind == "NIRGraph":
        inner = data["nodes"].items()
        nodes = {name: _node(node, f"{path}{name}.", others) for name, node in inner}
        edges = [tuple(nir.ir.utils.ensure_str(end) for end in edge) for edge in data["edges"]]
        return nir.NIRGraph(nodes, edges, metadata=data.get("metadata", {}), type_check=False)
    if kind not in READ and kind not in ("Input", "Output", *others):
        raise unknown(path[:-1], kind)
    try:
        if kind in others:
            return others[kind].from_dict(data)
        return nir.dict2NIRNode(data)
    except Exception as error:
        raise ValueError(f"node {path[:-1]!r} ({kind}) cannot be read: {error}") from error


def unknown(name: str, kind: Any) -> NotImplementedError:
    """Return the error for a node of an unknown type."""
    return NotImplementedError(
        f"node {name!r} is of the type {kind}, which is not known; known are NIRGraph, Input, "
        f"Output, {', '.join(READ)}, and those in node_map"
    )


def load(graph: Any, node_map: Iterable[type] = ()) -> nir.NIRGraph:
    """Return a graph, the graph of a file, or a graph of a single node."""
    import nir

    if isinstance(graph, str | PathLike):
        others = {cls.__name__: cls for cls in node_map if cls.__name__ not in READ}
        return _read(graph, others)
    if not isinstance(graph, nir.NIRNode):
        raise TypeError(f"graph is a {type(graph).__name__}; a nir.NIRGraph or a path is needed")
    return graph if isinstance(graph, nir.NIRGraph) else nir.NIRGraph.from_list(graph)


def flat(graph: nir.NIRGraph, prefix: str = "") -> tuple[dict[str, Any], Edges]:
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
        inner, wires = flat(node, f"{path}.")
        for taken in sorted(inner.keys() & (outer | nodes.keys())):
            raise ValueError(
                f"node {taken.removeprefix(path)[1:]!r} of the nested graph {path!r} becomes "
                f"{taken!r}, the name of another node; rename one of them"
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
    """Return a node with arrays for the tensors that some libraries leave in it, and with the
    fields that a user's class may lack."""
    node = copy(node)
    vars(node).update({"input_type": None, "output_type": None, "metadata": {}} | vars(node))
    fields = {name: array(v) for name, v in vars(node).items() if isinstance(v, Tensor)}
    vars(node).update(fields)
    return node


def _without(name: str, edges: Edges) -> Edges:
    """Remove a node, and connect its sources to its readers."""
    sources = [a for a, b in edges if b == name]
    kept = (([(s, b) for s in sources] if a == name else [(a, b)]) for a, b in edges if b != name)
    return [edge for each in kept for edge in each]


def check_wiring(nodes: dict[str, Any], edges: Edges) -> None:
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
    """Return the nodes that can be reached along one or more edges."""
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
    """A flattened graph with its order of execution in one step."""

    nodes: dict[str, Any]
    edges: Edges
    order: list[str]
    """The names of the nodes in the order of execution."""
    cut: set[tuple[str, str]]
    """The edges that carry the value of the last step."""

    def into(self, name: str) -> list[str]:
        """Return the sources that are summed as the input of a node."""
        return [a for a, b in self.edges if b == name]

    def named(self, kind: str) -> list[str]:
        """Return the nodes of a type, sorted by name."""
        return sorted(name for name, node in self.nodes.items() if type(node).__name__ == kind)


def wire(nodes: dict[str, Any], edges: Edges) -> Wiring:
    """Find an order in which nodes run, and the edges that carry the last step's value.

    A cycle is cut behind one of its neurons: a firing one if possible, and the farthest from the
    input, since spikes come back one step later in RLeaky.
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
                if all(type(nodes[a]).__name__ in neurons.READ for a in sources)
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
    """Return for each node its distance from an input in edges."""
    depth = {name: 0 for name, node in nodes.items() if type(node).__name__ == "Input"}
    newest = set(depth)
    while newest:
        newest = {b for a, b in edges if a in newest} - depth.keys()
        depth.update(dict.fromkeys(newest, max(depth.values()) + 1))
    return {name: depth.get(name, len(nodes)) for name in nodes}


def wiring(graph: Any) -> Wiring:
    """Return a flattened graph with its order of execution."""
    nodes, edges = flat(load(graph))
    check_wiring(nodes, edges)
    return wire(nodes, edges)
