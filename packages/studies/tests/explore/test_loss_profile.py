"""A profile holds an objective's own losses and slopes."""

from __future__ import annotations

import math

import pytest

from accordant.objectives.registry import get_objective, is_built_in, list_objectives
from accordant_studies.explore.comparing import compare, look_at
from accordant_studies.explore.profile import WIDEST, profile


@pytest.mark.parametrize(
    "entry", [e for e in list_objectives() if is_built_in(e)], ids=lambda entry: entry.name
)
def test_every_profile_is_finite_out_to_the_widest_margin(entry) -> None:
    shape = profile(entry, span=WIDEST)
    if shape is None:
        assert "judgment" in entry.feedback
        return
    for line in shape.lines:
        assert len(line.losses) == len(shape.margins)
        assert all(map(math.isfinite, line.losses))
        for push in line.pushes.values():
            assert len(push) == len(shape.margins)
            assert all(map(math.isfinite, push))


def test_dpos_profile_is_its_formula() -> None:
    shape = profile(get_objective("dpo"), {"beta": 0.2}, span=10)
    assert shape is not None
    (line,) = shape.lines
    for margin, loss, up in zip(shape.margins, line.losses, line.pushes["chosen"], strict=True):
        assert loss == pytest.approx(math.log1p(math.exp(-0.2 * margin)))
        assert up == pytest.approx(0.2 / (1 + math.exp(0.2 * margin)))


def test_thumbs_have_a_line_each() -> None:
    shape = profile(get_objective("kto"))
    assert shape is not None
    up, down = shape.lines
    assert (up.name, down.name) == ("desirable", "undesirable")
    assert up.losses[0] > up.losses[-1]
    assert down.losses[0] < down.losses[-1]


def test_two_that_differ_nowhere_are_said_to_be_equal() -> None:
    dpo, dove = (look_at(get_objective(name)) for name in ("dpo", "dove"))
    assert compare(dpo, dove).remarks() == ("The losses are equal at every margin shown.",)
