"""Which feedback an objective can be trained on, and what to do about feedback it cannot use.

Knows names of record types. Knows nothing of scores, and never imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.base.errors import UserError

if TYPE_CHECKING:
    from accordant.feedback.records import Record
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


@dataclass(frozen=True, slots=True)
class Detail:
    """Something a record may say beyond its type that an objective may need.

    Args:
        name: in words.
        how: how to write it into the data.
        everywhere: whether every record must say it; otherwise one must, and the objective has a
            default for the others.
    """

    name: str
    how: str
    everywhere: bool


# By the name of the record's field.
DETAILS = {
    "votes": Detail(
        "votes",
        "Add columns `votes_chosen` and `votes_rejected`: how many people preferred each answer. "
        "For pairs labelled once, `ipo` and `dpo` need no votes.",
        everywhere=False,
    ),
    "reward_gap": Detail(
        "scores",
        "Add columns `score_chosen` and `score_rejected` (what each answer was rated by people or "
        "a reward model), or `margin`, their difference.",
        everywhere=True,
    ),
}


def check_details(objective: Objective, records: Sequence[Record], where: str = "") -> None:
    """Make sure that records say what `objective` needs to know beyond their type.

    Args:
        objective: a registered objective.
        records: of types it can be trained on.
        where: file or data set, for the error.

    Raises:
        UserError: a detail is missing, or scores put the rejected answers above the chosen ones.
    """
    for field in objective.needs:
        detail = DETAILS[field]
        values = [getattr(record, field, None) for record in records]
        lacking = [r for r, value in zip(records, values, strict=True) if value is None]
        if lacking and (detail.everywhere or len(lacking) == len(records)):
            raise UserError(
                f"objective {objective.name!r} needs {detail.name}, and {len(lacking):,} of "
                f"{len(records):,} records have none.",
                where=str(lacking[0].origin or where) if detail.everywhere else where,
                mend=f"{detail.how} `--columns FIELD=COLUMN` names columns called otherwise.",
            )
        if field == "reward_gap":
            _check_gaps(objective, [value for value in values if value is not None], where)


def _check_gaps(objective: Objective, gaps: Sequence[float], where: str) -> None:
    against = sum(gap < 0 for gap in gaps)
    if 2 * against > len(gaps):
        raise UserError(
            f"objective {objective.name!r} scales with how much better the chosen answer is, but "
            f"{against:,} of {len(gaps):,} records score the rejected one higher.",
            where=where,
            mend="Exchange the two columns of scores, or change the sign of `margin`.",
        )


def check_feedback(objective: Objective, kinds: Collection[str], where: str = "") -> None:
    """Make sure that `objective` can be trained on records of all these types.

    Args:
        objective: a registered objective.
        kinds: record types found in the data, keys of `data.records.RECORD_TYPES`.
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


def check_labels(
    objective: Objective,
    examples: Sequence[Example],
    place: Callable[[Example], str] = lambda example: f"example {example.index}",
) -> None:
    """Make sure that every example carries a label `objective` can use.

    Args:
        objective: a registered objective.
        examples: records in tokens.
        place: what an example is called in the error, such as its file and row.

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
        where=place(first),
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
