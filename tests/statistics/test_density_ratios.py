"""Density ratios against worlds where they are known."""

from __future__ import annotations

import numpy as np
import pytest

from accordant.statistics import density_ratios as module
from accordant.statistics.density_ratios import estimate_density_ratios

RATES = (0.9, 0.1)  # share of thumbs up in each of two groups of prompts


def two_groups(count: int, width: int = 12, seed: int = 0, rates: tuple[float, float] = RATES):
    """Prompts of two kinds, told apart by their vectors, with other rates of thumbs up."""
    draw = np.random.default_rng(seed)
    group = draw.integers(0, 2, count)
    vectors = draw.normal(size=(count, width))
    vectors[:, 0] += 6 * group
    wanted = draw.random(count) < np.where(group == 0, *rates)
    return vectors, wanted, group


def true_ratios(wanted: np.ndarray, group: np.ndarray) -> np.ndarray:
    up = [np.mean(group[wanted] == kind) for kind in (0, 1)]
    down = [np.mean(group[~wanted] == kind) for kind in (0, 1)]
    return np.where(group == 0, up[0] / down[0], up[1] / down[1])


def test_they_are_the_ratio_of_how_common_prompts_are_under_either_label():
    vectors, wanted, group = two_groups(2000)
    further, _, further_group = two_groups(200, seed=1)
    found = estimate_density_ratios(vectors, wanted, range(2000), further)
    truth = true_ratios(wanted, group)
    # Most prompts lie in the middle of their group; a linear classifier is less sure between them.
    assert np.median(np.array(found.train)[group == 0]) == pytest.approx(truth.max(), rel=0.35)
    assert np.median(np.array(found.train)[group == 1]) == pytest.approx(truth.min(), rel=0.35)
    assert np.corrcoef(np.log(found.train), np.log(truth))[0, 1] > 0.9
    assert (np.array(found.others)[further_group == 0] > 1).mean() > 0.98
    assert found.accuracy == pytest.approx(0.9, abs=0.03)


def test_labels_of_unequal_number_are_taken_for_equally_common():
    vectors, wanted, group = two_groups(3000, rates=(0.95, 0.6))
    found = estimate_density_ratios(vectors, wanted, range(3000), vectors[:0])
    truth = true_ratios(wanted, group)
    assert np.median(np.array(found.train)[group == 1]) == pytest.approx(truth.min(), rel=0.35)
    assert truth.min() < 1 < truth.max()
    assert found.others == ()


def test_a_prompt_is_weighed_by_a_classifier_that_has_not_seen_it():
    """Vectors that name each prompt, and say nothing else, must not give its label away."""
    draw = np.random.default_rng(2)
    names = draw.normal(size=(60, 40))
    prompts = np.repeat(np.arange(60), 5)
    labels = np.repeat(draw.random(60) < 0.5, 5)  # all rows of a prompt have its label
    found = estimate_density_ratios(names[prompts], labels, prompts, names)
    assert found.accuracy < 0.65


def test_prompts_that_say_nothing_of_the_label_all_weigh_one():
    draw = np.random.default_rng(3)
    vectors = draw.normal(size=(300, 50))
    labels = draw.random(300) < 0.5
    found = estimate_density_ratios(vectors, labels, range(300), vectors[:4])
    assert found.accuracy == 0.5
    assert set(found.train) == set(found.others) == {1.0}
    assert (len(found.train), len(found.others)) == (300, 4)


def test_the_same_rows_and_seed_give_the_same_ratios():
    vectors, wanted, _ = two_groups(200)
    one, other = (
        estimate_density_ratios(vectors, wanted, range(200), vectors[:5]) for _ in range(2)
    )
    assert one == other


def test_many_rows_are_fitted_on_a_part_that_keeps_the_rare_label(monkeypatch):
    monkeypatch.setattr(module, "MOST_FITTED", 100)
    vectors, wanted, group = two_groups(1000, rates=(0.99, 0.9))
    found = estimate_density_ratios(vectors, wanted, range(1000), vectors[:0])
    assert len(found.train) == 1000
    assert np.mean(np.array(found.train)[group == 0]) > np.mean(np.array(found.train)[group == 1])


@pytest.mark.parametrize("labels", [[True] * 6, [True] * 5 + [False]])
def test_one_sided_thumbs_are_told(labels):
    with pytest.raises(ValueError, match="two of each"):
        estimate_density_ratios(np.zeros((6, 3)), labels, range(6), np.zeros((0, 3)))
