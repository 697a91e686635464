"""Numbers and tables for people to read in a terminal."""

import math
from collections.abc import Sequence


def rounded(value: float) -> str:
    """Four digits, or whole thousands with separators."""
    if math.isfinite(value) and (value == int(value) or abs(value) >= 1e4) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def size(count: float) -> str:
    """``count`` bytes, in units of 1000."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 999.5 and len(units) > 1:
        count, units = count / 1000, units[1:]
    return f"{count:.0f} {units[0]}" if units[0] == "B" or count >= 99.95 else f"{count:.1f} {units[0]}"


def duration(seconds: float) -> str:
    """Two units at most."""
    if seconds < 0.9995:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes // 1440:,} d {minutes % 1440 // 60:02} h"


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,), indent: str = "  ") -> list[str]:
    """Lines of ``rows`` (the first is the heading) in columns: those ``left`` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [(indent + "  ".join(text.ljust(width) if i in left else text.rjust(width)
                                for i, (text, width) in enumerate(zip(row, widths, strict=True)))).rstrip()
            for row in rows]


def shortened(names: Sequence[str], most: int = 8) -> str:
    """``names`` with commas between them, at most so many."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
