"""From engine scores to the record of a family; feedback that does not fit says how to mend it."""

from __future__ import annotations

import pytest
import torch

from accordant.base.errors import UserError
from accordant.feedback.kinds import KINDS
from accordant.objectives.assembly import assemble
from accordant.objectives.feedback import check_feedback
from accordant.objectives.registry import get_objective, list_objectives
from accordant.scoring.scores import from_lists
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree


def example(kind: str, answers: int, **fields: object) -> Example:
    return Example(kind, (TokenTree((1,), ((2,),) * answers),), 0, **fields)


# Its prompt has two tokens: the second should be scored, and stand with the answers.
UNSCORED = Example("comparison", (TokenTree((1, 2), ((2,), (3,))),), 0)

SAMPLED_AND_NOT = [
    example("binary", 2, label=False, extra_answers={"self_samples": 1}),
    example("binary", 1, label=False),
]


def numbered(count: int, tokens: int = 1):
    """Scores whose sums are -1, -2, ... in order."""
    return from_lists([[-(i + 1) / tokens] * tokens for i in range(count)])


def test_pairs_take_chosen_and_rejected_from_every_tree():
    inputs = assemble(
        get_objective("dpo"), numbered(4, 2), numbered(4, 2), [example("comparison", 2)] * 2
    )
    assert inputs.chosen.policy.sum().tolist() == [-1.0, -3.0]
    assert inputs.rejected.policy.sum().tolist() == [-2.0, -4.0]
    assert inputs.rejected.log_ratio().tolist() == [0.0, 0.0]


def test_the_mismatched_answer_is_kept_apart_from_the_labelled_one():
    examples = [
        example("binary", 2, label=label, extra_answers={"mismatched": 1})
        for label in (True, False)
    ]
    inputs = assemble(get_objective("kto"), numbered(4), numbered(4), examples)
    assert inputs.completion.policy.sum().tolist() == [-1.0, -3.0]
    assert inputs.attached.extra("mismatched").answers.policy.sum().tolist() == [-2.0, -4.0]
    assert inputs.desirable.tolist() == [True, False]


def test_rankings_of_unequal_length_are_flat_and_without_numbers_ranked_by_place():
    examples = [example("ranking", 3), example("ranking", 2, rewards=(5.0, 5.0))]
    inputs = assemble(get_objective("plackett_luce"), numbered(5), numbered(5), examples)
    assert inputs.ranking.tolist() == [0, 0, 0, 1, 1]
    assert inputs.rewards.tolist() == [-1.0, -2.0, -3.0, 5.0, 5.0]


def test_a_comparison_is_a_ranking_of_two():
    inputs = assemble(
        get_objective("plackett_luce"), numbered(2), numbered(2), [example("comparison", 2)]
    )
    assert inputs.rewards[0] > inputs.rewards[1]


def test_a_reference_the_objective_does_not_need_is_left_out():
    inputs = assemble(get_objective("sft"), numbered(1), numbered(1), [example("demonstration", 1)])
    assert inputs.completion.reference is None


@pytest.mark.parametrize(
    ("name", "policy", "reference", "examples", "message"),
    [
        ("dpo", numbered(3), numbered(3), [example("comparison", 2)], "3 scores for 2"),
        ("dpo", numbered(2), None, [example("comparison", 2)], "needs reference"),
        ("dpo", numbered(2), numbered(2, 2), [example("comparison", 2)], "different"),
        ("dpo", numbered(3), numbered(3), [example("comparison", 3)], "3 answers where 2"),
        ("kto", numbered(1), numbered(1), [example("binary", 1, label=True)], "mismatched"),
        ("d2o", numbered(3), numbered(3), SAMPLED_AND_NOT, "needs self-samples in every example"),
        ("poft", numbered(1), None, [example("demonstration", 1)], "needs scores of baselines in"),
        ("mm_dpo", numbered(2), numbered(2), [example("comparison", 2)], "needs a reward gap in"),
        ("dove_joint", numbered(2), numbered(2), [UNSCORED], "needs prompts scored"),
        (
            "kto",
            numbered(2),
            numbered(2),
            [example("binary", 2, extra_answers={"mismatched": 1})],
            "no label",
        ),
        (
            "plackett_luce",
            numbered(2),
            numbered(2),
            [example("ranking", 2, rewards=(1.0,))],
            "1 rewards for 2",
        ),
    ],
)
def test_scores_that_do_not_belong_to_the_examples_are_a_bug(
    name, policy, reference, examples, message
):
    with pytest.raises(ValueError, match=message):
        assemble(get_objective(name), policy, reference, examples)


def test_feedback_an_objective_cannot_use_is_told_with_a_way_out():
    with pytest.raises(UserError) as error:
        check_feedback(get_objective("kto"), {"comparison"}, where="pairs.jsonl")
    text = str(error.value)
    assert text.startswith("pairs.jsonl: objective 'kto' learns from binary records")
    assert "comparison records" in text
    assert "two rows: `chosen` with `label` true" in text
    assert all(f"{name}," in text for name in ("dpo", "ipo"))


def test_every_objective_answers_for_every_type_of_feedback():
    for entry in list_objectives():
        for kind in KINDS:
            if kind in entry.feedback:
                check_feedback(entry, {kind})
                continue
            with pytest.raises(UserError) as error:
                check_feedback(entry, {kind})
            assert entry.feedback[0] in error.value.message
            assert error.value.mend


def test_relabellings_lead_from_record_types_to_others():
    for source, kind in KINDS.items():
        assert kind.becomes.keys() <= KINDS.keys() - {source}


def test_examples_of_another_type_do_not_reach_the_loss():
    with pytest.raises(UserError, match="learns from comparison"):
        assemble(get_objective("dpo"), numbered(1), numbered(1), [example("demonstration", 1)])


def test_selected_scores_carry_the_gradient_back_to_the_right_tokens():
    policy = from_lists([[-1.0, -1.0], [-2.0], [-3.0], [-4.0]])
    policy.logps.requires_grad_()
    inputs = assemble(get_objective("dpo"), policy, policy.detach(), [example("comparison", 2)] * 2)
    weights = torch.tensor([1.0, 10.0])
    total = (inputs.chosen.log_ratio() * weights).sum()
    total = total - (inputs.rejected.log_ratio() * weights).sum()
    (gradient,) = torch.autograd.grad(total, policy.logps)
    assert gradient.tolist() == [1.0, 1.0, -1.0, 10.0, -10.0]
