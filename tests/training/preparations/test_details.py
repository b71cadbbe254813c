"""What records must say beyond their type, and how those that do not are refused."""

from __future__ import annotations

import pytest

from accordant.base.errors import UserError
from accordant.feedback.loading import Feedback
from accordant.feedback.records import Comparison, Origin
from accordant.objectives.registry import bind_options, get_objective
from accordant.training.preparations.mechanism import check_preparations
from accordant.training.preparations.workbench import Workbench


def comparison(row: int = 1, **details) -> Comparison:
    return Comparison("p", "a", "b", Origin("pairs.jsonl", row), **details)


def check(name: str, *records: Comparison) -> None:
    objective = get_objective(name)
    feedback = (Feedback(records, "comparison", "pairs.jsonl"),)
    check_preparations(Workbench(objective, bind_options(objective, {}), feedback=feedback))


def test_feedback_without_votes_is_refused_with_what_to_add():
    with pytest.raises(UserError, match="'irepo' needs votes, and 2 of 2 records have none") as e:
        check("irepo", comparison(), comparison())
    assert e.value.where == "pairs.jsonl"
    assert "`votes_chosen` and `votes_rejected`" in e.value.mend
    check("irepo", comparison(), comparison(votes=(3, 1)))


def test_every_pair_needs_scores_where_a_loss_scales_with_them():
    with pytest.raises(UserError, match="1 of 2 records have none") as error:
        check("mm_dpo", comparison(margin=1.0), comparison(2))
    assert error.value.where == "pairs.jsonl, row 2"
    assert "`score_chosen` and `score_rejected`" in error.value.mend
    check("mm_dpo", comparison(margin=1.0), comparison(rewards=(3.0, 2.5)))


def test_scores_that_were_exchanged_are_noticed():
    wrong = [comparison(rewards=(1.0, 4.0)), comparison(margin=-2.0), comparison(margin=1.0)]
    with pytest.raises(UserError, match="2 of 3 records score the rejected one higher"):
        check("mm_dpo", *wrong)


def test_other_losses_ask_for_nothing():
    check("dpo", comparison())
