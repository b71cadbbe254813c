"""Prompts that are both trained on and held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from accordant.base.options import Fraction
from accordant.checks.findings import FindingRow, Outcome, Passage, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.near_texts import near_pairs
from accordant.checks.passes import HELD_OUT
from accordant.checks.registry import check
from accordant.checks.texts import key_of, passages_of, record_row
from accordant.feedback.kinds import answers_of, prompts_of
from accordant.feedback.loading import Feedback
from accordant.feedback.records import Record, flat
from accordant.statistics.estimates import wilson_interval


@check(
    name="leakage",
    title="Leakage between splits",
    when="before",
    reads=(HELD_OUT,),
    scale=Scale(
        "chosen here: one held-out row in a hundred; whatever is measured on such rows is partly "
        "memory",
        above={0.0: "warning", 0.01: "serious"},
        threshold=0.01,
    ),
    shown=(100, "rows to list at most."),
)
def leakage(inputs: CheckInputs, held_out: Feedback, *, similarity: Fraction = 0.8) -> Outcome:
    """Held-out prompts that are also trained on: the same, or with most of their words shared.

    A record with several prompts, or a conversation, leaks where any of its prompts does; a
    conversation's prompt is all of it, up to the answer.

    Args:
        similarity: shared runs of five words from which on two prompts are nearly the same.
    """
    training, asked = inputs.feedback.records, held_out.records
    leaks = _leaks(training, asked, similarity)
    exact = sum(max(share for _, share in sources) == 1 for sources in leaks.values())
    answered = sum(_same_answer(asked[i], training, sources) for i, sources in leaks.items())
    ordered = sorted(leaks.items(), key=lambda item: (-max(s for _, s in item[1]), item[0]))
    places = sorted({place for sources in leaks.values() for place, _ in sources})
    return Outcome(
        "held-out rows whose prompt is trained on",
        wilson_interval(len(leaks), len(asked)),
        _says(len(leaks), exact, len(asked)),
        "Leave the training rows out: `--filter FILE` does.",
        unit="share",
        rows=[_row(asked[i], training, sources) for i, sources in ordered],
        row_unit="share",
        drop=(training[place].origin for place in places),
        measures={
            "with the same prompt": wilson_interval(exact, len(asked)),
            "with an answer as well": wilson_interval(answered, len(asked)),
        },
    )


def _says(leaking: int, exact: int, total: int) -> str:
    if not leaking:
        return f"None of {total:,} held-out rows has a prompt that is trained on."
    return (
        f"{leaking:,} of {total:,} held-out rows ask what training rows ask ({exact:,} in the same "
        "words): results on them say little about prompts the model has not seen."
    )


def _leaks(
    training: Sequence[Record], held_out: Sequence[Record], least: float
) -> dict[int, list[tuple[int, float]]]:
    """Find the training rows with the prompt of every held-out row that leaks, and how similar."""
    # The same prompt may stand in many rows; it is compared once.
    trained, asked = _prompts(training), _prompts(held_out)
    olds, news = list(trained), list(asked)
    texts = [text for text, _ in (*trained.values(), *asked.values())]
    alike = [(key, key, 1.0) for key in news if key in trained]
    for near in near_pairs(texts, least, beside=len(olds)):
        old, new = olds[near.first], news[near.second - len(olds)]
        # Equal prompts are known already, and nothing is nearer than they are.
        if new not in trained:
            alike.append((old, new, near.similarity))
    leaks: dict[int, dict[int, float]] = defaultdict(dict)
    for old, new, share in alike:
        for i in asked[new][1]:
            for j in trained[old][1]:
                leaks[i][j] = max(share, leaks[i].get(j, 0.0))
    return {i: sorted(js.items(), key=lambda item: -item[1]) for i, js in sorted(leaks.items())}


def _prompts(records: Sequence[Record]) -> dict[str, tuple[str, list[int]]]:
    """List prompts by their keys: text, and rows that have it. Empty prompts ask nothing."""
    rows: dict[str, tuple[str, list[int]]] = {}
    for place, record in enumerate(records):
        for prompt in prompts_of(record):
            key = key_of(prompt)
            if key:
                rows.setdefault(key, (flat(prompt), []))[1].append(place)
    return rows


def _same_answer(
    held_out: Record, training: Sequence[Record], sources: Sequence[tuple[int, float]]
) -> bool:
    learnt = {key_of(answer) for place, _ in sources for _, answer in answers_of(training[place])}
    return any(key_of(answer) in learnt for _, answer in answers_of(held_out))


def _row(
    held_out: Record, training: Sequence[Record], sources: Sequence[tuple[int, float]]
) -> FindingRow:
    best, share = sources[0]
    learnt = (Passage(f"training {p.label}", p.text) for p in passages_of(training[best]))
    return record_row(
        held_out,
        share,
        "the same prompt" if share == 1 else "nearly the same prompt",
        also=(training[place] for place, _ in sources),
        passages=(*passages_of(held_out), *learnt),
    )
