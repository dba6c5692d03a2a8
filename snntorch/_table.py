"""Rows of text as a table, for everything that prints one."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], left: int | None = None) -> str:
    """Return rows of text as lines of aligned columns.

    :param left: how many columns are aligned to the left, and the others to the right; default all
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = len(widths) if left is None else left
    lines = (
        [*map(str.ljust, row[:left], widths), *map(str.rjust, row[left:], widths[left:])]
        for row in rows
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)
