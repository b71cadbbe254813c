"""Answers that a model and its reference sample, scored by both and by a reward.

Knows the sampler, the engine and a reward. Knows no check: three read it, and it is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from accordant.base.options import Count
from accordant.checks.findings import FindingRow, Passage
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.passes import TOKENS, Pass
from accordant.feedback.kinds import prompts_of
from accordant.feedback.records import flat
from accordant.rewards.reward import Answer, read_answer, score_single
from accordant.rewards.wrappers import with_reference_answers

if TYPE_CHECKING:
    from accordant.feedback.records import Text
    from accordant.rewards.reward import Reward
    from accordant.statistics.arrays import Floats

Prompts = Annotated[int, Field(ge=2)]
Samples = Annotated[int, Field(ge=3)]
Listed = tuple[float, str, dict[str, str]]
"""What a row shows of a prompt: its number, a note, and answers by what each is called."""


@dataclass(frozen=True, slots=True)
class SampledAnswers:
    """Answers of one model, `samples` to every prompt; numbers are float64 `[prompts, samples]`.

    Args:
        texts: as a person would read them.
        tokens: of every answer, the end of the turn counted.
        scores: their rewards.
        log_ratios: log model - log reference of whole answers, nats.
        divergences: k3 of the log-ratios, summed over an answer's tokens: averaged over the model's
            own answers it estimates KL(model || reference), nats, and is never negative.
    """

    texts: tuple[tuple[str, ...], ...]
    tokens: Floats
    scores: Floats
    log_ratios: Floats
    divergences: Floats


@dataclass(frozen=True, slots=True)
class Sampled:
    """Answers of both models to the same prompts; `judge` names the reward."""

    judge: str
    prompts: tuple[str, ...]
    by_model: SampledAnswers
    by_reference: SampledAnswers

    def rows(self, listed: Callable[[int], Listed | None]) -> list[FindingRow]:
        """List what is to be shown of each prompt, by its place, the highest number first."""
        rows = []
        for place, prompt in enumerate(self.prompts):
            shown = listed(place)
            if shown is not None:
                value, note, answers = shown
                texts = {"prompt": prompt, **answers}
                rows.append(
                    FindingRow(value, tuple(map(Passage, texts, texts.values())), note=note)
                )
        return sorted(rows, key=lambda row: -row.value)


def _cost(inputs: CheckInputs, prompts: int, samples: int, max_new_tokens: int) -> float:
    """Count tokens sampled by both models, and scored by both; prompts not counted."""
    asked = min(prompts, len(_different_prompts(inputs)))
    # Sampled once and scored by two models, for either side.
    return 2.0 * asked * samples * max_new_tokens * 3


def _sample(
    inputs: CheckInputs, *, prompts: Prompts = 32, samples: Samples = 8, max_new_tokens: Count = 64
) -> Sampled:
    """Sample answers of both models at temperature 1.

    Args:
        prompts: prompts to answer, from held-out records where there are some.
        samples: answers to each, from either model.
        max_new_tokens: of an answer.

    Raises:
        NotApplicableError: there is no reward, or no prompt leaves room for an answer.
    """
    from accordant.sampling.sampler import LocalSampler
    from accordant.sampling.samples import SamplingOptions

    if inputs.reward is None:
        raise NotApplicableError("it needs a judge of answers")
    asked = _prompts(inputs, prompts, max_new_tokens)
    if not asked:
        raise NotApplicableError("no prompt leaves room for an answer")
    options = SamplingOptions(
        max_new_tokens=max_new_tokens,
        samples_per_prompt=samples,
        stop_ids=tuple(TOKENS.read(inputs).end_of_turn_ids),
        seed=inputs.seed,
    )
    sides = []
    for model in (inputs.model, inputs.reference):
        drawn = LocalSampler(model).sample(list(asked.values()), options)
        inputs.advance(sum(len(sample.completion) for group in drawn for sample in group))
        sides.append(
            [
                read_answer(text, sample, inputs.tokenizer, tokens)
                for (text, tokens), group in zip(asked.items(), drawn, strict=True)
                for sample in group
            ]
        )
    # The reference's answers are at hand, so a reward that compares with them can.
    reward = with_reference_answers(inputs.reward, sides[1])
    ours, theirs = (_scored(inputs, reward, answers, samples) for answers in sides)
    return Sampled(inputs.reward.name, tuple(map(flat, asked)), ours, theirs)


SAMPLED = Pass(
    "sampled answers ({samples} to each of {prompts} prompts at most, {max_new_tokens} tokens)",
    _sample,
    _cost,
    needs=("model", "reference"),
)


def _different_prompts(inputs: CheckInputs) -> list[Text]:
    # In the order of the records, so that the same prompts are asked of every checkpoint.
    source = inputs.feedback if inputs.held_out is None else inputs.held_out
    return list(dict.fromkeys(text for record in source.records for text in prompts_of(record)))


def _prompts(inputs: CheckInputs, count: int, max_new_tokens: int) -> dict[Text, tuple[int, ...]]:
    """Choose different prompts that leave room for an answer, each with its tokens."""
    from accordant.models.facts import position_limit
    from accordant.tokens.rendering import encode_prompt

    assert inputs.rendering is not None
    limit = position_limit(inputs.model)
    asked: dict[Text, tuple[int, ...]] = {}
    for text in _different_prompts(inputs):
        if len(asked) == count:
            break
        tokens = encode_prompt(text, inputs.tokenizer, inputs.rendering)
        if limit is None or len(tokens) + max_new_tokens <= limit:
            asked[text] = tokens
    return asked


def _scored(
    inputs: CheckInputs, reward: Reward, answers: Sequence[Answer], samples: int
) -> SampledAnswers:
    """Score answers by both models and the reward, `samples` to each prompt in a row."""
    import torch

    from accordant.scoring.engine import score_all
    from accordant.statistics.divergence import k3
    from accordant.tokens.trees import TokenTree

    groups = [answers[start : start + samples] for start in range(0, len(answers), samples)]
    trees = [
        TokenTree(group[0].prompt_tokens or (), tuple(answer.tokens or () for answer in group))
        for group in groups
    ]
    ours, theirs = (
        score_all(model, trees, inputs.token_budget, progress=inputs.advance)
        for model in (inputs.model, inputs.reference)
    )
    # Differences of nearly equal numbers: float32 would keep three digits of them.
    ratios = ours.logps.double() - theirs.logps.double()
    divergences = torch.from_numpy(k3(ratios.numpy()))
    numbers = (
        [len(answer.tokens or ()) for answer in answers],
        score_single(reward, answers),
        ours.sum_tokens(ratios).numpy(),
        ours.sum_tokens(divergences).numpy(),
    )
    tables = (np.asarray(column, np.float64).reshape(-1, samples) for column in numbers)
    texts = tuple(tuple(answer.text for answer in group) for group in groups)
    return SampledAnswers(texts, *tables)
