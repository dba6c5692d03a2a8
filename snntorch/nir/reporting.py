"""The report on each node of a graph."""

from __future__ import annotations

from dataclasses import dataclass

from .._table import table


@dataclass(frozen=True)
class Row:
    """What becomes of one node."""

    node: str
    """Its name in the graph."""
    nir: str
    """Its type there."""
    here: str
    """The module here; empty for what is part of the wiring or of another module."""
    note: str = ""
    """How it is converted, unless that is obvious."""
    approximate: str = ""
    """What is not exact."""
    elsewhere: str = ""
    """What a reader that knows only the core of NIR does differently."""


class Report(tuple[Row, ...]):
    """What becomes of a graph: one :class:`Row` for each node; a table when printed."""

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
        """Return the remarks of one column, each with the nodes that it is about."""
        about: dict[str, list[str]] = {}
        for row in self:
            about.setdefault(getattr(row, column), []).append(row.node)
        return "; ".join(
            f"{', '.join(nodes)}: {remark}" for remark, nodes in about.items() if remark
        )
