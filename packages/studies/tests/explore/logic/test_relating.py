"""What is said of two losses follows from their structures, and claims no more."""

from __future__ import annotations

import pytest

from accordant.objectives.registry import get_objective
from accordant_studies.explore.logic.readings import read
from accordant_studies.explore.logic.relating import relate


def said(one: str, other: str, options: dict | None = None) -> str:
    """What is said; `options` are the second loss's."""
    readings = read(get_objective(one)), read(get_objective(other), options)
    return " ".join(relate(one, readings[0], other, readings[1]))


@pytest.mark.parametrize(
    ("one", "other", "sentences"),
    [
        ("dpo", "dove", ["The structures are equivalent.", "Their terms are the same loss."]),
        ("dpo", "ipo", ["equivalent", "differ in how the ratio is read"]),
        ("rpo", "dpo", ["same loss", "rpo adds 0.0005 times a logistic loss of: M(x, y_w)."]),
        ("ln_dpo", "retain_dpo", ["retain_dpo entails ln_dpo.", "nowhere smaller than that of ln"]),
        ("retain_dpo", "dpo", ["retain_dpo entails dpo.", "With one link", "whole answers"]),
        ("cpo", "orpo", ["Neither structure entails the other", "depends on the probabilities"]),
        ("simpo", "slic", ["simpo entails slic.", "margin 0.5"]),
        ("tdpo", "dpo", ["Nothing to compare: tdpo has no formula."]),
    ],
)
def test_two_losses(one: str, other: str, sentences: list[str]) -> None:
    text = said(one, other)
    for sentence in sentences:
        assert sentence in text


def test_equal_scales_are_needed_for_the_losses_to_be_ordered() -> None:
    assert "At these options" in said("retain_dpo", "ln_dpo")
    assert "At these options" not in said("retain_dpo", "ln_dpo", {"beta": 1.0})
