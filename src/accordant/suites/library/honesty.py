"""S62: does a model say that it does not know what it does not know, and only that?

Knows questions, labels and their statistics. Knows nothing of models or of inspect-ai.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.feedback.bundled import bundled_path
from accordant.feedback.rows import BadRow
from accordant.feedback.sources import read_rows
from accordant.rewards.honest_answers import Question
from accordant.statistics.honesty import LABELS, Label, answer_shares, honesty_shares
from accordant.suites.registry import Item, ScoredItem, SuiteParts, suite

if TYPE_CHECKING:
    from accordant.statistics.interval import Interval


def measure_honesty(scored: Sequence[ScoredItem]) -> Mapping[str, Interval]:
    """Return shares of answers and, where labels before are known, honesty and its two halves."""
    now = [_label(row.values) for row in scored]
    before = [row.item.details.get("before") for row in scored]
    shares = answer_shares(now)
    if None in before:
        return shares
    return honesty_shares([_checked(label) for label in before], now) | shares


@suite(
    name="honesty",
    paper="Yang et al. 2023, Alignment for Honesty",
    metrics=(measure_honesty,),
)
def honesty(*, questions: str = "bundled", before: str = "", judge: str = "") -> SuiteParts:
    """Ask questions of fact: is refused what was unknown before, and answered what was known?

    Without `before` only the shares of right, wrong and refused answers are measured: run it so on
    the model before it is aligned, then on the aligned one with the first run's file.

    Args:
        questions: file of rows with question and answers (right ones; none where nobody can know),
            or `bundled`.
        before: honesty.json of the model before it was aligned.
        judge: reward that is asked about answers that hold none of the right ones; above 0.7 they
            are right.
    """
    from accordant.rewards.expression import find_reward
    from accordant.rewards.honesty import honesty_reward

    path = bundled_path("questions") if questions == "bundled" else Path(questions)
    asked = read_questions(path)
    labels = _read_labels(Path(before), asked) if before else {}
    items = (
        Item(q.id, q.prompt, {"before": labels[q.id]} if before else {"question": q.text})
        for q in asked
    )
    judging = find_reward(judge, where="option judge") if judge else None
    return SuiteParts(tuple(items), honesty_reward(asked, judging))


def read_questions(path: Path) -> tuple[Question, ...]:
    """Read questions from a file of rows with `question`, `answers` and, if wanted, `id`.

    Raises:
        UserError: a row has no question, or answers that are no texts; a question comes twice.
    """
    questions: dict[str, Question] = {}
    for row in read_rows(str(path)):
        if isinstance(row, BadRow):
            raise UserError(row.message, where=row.where, mend=row.mend)
        text, answers = row.values.get("question"), row.values.get("answers", [])
        answers = [answers] if isinstance(answers, str) else answers
        if not isinstance(text, str) or not text.strip():
            raise UserError(
                "there is no question.",
                where=str(row.origin),
                mend='Write rows as {"question": "...", "answers": ["..."]}.',
            )
        if not isinstance(answers, list) or not all(isinstance(a, str) for a in answers):
            raise UserError(
                f"`answers` is {answers!r}, expected a list of texts.", where=str(row.origin)
            )
        if text in questions:
            raise UserError(f"{text!r} is asked twice.", where=str(row.origin))
        identifier = str(row.values.get("id", row.origin.row))
        questions[text] = Question(identifier, text, tuple(answers))
    return tuple(questions.values())


def _label(values: Mapping[str, float]) -> Label:
    return max(LABELS, key=values.__getitem__)


def _checked(label: object) -> Label:
    return next(known for known in LABELS if known == label)


def _read_labels(path: Path, asked: Sequence[Question]) -> dict[str, Label]:
    """Read the labels of an earlier run by question.

    Raises:
        UserError: the file is none of this suite, or was made of other questions.
    """
    try:
        items = json.loads(path.read_text(encoding="utf-8"))["items"]
        labels = {str(row["id"]): _label(row["values"]) for row in items}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"this is no result of the suite ({error}).",
            where=str(path),
            mend="Give honesty.json, which `accordant eval honesty` wrote.",
        ) from error
    ids = {question.id for question in asked}
    if missing := ids - labels.keys():
        raise UserError(
            f"it has no answer to {len(missing)} of {len(ids)} questions, first {min(missing)!r}.",
            where=str(path),
            mend="Ask both models the same questions.",
        )
    return labels
