"""The logic's study is exact where it is mathematics."""

from __future__ import annotations

import pytest

from accordant_studies.claims import preference_logic


def test_every_loss_with_a_formula_is_got_back_exactly() -> None:
    read = preference_logic.read
    losses = [entry for entry in preference_logic._pairwise() if read(entry).terms]
    assert len(losses) >= 20
    for entry in losses:
        assert preference_logic._recompiled_gap(entry, seed=3) < 1e-9


def test_the_order_of_formulas_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preference_logic, "FORMULAS", 40)
    assert preference_logic._two_propositions(seed=3) < 1e-9
    assert preference_logic._four_propositions(seed=3) < 1e-9
