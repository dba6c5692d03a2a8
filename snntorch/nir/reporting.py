"""The report on each node of a graph."""

from __future__ import annotations

from dataclasses import dataclass

from .._table import table


@dataclass(frozen=True)
class Row:
    """How one node is converted."""

    node: str
    """Its name in the graph."""
    nir: str
    """Its type in NIR."""
    here: str
    """The class of its module; empty if it is part of the wiring or of another module."""
    note: str = ""
    """Remark on the conversion."""
    approximate: str = ""
    """What is not exact."""
    elsewhere: str = ""
    """What a reader that ignores this library's metadata does differently."""


class Report(tuple[Row, ...]):
    """How a graph is converted: one :class:`Row` for each node; a table when printed."""

    def __str__(self) -> str:
        rows = [("node", "NIR", "here", "remarks")]
        for row in self:
            labelled = (
                row.note,
                row.approximate and f"approximate: {row.approximate}",
                row.elsewhere and f"elsewhere: {row.elsewhere}",
            )
            first, *more = [remark for remark in labelled if remark] or [""]
            rows += [(row.node, row.nir, row.here, first), *(("", "", "", m) for m in more)]
        return table(rows)

    __repr__ = __str__

    def remarks(self, column: str) -> str:
        """Return the remarks of one column, each with the nodes that it concerns.

        :param column: ``"note"``, ``"approximate"`` or ``"elsewhere"``
        :returns: the remarks, separated by semicolons
        """
        about: dict[str, list[str]] = {}
        for row in self:
            about.setdefault(getattr(row, column), []).append(row.node)
        return "; ".join(
            f"{', '.join(nodes)}: {remark}" for remark, nodes in about.items() if remark
        )
