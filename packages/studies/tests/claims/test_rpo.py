"""RPO's study: what grows with the weight."""

from __future__ import annotations

import pytest

from accordant_studies.claims import rpo


def test_more_weight_on_the_chosen_keeps_them_likelier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpo, "STEPS", 300)
    measured = rpo._measure(3)
    chosen = [measured[name]["chosen log-prob"] for name in ("dpo", rpo.WEAK, rpo.STRONG)]
    moved = [measured[name]["KL from the start"] for name in ("dpo", rpo.WEAK, rpo.STRONG)]
    assert chosen == sorted(chosen)
    assert moved == sorted(moved, reverse=True)
