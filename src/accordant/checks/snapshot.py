"""One look at a model in training: probe pairs, answers, entropies and gradients.

Knows the engine, examples and the sampler. Knows nothing of trainers, thresholds or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from accordant.checks.gradients import pair_products, parameters_of
from accordant.checks.run_history import NAN, Snapshot
from accordant.models.facts import position_limit
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.scoring.engine import ScoreOptions, score_all
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant.training.processes import is_sharded, reshard

# Layers from the end whose gradients are compared: a full backward pass for every answer would
# cost more than the rest together.
_LAYERS = 1


@dataclass(frozen=True, slots=True)
class MonitorSet:
    """What is looked at, the same at every step.

    Args:
        pairs: comparisons; best from those that were held out.
        prompts: token ids of prompts to answer.
        stop_ids: tokens that end an answer.
        max_new_tokens: of an answer.
        top_k: tokens that entropy and mass are over.
        token_budget: tokens of one pass.
        seed: of the answers.
    """

    pairs: tuple[Example, ...] = ()
    prompts: tuple[tuple[int, ...], ...] = ()
    stop_ids: tuple[int, ...] = ()
    max_new_tokens: int = 48
    top_k: int = 10
    token_budget: int = 4096
    seed: int = 0


def answer(model: nn.Module, monitored: MonitorSet) -> tuple[TokenTree, ...]:
    """Sample answers to the prompts that leave room for one, as trees; no empty ones.

    There are none where the weights are sharded.
    """
    if is_sharded(model):
        return ()
    limit, length = position_limit(model), monitored.max_new_tokens
    fit = [p for p in monitored.prompts if limit is None or len(p) + length <= limit]
    options = SamplingOptions(
        max_new_tokens=monitored.max_new_tokens, stop_ids=monitored.stop_ids, seed=monitored.seed
    )
    drawn = LocalSampler(model).sample(fit, options)
    return tuple(
        TokenTree(prompt, (sample.completion,))
        for prompt, (sample,) in zip(fit, drawn, strict=True)
        if sample.completion
    )


def take_snapshot(
    model: nn.Module,
    monitored: MonitorSet,
    start: Sequence[TokenTree],
    fresh: Sequence[TokenTree],
    step: int,
    held_out_reward: float = NAN,
) -> Snapshot:
    """Measure the model; its weights, gradients and random state are left as they are.

    Args:
        model: prepared by `scoring.install`.
        monitored: what to look at.
        start: answers the start gave, from `answer`.
        fresh: answers the model gives now.
        step: optimiser steps done.
        held_out_reward: as logged.
    """
    trees = [tree for pair in monitored.pairs for tree in pair.trees]
    pairs = _summed(model, trees, monitored.token_budget)
    stays: tuple[tuple[bool, ...], tuple[bool, ...]] = ((), ())
    if is_sharded(model):
        # Scoring gathered weights, and the step that follows expects them where they were.
        reshard(model)
    elif monitored.pairs:
        stays = _entangled(model, monitored.pairs)
    return Snapshot(
        step=step,
        # Trees score their answers in turn, the chosen one first.
        chosen=pairs[0::2],
        rejected=pairs[1::2],
        start_answers=_summed(model, start, monitored.token_budget),
        **_certainty(model, monitored, fresh),
        chosen_stays=stays[0],
        rejected_stays=stays[1],
        held_out_reward=held_out_reward,
    )


def _summed(model: nn.Module, trees: Sequence[TokenTree], budget: int) -> tuple[float, ...]:
    return tuple(score_all(model, trees, budget).sum().tolist()) if trees else ()


def _certainty(
    model: nn.Module, monitored: MonitorSet, trees: Sequence[TokenTree]
) -> dict[str, float]:
    """Measure entropy over the k likeliest tokens, as it is and made to sum to one, and mass."""
    if not trees:
        return {}
    scores = score_all(model, trees, monitored.token_budget, ScoreOptions(top_k=monitored.top_k))
    assert scores.top_mass is not None
    assert scores.top_entropy is not None
    entropy, mass = scores.top_entropy.double(), scores.top_mass.double()
    return {
        "entropy": float(entropy.mean()),
        "renormalised_entropy": float(renormalised(entropy, mass).mean()),
        "top_mass": float(mass.mean()),
        "mass_error": standard_error_of_mean(mass, scores.owner),
    }


def standard_error_of_mean(values: Tensor, owner: Tensor) -> float:
    """Estimate the error of a mean over tokens of whole answers; NaN for a single answer.

    With residuals summed by answer, e_a, over n answers and N tokens in all it is that of a ratio
    of means: sqrt(n / (n - 1) sum e_a^2) / N.

    Args:
        values: float64 `[tokens]`.
        owner: answer of every token, int64 `[tokens]`, from 0 on.
    """
    answers = int(owner[-1]) + 1
    if answers < 2:
        return NAN
    residuals = values.new_zeros(answers).index_add(0, owner, values - values.mean())
    return float((residuals.square().sum() * answers / (answers - 1)).sqrt() / len(values))


def renormalised(entropy: Tensor, mass: Tensor) -> Tensor:
    """Return the entropy of some tokens once their probabilities are made to sum to one.

    -sum (p / M) log (p / M) = H / M + log M, with H = -sum p log p and M = sum p.
    """
    return entropy / mass + mass.log()


def _entangled(
    model: nn.Module, pairs: Sequence[Example]
) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Tell by pair whether its chosen answer would not rise, and its rejected one not fall."""
    parameters = parameters_of(model, _LAYERS) or parameters_of(model)
    products, _ = pair_products(model, pairs, parameters)
    # Losses of a margin have equal slopes, which cancel out of both conditions.
    chosen: list[bool] = torch.ge(products.inner, products.chosen).tolist()
    rejected: list[bool] = torch.ge(products.inner, products.rejected).tolist()
    return tuple(chosen), tuple(rejected)
