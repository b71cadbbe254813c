"""What is measured of a reward: whom it prefers, how sure it is, and what its ratings miss.

Knows rewards, feedback and statistics. Knows no verb and no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from accordant.base.errors import UserError
from accordant.feedback.kinds import asked_of, kind_of_record
from accordant.feedback.loading import Feedback
from accordant.feedback.records import Rating, Record, flat
from accordant.rewards.reward import Answer, Reward, score_answers, score_single
from accordant.statistics.arrays import Floats
from accordant.statistics.calibration import (
    calibration_error,
    calibration_floor,
    fit_temperature,
    reliability,
)
from accordant.statistics.charts import Chart, Series
from accordant.statistics.estimates import bootstrap_mean, proportion
from accordant.statistics.interval import Interval
from accordant.statistics.rank_correlation import spearman

# Beyond it a chance is 0 or 1 in float64, and infinite rewards would make averages infinite.
_LARGEST = 700.0


@dataclass(frozen=True, slots=True)
class RewardMeasures:
    """Numbers of a reward on held-out feedback."""

    kind: str  # `preferences`, or `ratings`
    numbers: Mapping[str, Interval]  # by name, with intervals over records
    # of the calibration error, what perfect chances would show; NaN for ratings
    floor: float = float("nan")
    temperature: float = 1.0  # what the rewards should be divided by; 1 for ratings
    residual_sd: Mapping[str, float] = field(default_factory=dict)  # of ratings, by attribute
    charts: Mapping[str, Chart] = field(default_factory=dict)  # by identifier


def measure_reward(reward: Reward, feedback: Feedback) -> RewardMeasures:
    """Measure a reward on feedback that it has not learnt from.

    Raises:
        UserError: the feedback tells no preferences and no ratings, or the reward failed.
    """
    if feedback.record_type == "rating":
        return _measure_ratings(reward, feedback)
    records = [record for record in feedback.records if kind_of_record(record).preferred(record)]
    if not records:
        raise UserError(
            f"{feedback.record_type} records tell no preference between answers to one prompt.",
            where=feedback.source,
            mend="Give comparisons, rankings, or ratings of the attributes it reads.",
        )
    return measure_margins(*margins_of(reward, records))


def margins_of(reward: Reward, records: Sequence[Record]) -> tuple[Floats, Floats, list[int]]:
    """Score the answers of records, and set the preferred ones against the others.

    Returns:
        reward of the preferred minus reward of the other answer, of every preference; by how many
        characters the preferred one is longer; the place of its record.
    """
    answers: list[Answer] = []
    better, worse, owner = [], [], []
    for place, record in enumerate(records):
        first = len(answers)
        answers += answers_to_read((record,))
        for winner, loser in kind_of_record(record).preferred(record):
            better.append(first + winner)
            worse.append(first + loser)
            owner.append(place)
    values = score_single(reward, answers)
    lengths = np.array([len(answer.text) for answer in answers], np.float64)
    # Two answers that both are infinitely bad are equally bad.
    with np.errstate(invalid="ignore"):
        gaps = np.nan_to_num(values[better] - values[worse], nan=0, posinf=1e9, neginf=-1e9)
    return gaps.clip(-_LARGEST, _LARGEST), lengths[better] - lengths[worse], owner


def answers_to_read(records: Sequence[Record]) -> list[Answer]:
    """Return the answers of records as a reward reads them, in order."""
    return [
        Answer(asked.prompt, flat(text))
        for record in records
        for asked in asked_of(record)
        for _, text in asked.answers
    ]


def measure_margins(margins: Floats, longer: Floats, owner: Sequence[int]) -> RewardMeasures:
    """Measure margins of preferences; those of one record are one observation."""
    right = (np.sign(margins) + 1) / 2
    losses = np.logaddexp(0, -margins)
    numbers = {
        "accuracy": proportion(_by_record(right, owner)),
        "accuracy where the preferred answer is longer": proportion(right[longer > 0]),
        "accuracy where it is shorter": proportion(right[longer < 0]),
        "equal rewards": proportion((margins == 0).astype(float)),
        "calibration error": calibration_error(margins),
        "log loss": bootstrap_mean(_by_record(losses, owner)),
        "correlation of margin and length": spearman(margins, longer),
    }
    rows = reliability(margins)
    chart = Chart(
        "points",
        "Reliability",
        "Chances that the rewards give, against how often the answer was preferred; both orders "
        "of every pair.",
        "chance by the rewards",
        "share preferred",
        (
            Series("right", (0.0, 1.0), (0.0, 1.0), look="start", style="line"),
            Series(
                "this reward",
                tuple(share for _, share, _ in rows),
                tuple(mean for mean, _, _ in rows),
                look="wanted",
            ),
        ),
    )
    return RewardMeasures(
        "preferences",
        numbers,
        calibration_floor(margins),
        fit_temperature(margins),
        charts={"reliability": chart},
    )


def _measure_ratings(reward: Reward, feedback: Feedback) -> RewardMeasures:
    records = [record for record in feedback.records if isinstance(record, Rating)]
    answers = [Answer(record.prompt, flat(record.completion)) for record in records]
    values = score_answers(reward, answers).values
    numbers: dict[str, Interval] = {}
    residuals: dict[str, float] = {}
    for column, name in enumerate(reward.attributes):
        rated = [place for place, record in enumerate(records) if name in record.ratings]
        if not rated:
            continue
        given = np.array([records[place].ratings[name] for place in rated])
        errors = values[rated, column] - given
        numbers[f"{name}, rank correlation"] = spearman(values[rated, column], given)
        numbers[f"{name}, absolute error"] = bootstrap_mean(np.abs(errors))
        residuals[name] = float(np.sqrt((errors**2).mean()))
    if not numbers:
        rated_names = sorted({name for record in records for name in record.ratings})
        raise UserError(
            f"it rates {', '.join(rated_names)}; the reward reads {', '.join(reward.attributes)}.",
            where=feedback.source,
            mend="Give ratings of what the reward reads.",
        )
    return RewardMeasures("ratings", numbers, residual_sd=residuals)


def _by_record(values: Floats, owner: Sequence[int]) -> Floats:
    """Average over the preferences of every record."""
    places = np.asarray(owner)
    known = np.unique(places, return_inverse=True)[1]
    means: Floats = np.bincount(known, values) / np.bincount(known)
    return means
