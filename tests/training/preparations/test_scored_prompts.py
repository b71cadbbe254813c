"""Prompts that are scored with their answers."""

from __future__ import annotations

from typing import Any

from accordant.feedback.records import Comparison, JointPair
from accordant.tokens.rendering import Rendering, encode
from accordant.training.preparations.scored_prompts import score_prompt


def test_scored_prompts_move_into_the_continuations_but_for_their_first_token(chatml: Any) -> None:
    records = [JointPair("question one", "yes", "two", "no"), Comparison("p", "a", "b")]
    plain = encode(records, chatml, Rendering(), max_tokens=None).examples
    moved = [score_prompt(example) for example in plain]
    assert [score_prompt(example) for example in moved] == moved
    for before, after in zip(plain, moved, strict=True):
        for tree, whole in zip(before.trees, after.trees, strict=True):
            assert len(whole.prompt) == 1
            assert [(*whole.prompt, *c) for c in whole.continuations] == [
                (*tree.prompt, *c) for c in tree.continuations
            ]
    assert plain[0].num_tokens == moved[0].num_tokens
