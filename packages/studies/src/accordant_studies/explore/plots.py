"""Lines drawn in plain characters, for terminals and files alike.

Knows numbers and characters. Knows nothing of what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

MARKS = "*o+x"


def draw_lines(
    xs: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    width: int = 61,
    height: int = 15,
    x_title: str = "",
) -> str:
    """Draw lines over common `xs`, one mark each; a legend where there are several.

    Args:
        xs: rising.
        lines: name and values; what is not finite is left out.
        width: columns of the plot, without its labels.
        height: rows of the plot.
        x_title: what runs to the right.
    """
    values = [y for line in lines.values() for y in line if math.isfinite(y)]
    if not values:
        return "(no finite value)"
    low, high = min(values), max(values)
    if high - low < 1e-12 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    canvas = [[" "] * width for _ in range(height)]
    _mark_zero(canvas, xs)
    for mark, line in zip(MARKS, lines.values(), strict=False):
        for x, y in _resampled(xs, line, width):
            row = round((high - y) / (high - low) * (height - 1))
            canvas[row][x] = mark if canvas[row][x] in " :" else "#"
    labels = {0: f"{high:.4g}", height // 2: f"{(low + high) / 2:.4g}", height - 1: f"{low:.4g}"}
    margin = max(map(len, labels.values()))
    rows = [
        f"{labels.get(row, ''):>{margin}} |{''.join(line).rstrip()}"
        for row, line in enumerate(canvas)
    ]
    rows.append(" " * margin + " +" + "-" * width)
    rows.append(" " * (margin + 2) + _ends(xs, width))
    if x_title:
        rows.append(" " * (margin + 2) + x_title)
    if len(lines) > 1:
        legend = [f"{mark} {name}" for mark, name in zip(MARKS, lines, strict=False)]
        rows.append(" " * (margin + 2) + "   ".join([*legend, "# both"]))
    return "\n".join(rows)


def _mark_zero(canvas: list[list[str]], xs: Sequence[float]) -> None:
    """Draw a dotted line at x = 0."""
    width = len(canvas[0])
    if xs[0] < 0 < xs[-1]:
        place = round(-xs[0] / (xs[-1] - xs[0]) * (width - 1))
        for row in canvas:
            row[place] = ":"


def _resampled(xs: Sequence[float], ys: Sequence[float], width: int) -> list[tuple[int, float]]:
    """Return one point per column, interpolated between the two nearest."""
    points = []
    for place in range(width):
        x = xs[0] + (xs[-1] - xs[0]) * place / (width - 1)
        right = next((k for k, known in enumerate(xs) if known >= x - 1e-9), len(xs) - 1)
        left = max(right - 1, 0)
        gap = xs[right] - xs[left]
        share = 1.0 if gap == 0 else (x - xs[left]) / gap
        y = ys[left] + share * (ys[right] - ys[left])
        if math.isfinite(y):
            points.append((place, y))
    return points


def _ends(xs: Sequence[float], width: int) -> str:
    left, middle, right = (f"{x:.4g}" for x in (xs[0], (xs[0] + xs[-1]) / 2, xs[-1]))
    half = width // 2 - len(middle) // 2
    row = left.ljust(half) + middle
    return row.ljust(width - len(right)) + right
