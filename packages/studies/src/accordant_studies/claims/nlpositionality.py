"""S26: a skew of labels toward one group of people is found, and no other; simulated annotators.

Knows the check's statistics. People belong to a country and an age group. An item has a severity
that all agree on, and each group sees some of it differently; everyone is more or less lenient,
uses more or less of the scale and slips, and rates a few of the items from 1 to 5. Labels follow
the severity alone, or one country's view as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accordant.statistics.crossed import Ratings
from accordant.statistics.groups import GroupDifference, compare_groups
from accordant_studies.study import Claim, Measured, Share, Study, fresh_seeds

Floats = NDArray[np.float64]

SEEDS = fresh_seeds(8)  # with half as many, a rate at its nominal level would not pass
TABLES = 40  # of each kind, per seed
ITEMS = 300
RATED = 30  # items everyone rates
COUNTRIES = {"A": 60, "B": 50, "C": 30, "D": 20}  # people
AGES = {"young": 70, "middle": 50, "old": 40}
VIEW = 0.6  # standard deviations; that of an item's severity is 1
LENIENCY, SCALE, SLIPS, LABELLING = 0.5, 0.2, 0.8, 0.5
RESAMPLES = 200
NOMINAL = 0.05  # of every property
POWER = 0.8
MARGIN = 0.05  # of shares of tables, for the noise of counting so many


def study() -> Study:
    """Look for the skew in tables with and without one."""
    return Study(
        _measure,
        SEEDS,
        (
            Claim(
                f"a planted skew is found in over {POWER:.0%} of tables",
                "that country is found",
                higher="labels side with one country",
                than=POWER,
            ),
            Claim(
                "no other country and no age group is found, within the nominal rates "
                f"and {MARGIN:.0%} of tables",
                "nothing else is found",
                higher="labels side with one country",
                than=round(1 - 2 * NOMINAL - MARGIN, 6),
            ),
            *(
                Claim(
                    f"without a skew no {name} is found, within the nominal rate and {MARGIN:.0%} "
                    "of tables",
                    f"no {name} is found",
                    higher="labels side with nobody",
                    than=round(1 - NOMINAL - MARGIN, 6),
                )
                for name in ("country", "age")
            ),
        ),
        note=f"{TABLES} simulated tables of each kind per seed: {sum(COUNTRIES.values())} people, "
        f"{ITEMS} items, everyone rates {RATED}. Countries have "
        f"{', '.join(map(str, COUNTRIES.values()))} people and take turns in being the one the "
        "labels side with. All groups have views of their own, with labels on nobody's side as "
        f"well. The nominal rate of false findings is {NOMINAL:.0%} for each property.",
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """Simulated annotations: ratings, the groups of every annotator by property, and labels."""

    ratings: Ratings
    groups: Mapping[str, list[str]]
    labels: Floats


def _measure(seed: int) -> Measured:
    countries = list(COUNTRIES)
    counts = dict.fromkeys(("that", "else", "country", "age"), 0)
    for table in range(TABLES):
        skewed = countries[table % len(countries)]
        differences = _differences(_simulate([seed, table, 1], skewed))
        wrong = [
            difference for difference in differences["country"] if difference.first != skewed
        ] + differences["age"]
        counts["that"] += any(difference.first == skewed for difference in differences["country"])
        counts["else"] += not wrong
        nobody = _differences(_simulate([seed, table, 0], None))
        for name in ("country", "age"):
            counts[name] += not nobody[name]
    shares = {name: Share(count, TABLES) for name, count in counts.items()}
    return {
        "labels side with one country": {
            "that country is found": shares["that"],
            "nothing else is found": shares["else"],
        },
        "labels side with nobody": {
            "no country is found": shares["country"],
            "no age is found": shares["age"],
        },
    }


def _differences(table: _Table) -> dict[str, list[GroupDifference]]:
    """Return differences beyond chance, by property."""
    return {
        name: [
            difference
            for difference in compare_groups(
                table.ratings, groups, {"label": table.labels}, resamples=RESAMPLES
            )
            if difference.number.low > 0
        ]
        for name, groups in table.groups.items()
    }


def _simulate(seed: list[int], skewed: str | None) -> _Table:
    """Return annotations of one table; labels side with the country `skewed`, or with nobody."""
    draw = np.random.default_rng(seed)
    people = sum(COUNTRIES.values())
    groups = {
        name: draw.permutation([group for group, size in sizes.items() for _ in range(size)])
        for name, sizes in (("country", COUNTRIES), ("age", AGES))
    }
    severity = draw.normal(size=ITEMS)
    views = {group: VIEW * draw.normal(size=ITEMS) for group in (*COUNTRIES, *AGES)}
    leniency = LENIENCY * draw.normal(size=people)
    scale = np.exp(SCALE * draw.normal(size=people))
    items, annotators, values = [], [], []
    for person in range(people):
        rated = draw.choice(ITEMS, RATED, replace=False)
        seen = severity[rated] + sum(views[str(own[person])][rated] for own in groups.values())
        slips = SLIPS * draw.normal(size=RATED)
        items.append(rated)
        annotators.append(np.full(RATED, person))
        values.append(_on_scale(scale[person] * seen + leniency[person] + slips))
    labels = severity + LABELLING * draw.normal(size=ITEMS)
    if skewed is not None:
        labels = labels + views[skewed]
    ratings = Ratings(*(np.concatenate(part) for part in (items, annotators, values)))
    named = {name: [str(group) for group in own] for name, own in groups.items()}
    return _Table(ratings, named, _on_scale(labels))


def _on_scale(values: Floats) -> Floats:
    """Return whole numbers from 1 to 5 with 3 in the middle."""
    return np.clip(np.round(values + 3), 1, 5)
