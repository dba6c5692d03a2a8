"""Format rows of text as a table."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], left: int | None = None) -> str:
    """Return rows of text as lines of aligned columns.

    :param left: number of columns aligned to the left; the others go to the right. Default: all
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = len(widths) if left is None else left
    lines = (
        [*map(str.ljust, row[:left], widths), *map(str.rjust, row[left:], widths[left:])]
        for row in rows
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)
