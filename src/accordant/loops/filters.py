"""Filters: which drawn answers are not learnt from, and why.

Knows drawn and labelled answers. Knows no judge and no trainer. A filter returns the reason to
drop, or nothing. All are asked before labels are paid for, when there are no scores yet, and again
after.
"""

from __future__ import annotations

from collections.abc import Callable

from accordant.loops.drawn import Labelled

Filter = Callable[[Labelled], str]


def equal_answers(labelled: Labelled) -> str:
    """Drop answers that all read the same: preferring one of them to another means nothing."""
    samples = labelled.drawn.samples if labelled.drawn is not None else ()
    return "equal answers" if len({sample.tokens for sample in samples}) == 1 < len(samples) else ""


def cut_answers(labelled: Labelled) -> str:
    """Drop answers of which one met the limit of its length: how it would go on is unknown."""
    samples = labelled.drawn.samples if labelled.drawn is not None else ()
    return "" if all(sample.finished for sample in samples) else "cut answers"


def equal_scores(labelled: Labelled) -> str:
    """Drop answers that all score the same: groups without variance have no advantage."""
    scores = labelled.scores
    return "equal scores" if len(set(scores)) == 1 < len(scores) else ""
