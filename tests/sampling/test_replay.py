"""Replay: the sampler's own samples, drawn once, kept whole, named by all they depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from accordant.sampling.replay import Replay, SampleKey
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from tests.training.runs import make_model

SAMPLER = LocalSampler(make_model())
OPTIONS = SamplingOptions(max_new_tokens=5, seed=3, stop_ids=(0,), samples_per_prompt=3)
KEY = SampleKey("m", "float32", OPTIONS)
PROMPTS = [(5, 9, 3), (7,), (1, 2, 3, 4), (20, 21), (5, 9)]


class Refusing:
    """A sampler that may not be asked."""

    def sample(self, prompts, options):
        raise AssertionError("the model was asked")


def draw(folder: Path, prompts, sampler=SAMPLER, options=OPTIONS, **settings):
    replay = Replay(sampler, folder, "m", "float32", shard_size=2, **settings)
    return replay.sample(prompts, options)


def completions(rows):
    """Tokens alone: log-probs differ in rounding between batches."""
    return [[sample.completion for sample in row] for row in rows]


def test_samples_are_those_of_the_sampler(tmp_path: Path) -> None:
    exact = completions(SAMPLER.sample(PROMPTS, OPTIONS))
    assert completions(draw(tmp_path, PROMPTS)) == exact


def test_what_was_drawn_is_read_and_not_drawn_again(tmp_path: Path) -> None:
    done: list[int] = []
    first = draw(tmp_path, PROMPTS, progress=done.append)
    assert done == [2, 4, 5, 5]
    assert draw(tmp_path, PROMPTS, Refusing()) == first


def test_a_repeated_prompt_gets_further_samples(tmp_path: Path) -> None:
    twice = [PROMPTS[0], PROMPTS[1], PROMPTS[0]]
    first = draw(tmp_path, twice)
    assert completions(first) == completions(SAMPLER.sample(twice, OPTIONS))
    assert draw(tmp_path, twice, Refusing()) == first


def test_an_interruption_loses_no_finished_shard(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path, PROMPTS[:4], progress=stop)
    assert draw(tmp_path, PROMPTS[:2], Refusing()) == SAMPLER.sample(PROMPTS[:2], OPTIONS)
    with pytest.raises(AssertionError, match="the model was asked"):
        draw(tmp_path, PROMPTS[:4], Refusing())


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"checksum": "x", "answers": [[[1]]]}'])
def test_a_damaged_shard_is_drawn_again(tmp_path: Path, damage: bytes) -> None:
    first = draw(tmp_path, PROMPTS[:2])
    (shard,) = (tmp_path / KEY.digest).glob("*[0-9a-f].json")
    shard.write_bytes(damage)
    assert draw(tmp_path, PROMPTS[:2]) == first


def test_the_key_names_all_that_answers_depend_on_and_no_batch_size() -> None:
    others = [
        replace(KEY, model="n"),
        replace(KEY, dtype="bf16"),
        replace(KEY, options=replace(OPTIONS, seed=4)),
        replace(KEY, options=replace(OPTIONS, samples_per_prompt=2)),
        replace(KEY, options=replace(OPTIONS, max_new_tokens=6)),
        replace(KEY, options=replace(OPTIONS, stop_ids=(1,))),
        replace(KEY, options=replace(OPTIONS, min_p=0.1)),
        replace(KEY, version=0),
    ]
    assert len({KEY.digest, *(key.digest for key in others)}) == 1 + len(others)
    assert replace(KEY, options=replace(OPTIONS, batch_size=1)).digest == KEY.digest
