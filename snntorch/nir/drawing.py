"""Plot of a graph."""

from __future__ import annotations

from itertools import pairwise
from math import dist
from os import PathLike
from typing import TYPE_CHECKING, Any

from .wiring import Wiring, wiring

if TYPE_CHECKING:
    import nir
    from matplotlib.axes import Axes


def draw(graph: nir.NIRGraph | str | PathLike[str], ax: Axes | None = None) -> Axes:
    """Draw a graph from left to right; dashed edges carry the value of the last step.

    :param graph: a ``nir.NIRGraph``, or the path of a file with one
    :param ax: matplotlib axes to draw on; default None, new ones of a fitting size
    :returns: the axes
    :raises FileNotFoundError: there is no such file
    :raises NotImplementedError: a node of an unknown type in a file
    :raises TypeError: ``graph`` is not a graph
    :raises ValueError: an unreadable file; an edge is missing, duplicate or dangling
    """
    from matplotlib import pyplot as plt

    wired = wiring(graph)
    nodes = wired.nodes
    labels = {name: f"{name}\n{_kind(nodes[name])}" for name in nodes}
    places = _places(wired, labels)
    xs, ys = zip(*places.values(), strict=True)
    limits = {"xlim": (min(xs) - 1, max(xs) + 1), "ylim": (min(ys) - 0.9, max(ys) + 0.9)}
    if ax is None:
        size = [high - low for low, high in limits.values()]
        _, ax = plt.subplots(figsize=size)
    ax.set(**limits, aspect="equal")
    ax.axis("off")
    boxes = {}
    for name, (x, y) in places.items():
        kind, fires = type(nodes[name]).__name__, hasattr(nodes[name], "v_threshold")
        colour = "#f6d5c3" if fires else "white" if kind in ("Input", "Output") else "#dbe7f3"
        box = {"boxstyle": "round,pad=0.4", "facecolor": colour, "edgecolor": _GREY}
        text = ax.text(x, y, labels[name], ha="center", va="center", fontsize=8, bbox=box, zorder=1)
        boxes[name] = text.get_bbox_patch()
    neighbours = dict(pairwise(sorted({x for x, _ in places.values()})))
    for a, b in wired.edges:
        straight = neighbours.get(places[a][0]) == places[b][0]
        length = max(dist(places[a], places[b]), 0.1)
        arrow = {
            "arrowstyle": "-|>",
            "color": _GREY,
            "linestyle": "--" if (a, b) in wired.cut else "-",
            # Forward arcs pass above the nodes between, backward arcs below.
            "connectionstyle": f"arc3,rad={0 if straight else -max(1.1 / length, 0.2):.2f}",
            "patchA": boxes[a],
            "patchB": boxes[b],
        }
        ax.annotate("", places[b], places[a], arrowprops=arrow, zorder=2)
    return ax


_GREY = "#555555"


def _kind(node: Any) -> str:
    sizes = next(iter((node.output_type or {}).values()), None)
    size = "" if sizes is None else "x".join(str(int(each)) for each in sizes)
    return f"{type(node).__name__} {size}".rstrip()


def _places(wired: Wiring, labels: dict[str, str]) -> dict[str, tuple[float, float]]:
    """Return the center of each node's box in inches, in columns from left to right."""
    column: dict[str, int] = {}
    order, edges = wired.order, wired.edges
    into = {b: [a for a in wired.into(b) if (a, b) not in wired.cut] for b in order}
    for name in order:
        column[name] = max((column[a] + 1 for a in into[name]), default=0)
    for name in order:
        back = not into[name] and any(b == name for _, b in edges)
        ahead = [column[b] for a, b in edges if a == name and into[b] != [name]]
        if back and ahead:  # place a recurrent weight below its neuron
            column[name] = min(ahead)
    places: dict[str, tuple[float, float]] = {}
    right = 0.0
    for number in range(max(column.values()) + 1):
        stack = [name for name in order if column[name] == number]
        stack.sort(key=lambda name: not into[name])
        lines = [line for name in stack for line in labels[name].splitlines()]
        width = 0.3 + 0.065 * max(map(len, lines), default=0)
        for row, name in enumerate(stack):
            places[name] = right + width / 2, -1.0 * row
        right += width + 0.4
    return places
