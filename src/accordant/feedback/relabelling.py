"""Feedback rewritten before it is rendered: what it says of its answers, said in another way.

Knows records. Knows nothing of tokens, models or losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from accordant.base.errors import UserError
from accordant.feedback.records import Comparison, Message, Record, Text

GOAL = "Give an answer of quality {score}."


@dataclass(frozen=True, slots=True)
class RewardAugmented:
    """Comparisons under a goal.

    Args:
        records: two for every comparison, in order.
        best: the highest score of any answer: the goal to ask for.
    """

    records: tuple[Comparison, ...]
    best: float


def augment_with_rewards(records: Sequence[Record], where: str = "") -> RewardAugmented:
    """Make every scored comparison two comparisons, each under the goal of one answer's score.

    Under the goal of its own score an answer is preferred to the other one, whichever was preferred
    before: asked for the higher score the better answer, asked for the lower one the other. So the
    policy learns how good answers are and need not unlearn good ones that lost; it is then asked
    for the highest score (arXiv:2410.08067). Answers with equal scores are preferred to each other
    under the one goal, as in the authors' code: what both have in common is all they teach. Any
    objective on comparisons can be trained on the result.

    The score of an answer under a goal is minus the squared distance between the two, as in the
    paper, so objectives that read scores go on working. Votes do not carry over.

    Args:
        records: comparisons with `rewards`, on one scale.
        where: file or data set, for errors.

    Raises:
        UserError: other records, a comparison without scores, or none with different ones.
    """
    new: list[Comparison] = []
    scores: list[float] = []
    told_apart = False
    for record in records:
        if not isinstance(record, Comparison):
            raise UserError(
                "only comparisons can be augmented with rewards.",
                where=where,
                mend="Give two answers to every prompt, with the columns `score_chosen` and "
                "`score_rejected`.",
            )
        if record.rewards is None:
            raise UserError(
                f"this comparison has no scores, and all {len(records):,} must have them.",
                where=str(record.origin or where),
                mend="Give the columns `score_chosen` and `score_rejected`; `--columns "
                "score_chosen=COLUMN` names one that is called otherwise.",
            )
        # The best of all answers is the goal to ask for.
        scores += record.rewards
        chosen, rejected = record.rewards
        told_apart |= chosen != rejected
        # Negative squared distance of each answer's score to the goal, which one of them meets.
        rewards = (0.0, -((chosen - rejected) ** 2))
        new += (
            Comparison(with_goal(record.prompt, goal), *answers, record.origin, rewards=rewards)
            for goal, answers in (
                (chosen, (record.chosen, record.rejected)),
                (rejected, (record.rejected, record.chosen)),
            )
        )
    if not told_apart:
        raise UserError(
            f"all {len(records):,} comparisons score both answers alike.",
            where=where,
            mend="Give scores that tell the answers apart.",
        )
    return RewardAugmented(tuple(new), max(scores))


def with_goal(prompt: Text, score: float, wording: str = GOAL) -> Text:
    """Return the prompt that asks for an answer of this score, on the scale of the training.

    The goal stands before the plain prompt, or in the system turn of a conversation, behind what
    that says already. A template without a system turn needs plain prompts.

    Args:
        prompt: plain or conversational.
        score: the goal; `RewardAugmented.best` asks for the best.
        wording: how the goal is said; holds `{score}`.
    """
    goal = wording.replace("{score}", f"{score:g}")
    if isinstance(prompt, str):
        return f"{goal}\n\n{prompt}"
    if prompt and prompt[0].role == "system":
        return (replace(prompt[0], content=f"{prompt[0].content}\n\n{goal}"), *prompt[1:])
    return (Message("system", goal), *prompt)
