"""The reference cache: exact, keyed by all it depends on, resumable, safe against damage."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from accordant.scoring.engine import score, score_all
from accordant.scoring.score_cache import (
    ScoreCache,
    ScoreKey,
    cached_scores,
)
from accordant.scoring.scores import Scores
from accordant.tokens.examples import Example
from accordant.tokens.fingerprint import fingerprint_examples
from accordant.tokens.trees import TokenTree
from tests.training.runs import KEY, make_examples, make_model

MODEL = make_model()


class Counting:
    """A scorer that counts what it is asked for, and may be killed after some shards."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.trees: list[TokenTree] = []
        self._left = dies_after

    def __call__(self, trees: Sequence[TokenTree]) -> Scores:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left = None if self._left is None else self._left - 1
        self.trees.extend(trees)
        return score_all(MODEL, trees)


def compute(
    folder: Path, examples: Sequence[Example], scorer: Counting, key: ScoreKey = KEY
) -> ScoreCache:
    return cached_scores(folder, key, examples, scorer, shard_size=3)


def expected(examples: Sequence[Example]) -> Scores:
    with torch.no_grad():
        return score(MODEL, [tree for example in examples for tree in example.trees])


def test_cached_scores_are_the_computed_ones_for_any_choice_of_examples(tmp_path: Path) -> None:
    examples = make_examples("plackett_luce", 8)
    reference = compute(tmp_path, examples, Counting())
    chosen = [examples[i] for i in (7, 0, 3, 4)]
    found, exact = reference.scores(chosen), expected(chosen)
    for field in ("owner", "lengths", "tree"):
        assert torch.equal(getattr(found, field), getattr(exact, field))
    assert (found.logps - exact.logps).abs().max() < 1e-5
    assert found.logps.dtype == torch.float32


def test_examples_of_two_trees_keep_their_trees_apart(tmp_path: Path) -> None:
    single = make_examples("sft", 6)
    joint = [
        Example("joint_pair", (a.trees[0], b.trees[0]), index)
        for index, (a, b) in enumerate(zip(single[:3], single[3:], strict=True))
    ]
    found = compute(tmp_path, joint, Counting()).scores(joint[1:])
    assert found.tree.tolist() == [0, 1, 2, 3]
    assert (found.logps - expected(joint[1:]).logps).abs().max() < 1e-5


def test_nothing_is_computed_twice(tmp_path: Path) -> None:
    examples = make_examples("dpo", 8)
    compute(tmp_path, examples, Counting())
    again = Counting()
    compute(tmp_path, examples, again)
    assert again.trees == []


def test_an_interrupted_computation_goes_on_at_the_first_missing_shard(tmp_path: Path) -> None:
    examples = make_examples("dpo", 9)
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, examples, Counting(dies_after=2))
    rest = Counting()
    reference = compute(tmp_path, examples, rest)
    assert rest.trees == [example.trees[0] for example in examples[6:]]
    assert (reference.scores(examples).logps - expected(examples).logps).abs().max() < 1e-5


@pytest.mark.parametrize("damage", ["flipped bit", "truncated", "empty", "text", "other tokens"])
def test_a_damaged_shard_is_computed_again(damage: str, tmp_path: Path) -> None:
    examples = make_examples("dpo", 9)
    compute(tmp_path, examples, Counting())
    home = tmp_path / KEY.digest
    shard = home / f"{fingerprint_examples(examples[3:6])}.safetensors"
    content = bytearray(shard.read_bytes())
    if damage == "flipped bit":
        content[-3] ^= 1
    elif damage == "truncated":
        content = content[:-4]
    elif damage == "empty":
        content = bytearray()
    elif damage == "text":
        content = bytearray(b"not a shard")
    else:
        other = home / f"{fingerprint_examples(examples[:3])}.safetensors"
        content = bytearray(other.read_bytes())
    shard.write_bytes(bytes(content))
    again = Counting()
    reference = compute(tmp_path, examples, again)
    assert again.trees == [example.trees[0] for example in examples[3:6]]
    assert (reference.scores(examples).logps - expected(examples).logps).abs().max() < 1e-5


@pytest.mark.parametrize("field", [field.name for field in fields(ScoreKey)])
def test_every_part_of_the_key_computes_anew(field: str, tmp_path: Path) -> None:
    examples = make_examples("dpo", 3)
    compute(tmp_path, examples, Counting())
    value = getattr(KEY, field)
    changed = replace(KEY, **{field: value + 1 if isinstance(value, int) else value + "x"})
    again = Counting()
    compute(tmp_path, examples, again, changed)
    assert len(again.trees) == 3


def test_changed_and_added_rows_compute_only_their_shards(tmp_path: Path) -> None:
    examples = make_examples("dpo", 9)
    compute(tmp_path, examples[:6], Counting())
    added = Counting()
    compute(tmp_path, examples, added)
    assert added.trees == [example.trees[0] for example in examples[6:]]
    tree = TokenTree(examples[4].trees[0].prompt, ((1, 2), (3,)))
    changed = [*examples[:4], replace(examples[4], trees=(tree,)), *examples[5:]]
    once_more = Counting()
    compute(tmp_path, changed, once_more)
    assert len(once_more.trees) == 3
    assert tree in once_more.trees


def test_progress_ends_with_all_examples(tmp_path: Path) -> None:
    examples, seen = make_examples("dpo", 8), []
    cached_scores(tmp_path, KEY, examples, Counting(), shard_size=3, progress=seen.append)
    assert seen == [3, 6, 8, 8]


def test_runs_that_start_together_compute_a_reference_once(tmp_path: Path) -> None:
    examples, scorers, found = make_examples("dpo", 12), [Counting(), Counting()], {}

    def run(number: int) -> None:
        found[number] = cached_scores(tmp_path, KEY, examples, scorers[number], shard_size=4)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(scorer.trees) for scorer in scorers) == [0, 12]
    assert sorted(reference.computed for reference in found.values()) == [0, 12]
    assert torch.equal(found[0].scores(examples).logps, found[1].scores(examples).logps)
