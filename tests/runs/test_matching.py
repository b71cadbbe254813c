"""Matching of prompts in whole align runs on a tiny model."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from accordant.base.errors import UserError
from accordant.runs.align.execute import run_align
from accordant.runs.align.prepare import Prepared, prepare
from accordant.runs.settings import AlignConfig
from accordant.scoring.installation import install
from accordant.training.preparations import Parts, run_preparations
from tests.runs.test_chat import loaded_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    loaded = loaded_model()
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


def rows(count: int = 48) -> list[dict[str, Any]]:
    """Numbers get nine thumbs up in twelve, words three: other prompts, other labels."""
    found = []
    for n in range(count):
        is_number, turn = n % 2 == 0, (n // 2) % 12
        prompt = f"what is {n}?" if is_number else f"say the word {'ab'[n % 3 == 0] * (n % 7 + 1)}"
        label = turn < 9 if is_number else turn < 3
        found.append({"prompt": prompt, "completion": f"it is {n}", "label": label})
    return found


def config_of(folder: Path, model: Path, data: list[dict[str, Any]], **options: Any) -> AlignConfig:
    file = folder / "thumbs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in data))
    return AlignConfig(
        data=str(file),
        model=str(model),
        method="bco",
        options=options,
        output_dir=folder / "out",
        precision="float32",
        batch_size=8,
        held_out=0.25,
        report=False,
        learning_rate=1e-3,
    )


def weigh(ready: Prepared, model: torch.nn.Module, console: Console) -> Parts:
    """The examples of a prepared run, as `align` prepares them with this model."""
    bench = replace(ready.bench, policy=lambda: model, console=console)
    parts = Parts(ready.encoded.examples, ready.encoded_held_out.examples)
    return run_preparations(bench, parts)


def test_prompts_of_wanted_answers_weigh_more_than_those_of_unwanted_ones(tmp_path, model):
    config = config_of(tmp_path, model, rows(), match_prompts=True)
    ready, start, text = prepare(config), install(loaded_model().model), io.StringIO()
    weighed = weigh(ready, start, Console(file=text, width=200))
    examples = weighed.train
    texts = [ready.train.records[example.index].prompt for example in examples]
    numbers, words = (
        [
            example.numbers["prompt_weight"][0]
            for example, prompt in zip(examples, texts, strict=True)
            if str(prompt).startswith(begin)
        ]
        for begin in ("what", "say")
    )
    assert sum(numbers) / len(numbers) > 1 > sum(words) / len(words)
    assert len(weighed.held_out) == len(ready.encoded_held_out.examples) > 0
    assert all(example.has("prompt_weight") for example in weighed.held_out)
    assert [e.trees for e in examples] == [e.trees for e in ready.encoded.examples]
    assert "Prompts matched: a classifier tells prompts" in text.getvalue()


def test_nothing_is_weighed_unless_the_option_says_so(tmp_path, model):
    config = config_of(tmp_path, model, rows())
    ready = prepare(config)
    same = weigh(ready, torch.nn.Module(), Console(quiet=True))
    assert same == Parts(ready.encoded.examples, ready.encoded_held_out.examples)


def test_a_whole_run_with_matching(tmp_path, model):
    config = config_of(tmp_path, model, rows(), match_prompts="true")
    text = io.StringIO()
    outcome = run_align(config, console=Console(file=text, width=200)).outcome
    assert outcome.options["match_prompts"] is True
    assert (tmp_path / "out" / "model").is_dir()
    assert "Prompts matched" in text.getvalue()


def test_one_sided_thumbs_are_told_before_weights_are_loaded(tmp_path, model):
    # Without any thumb down nothing can be learnt at all, which is refused before.
    data = [row | {"label": n >= 1} for n, row in enumerate(rows(12))]
    config = config_of(tmp_path, model, data, match_prompts=True)
    with pytest.raises(UserError, match="different prompts with a thumb up") as error:
        prepare(config.model_copy(update={"held_out": 0.0}))
    assert "and 1 with a thumb down" in error.value.message
    assert error.value.where == "--option match_prompts"
