"""Where prompt and answer meet in tokens, and marks in texts that no person wrote."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from accordant.checks.findings import FindingRow, Outcome, Passage, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.passes import TOKENS
from accordant.checks.registry import check
from accordant.checks.texts import passages_of, record_row
from accordant.feedback.kinds import answers_of, prompts_of
from accordant.feedback.records import Record, flat
from accordant.statistics.estimates import wilson_interval
from accordant.tokens.examples import Example
from accordant.tokens.rendering import Encoded, encode_prompt

# What templates of common model families write, in text that should be without it.
MARKS = re.compile(
    r"<\|(?:im_start|im_end|endoftext|eot_id|start_header_id|end_header_id|begin_of_text|user|"
    r"assistant|system|end)\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</?s>|"
    r"^(?:###\s*(?:Human|Assistant|Instruction|Response|User)\b|"
    r"(?:Human|Assistant|User|AI)\s*:)",
    re.MULTILINE,
)
SAME = "two answers are the same in tokens"
SCALE = Scale(
    "chosen here: one row in a hundred; such rows train tokens that are never generated",
    above={0.0: "info", 0.01: "warning"},
)


@check(
    name="boundaries",
    title="Token boundaries",
    when="before",
    reads=(TOKENS,),
    scale=SCALE,
    shown=(100, "rows to list at most."),
)
def boundaries(inputs: CheckInputs, encoded: Encoded) -> Outcome:
    """Rows whose prompt, tokenised alone, is not how the row begins, and other token trouble.

    Looked for: records the tokenizer or the template refuses; a token that straddles prompt and
    answer, so that generation never starts as training did; marks of a chat template or of roles
    within answers; characters lost in an earlier conversion; tokens the model does not know;
    answers of a pair that are the same in tokens; empty answers.
    """
    records = inputs.feedback.records
    troubles = {place: [f"refused: {reason}"] for place, reason in inputs.refused.items()}
    for example in (*encoded.examples, *inputs.too_long):
        record = records[example.index]
        notes = [*_in_tokens(example, record, inputs), *_in_text(record)]
        if notes:
            troubles[example.index] = list(dict.fromkeys(notes))
    kinds = Counter(kind for notes in troubles.values() for kind in {*map(_kind, notes)})
    # Only rows that teach nothing are left out; the others can be mended.
    useless = [p for p, notes in troubles.items() if {"refused", SAME} & {*map(_kind, notes)}]
    share = wilson_interval(len(troubles), len(records))
    ordered = sorted(troubles.items(), key=lambda item: (-len(item[1]), item[0]))
    return Outcome(
        "rows with trouble in tokens",
        share,
        _says(len(troubles), len(records), kinds),
        "Mend the texts, or choose --chat, --chat-template or --end-of-turn to suit them; "
        "`--filter FILE` leaves out rows that are refused or whose answers are the same.",
        unit="share",
        severity="serious" if inputs.refused else SCALE.severity(share),
        rows=[_row(records[place], notes) for place, notes in ordered],
        row_unit="problems",
        drop=(records[place].origin for place in sorted(useless)),
        measures={k: wilson_interval(count, len(records)) for k, count in kinds.most_common()},
    )


def _kind(note: str) -> str:
    return note.partition(":")[0]


def _says(rows: int, total: int, kinds: Counter[str]) -> str:
    if not rows:
        return f"Prompts and answers of all {total:,} rows meet cleanly in tokens."
    parts = ", ".join(f"{count:,} x {kind}" for kind, count in kinds.most_common(4))
    return (
        f"{rows:,} of {total:,} rows have trouble in tokens ({parts}): training sees tokens there "
        "that generation will not."
    )


def _in_tokens(example: Example, record: Record, inputs: CheckInputs) -> Iterator[str]:
    tokenizer: Any = inputs.tokenizer
    assert inputs.rendering is not None
    # Kinds that read an answer with a second prompt have more trees than prompts.
    if len(example.trees) == len(prompts_of(record)):
        for prompt, tree in zip(prompts_of(record), example.trees, strict=True):
            if encode_prompt(prompt, tokenizer, inputs.rendering) != tree.prompt:
                yield "a token straddles prompt and answer"
    continuations = [ids for tree in example.trees for ids in tree.continuations]
    unknown = tokenizer.unk_token_id
    # Byte-level vocabularies name their end token as the unknown one, and never meet an unknown.
    if unknown is not None and unknown != continuations[0][-1]:
        ids = [token for tree in example.trees for token in tree.prompt]
        if unknown in ids or any(unknown in answer for answer in continuations):
            yield "a token the model does not know"
    # Answers to different prompts may well be the same: they teach something all the same.
    if any(len({*tree.continuations}) < len(tree.continuations) for tree in example.trees):
        yield SAME
    # The end token is all there is.
    if any(len(answer) <= 1 for answer in continuations):
        yield "an empty answer"


def _in_text(record: Record) -> Iterator[str]:
    for name, answer in answers_of(record):
        text = flat(answer)
        mark = MARKS.search(text)
        if mark is not None:
            yield f"a mark of a template or role in an answer: {mark[0].strip()!r} in {name}"
    whole = "".join(map(flat, (*prompts_of(record), *(answer for _, answer in answers_of(record)))))
    if "�" in whole:
        yield "a character lost in an earlier conversion (�)"


def _row(record: Record, notes: Sequence[str]) -> FindingRow:
    passages = (Passage("problems", "\n".join(notes)), *passages_of(record))
    return record_row(record, float(len(notes)), notes[0][:80], passages=passages)
