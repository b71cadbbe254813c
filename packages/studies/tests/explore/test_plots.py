"""Plots in characters show every line where it is."""

from __future__ import annotations

import math

from accordant_studies.explore.plots import draw_lines


def rows_of(text: str) -> list[str]:
    return [row.partition("|")[2] for row in text.splitlines() if "|" in row]


def test_a_rising_line_rises() -> None:
    rows = rows_of(draw_lines([0.0, 1.0], {"a": [0.0, 2.0]}, width=21, height=11))
    assert rows[0].rstrip().endswith("*")
    assert rows[-1].startswith("*")
    places = [row.index("*") for row in reversed(rows)]
    assert places == sorted(places)


def test_lines_that_meet_are_marked_and_named() -> None:
    text = draw_lines([-1.0, 1.0], {"up": [-1.0, 1.0], "down": [1.0, -1.0]}, width=21, height=11)
    assert rows_of(text)[5][10] == "#"
    assert "* up" in text
    assert "o down" in text
    assert text.isascii()


def test_constants_and_what_is_not_finite_are_drawn_as_far_as_they_can_be() -> None:
    rows = rows_of(draw_lines([0.0, 1.0], {"flat": [2.0, 2.0]}, width=11, height=5))
    assert rows[2] == "*" * 11
    assert "no finite" in draw_lines([0.0, 1.0], {"none": [math.nan, math.inf]})
    partly = draw_lines([0.0, 1.0, 2.0], {"part": [1.0, 2.0, math.inf]}, width=11, height=5)
    assert "*" in partly
