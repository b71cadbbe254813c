"""Length-normalised DPO's study reads lengths off as it says."""

from __future__ import annotations

import pytest

from accordant_studies.claims import ln_dpo


def test_lengths_are_read_off_where_the_rate_is_first_reached() -> None:
    wins, letters = (0.5, 0.6, 0.8, 0.7, 0.9), (3.0, 4.0, 6.0, 2.0, 1.0)
    run = [{"win": w, "letters": n} for w, n in zip(wins, letters, strict=True)]
    assert ln_dpo.letters_when_reached(run, 0.6) == pytest.approx(4.0)
    assert ln_dpo.letters_when_reached(run, 0.7) == pytest.approx(5.0)
    assert ln_dpo.letters_when_reached(run, 0.85) == pytest.approx(1.25)
    with pytest.raises(ValueError, match="never reaches"):
        ln_dpo.letters_when_reached(run, 0.95)
