"""Which feedback an objective can be trained on, and what to do about feedback it cannot use.

Knows names of record types. Knows nothing of scores, and never imports torch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.feedback.kinds import KINDS, why_nothing_learnt
from accordant.objectives.registry import Objective, list_objectives

if TYPE_CHECKING:
    from accordant.feedback.loading import Feedback
    from accordant.tokens.examples import Example


def check_sampling(objective: Objective) -> None:
    """Refuse an objective whose answers must be the policy's own to whoever only has a file.

    Raises:
        UserError: it is registered with `on_policy=True`, or trains a reward.
    """
    if "values" in objective.reads:
        raise UserError(
            f"objective {objective.name!r} trains a reward, which reads values off a model; it "
            "says nothing of how likely answers are.",
            where="--method",
            mend=f"Use `accordant reward train --loss {objective.name}`.",
        )
    if objective.on_policy:
        raise UserError(
            f"objective {objective.name!r} learns from answers the policy gives as it is, at every "
            "step; those of a file are older, or another's, and its gradient on them is wrong.",
            where="--method",
            mend="Use it in a loop, which samples from the policy, or choose an objective for "
            f"given answers: {_names_for(objective.feedback, given=True)}.",
        )


def check_feedback(objective: Objective, kinds: Collection[str], where: str = "") -> None:
    """Make sure that `objective` can be trained on records of all these types.

    Args:
        objective: a registered objective.
        kinds: record types found in the data, names of `feedback.kinds`.
        where: file or data set, for the error.

    Raises:
        UserError: a record type it cannot use; names those it takes, a relabelling that would make
            the data fit and objectives that take the data as they are.
    """
    unusable = sorted(set(kinds) - set(objective.feedback))
    if not unusable:
        return
    kind, taken = unusable[0], " or ".join(objective.feedback)
    becomes = KINDS[kind].becomes
    ways = [
        f"To make them {wanted} records, {becomes[wanted]}."
        for wanted in objective.feedback
        if wanted in becomes
    ]
    if names := _names_for((kind,)):
        article = "an" if kind[0] in "aeiou" else "a"
        choose = "Or choose" if ways else "Choose"
        ways.append(f"{choose} an objective for {article} {kind}: {names}.")
    if not ways:
        ways = [f"No relabelling turns {kind} records into {taken} records: use other data."]
    raise UserError(
        f"objective {objective.name!r} learns from {taken} records, but these are {kind} records.",
        where=where,
        mend=" ".join(ways),
    )


def check_contrast(objective: Objective, feedback: Feedback) -> None:
    """Refuse feedback that tells no answer from another, of which the loss would learn nothing.

    Args:
        objective: a registered objective; one for a single label compares nothing.
        feedback: all that there is, before a part is held out.

    Raises:
        UserError: nothing can be learnt from it; says why.
    """
    why = "" if len(objective.labels) == 1 else why_nothing_learnt(feedback.records)
    if why:
        single = KINDS[feedback.record_type].becomes.get("demonstration")
        raise UserError(
            f"nothing can be learnt from this feedback: {why}.",
            where=feedback.source,
            mend="Add records that say otherwise"
            + (f", or imitate: {single}, and use `sft`." if single else "."),
        )


def check_labels(objective: Objective, examples: Sequence[Example]) -> None:
    """Make sure that every example carries a label `objective` can use.

    Args:
        objective: a registered objective.
        examples: records in tokens.

    Raises:
        UserError: a label it cannot use, or none; names the first such row and says what to do.
    """
    wrong = [example for example in examples if example.label not in objective.labels]
    if not objective.labels or not wrong:
        return
    first, column = wrong[0], KINDS[wrong[0].kind].label_column
    wanted = " or ".join(str(label).lower() for label in objective.labels)
    raise UserError(
        f"objective {objective.name!r} learns from rows with `{column}` {wanted}, found "
        f"{str(first.label).lower()} here and {len(wrong):,} such rows in {len(examples):,}.",
        where=first.id,
        mend=f"Keep the rows with `{column}` {wanted}, or choose an objective that takes the "
        "others.",
    )


def _names_for(kinds: Collection[str], *, given: bool = False) -> str:
    """Name the objectives for some record types, those alone that learn from `given` answers."""
    return ", ".join(
        entry.name
        for entry in list_objectives()
        if set(kinds) & set(entry.feedback) and not (given and entry.on_policy)
    )
