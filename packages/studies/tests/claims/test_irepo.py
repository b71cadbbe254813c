"""iREPO's reproduction runs, repeats itself, and shows the order of what it measures."""

from __future__ import annotations

import pytest

from accordant_studies.claims import irepo


def test_it_measures_every_condition_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(irepo, "BETAS", {"irepo": (0.5,), "dpo": (4.0,)})
    monkeypatch.setattr(irepo, "ROUNDS", 1)
    monkeypatch.setattr(irepo, "PAIRS", 60)
    monkeypatch.setattr(irepo, "DISTANCES", (0.02,))
    result = irepo.study().run((0, 1))
    assert {row.condition for row in result.rows} == {*irepo.METHODS, irepo.FEW, irepo.MANY}
    assert len(result.claims) == 5
    assert result == irepo.study().run((0, 1))


@pytest.mark.study
def test_the_shape_shows() -> None:
    assert irepo.study().run().shows
