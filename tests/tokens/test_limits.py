"""Length limits: nothing is cut or dropped without being counted, and answers are never cut."""

from __future__ import annotations

from typing import Any

import pytest

from accordant.base.errors import UserError
from accordant.feedback.records import Comparison, Demonstration, JointPair, Origin
from accordant.tokens.rendering import Encoded, Rendering, encode
from tests.tokens.small_tokenizers import TOKENIZERS

PLAIN = Rendering(chat="never")


def comparisons(lengths: list[int]) -> list[Comparison]:
    return [
        Comparison(" dog" * n, f" yes{row}", f" no{row}", Origin("a.jsonl", row))
        for row, n in enumerate(lengths, 1)
    ]


def check_limit(encoded: Encoded, limit: int) -> None:
    for example in encoded.examples:
        for tree in example.trees:
            assert all(len(tree.prompt) + len(c) <= limit for c in tree.continuations)


def test_a_longer_row_is_an_error_by_default(chatml: Any) -> None:
    with pytest.raises(UserError, match=r"so are 2 of 3 records") as error:
        encode(comparisons([3, 50, 60]), chatml, PLAIN, max_tokens=40)
    assert error.value.where == "a.jsonl, row 2"
    assert "--truncation drop" in error.value.mend


def test_drop_leaves_longer_rows_out_and_counts_them(chatml: Any) -> None:
    encoded = encode(comparisons([3, 50, 4]), chatml, PLAIN, max_tokens=40, truncation="drop")
    assert [example.index for example in encoded.examples] == [0, 2]
    assert (encoded.dropped, encoded.truncated) == ((1,), ())
    assert encoded.describe_limits() == ["Dropped for their length 1 of 3 records: a.jsonl, row 2"]


def test_truncation_cuts_prompts_from_the_left_and_answers_never(chatml: Any) -> None:
    records = comparisons([3, 50, 60])
    full = encode(records, chatml, PLAIN, max_tokens=None)
    cut = encode(records, chatml, PLAIN, max_tokens=40, truncation="truncate-prompt-left")
    assert cut.truncated == (1, 2)
    assert cut.dropped == ()
    check_limit(cut, 40)
    for before, after in zip(full.examples, cut.examples, strict=True):
        old, new = before.trees[0], after.trees[0]
        assert new.continuations == old.continuations
        assert new.prompt == old.prompt[-len(new.prompt) :]
    longest = max(len(c) for c in cut.examples[1].trees[0].continuations)
    assert len(cut.examples[1].trees[0].prompt) == 40 - longest


def test_an_answer_too_long_by_itself_is_dropped_and_counted_when_truncating(chatml: Any) -> None:
    records = [Demonstration("hi", " dog" * 60), Demonstration(" dog" * 60, " yes")]
    cut = encode(records, chatml, PLAIN, max_tokens=40, truncation="truncate-prompt-left")
    assert (cut.dropped, cut.truncated) == ((0,), (1,))
    assert cut.describe_limits() == [
        "Cut the prompt of 1 of 2 records: record 2",
        "Dropped for their length 1 of 2 records: record 1",
    ]


def test_bos_stays_first_in_a_cut_prompt() -> None:
    tokenizer = TOKENIZERS["llama3"]
    record = Demonstration(" dog" * 60, " yes")
    cut = encode([record], tokenizer, Rendering(), max_tokens=30, truncation="truncate-prompt-left")
    prompt = cut.examples[0].trees[0].prompt
    assert prompt[0] == tokenizer.bos_token_id
    check_limit(cut, 30)


def test_both_sides_of_a_joint_pair_are_cut(chatml: Any) -> None:
    record = JointPair(" dog" * 60, " yes", " fox" * 70, " no")
    cut = encode([record], chatml, PLAIN, max_tokens=30, truncation="truncate-prompt-left")
    assert cut.truncated == (0,)
    check_limit(cut, 30)


def test_a_limit_that_leaves_nothing_is_an_error(chatml: Any) -> None:
    with pytest.raises(UserError, match="all 2 records are longer"):
        encode(comparisons([50, 60]), chatml, PLAIN, max_tokens=10, truncation="drop")
    with pytest.raises(UserError, match="at least 2"):
        encode(comparisons([1]), chatml, PLAIN, max_tokens=1, truncation="drop")
