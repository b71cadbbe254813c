"""Calibration errors worked by hand, and a temperature that is found again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.statistics.calibration import (
    calibration_error,
    calibration_floor,
    fit_temperature,
    reliability,
)
from accordant.statistics.logistic import sigmoid

ODDS = math.log(0.7 / 0.3)


def test_chances_that_are_right_have_no_error() -> None:
    margins = np.repeat([ODDS, -ODDS], [7, 3])
    assert calibration_error(margins).estimate == pytest.approx(0, abs=1e-12)
    assert reliability(margins) == [
        (pytest.approx(0.3), pytest.approx(0.3), 10),
        (pytest.approx(0.7), pytest.approx(0.7), 10),
    ]


def test_certainty_that_is_right_in_six_of_ten_errs_by_four() -> None:
    assert calibration_error(np.repeat([700.0, -700.0], [6, 4])).estimate == pytest.approx(0.4)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=30))
def test_the_error_does_not_depend_on_which_answer_is_named_first(margins) -> None:
    values = np.array(margins)
    shares = {round(mean, 9): share for mean, share, _ in reliability(values)}
    assert sum(count for *_, count in reliability(values)) == 2 * len(values)
    assert all(0 <= share <= 1 for share in shares.values())
    assert 0 <= calibration_error(values).estimate <= 1


def test_few_pairs_show_an_error_even_where_chances_are_right() -> None:
    generator = np.random.default_rng(0)
    latent = generator.normal(0, 1.5, 4000)
    margins = np.where(generator.random(4000) < sigmoid(latent), latent, -latent)
    few, many = margins[:40], margins
    assert calibration_floor(few) > 3 * calibration_floor(many)
    assert calibration_error(many).estimate == pytest.approx(calibration_floor(many), abs=0.01)
    assert fit_temperature(margins) == pytest.approx(1, abs=0.1)
    assert fit_temperature(3 * margins) == pytest.approx(3, abs=0.3)
    assert fit_temperature(np.zeros(5)) == 1.0
