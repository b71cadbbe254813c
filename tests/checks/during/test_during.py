"""Checks during training on measurements written down by hand, where the verdict is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant.checks.during.displacement import displacement
from accordant.checks.during.drift import drift
from accordant.checks.during.over_optimisation import over_optimisation, smooth
from accordant.checks.during.probe_entanglement import probe_entanglement
from accordant.checks.during.reward_calibration import reward_calibration
from accordant.checks.inputs import NotApplicableError
from accordant.checks.monitor import read_findings
from accordant.checks.run_history import RunHistory, Snapshot

NOTHING = RunHistory((Snapshot(0), Snapshot(1)))


def pairs(chosen: list[float], rejected: list[float], beta: float = 1.0) -> RunHistory:
    """A start of 20 pairs at -10 nats each, and what they have changed by."""
    flat = (-10.0,) * len(chosen)
    now = Snapshot(5, tuple(c - 10 for c in chosen), tuple(r - 10 for r in rejected), top_mass=0.5)
    return RunHistory((Snapshot(0, flat, flat), now), beta=beta)


@pytest.mark.parametrize(
    ("change", "severity"), [(0.5, "ok"), (0.0, "ok"), (-0.5, "warning"), (-1.5, "serious")]
)
def test_falling_chosen_answers_are_displacement(change, severity):
    found = displacement(pairs([change + 0.01 * i for i in range(-5, 6)], [-2.0] * 11))
    assert found.severity == severity
    assert found.number.estimate == pytest.approx(change)
    assert found.step == 5
    assert found.charts[0].series[0].values == pytest.approx((0.0, change))


def test_a_fall_that_chance_explains_is_no_displacement():
    assert displacement(pairs([-3.0, 2.9] * 6, [-2.0] * 12)).severity == "ok"


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=30), st.floats(0.01, 2))
def test_calibration_is_confidence_minus_accuracy(changes, beta):
    found = reward_calibration(pairs(changes, [0.0] * len(changes), beta))
    margins = [beta * ((c - 10) + 10) for c in changes]
    sure = [1 / (1 + math.exp(-abs(m))) for m in margins]
    right = [1.0 if m > 0 else 0.5 if m == 0 else 0.0 for m in margins]
    expected = sum(sure) / len(sure) - sum(right) / len(right)
    assert found.number.estimate == pytest.approx(expected, abs=1e-9)


def test_a_reward_that_is_sure_and_wrong_is_miscalibrated():
    assert reward_calibration(pairs([9.0] * 10 + [-9.0] * 10, [0.0] * 20)).severity == "warning"
    assert reward_calibration(pairs([9.0] * 20, [0.0] * 20)).severity == "ok"


@pytest.mark.parametrize(("each", "severity"), [(0.05, "ok"), (0.2, "warning"), (0.6, "serious")])
def test_distance_is_what_the_starts_answers_lost_per_token(each, severity):
    tokens = (10, 20, 30)
    start = (-20.0, -30.0, -40.0)
    now = tuple(s - each * t for s, t in zip(start, tokens, strict=True))
    history = RunHistory((Snapshot(0, start_answers=start), Snapshot(7, start_answers=now)), tokens)
    found = drift(history)
    assert found.number.estimate == pytest.approx(each)
    assert found.severity == severity


def test_entanglement_counts_pairs_that_break_either_condition():
    last = Snapshot(3, chosen_stays=(True,) * 9 + (False,), rejected_stays=(False,) * 10)
    found = probe_entanglement(RunHistory((last,)))
    assert found.number.estimate == pytest.approx(0.9)
    assert found.severity == "warning"
    free = Snapshot(3, chosen_stays=(False,) * 10, rejected_stays=(False,) * 10)
    assert probe_entanglement(RunHistory((free,))).severity == "ok"


def series(entropies: list[float], masses: list[float], rewards: list[float]) -> RunHistory:
    return RunHistory(
        tuple(
            Snapshot(10 * i, entropy=e, top_mass=m, held_out_reward=r)
            for i, (e, m, r) in enumerate(zip(entropies, masses, rewards, strict=True))
        )
    )


RISING = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@pytest.mark.parametrize(
    ("entropies", "masses", "rewards", "raised"),
    [
        ([1.0, 1.1, 1.2, 1.2, 1.0, 0.8], [0.9, 0.9, 0.9, 0.8, 0.7, 0.6], RISING, True),
        ([1.0, 1.1, 1.2, 1.2, 1.0, 0.8], [0.9] * 6, [0.1, 0.2, 0.3, 0.3, 0.3, 0.3], True),
        # Entropy falls, but mass and reward go on as they should.
        ([1.0, 1.1, 1.2, 1.2, 1.0, 0.8], [0.9] * 6, RISING, False),
        # It falls from the first step on: that is the learning itself.
        ([1.2, 1.1, 1.0, 0.9, 0.8, 0.7], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], RISING, False),
        # One odd value is no turn.
        ([1.0, 1.0, 1.6, 1.0, 1.0, 1.0], [0.9, 0.9, 0.9, 0.8, 0.8, 0.8], RISING, False),
    ],
)
def test_over_optimisation_needs_a_turn_and_a_loss(entropies, masses, rewards, raised):
    found = over_optimisation(series(entropies, masses, rewards))
    assert found.raised == raised, found.sentence


def masses(values: list[float], error: float) -> RunHistory:
    return RunHistory(
        tuple(
            Snapshot(10 * i, entropy=1.0, top_mass=mass, mass_error=error)
            for i, mass in enumerate(values)
        )
    )


@pytest.mark.parametrize(
    ("values", "error", "raised"),
    [
        ([0.9, 0.85, 0.8, 0.75], 0.01, True),  # from the first step on
        ([0.85, 0.9, 0.9, 0.8, 0.8], 0.01, True),
        ([0.9, 0.85, 0.8, 0.75], 0.04, False),  # chance explains it
        ([0.9, 0.85, 0.8, 0.75], float("nan"), False),  # nor is it known whether it does
        ([0.9, 0.89, 0.88, 0.87], 0.001, False),  # sure, but small
        ([0.9, 0.9, 0.9, 0.7], 0.01, False),  # one measurement alone
        ([0.9, 0.7], 0.01, False),
        ([0.7, 0.8, 0.9], 0.01, False),
    ],
)
def test_mass_that_leaves_the_likeliest_tokens_is_over_optimisation(values, error, raised):
    found = over_optimisation(masses(values, error))
    assert found.raised == raised, found.sentence
    highest = max(range(len(values)), key=values.__getitem__)
    if raised:
        assert found.charts[0].marks[0].value == 10.0 * highest
        assert found.number.low > 0.05


def test_equal_masses_are_hardly_ever_taken_for_a_fall():
    """A monitor asks at every look; noise alone must not raise anything in forty of them."""
    draw, alarms = random.Random(0), 0
    for _ in range(200):
        noise = [0.8 + draw.gauss(0.0, 0.05) for _ in range(40)]
        alarms += any(over_optimisation(masses(noise[:n], 0.05)).raised for n in range(1, 41))
    assert alarms <= 3


def test_smoothing_keeps_the_ends_and_drops_a_spike():
    assert smooth((1.0, 9.0, 2.0, 3.0)) == (1.0, 2.0, 3.0, 3.0)
    assert smooth((1.0, 2.0)) == (1.0, 2.0)


def test_checks_without_their_numbers_do_not_apply():
    for one in (displacement, drift, over_optimisation, probe_entanglement, reward_calibration):
        with pytest.raises(NotApplicableError):
            one(NOTHING)
    assert read_findings(NOTHING) == ()


@pytest.mark.parametrize(("error", "word"), [(0.0, "not more than 5%"), (0.2, "not surely or")])
def test_a_fall_that_raises_nothing_is_told_as_large_as_it_is(error, word):
    last = 0.88 if error else 0.97
    found = over_optimisation(masses((1.0, 1.0, last, last, last), error))
    assert not found.raised
    assert f"{1 - last:.1%}" in found.sentence
    assert word in found.sentence
