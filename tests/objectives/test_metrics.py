"""Metrics: names people know, values checked by hand, exact when a batch is split."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.batch import MetricTotals, family_metrics
from accordant.objectives.inputs import LossOutput, Sequences
from accordant.objectives.kinds.binary import BinaryScores
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.kinds.demonstration import DemonstrationScores
from accordant.objectives.kinds.ranking import ListwiseScores
from accordant.scoring.scores import from_lists


def sequences(totals: list[float]) -> Sequences:
    return Sequences(from_lists([[t / 2, t / 2] for t in totals], dtype=torch.float64))


def test_comparisons_log_the_ecosystems_names():
    inputs = PairwiseScores(sequences([-3.0, -5.0, -2.0]), sequences([-4.0, -1.0, -2.0]))
    output = LossOutput(
        torch.tensor([1.0, 2.0, 3.0]), rewards=torch.tensor([0.4, -0.2, 0.3, 0.1, 0.5, 0.3])
    )
    assert family_metrics(inputs, output).averages() == pytest.approx(
        {
            "loss": 2.0,
            "rewards/chosen": 0.5 / 3,
            "rewards/rejected": 0.3,
            "rewards/margins": 0.5 / 3 - 0.3,
            "rewards/accuracies": 1 / 3,  # the tie counts as wrong
            "logps/chosen": -10 / 3,
            "logps/rejected": -7 / 3,
        }
    )


def test_thumbs_are_averaged_by_label_and_their_margin_is_of_the_averages():
    inputs = BinaryScores(sequences([-3.0, -5.0, -7.0]), torch.tensor([True, False, True]))
    output = LossOutput(
        torch.ones(3), rewards=torch.tensor([1.0, 3.0, 2.0]), metrics={"kl": torch.tensor(0.25)}
    )
    assert family_metrics(inputs, output).averages() == pytest.approx(
        {
            "loss": 1.0,
            "kl": 0.25,
            "rewards/desirable": 1.5,
            "rewards/undesirable": 3.0,
            "rewards/margins": -1.5,
            "logps/desirable": -5.0,
            "logps/undesirable": -5.0,
        }
    )


def test_a_label_that_did_not_occur_is_left_out_and_not_reported_as_zero():
    inputs = BinaryScores(sequences([-3.0]), torch.tensor([True]))
    averages = family_metrics(inputs, LossOutput(torch.ones(1), torch.ones(1))).averages()
    assert "rewards/undesirable" not in averages
    assert "rewards/margins" not in averages


def test_parts_with_different_labels_have_the_same_names_and_add_up():
    rewards = torch.tensor([1.0, 3.0, 2.0])
    labels = torch.tensor([True, False, True])
    parts = [
        family_metrics(
            BinaryScores(sequences([-1.0 - i]), labels[i : i + 1]),
            LossOutput(torch.ones(1), rewards[i : i + 1]),
        )
        for i in range(3)
    ]
    whole = family_metrics(
        BinaryScores(sequences([-1.0, -2.0, -3.0]), labels), LossOutput(torch.ones(3), rewards)
    )
    added = parts[0] + parts[1] + parts[2]
    assert added.names == whole.names
    assert added.averages() == pytest.approx(whole.averages())


def test_metrics_of_different_objectives_cannot_be_added():
    with pytest.raises(ValueError, match="differ"):
        MetricTotals(("loss",), torch.ones(2, 1)) + MetricTotals(("kl",), torch.ones(2, 1))


def test_demonstrations_log_likelihood_per_token_and_perplexity():
    inputs = DemonstrationScores(Sequences(from_lists([[-1.0, -2.0, -3.0], [-6.0]])))
    output = LossOutput(torch.tensor([2.0, 6.0]), weights=torch.tensor([3.0, 1.0]))
    averages = family_metrics(inputs, output).averages()
    assert averages == pytest.approx({"loss": 3.0, "nll": 3.0, "perplexity": math.exp(3.0)})


def test_rewards_are_left_out_where_the_objective_defines_none():
    inputs = PairwiseScores(sequences([-3.0]), sequences([-4.0]))
    names = family_metrics(inputs, LossOutput(torch.ones(1))).names
    assert names == ("loss", "logps/chosen", "logps/rejected")


def test_numbers_per_example_are_averaged_over_examples():
    inputs = PairwiseScores(sequences([-3.0, -1.0]), sequences([-4.0, -1.0]))
    output = LossOutput(torch.ones(2), metrics={"slope": torch.tensor([1.0, 4.0])})
    assert family_metrics(inputs, output).averages()["slope"] == pytest.approx(2.5)


lists = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-2, 2)), min_size=1, max_size=5),
    min_size=1,
    max_size=4,
)


@given(lists)
def test_rankings_are_judged_by_their_ordered_pairs(rows):
    labels = [[float(label) for label, _ in row] for row in rows]
    rewards = [[reward for _, reward in row] for row in rows]
    flat = [r for row in rewards for r in row]
    inputs = ListwiseScores(
        sequences([-5.0 for _ in flat]),
        torch.tensor([i for i, row in enumerate(rows) for _ in row]),
        torch.tensor([label for row in labels for label in row], dtype=torch.float64),
    )
    output = LossOutput(torch.ones(len(rows)), torch.tensor(flat, dtype=torch.float64))
    averages = family_metrics(inputs, output).averages()

    agreements, correlations, tops, margins = [], [], [], []
    for numbers, values in zip(labels, rewards, strict=True):
        ordered = [
            (i, j)
            for i, j in itertools.permutations(range(len(numbers)), 2)
            if numbers[i] > numbers[j]
        ]
        signs = [(values[i] > values[j]) - (values[i] < values[j]) for i, j in ordered]
        agreements += [sign > 0 for sign in signs]
        best = [v for v, n in zip(values, numbers, strict=True) if n == max(numbers)]
        worst = [v for v, n in zip(values, numbers, strict=True) if n == min(numbers)]
        margins.append(sum(best) / len(best) - sum(worst) / len(worst))
        if ordered:
            correlations.append(sum(signs) / len(signs))
            tops.append(numbers[values.index(max(values))] == max(numbers))
    assert averages["rewards/margins"] == pytest.approx(sum(margins) / len(margins), abs=1e-9)
    if not agreements:
        assert "rewards/accuracies" not in averages
        return
    for name, values in (
        ("rewards/accuracies", agreements),
        ("rewards/rank_correlation", correlations),
        ("rewards/top_accuracies", tops),
    ):
        assert averages[name] == pytest.approx(sum(values) / len(values))
