"""Small transformers trained from scratch on the little language, in seconds.

Knows transformers' Llama, the engine, the sampler and the loop. Knows nothing of claims. The start
model of a reproduction is trained once per process and seed and handed out as copies.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.scoring.engine import score_all
from accordant.scoring.installation import install
from accordant.scoring.scores import Scores
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant_studies.laboratory.language import (
    END,
    VOCABULARY,
    Tokens,
    Writer,
    draw_prompts,
    write_all,
)
from accordant_studies.laboratory.training import minibatches, train

FALLIBLE = Writer(mistake=0.15)

Gold = Callable[[Tokens, Tokens], float]


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of a model."""

    width: int = 128
    layers: int = 3
    heads: int = 4
    positions: int = 64


@dataclass(frozen=True, slots=True)
class Schooling:
    """How the start model is taught to write.

    Args:
        writer: of the demonstrations.
        prompts: demonstrations, one per prompt.
        objects: objects a prompt lists.
        epochs: passes over them.
        batch_size: demonstrations per step.
        lr: learning rate.
    """

    writer: Writer = FALLIBLE
    prompts: int = 4000
    objects: int = 3
    epochs: int = 2
    batch_size: int = 64
    lr: float = 2e-3


def new_model(seed: int, shape: Shape | None = None, vocabulary: int = VOCABULARY) -> Any:
    """Return an untrained model, prepared for the engine; its weights depend on the seed alone."""
    size = shape or Shape()
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=size.width,
        intermediate_size=size.width * 8 // 3 // 8 * 8,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.positions,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    return install(model.eval(), verify=False)


def start_model(seed: int, schooling: Schooling | None = None, shape: Shape | None = None) -> Any:
    """Return a fresh copy of the model taught by demonstrations, the start of every condition.

    It is trained when first asked for and kept as long as the process lives.
    """
    return clone(_schooled(seed, schooling or Schooling(), shape or Shape()))


@cache
def _schooled(seed: int, schooling: Schooling, shape: Shape) -> Any:
    prompts = draw_prompts(schooling.prompts, seed, objects=schooling.objects)
    answers = write_all(prompts, schooling.writer, seed + 1)
    return imitate(
        new_model(seed, shape),
        prompts,
        answers,
        seed,
        batch=schooling.batch_size,
        epochs=schooling.epochs,
        lr=schooling.lr,
    )


def imitate(
    model: Any,
    prompts: Sequence[Tokens],
    answers: Sequence[Tokens],
    seed: int,
    *,
    batch: int = 64,
    epochs: int = 2,
    lr: float = 1e-3,
) -> Any:
    """Teach a model, in place, to answer prompts as demonstrated; return it."""
    batches = minibatches(demonstrations(prompts, answers), batch, seed, epochs)
    train(model, "sft", batches, steps=len(batches), lr=lr)
    return model


def clone(model: Any) -> Any:
    """Return a copy with the same weights, prepared for the engine and trainable."""
    weights = copy.deepcopy(model.state_dict())
    twin = LlamaForCausalLM(copy.deepcopy(model.config))
    twin.load_state_dict(weights)
    return install(twin.eval(), verify=False)


def sample(
    model: Any, prompts: Sequence[Tokens], each: int, seed: int, longest: int = 12
) -> list[list[Tokens]]:
    """Draw answers at temperature 1, their end token included where it came.

    Returns:
        for every prompt its `each` answers.
    """
    options = SamplingOptions(
        max_new_tokens=longest,
        seed=seed,
        stop_ids=(END,),
        samples_per_prompt=each,
        batch_size=512,
    )
    drawn = LocalSampler(model).sample(prompts, options)
    return [[answer.completion for answer in row] for row in drawn]


def mean_gold(prompts: Sequence[Tokens], answers: Sequence[Sequence[Tokens]], gold: Gold) -> float:
    """Return the mean of a gold program over all answers."""
    values = [gold(p, answer) for p, row in zip(prompts, answers, strict=True) for answer in row]
    return sum(values) / len(values)


def gold_win_rate(
    prompts: Sequence[Tokens],
    first: Sequence[Sequence[Tokens]],
    second: Sequence[Sequence[Tokens]],
    gold: Gold,
) -> float:
    """Return the share of prompts' answer pairs where the first has more gold, ties half."""
    wins = [
        (a > b) + (a == b) / 2
        for prompt, ours, theirs in zip(prompts, first, second, strict=True)
        for a in (gold(prompt, answer) for answer in ours)
        for b in (gold(prompt, answer) for answer in theirs)
    ]
    return sum(wins) / len(wins)


def score_answers(
    model: Any, prompts: Sequence[Tokens], answers: Sequence[Sequence[Tokens]]
) -> Scores:
    """Return the engine's scores of every prompt's answers, without gradients."""
    trees = [TokenTree(p, tuple(row)) for p, row in zip(prompts, answers, strict=True)]
    return score_all(model, trees)


def demonstrations(prompts: Sequence[Tokens], answers: Sequence[Tokens]) -> list[Example]:
    """Return answers to imitate."""
    return [
        Example("demonstration", (TokenTree(prompt, (answer,)),), index)
        for index, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
    ]


def gold_rankings(
    prompts: Sequence[Tokens], answers: Sequence[Sequence[Tokens]], gold: Gold
) -> list[Example]:
    """Rank every prompt's different answers by gold; prompts with one alone are left out."""
    examples: list[Example] = []
    for prompt, row in zip(prompts, answers, strict=True):
        ranked = sorted(((gold(prompt, a), a) for a in dict.fromkeys(row)), reverse=True)
        if len(ranked) < 2:
            continue
        rewards, best = zip(*ranked, strict=True)
        examples.append(
            Example("ranking", (TokenTree(prompt, best),), len(examples), rewards=rewards)
        )
    return examples


def gold_comparisons(
    prompts: Sequence[Tokens], answers: Sequence[Sequence[Tokens]], gold: Gold
) -> list[Example]:
    """Compare the best and worst answer of every prompt; prompts where all tie are left out."""
    examples: list[Example] = []
    for ranking in gold_rankings(prompts, answers, gold):
        rewards, tree = ranking.rewards or (), ranking.trees[0]
        if rewards[0] > rewards[-1]:
            pair = TokenTree(tree.prompt, (tree.continuations[0], tree.continuations[-1]))
            examples.append(Example("comparison", (pair,), len(examples)))
    return examples


def thumbs(
    prompts: Sequence[Tokens], answers: Sequence[Tokens], desirable: Sequence[bool]
) -> list[Example]:
    """Return answers with thumbs."""
    return [
        replace(example, kind="binary", label=label)
        for example, label in zip(demonstrations(prompts, answers), desirable, strict=True)
    ]
