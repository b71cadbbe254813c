"""The study of PROFILE plants what it says."""

from __future__ import annotations

import numpy as np
import pytest

from accordant.statistics.factors import score_factors
from accordant_studies.claims import profile
from accordant_studies.laboratory.language import Writer, draw_prompts, write_all


def pairs() -> list[profile.Pair]:
    prompts = draw_prompts(800, 5)
    writer = Writer(mistake=0.15)
    both = zip(write_all(prompts, writer, 1), write_all(prompts, writer, 2), strict=True)
    return [(p, a, b) for p, (a, b) in zip(prompts, both, strict=True) if a != b]


@pytest.mark.parametrize("liking", [1.0, -1.0])
def test_the_planted_liking_is_in_the_labels(liking: float) -> None:
    labelled = profile._vote(pairs(), (profile.SHARPNESS, liking), seed=3)
    scores = score_factors(profile._differences(labelled), np.ones(len(labelled))).scores
    own = dict(zip(profile.FACTORS, scores, strict=True))
    assert own["length"].estimate * liking > 0.3
    assert own["right objects"].low > 0


def test_the_control_has_no_liking_for_length_at_all() -> None:
    kept = profile._balanced(profile._vote(pairs(), profile.ARMS[profile.RIGHT], seed=3))
    assert 0 < len(kept) <= profile.PAIRS
    differences = profile._differences(kept)
    scores = score_factors(differences, np.ones(len(kept))).scores
    assert scores[list(profile.FACTORS).index("length")].estimate == 0
    assert scores[list(profile.FACTORS).index("right objects")].low > 0
