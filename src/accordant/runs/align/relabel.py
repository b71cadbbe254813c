"""The part of an align run that rewrites feedback before it is rendered (`--relabel`).

Composes the relabellings of the data room; adds no mechanism.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from accordant.feedback.loading import Feedback
from accordant.feedback.records import Comparison, Origin, Record
from accordant.feedback.relabelling import augment_with_rewards, with_goal
from accordant.runs.settings import AlignConfig


@dataclass(frozen=True, slots=True)
class Relabelled:
    """Feedback to train and to test on.

    Args:
        train: records to learn from.
        held_out: records to test on, or None.
        questions: held-out records whose prompts the model is asked before and after training.
        dropped: rows that the relabelling left out.
        reason: why it left them out.
        notes: what a user should know of it.
    """

    train: Feedback
    held_out: Feedback | None
    questions: tuple[Record, ...] = ()
    dropped: tuple[Origin | None, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()


def relabel(config: AlignConfig, train: Feedback, held_out: Feedback | None) -> Relabelled:
    """The feedback as the settings ask for it.

    Raises:
        UserError: feedback that cannot be relabelled this way.
    """
    if config.relabel is None:
        return Relabelled(train, held_out, held_out.records if held_out is not None else ())
    learnt = augment_with_rewards(train.records, train.source)
    left_out = [*learnt.dropped]
    tested = None
    questions: tuple[Record, ...] = ()
    if held_out is not None:
        found = augment_with_rewards(held_out.records, held_out.source)
        left_out += found.dropped
        tested = replace(held_out, records=found.records)
        questions = tuple(
            replace(record, prompt=with_goal(record.prompt, learnt.best))
            for record in held_out.records
            if isinstance(record, Comparison)
        )
    pairs = len(train.records) - len(learnt.dropped)
    notes = [
        f"reward-augmented: {pairs:,} comparisons became {len(learnt.records):,}; ask the trained "
        f"model with the goal of the best score: {with_goal('', learnt.best).strip()!r}"  # type: ignore[union-attr]
    ]
    if left_out:
        notes.append(f"Dropped for equal scores of both answers: {len(left_out):,} comparisons")
    return Relabelled(
        replace(train, records=learnt.records),
        tested,
        questions,
        tuple(record.origin for record in left_out),
        "both answers have the same score",
        tuple(notes),
    )
