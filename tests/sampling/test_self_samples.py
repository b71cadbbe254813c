"""Self-samples: the sampler's own, drawn once a prompt, kept whole, named by all they depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from accordant.sampling.sampling import SamplingOptions, generate
from accordant.sampling.self_samples import SampleKey, cached_samples, with_self_samples
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from tests.training.runs import make_examples, make_model

MODEL = make_model()
OPTIONS = SamplingOptions(max_new_tokens=5, seed=3, stop_ids=(0,), samples_per_prompt=3)
KEY = SampleKey("m", "float32", OPTIONS)


class Refusing(torch.nn.Module):
    """A model that may not be asked."""

    def forward(self, *_: object, **__: object) -> None:
        raise AssertionError("the model was asked")

    def parameters(self, recurse: bool = True):
        return iter([torch.zeros(1)])

    config = MODEL.config


def draw(folder: Path, examples: list[Example], model=MODEL, key: SampleKey = KEY, **settings):
    return cached_samples(model, examples, folder=folder, key=key, shard_size=2, **settings)


def test_samples_are_those_of_the_sampler_one_set_per_prompt(tmp_path: Path) -> None:
    examples = make_examples("sft", 3)
    again = replace(examples[0], index=9)
    samples = draw(tmp_path, [*examples, again])
    prompts = [example.trees[0].prompt for example in examples]
    assert list(samples) == prompts
    exact = iter(generate(MODEL, prompts[:2], OPTIONS))
    for prompt in prompts[:2]:
        assert samples[prompt] == tuple(next(exact).completion for _ in range(3))


def test_what_was_drawn_is_read_and_not_drawn_again(tmp_path: Path) -> None:
    examples = make_examples("sft", 5)
    done: list[int] = []
    first = draw(tmp_path, examples, progress=done.append)
    assert done == [2, 4, 5, 5]
    assert draw(tmp_path, examples, model=Refusing()) == first


def test_an_interruption_loses_no_finished_shard(tmp_path: Path) -> None:
    examples = make_examples("sft", 4)

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path, examples, progress=stop)
    assert draw(tmp_path, examples[:2], model=Refusing()) == draw(tmp_path / "new", examples[:2])
    with pytest.raises(AssertionError, match="the model was asked"):
        draw(tmp_path, examples, model=Refusing())


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"checksum": "x", "answers": [[[1]]]}'])
def test_a_damaged_shard_is_drawn_again(tmp_path: Path, damage: bytes) -> None:
    examples = make_examples("sft", 2)
    first = draw(tmp_path, examples)
    (shard,) = (tmp_path / KEY.digest).glob("*[0-9a-f].json")
    shard.write_bytes(damage)
    assert draw(tmp_path, examples) == first


def test_the_key_names_all_that_answers_depend_on_and_no_batch_size() -> None:
    others = [
        replace(KEY, model="n"),
        replace(KEY, dtype="bf16"),
        replace(KEY, options=replace(OPTIONS, seed=4)),
        replace(KEY, options=replace(OPTIONS, samples_per_prompt=2)),
        replace(KEY, options=replace(OPTIONS, max_new_tokens=6)),
        replace(KEY, options=replace(OPTIONS, stop_ids=(1,))),
        replace(KEY, version=0),
    ]
    assert len({KEY.digest, *(key.digest for key in others)}) == 1 + len(others)
    assert replace(KEY, options=replace(OPTIONS, batch_size=1)).digest == KEY.digest


def test_samples_follow_the_records_own_answers() -> None:
    examples = make_examples("dpo", 2)
    samples = {example.trees[0].prompt: ((5,), (6, 0)) for example in examples}
    for example, extended in zip(examples, with_self_samples(examples, samples), strict=True):
        own = example.trees[0].continuations
        assert extended.trees[0].continuations == (*own, (5,), (6, 0))
        assert extended.self_samples == 2
        assert (extended.index, extended.kind) == (example.index, example.kind)


def test_two_prompts_are_a_bug(tmp_path: Path) -> None:
    tree = TokenTree((1,), ((2,),))
    with pytest.raises(ValueError, match="two prompts"):
        draw(tmp_path, [Example("joint_pair", (tree, tree), 0)])
