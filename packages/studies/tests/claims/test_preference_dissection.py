"""The study of preference dissection plants what it says."""

from __future__ import annotations

import numpy as np
import pytest

from accordant.statistics.logistic import sigmoid
from accordant_studies.claims import preference_dissection


def test_the_properties_are_those_of_texts() -> None:
    signs = preference_dissection._signs()
    assert signs.shape[1] >= 10
    assert set(np.unique(signs)) == {-1, 0, 1}
    assert (np.count_nonzero(signs, axis=0) >= preference_dissection.LEAST).all()


def test_planted_weights_are_standardised_and_drive_the_labels() -> None:
    draw = np.random.default_rng(0)
    scales = np.sqrt((preference_dissection._signs() ** 2).mean(axis=0))
    planted = np.stack([preference_dissection._plant(draw) * scales for _ in range(200)])
    assert planted.std() == pytest.approx(preference_dissection.SPREAD, rel=0.05)
    rows = preference_dissection._draw_rows(draw, 4000)
    weights = preference_dissection._plant(draw)
    labels = preference_dissection._prefer(draw, rows, weights)
    chances = sigmoid(rows @ weights)
    likely = chances > 0.7
    assert labels[likely].mean() == pytest.approx(chances[likely].mean(), abs=0.04)
