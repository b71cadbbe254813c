"""Which feedback an objective can be trained on, and what to do about feedback it cannot use.

Knows names of record types. Knows nothing of scores, and never imports torch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from accordant.base.errors import UserError

if TYPE_CHECKING:
    from accordant.objectives.registry import Objective
    from accordant.tokens.examples import Example

# How records of the first type become records of the second.
RELABELLINGS: dict[tuple[str, str], str] = {
    ("binary", "demonstration"): "keep the rows whose `label` is true and drop the column",
    ("comparison", "demonstration"): "take `chosen` as `completion` and drop `rejected`",
    ("ranking", "demonstration"): "take the first of `completions` as `completion`",
    ("rating", "demonstration"): "keep the rows rated highly and drop the ratings",
    ("judgment", "demonstration"): "keep the rows judged good and drop the judgment",
    ("joint_pair", "demonstration"): "take the chosen prompt and answer, drop the rejected ones",
    ("comparison", "binary"): (
        "write each comparison as two rows: `chosen` with `label` true, `rejected` with false"
    ),
    ("ranking", "binary"): (
        "write one row per answer, with `label` true for the answers good enough to be wanted"
    ),
    ("rating", "binary"): "set `label` by a threshold on one rated attribute",
    ("judgment", "binary"): "take the verdict `is_good` as `label` and drop the judgment",
    ("joint_pair", "binary"): (
        "write each pair as two rows: the chosen prompt and answer with `label` true, "
        "the rejected ones with false"
    ),
    ("binary", "comparison"): (
        "join rows that share a prompt, one with `label` true as `chosen`, one false as `rejected`"
    ),
    ("ranking", "comparison"): (
        "take two answers of every ranking, the better as `chosen`, the worse as `rejected`"
    ),
    ("rating", "comparison"): (
        "join two rows that share a prompt, the higher rated as `chosen`, the other as `rejected`"
    ),
    ("judgment", "comparison"): (
        "join rows that share a prompt, one judged good as `chosen`, one judged bad as `rejected`"
    ),
    ("rating", "ranking"): (
        "collect the rows of every prompt into `completions`, sorted by the rating, best first, "
        "and keep the ratings as `rewards`"
    ),
    ("binary", "ranking"): (
        "collect the rows of every prompt into `completions`, wanted ones first, "
        "with `rewards` 1 and 0"
    ),
    ("comparison", "ranking"): "write `completions` as [chosen, rejected]",
    ("comparison", "joint_pair"): (
        "repeat the prompt as the prompt of the chosen and of the rejected answer"
    ),
    ("binary", "joint_pair"): "pair a row with `label` true with any row with false",
    ("binary", "judgment"): (
        "add a column `judgment` that says in words what is good or bad about the answer, and "
        "call `label` `is_good`"
    ),
}


def check_sampling(objective: Objective) -> None:
    """Refuse an objective whose answers must be the policy's own to whoever only has a file.

    Raises:
        UserError: it is registered with `on_policy=True`.
    """
    if objective.on_policy:
        fitting = [
            other.name
            for other in _all_objectives()
            if set(other.feedback) & set(objective.feedback) and not other.on_policy
        ]
        raise UserError(
            f"objective {objective.name!r} learns from answers the policy gives as it is, at every "
            "step; those of a file are older, or another's, and its gradient on them is wrong.",
            where="--method",
            mend="Use it in a loop, which samples from the policy, or choose an objective for "
            f"given answers: {', '.join(fitting)}.",
        )


def check_feedback(objective: Objective, kinds: Collection[str], where: str = "") -> None:
    """Make sure that `objective` can be trained on records of all these types.

    Args:
        objective: a registered objective.
        kinds: record types found in the data, keys of `feedback.records.RECORD_TYPES`.
        where: file or data set, for the error.

    Raises:
        UserError: a record type it cannot use; names those it takes, a relabelling that would make
            the data fit and objectives that take the data as they are.
    """
    unusable = sorted(set(kinds) - set(objective.feedback))
    if not unusable:
        return
    kind = unusable[0]
    raise UserError(
        f"objective {objective.name!r} learns from {' or '.join(objective.feedback)} records, "
        f"but these are {kind} records.",
        where=where,
        mend=_mend(objective, kind),
    )


def check_labels(objective: Objective, examples: Sequence[Example]) -> None:
    """Make sure that every example carries a label `objective` can use.

    Args:
        objective: a registered objective.
        examples: records in tokens.

    Raises:
        UserError: a label it cannot use, or none; names the first such row and says what to do.
    """
    if not objective.labels:
        return
    wrong = [example for example in examples if example.label not in objective.labels]
    if not wrong:
        return
    first, column = wrong[0], "is_good" if wrong[0].kind == "judgment" else "label"
    wanted = " or ".join(str(label).lower() for label in objective.labels)
    found = "none" if first.label is None else str(first.label).lower()
    raise UserError(
        f"objective {objective.name!r} learns from rows with `{column}` {wanted}, found {found} "
        f"here and {len(wrong):,} such rows in {len(examples):,}.",
        where=first.id,
        mend=f"Keep the rows with `{column}` {wanted}, or choose an objective that takes the "
        "others.",
    )


def _mend(objective: Objective, kind: str) -> str:
    ways = [
        f"To make them {wanted} records, {RELABELLINGS[kind, wanted]}."
        for wanted in objective.feedback
        if (kind, wanted) in RELABELLINGS
    ]
    fitting = [other.name for other in _all_objectives() if kind in other.feedback]
    if fitting:
        article = "an" if kind[0] in "aeiou" else "a"
        ways.append(
            f"Or choose an objective for {article} {kind}: {', '.join(fitting)}."
            if ways
            else f"Choose an objective for {article} {kind}: {', '.join(fitting)}."
        )
    return " ".join(ways) or (
        f"No relabelling turns {kind} records into {' or '.join(objective.feedback)} records: "
        "use other data."
    )


def _all_objectives() -> tuple[Objective, ...]:
    from accordant.objectives.registry import list_objectives

    return list_objectives()
