"""Every prompt with another example's answer: whose it is, and that it keeps to the limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from accordant.base.errors import UserError
from accordant.feedback.records import Binary, Comparison, Record
from accordant.tokens.examples import Example
from accordant.tokens.rendering import Rendering, encode
from accordant.training.preparations.mismatched import add_mismatched

PLAIN = Rendering(chat="never")


def binaries(prompts: list[str]) -> list[Binary]:
    return [Binary(prompt, f" answer {i}", i % 2 == 0) for i, prompt in enumerate(prompts)]


def mismatched(
    records: Sequence[Record], tokenizer: Any, max_tokens: int | None = None
) -> tuple[Example, ...]:
    return add_mismatched(
        encode(records, tokenizer, PLAIN, max_tokens=max_tokens).examples, max_tokens
    )


def test_mismatched_answers_are_the_next_examples_and_the_first_follows_the_last(
    chatml: Any,
) -> None:
    records = binaries(["a", "b", "c"])
    plain = encode(records, chatml, Rendering(), max_tokens=None).examples
    own = [example.trees[0] for example in plain]
    examples = add_mismatched(plain, None)
    assert all(example.extra_answers == {"mismatched": 1} for example in examples)
    assert all(a.own_trees == b.trees for a, b in zip(examples, plain, strict=True))
    for i, example in enumerate(examples):
        tree = example.trees[0]
        assert tree.prompt == own[i].prompt
        assert tree.continuations == (
            own[i].continuations[0],
            own[(i + 1) % 3].continuations[0],
        )
    assert [example.label for example in examples] == [True, False, True]


def test_answers_to_the_same_prompt_are_no_mismatch(chatml: Any) -> None:
    records = binaries(["a", "a", "b"])
    examples = mismatched(records, chatml)
    given = [chatml.decode(e.trees[0].continuations[1][:-1]) for e in examples]
    assert given == [" answer 2", " answer 2", " answer 0"]
    same = mismatched(records[:2], chatml)
    given = [chatml.decode(e.trees[0].continuations[1][:-1]) for e in same]
    assert given == [" answer 1", " answer 0"]


def test_mismatched_answers_keep_to_the_limit(chatml: Any) -> None:
    records = [
        Binary(" dog" * 30, " yes", True),
        Binary(" fox", " dog" * 30, True),
        Binary(" cat", " no", True),
    ]
    for example in mismatched(records, chatml, 40):
        (tree,) = example.trees
        assert all(len(tree.prompt) + len(answer) <= 40 for answer in tree.continuations)
    with pytest.raises(UserError, match="no other record's answer fits") as error:
        mismatched(records[:2], chatml, 40)
    assert error.value.where == "record 1"


def test_mismatched_answers_need_two_records_of_one_answer(chatml: Any) -> None:
    with pytest.raises(UserError, match="at least 2 records, found 1"):
        mismatched(binaries(["a"]), chatml)
    with pytest.raises(UserError, match="found comparison records"):
        mismatched([Comparison(" dog", " yes", " no")] * 2, chatml)


def test_a_part_of_one_record_takes_its_answer_from_further_ones(chatml: Any) -> None:
    plain = encode(binaries(["a", "b", "c"]), chatml, Rendering(), max_tokens=None).examples
    (example,) = add_mismatched(plain[:1], None, plain[1:])
    assert example.trees[-1].continuations[-1] == plain[1].trees[0].continuations[0]
    with pytest.raises(UserError, match="at least 2 records, found 1"):
        add_mismatched(plain[:1], None)
