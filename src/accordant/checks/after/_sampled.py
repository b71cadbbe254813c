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


@dataclass(frozen=True, slots=True)
class SampledAnswer:
    """One sampled answer.

    Args:
        text: as a person would read it.
        tokens: how many, the end of the turn counted.
        score: its reward.
        log_ratio: log model - log reference of the whole answer, nats.
        divergence: sum over its tokens of exp(-d) - 1 + d, d the log-ratio of a token: averaged
            over the model's own answers it estimates KL(model || reference) without ever being
            negative (Schulman 2020, k3).
    """

    text: str
    tokens: int
    score: float
    log_ratio: float
    divergence: float


Answers = tuple[SampledAnswer, ...]
Listed = tuple[float, str, dict[str, SampledAnswer]]
"""What a row shows of a prompt: its number, a note, and answers by what each is called."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Answers prompt by prompt, in the order of `prompts`; `judge` names the reward."""

    judge: str
    prompts: tuple[str, ...]
    by_model: tuple[Answers, ...]
    by_reference: tuple[Answers, ...]

    def rows(self, listed: Callable[[Answers, Answers], Listed | None]) -> list[FindingRow]:
        """List what is to be shown of the answers of both to each prompt, highest first."""
        rows = []
        sides = (self.prompts, self.by_model, self.by_reference)
        for prompt, ours, theirs in zip(*sides, strict=True):
            shown = listed(ours, theirs)
            if shown is not None:
                value, note, answers = shown
                texts = (Passage(name, answer.text) for name, answer in answers.items())
                rows.append(FindingRow(value, (Passage("prompt", prompt), *texts), note=note))
        return sorted(rows, key=lambda row: -row.value)


def number_table(answers: Sequence[Answers], field: str) -> Floats:
    """Return one number of every answer, `[prompts, samples]`."""
    return np.array([[getattr(answer, field) for answer in group] for group in answers], np.float64)


def _cost(_: CheckInputs, prompts: int, samples: int, max_new_tokens: int) -> float:
    """Count tokens sampled by both models, and scored by both; prompts not counted."""
    return 2.0 * prompts * samples * max_new_tokens * 3


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
    texts, tokens = zip(*asked, strict=True)
    options = SamplingOptions(
        max_new_tokens=max_new_tokens,
        samples_per_prompt=samples,
        stop_ids=tuple(TOKENS.read(inputs).end_of_turn_ids),
        seed=inputs.seed,
    )
    sides = []
    for model in (inputs.model, inputs.reference):
        groups = LocalSampler(model).sample(tokens, options)
        inputs.advance(sum(len(sample.completion) for group in groups for sample in group))
        sides.append(
            [
                read_answer(text, sample, inputs.tokenizer, prompt)
                for text, prompt, group in zip(texts, tokens, groups, strict=True)
                for sample in group
            ]
        )
    # The reference's answers are at hand, so a reward that compares with them can.
    reward = with_reference_answers(inputs.reward, sides[1])
    ours, theirs = (_scored(inputs, reward, answers, samples) for answers in sides)
    return Sampled(inputs.reward.name, tuple(texts), ours, theirs)


SAMPLED = Pass(
    "sampled answers ({samples} to each of {prompts} prompts, {max_new_tokens} tokens)",
    _sample,
    _cost,
    needs=("model", "reference"),
)


def _prompts(
    inputs: CheckInputs, count: int, max_new_tokens: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Choose different prompts that leave room for an answer: as read, and in tokens."""
    from accordant.models.facts import position_limit
    from accordant.tokens.rendering import encode_prompt

    assert inputs.rendering is not None
    limit = position_limit(inputs.model)
    source = inputs.feedback if inputs.held_out is None else inputs.held_out
    different: dict[Text, None] = {}
    for record in source.records:
        different |= dict.fromkeys(prompts_of(record))
    asked: list[tuple[str, tuple[int, ...]]] = []
    for text in different:
        tokens = encode_prompt(text, inputs.tokenizer, inputs.rendering)
        if limit is None or len(tokens) + max_new_tokens <= limit:
            asked.append((flat(text), tokens))
        if len(asked) == count:
            break
    return asked


def _scored(
    inputs: CheckInputs, reward: Reward, answers: Sequence[Answer], samples: int
) -> tuple[Answers, ...]:
    """Score answers by both models and the reward, `samples` to each prompt in a row."""
    import torch

    from accordant.scoring.engine import score_all
    from accordant.statistics.divergence import k3
    from accordant.tokens.trees import TokenTree

    groups = [answers[at : at + samples] for at in range(0, len(answers), samples)]
    trees = [
        TokenTree(group[0].prompt_tokens or (), tuple(answer.tokens or () for answer in group))
        for group in groups
    ]
    ours, theirs = (
        score_all(model, trees, inputs.token_budget, progress=inputs.advance)
        for model in (inputs.model, inputs.reference)
    )
    ratio = ours.logps.double() - theirs.logps.double()
    divergence = torch.from_numpy(k3(ratio.numpy()))
    columns = (ours.sum_tokens(ratio).tolist(), ours.sum_tokens(divergence).tolist())
    rows = zip(answers, score_single(reward, answers).tolist(), *columns, strict=True)
    scored = [
        SampledAnswer(answer.text, len(answer.tokens or ()), *numbers) for answer, *numbers in rows
    ]
    return tuple(tuple(scored[at : at + samples]) for at in range(0, len(scored), samples))
