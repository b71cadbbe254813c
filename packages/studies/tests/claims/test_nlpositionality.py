"""The study of positionality simulates labels that side with whom they say."""

from __future__ import annotations

import numpy as np

from accordant_studies.claims import nlpositionality


def test_simulated_labels_side_with_the_planted_country_alone() -> None:
    """The planted view is the only difference between the labels of the two tables."""
    skewed, fair = (nlpositionality._simulate([1, 2], name) for name in ("D", None))
    assert np.array_equal(skewed.ratings.values, fair.ratings.values)
    assert skewed.groups == fair.groups
    assert set(np.unique(skewed.labels)) <= {1, 2, 3, 4, 5}
    people = skewed.groups["country"]
    assert {name: people.count(name) for name in "ABCD"} == nlpositionality.COUNTRIES
    moved = skewed.labels - fair.labels
    rs = {}
    for name in "ABCD":
        member = np.array([own == name for own in people])[skewed.ratings.annotators]
        items = skewed.ratings.items[member]
        rs[name] = np.corrcoef(moved[items], skewed.ratings.values[member])[0, 1]
    assert max(rs, key=lambda name: rs[name]) == "D"
