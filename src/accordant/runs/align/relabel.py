"""The part of an align run that rewrites feedback before it is rendered (`--relabel`).

Composes the relabellings of the data room; adds no mechanism.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from accordant.feedback.loading import Feedback
from accordant.feedback.records import Comparison, Record
from accordant.feedback.relabelling import augment_with_rewards, with_goal


@dataclass(frozen=True, slots=True)
class Relabelled:
    """Feedback to train and to test on."""

    train: Feedback
    held_out: Feedback | None  # records to test on, or None
    # held-out records whose prompts the model is asked before and after training
    questions: tuple[Record, ...] = ()
    notes: tuple[str, ...] = ()


def relabel(
    how: Literal["reward-augmented"] | None, train: Feedback, held_out: Feedback | None
) -> Relabelled:
    """Change feedback as `--relabel` says; None leaves it as it is.

    Raises:
        UserError: feedback that cannot be relabelled this way.
    """
    if how is None:
        return Relabelled(train, held_out, () if held_out is None else held_out.records)
    learnt = augment_with_rewards(train.records, train.source)
    tested = None
    questions: tuple[Record, ...] = ()
    if held_out is not None:
        relabelled = augment_with_rewards(held_out.records, held_out.source)
        tested = replace(held_out, records=relabelled.records)
        # Asked with the goal that it was trained to reach, and not with each record's own.
        questions = tuple(
            replace(record, prompt=with_goal(record.prompt, learnt.best))
            for record in held_out.records
            if isinstance(record, Comparison)
        )
    goal = str(with_goal("", learnt.best)).strip()
    note = (
        f"reward-augmented: {len(train.records):,} comparisons became {len(learnt.records):,}; ask "
        f"the trained model with the goal of the best score: {goal!r}"
    )
    return Relabelled(
        replace(train, records=learnt.records),
        tested,
        questions,
        (note,),
    )
