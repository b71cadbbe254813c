"""A study says yes exactly when every claim holds over its seeds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from accordant.statistics.interval import Interval
from accordant_studies.study import (
    Claim,
    JudgedClaim,
    Measured,
    Reproduction,
    ResultRow,
    Share,
    Study,
    judge,
    over_seeds,
)

numbers = st.lists(st.floats(min_value=-10, max_value=10), min_size=2, max_size=12)
ODD = [math.nan, math.inf, -math.inf]


def two_arms(better: list[float], worse: list[float]) -> list[Measured]:
    """Seeds that measured one quantity of two conditions."""
    return [{"a": {"score": a}, "b": {"score": b}} for a, b in zip(better, worse, strict=True)]


def holds(claim: Claim, measured: list[Measured]) -> bool:
    (judged,) = judge([claim], measured)
    return judged.holds


BEATS = Claim("a beats b", "score", higher="a", than="b")


@given(values=numbers)
def test_the_interval_over_seeds_is_students(values: list[float]) -> None:
    interval = over_seeds(values)
    error = max(float(stats.sem(values)), 1e-12)  # no spread at all has no t interval in scipy
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=error)
    assert interval.low == pytest.approx(low, abs=1e-9)
    assert interval.high == pytest.approx(high, abs=1e-9)
    assert interval.count == len(values)


def test_the_interval_over_seeds_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = [
        interval.low <= 1.0 <= interval.high
        for interval in (over_seeds(list(row)) for row in generator.normal(1.0, 2.0, (2000, 5)))
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_one_seed_shows_nothing() -> None:
    assert math.isnan(over_seeds([5.0]).low)
    assert not holds(BEATS, two_arms([5.0], [0.0]))


@pytest.mark.parametrize("odd", ODD)
def test_a_seed_without_a_finite_number_shows_nothing(odd: float) -> None:
    interval = over_seeds([1.0, odd, 2.0])
    assert math.isnan(interval.low)
    assert interval.count == 3
    assert not holds(BEATS, two_arms([5.0, odd, 5.1], [0.0, 0.0, 0.0]))


def test_shares_of_all_seeds_are_pooled_and_their_interval_is_exact() -> None:
    interval = over_seeds([Share(3, 10), Share(5, 10), Share(10, 10)])
    # Clopper and Pearson by definition: the shares at which so many, or so few, are 2.5 % likely.
    assert stats.binom.sf(17, 30, interval.low) == pytest.approx(0.025)
    assert stats.binom.cdf(18, 30, interval.high) == pytest.approx(0.025)
    assert (interval.estimate, interval.count) == (0.6, 30)
    assert Share(3, 10).complement() == 0.7
    assert math.isnan(over_seeds([Share(0, 0)]).low)
    # One seed is enough, as the trials in it are independent; a difference is Student's again.
    assert holds(Claim("most", "score", higher="a", than=0.5), [{"a": {"score": Share(19, 20)}}])
    shares = [{"a": {"score": Share(k, 10)}, "b": {"score": Share(2, 10)}} for k in (5, 6, 7)]
    (judged,) = judge([BEATS], shares)
    assert judged.evidence == over_seeds([0.5 - 0.2, 0.6 - 0.2, 0.7 - 0.2])


def test_pairing_by_seed_removes_what_seeds_differ_in() -> None:
    seeds = [0.0, 10.0, 20.0, 30.0]
    measured = two_arms([s + 1 + 0.01 * s for s in seeds], seeds)
    assert holds(BEATS, measured)
    assert not holds(Claim("b beats a", "score", higher="b", than="a"), measured)
    assert holds(Claim("b is lower", "score", lower="b", than="a"), measured)


@given(a=numbers, b=numbers)
def test_lower_than_is_higher_than_turned_round(a: list[float], b: list[float]) -> None:
    count = min(len(a), len(b))
    measured = two_arms(a[:count], b[:count])
    lower, higher = judge(
        [Claim("", "score", lower="b", than="a"), Claim("", "score", higher="a", than="b")],
        measured,
    )
    assert lower == higher


def test_by_asks_for_a_distance_or_forgives_a_loss_and_no_more() -> None:
    measured = two_arms([0.95, 1.05, 0.85, 0.95], [1.0, 1.1, 0.9, 1.0])
    assert holds(replace(BEATS, by=-0.1), measured)
    assert not holds(replace(BEATS, by=-0.01), measured)
    assert holds(Claim("far apart", "score", higher="b", than="a", by=0.04), measured)
    assert not holds(Claim("far apart", "score", higher="b", than="a", by=0.06), measured)


def test_against_a_number_the_evidence_is_the_quantity() -> None:
    measured = two_arms([0.6, 0.7, 0.65], [0.1, 0.2, 0.15])
    above, below = judge(
        [
            Claim("", "score", higher="a", than=0.5),
            Claim("", "score", lower="b", than=0.5),
        ],
        measured,
    )
    assert (above.evidence.estimate, above.threshold) == (pytest.approx(0.65), 0.5)
    assert (below.evidence.estimate, below.threshold) == (pytest.approx(-0.15), -0.5)
    assert above.holds
    assert below.holds


def test_two_quantities_and_functions_of_a_seed_are_compared() -> None:
    measured = [{"a": {"ideal": 0.9 + e, "trained": 0.6 + e}} for e in (0.0, 0.01, 0.02)]
    under = Claim("", "ideal", higher="a", than=("a", "trained"), by=0.2)
    ratio = Claim("", lambda seed: seed["a"]["ideal"] / seed["a"]["trained"], than=1)
    assert all(claim.holds for claim in judge([under, ratio], measured))


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": "score"},
        {"quantity": "score", "higher": "a", "lower": "b"},
        {"quantity": lambda _: 1.0, "higher": "a"},
        {"quantity": lambda _: 1.0, "than": "b"},
    ],
)
def test_a_claim_names_one_side_and_a_function_none(wrong: dict) -> None:
    with pytest.raises(ValueError, match="a part"):
        Claim("a part", **wrong)


@given(lows=st.lists(st.floats(min_value=-1, max_value=1), min_size=1, max_size=5))
def test_the_shape_shows_when_all_claims_hold(lows: list[float]) -> None:
    claims = tuple(JudgedClaim("part", Interval(low + 1, low, low + 2, 3)) for low in lows)
    assert Reproduction((), claims, (0, 1, 2)).shows == all(low > 0 for low in lows)


def test_a_reproduction_without_claims_is_refused() -> None:
    with pytest.raises(ValueError, match="shows nothing"):
        Reproduction((ResultRow("a", "b", Interval(1, 0, 2, 3)),), (), (0,))


def test_a_study_repeats_its_measurement_and_lays_out_every_row() -> None:
    study = Study(
        lambda seed: {"a": {"score": seed + 1.0}, "b": {"score": 0.0, "steps": 2.0 * seed}},
        (0, 1, 2),
        (BEATS,),
        note="Simulated.",
        units={"steps": "steps"},
    )
    result = study.run()
    assert [(row.condition, row.quantity, row.unit) for row in result.rows] == [
        ("a", "score", ""),
        ("b", "score", ""),
        ("b", "steps", "steps"),
    ]
    assert result.rows[2].value == over_seeds([0.0, 2.0, 4.0])
    assert result.claims[0].evidence == over_seeds([1.0, 2.0, 3.0])
    assert (result.seeds, result.note, result.shows) == ((0, 1, 2), "Simulated.", False)
    assert study.run((5, 6)).seeds == (5, 6)


def test_a_misspelt_condition_is_found_after_the_first_seed() -> None:
    seeds: list[int] = []

    def measure(seed: int) -> Measured:
        seeds.append(seed)
        return {"a": {"score": 1.0}}

    with pytest.raises(KeyError, match="b"):
        Study(measure, (0, 1, 2), (BEATS,)).run()
    assert seeds == [0]
