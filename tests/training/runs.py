"""Tiny runs for tests: a random model, random feedback, and the settings of a short training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from accordant.objectives.registry import bind_options, get_objective
from accordant.runs.settings import AlignConfig
from accordant.scoring.engine import score_all
from accordant.scoring.frozen import Frozen
from accordant.scoring.installation import install
from accordant.scoring.score_cache import ScoreKey, cached_scores
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant.training.run import TrainResult, train
from accordant.training.sources import DataSet
from accordant.training.trainer import Task
from tests.families import VOCABULARY, tiny_model

KEY = ScoreKey(model="m", adapter="off", tokenizer="t", rendering="r", dtype="float32")
KINDS = {"sft": "demonstration", "dpo": "comparison", "kto": "binary", "plackett_luce": "ranking"}


def make_model(family: str = "llama", *, seed: int = 0) -> nn.Module:
    """A random float32 model ready to score; the check of its family is left to other tests."""
    return install(tiny_model(family, seed=seed), verify=False)


def make_examples(method: str, count: int, *, seed: int = 0) -> list[Example]:
    """Random examples of the kind `method` learns from, of varied lengths."""
    generator = torch.Generator().manual_seed(seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    def draw() -> tuple[int, ...]:
        size = (number(2, 12),)
        return tuple(torch.randint(0, VOCABULARY, size, generator=generator).tolist())

    continuations = {"dpo": lambda: 2, "kto": lambda: 2, "plackett_luce": lambda: number(2, 5)}
    examples = []
    for index in range(count):
        many = continuations.get(method, lambda: 1)()
        examples.append(
            Example(
                kind=KINDS[method],
                trees=(TokenTree(draw(), tuple(draw() for _ in range(many))),),
                index=index,
                label=bool(number(0, 2)) if method == "kto" else None,
                extra_answers={"mismatched": 1} if method == "kto" else {},
                id=f"pairs.jsonl, row {index + 1}",
            )
        )
    return examples


def make_reference(model: nn.Module, examples: Sequence[Example], folder: Path) -> Frozen:
    return Frozen(cached_scores(folder, KEY, examples, partial(score_all, copy.deepcopy(model))))


def make_task(
    method: str, model: nn.Module, folder: Path, *, count: int = 16, batch_size: int = 4
) -> Task:
    """A task whose reference is another random model, so that every reward differs from zero."""
    examples = make_examples(method, count + 6)
    objective = get_objective(method)
    return Task(
        source=DataSet(
            examples[:count],
            batch_size,
        ),
        held_out=examples[count:],
        objective=objective,
        options=bind_options(objective, {}),
        reference=make_reference(make_model(seed=9), examples, folder),
    )


def make_config(folder: Path, **settings: Any) -> AlignConfig:
    defaults: dict[str, Any] = {
        "precision": "float32",
        "learning_rate": 1e-3,
        "batch_size": 4,
        "token_budget": 64,
        "max_steps": 3,
        "logging_steps": 1,
        "device": "cpu",
        "eval_steps": 1000,
        "output_dir": folder / "out",
    }
    return AlignConfig(**{**defaults, **settings})


def run(
    folder: Path, method: str = "dpo", *, model: nn.Module | None = None, **settings: Any
) -> tuple[nn.Module, TrainResult]:
    """Train a tiny model for a few steps; the model and what the run left."""
    model = make_model() if model is None else model
    config = make_config(folder, **settings)
    task = make_task(method, model, folder / "cache", batch_size=config.batch_size)
    return model, train(model, task, config)


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def curve(result: TrainResult, name: str = "loss") -> list[float]:
    """A logged number, step by step."""
    return [row[name] for row in result.history if name in row]
