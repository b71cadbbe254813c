"""Losses that train a reward, against numbers worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from accordant.base.errors import UserError
from accordant.objectives.batch import family_metrics, loss_totals
from accordant.objectives.feedback import check_sampling
from accordant.objectives.inputs import Attached
from accordant.objectives.registry import get_objective, list_objectives, list_reward_losses
from accordant.objectives.reward_inputs import PairRewards, RatedRewards
from accordant.objectives.reward_losses.pairs import bt, margin_bt, scaled_bt
from accordant.objectives.reward_losses.ratings import regression

NAN = math.nan


def pairs(chosen: list[float], rejected: list[float], gaps: list[float] | None = None):
    given = torch.tensor(gaps or [NAN] * len(chosen))
    attached = Attached({"reward_gap": given[:, None]}) if gaps else Attached()
    r = (torch.tensor(side, requires_grad=True) for side in (chosen, rejected))
    return PairRewards(*r, given, attached=attached)


def loss(output) -> float:
    total, weight = loss_totals(output)
    return float((total / weight).detach())


@pytest.mark.parametrize(
    ("function", "expected"), [(bt, 0.313262), (margin_bt, 2.126928), (scaled_bt, 0.313262)]
)
def test_a_pair_one_apart_of_strength_three(function, expected) -> None:
    assert loss(function(pairs([0.5], [-0.5], [3.0]), centring=0.0)) == pytest.approx(
        expected, abs=1e-6
    )


def test_the_authors_scale_is_three_times_the_pair() -> None:
    output = scaled_bt(pairs([0.5], [-0.5], [3.0]), centring=0.0, normalise=False)
    assert loss(output) == pytest.approx(0.939785, abs=1e-6)


def test_centring_pulls_the_mean_reward_to_zero() -> None:
    without, beside = (loss(bt(pairs([1.2], [-0.4]), centring=c)) for c in (0.0, 0.01))
    assert beside - without == pytest.approx(0.0064, abs=1e-6)


def test_of_equal_strengths_all_kinds_are_one() -> None:
    given = pairs([0.3, -1.0], [0.1, 0.4], [1.0, 1.0])
    assert loss(scaled_bt(given)) == pytest.approx(loss(bt(given)))
    even = replace(given, attached=Attached({"reward_gap": torch.full((2, 1), 1e-12)}))
    assert loss(margin_bt(even)) == pytest.approx(loss(bt(given)))


def test_a_tie_is_left_out_and_never_decided_by_its_place() -> None:
    alone, with_tie = pairs([0.3], [0.1], [2.0]), pairs([0.3, 5.0], [0.1, -5.0], [2.0, 0.0])
    for function in (bt, margin_bt, scaled_bt):
        assert loss(function(with_tie)) == pytest.approx(loss(function(alone)))
    totals, weight = loss_totals(bt(with_tie, ties=0.5, centring=0.0))
    assert float(weight) == 2
    assert float(totals.detach()) == pytest.approx(loss(bt(alone, centring=0.0)) + 0.5 * 100)
    tied = pairs([1.0], [1.0], [0.0])
    loss_totals(bt(tied, ties=1.0, centring=0.0))[0].backward()
    assert tied.chosen.grad.tolist() == [0.0]
    metrics = family_metrics(with_tie, bt(with_tie)).averages()
    assert metrics["share_ties"] == 0.5
    assert metrics["rewards/accuracies"] == 1.0
    assert family_metrics(pairs([1.0], [1.0]), bt(pairs([1.0], [1.0]))).averages()[
        "rewards/accuracies"
    ] == pytest.approx(0.5)


def test_only_what_was_rated_is_learnt() -> None:
    values = torch.tensor([[3.0, 2.0, 4.0, 1.0, 2.0], [9.0] * 5], requires_grad=True)
    ratings = torch.tensor([[4.0, NAN, 4.0, NAN, 1.0], [NAN] * 5])
    output = regression(RatedRewards(values, ratings))
    assert loss(output) == pytest.approx(2 / 3, abs=1e-6)
    loss_totals(output)[0].backward()
    assert values.grad[0].tolist() == pytest.approx([-2 / 3, 0, 0, 0, 2 / 3])
    assert values.grad[1].tolist() == [0.0] * 5
    assert family_metrics(RatedRewards(values, ratings), output).averages()[
        "absolute_error"
    ] == pytest.approx(2 / 3)


def test_rewards_are_no_objectives_of_align() -> None:
    losses = {entry.name for entry in list_reward_losses()}
    assert losses == {"bt", "margin_bt", "scaled_bt", "regression"}
    assert not losses & {entry.name for entry in list_objectives()}
    with pytest.raises(UserError, match="trains a reward") as caught:
        check_sampling(get_objective("bt"))
    assert "accordant reward train --loss bt" in caught.value.mend
