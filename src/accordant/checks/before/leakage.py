"""Prompts that are both trained on and held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from accordant.base.options import Count, Fraction
from accordant.checks.findings import Finding, FindingRow, Measure, Passage, Threshold
from accordant.checks.inputs import CheckInputs
from accordant.checks.near_texts import near_pairs
from accordant.checks.registry import check
from accordant.checks.texts import answers_of, key_of, passages_of, prompts_of
from accordant.feedback.records import Origin, Record, flat
from accordant.statistics.estimates import wilson_interval

THRESHOLD = Threshold(
    0.01,
    "chosen here: one held-out row in a hundred; whatever is measured on such rows is partly "
    "memory",
)


@check(name="leakage", title="Leakage between splits", when="before", needs=("held_out",))
def leakage(inputs: CheckInputs, *, similarity: Fraction = 0.8, shown: Count = 100) -> Finding:
    """Held-out prompts that are also trained on: the same, or with most of their words shared.

    A record with several prompts, or a conversation, leaks where any of its prompts does; a
    conversation's prompt is all of it, up to the answer.

    Args:
        similarity: shared runs of five words from which on two prompts are nearly the same.
        shown: rows to list at most.
    """
    assert inputs.held_out is not None
    training, held_out = inputs.feedback.records, inputs.held_out.records
    found = _leaks(training, held_out, similarity)
    exact = sum(max(share for _, share in own) == 1 for own in found.values())
    answered = sum(_same_answer(held_out[i], training, own) for i, own in found.items())
    share = wilson_interval(len(found), len(held_out))
    ordered = sorted(found.items(), key=lambda item: (-max(s for _, s in item[1]), item[0]))
    return Finding(
        check="leakage",
        title="Leakage between splits",
        severity="ok"
        if not found
        else "serious"
        if share.estimate > THRESHOLD.value
        else "warning",
        quantity="held-out rows whose prompt is trained on",
        number=share,
        unit="share",
        sentence=_sentence(len(found), exact, len(held_out)),
        mend="Leave the training rows out: `--filter FILE` does." if found else "",
        threshold=THRESHOLD,
        rows=tuple(_row(held_out[i], training, own) for i, own in ordered[:shown]),
        row_unit="share",
        concerned=len(found),
        drop=_origins(training, [place for own in found.values() for place, _ in own]),
        measures=(
            Measure("with the same prompt", wilson_interval(exact, len(held_out)), "share"),
            Measure("with an answer as well", wilson_interval(answered, len(held_out)), "share"),
        ),
    )


def _sentence(leaking: int, exact: int, total: int) -> str:
    if not leaking:
        return f"None of {total:,} held-out rows has a prompt that is trained on."
    return (
        f"{leaking:,} of {total:,} held-out rows ask what training rows ask ({exact:,} in the same "
        "words): results on them say little about prompts the model has not seen."
    )


def _leaks(
    training: Sequence[Record], held_out: Sequence[Record], least: float
) -> dict[int, list[tuple[int, float]]]:
    """For every held-out row that leaks: training rows with its prompt, and their similarity."""
    sides = [_prompts(training), _prompts(held_out)]
    # The same prompt may stand in many rows; it is compared once.
    known = list(sides[0])
    asked = list(sides[1])
    texts = [flat_of for flat_of, _ in (*sides[0].values(), *sides[1].values())]
    found: dict[int, dict[int, float]] = defaultdict(dict)

    def note(of_training: str, of_held_out: str, share: float) -> None:
        for i in sides[1][of_held_out][1]:
            for j in sides[0][of_training][1]:
                found[i][j] = max(share, found[i].get(j, 0.0))

    for key in asked:
        if key in sides[0]:
            note(key, key, 1.0)
    for near in near_pairs(texts, least, beside=len(known)):
        old, new = known[near.first], asked[near.second - len(known)]
        if old != new and new not in sides[0]:
            note(old, new, near.similarity)
    return {i: sorted(own.items(), key=lambda item: -item[1]) for i, own in sorted(found.items())}


def _prompts(records: Sequence[Record]) -> dict[str, tuple[str, list[int]]]:
    """Every prompt by its key: its text, and the rows that have it. Empty prompts ask nothing."""
    found: dict[str, tuple[str, list[int]]] = {}
    for place, record in enumerate(records):
        for prompt in prompts_of(record):
            key = key_of(prompt)
            if key:
                found.setdefault(key, (flat(prompt), []))[1].append(place)
    return found


def _same_answer(
    held_out: Record, training: Sequence[Record], own: Sequence[tuple[int, float]]
) -> bool:
    answers = {key_of(answer) for _, answer in answers_of(held_out)}
    return any(
        key_of(answer) in answers for place, _ in own for _, answer in answers_of(training[place])
    )


def _row(
    held_out: Record, training: Sequence[Record], own: Sequence[tuple[int, float]]
) -> FindingRow:
    best, share = own[0]
    also = (training[place].origin for place, _ in own)
    learnt = tuple(
        Passage(f"training {passage.label}", passage.text)
        for passage in passages_of(training[best])
    )
    return FindingRow(
        value=share,
        passages=(*passages_of(held_out), *learnt),
        origin=held_out.origin,
        also=tuple(origin for origin in also if origin is not None),
        note="the same prompt" if share == 1 else "nearly the same prompt",
    )


def _origins(records: Sequence[Record], places: Sequence[int]) -> tuple[Origin, ...]:
    found = (records[place].origin for place in sorted(set(places)))
    return tuple(dict.fromkeys(origin for origin in found if origin is not None))
