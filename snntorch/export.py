"""Exchange of networks with other simulators and chips by NIR: both directions, a report on what
becomes of each node, and a picture of a graph."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from ._nir import Report, Row
from .export_nir import export_to_nir
from .import_nir import convert, import_from_nir, wiring

if TYPE_CHECKING:
    import nir
    from matplotlib.axes import Axes

__all__ = ["Report", "Row", "draw", "export_to_nir", "import_from_nir", "report"]


def report(graph: nir.NIRGraph | str | PathLike[str], *, dt: float | None = None) -> Report:
    """Tell what becomes of each node of a graph here, and what another reader makes of it.

    :param graph: as for :func:`import_from_nir`
    :param dt: time step in seconds; default that of the export, or 1e-4
    :returns: one :class:`Row` for each node; a table when printed
    :raises: as :func:`import_from_nir`
    """
    return convert(graph, dt)[1]


def draw(graph: nir.NIRGraph | str | PathLike[str], ax: Axes | None = None) -> Axes:
    """Draw a graph: its nodes from left to right, and dashed what comes back one step later.

    :param graph: as for :func:`import_from_nir`
    :param ax: axes of matplotlib to draw into; default new ones of a fitting size
    :returns: the axes
    :raises: as :func:`import_from_nir`
    """
    from matplotlib import pyplot as plt

    nodes, edges, order, cut = wiring(graph)
    column: dict[str, int] = {}
    for name in order:
        sources = [a for a, b in edges if b == name and (a, b) not in cut]
        column[name] = max((column[a] + 1 for a in sources), default=0)
    places: dict[str, tuple[float, float]] = {}
    for place in range(max(column.values()) + 1):
        stack = [name for name in order if column[name] == place]
        for i, name in enumerate(stack):
            places[name] = 1.9 * place, 1.2 * ((len(stack) - 1) / 2 - i)
    if ax is None:
        width, height = (max(p[i] for p in places.values()) - min(p[i] for p in places.values())
                         for i in (0, 1))  # fmt: skip
        _, ax = plt.subplots(figsize=(0.8 * (width + 2), 0.8 * (height + 2.4)))
    for name, (x, y) in places.items():
        kind, fires = type(nodes[name]).__name__, hasattr(nodes[name], "v_threshold")
        colour = "#f6d5c3" if fires else "#dbe7f3" if kind not in ("Input", "Output") else "white"
        box = {"boxstyle": "round,pad=0.45", "facecolor": colour, "edgecolor": "#555555"}
        text = f"{name}\n{kind} {_sizes(nodes[name])}".rstrip()
        ax.text(x, y, text, ha="center", va="center", fontsize=8, bbox=box, zorder=2)
    for a, b in edges:
        back = (a, b) in cut
        passes_by = column[b] - column[a] > 1
        bend = 0.45 if back else -0.3 if passes_by else 0.0
        arrow: dict[str, Any] = {
            "arrowstyle": "-|>",
            "color": "#555555",
            "linestyle": "--" if back else "-",
            "connectionstyle": f"arc3,rad={bend}",
            "shrinkA": 26,
            "shrinkB": 26,
        }
        ax.annotate("", places[b], places[a], arrowprops=arrow, zorder=1)
    xs, ys = zip(*places.values(), strict=True)
    ax.set(xlim=(min(xs) - 1, max(xs) + 1), ylim=(min(ys) - 1.2, max(ys) + 1.2), aspect="equal")
    ax.axis("off")
    return ax


def _sizes(node: Any) -> str:
    sizes = next(iter((node.output_type or {}).values()), None)
    return "" if sizes is None else "x".join(str(int(size)) for size in sizes)
