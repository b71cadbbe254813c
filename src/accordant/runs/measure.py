"""What training did, measured on held-out records: log-probabilities, answers, divergence.

Knows models, examples and the evaluation's pure functions. Knows nothing of files or of training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from accordant.feedback.records import JointPair, Record, Text
from accordant.reports.results import Generation, HeldOut, KlEstimate
from accordant.runs.generations import kl_from_reference
from accordant.runs.held_out import (
    HeldOutLogps,
    measure_comparisons,
    measure_demonstrations,
    measure_rankings,
    measure_thumbs,
)
from accordant.sampling.sampler import Sampler
from accordant.sampling.samples import Sample, SamplingOptions
from accordant.scoring.engine import score_all
from accordant.scoring.scores import Scores
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Pairs = Callable[[torch.Tensor], HeldOutLogps]


def held_out_scores(model: nn.Module, examples: Sequence[Example], budget: int) -> Scores:
    """Score the examples' own answers (not those attached to them), example by example."""
    return score_all(model, [tree for e in examples for tree in e.own_trees], budget)


def held_out_results(
    examples: Sequence[Example], start: Scores, end: Scores, beta: float
) -> HeldOut | None:
    """Compare scores before and after training, as the kind of feedback allows.

    Args:
        examples: held-out examples of one kind, at least one.
        start: their scores before the first step.
        end: their scores after the last one.
        beta: factor from log-ratios to implicit rewards.

    Returns:
        None for ratings and steps, which training does not use yet. Judged answers are looked at
        after the prompt alone, as answers with thumbs.
    """
    before, after, lengths = start.sum(), end.sum(), start.lengths

    def part(index: slice) -> HeldOutLogps:
        return HeldOutLogps(after[index], before[index], lengths[index])

    kind = examples[0].kind
    if kind in ("comparison", "joint_pair"):
        return measure_comparisons(part(slice(0, None, 2)), part(slice(1, None, 2)), beta)
    if kind == "binary":
        return measure_thumbs(part(slice(None)), [float(bool(one.label)) for one in examples], beta)
    if kind == "judgment":
        return measure_thumbs(
            part(slice(1, None, 2)), [float(bool(one.label)) for one in examples], beta
        )
    if kind == "ranking":
        return measure_rankings(part(slice(None)), start.tree, _worth(examples), beta)
    return measure_demonstrations(part(slice(None))) if kind == "demonstration" else None


def _worth(examples: Sequence[Example]) -> list[float]:
    """Label of every answer of rankings: its reward, or minus its rank."""
    return [
        float(value)
        for example in examples
        for value in (
            example.rewards or [-rank for rank in range(len(example.trees[0].continuations))]
        )
    ]


def prompts_of(records: Sequence[Record], count: int) -> list[Text]:
    """The first `count` different prompts, in order."""
    prompts = (r.chosen_prompt if isinstance(r, JointPair) else r.prompt for r in records)
    return list(dict.fromkeys(prompts))[:count]


def as_text(sample: Sample, tokenizer: PreTrainedTokenizerBase) -> Generation:
    """A sample as a person would read it."""
    text = str(tokenizer.decode(list(sample.tokens), skip_special_tokens=True))
    return Generation(text.strip(), sample.finished, len(sample.completion))


def sample_answers(
    sampler: Sampler,
    prompts: Sequence[Sequence[int]],
    *,
    temperature: float,
    max_new_tokens: int,
    stop_ids: Sequence[int],
    seed: int,
) -> list[Sample]:
    """Draw one answer to every prompt (token ids)."""
    options = SamplingOptions(
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
        stop_ids=tuple(stop_ids),
    )
    return [sample for (sample,) in sampler.sample(prompts, options)]


def sample_trees(prompts: Sequence[Sequence[int]], samples: Sequence[Sample]) -> list[TokenTree]:
    """Samples as trees to score; a sample without a token says nothing and is left out."""
    return [
        TokenTree(tuple(prompt), (sample.completion,))
        for prompt, sample in zip(prompts, samples, strict=True)
        if sample.completion
    ]


def divergence(policy: Scores, reference: Scores) -> KlEstimate:
    """KL(policy || reference) from scores of the policy's own samples at temperature 1."""
    return kl_from_reference(policy.logps, reference.logps, policy.lengths)
