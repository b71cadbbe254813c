"""RPO's reproduction runs, repeats itself, and shows the order of what it measures."""

from __future__ import annotations

import pytest

from accordant_studies.claims import rpo


def test_it_measures_every_condition_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpo, "STEPS", 100)
    result = rpo.study().run((0, 1))
    assert {row.condition for row in result.rows} == set(rpo.CONDITIONS)
    assert len(result.claims) == 5
    assert result == rpo.study().run((0, 1))


def test_more_weight_on_the_chosen_keeps_them_likelier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpo, "STEPS", 300)
    measured = rpo._measure(3)
    chosen = [measured[name]["chosen log-prob"] for name in ("dpo", rpo.WEAK, rpo.STRONG)]
    moved = [measured[name]["KL from the start"] for name in ("dpo", rpo.WEAK, rpo.STRONG)]
    assert chosen == sorted(chosen)
    assert moved == sorted(moved, reverse=True)


@pytest.mark.study
def test_the_shape_shows() -> None:
    assert rpo.study().run().shows
