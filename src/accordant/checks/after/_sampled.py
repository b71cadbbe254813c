"""Answers that a model and its reference sample, scored by both and by the judge.

Knows the sampler, the engine and a judge. Knows no check: three read it, and it is made once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from accordant.base.options import Count, Range
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.texts import flat, prompts_of

if TYPE_CHECKING:
    from accordant.feedback.records import Text
    from accordant.sampling.samples import Sample

PROMPTS, SAMPLES, TOKENS = 32, 8, 64
Prompts = Annotated[int, Range(at_least=2)]
Samples = Annotated[int, Range(at_least=3)]
Tokens = Count


@dataclass(frozen=True, slots=True)
class Sampling:
    """How much is sampled; checks with the same settings read the same answers.

    Args:
        prompts: at most so many, from held-out records where there are some.
        samples: answers to each, from either model.
        max_new_tokens: of an answer.
    """

    prompts: int = PROMPTS
    samples: int = SAMPLES
    max_new_tokens: int = TOKENS

    @property
    def name(self) -> str:
        """The pass it is."""
        size = f"{self.samples} to each of {self.prompts} prompts, {self.max_new_tokens} tokens"
        return f"sampled answers ({size})"


@dataclass(frozen=True, slots=True)
class Answer:
    """One sampled answer.

    Args:
        text: as a person would read it.
        tokens: how many, the end of the turn counted.
        score: the judge's.
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


@dataclass(frozen=True, slots=True)
class Sampled:
    """Answers prompt by prompt, in the order of `prompts`."""

    prompts: tuple[str, ...]
    by_model: tuple[tuple[Answer, ...], ...]
    by_reference: tuple[tuple[Answer, ...], ...]


def cost_of_sampling(
    _: CheckInputs, *, prompts: int, samples: int, max_new_tokens: int
) -> Mapping[str, float]:
    """Tokens sampled by both models, and scored by both; prompts not counted."""
    sampling = Sampling(prompts, samples, max_new_tokens)
    return {sampling.name: 2.0 * prompts * samples * max_new_tokens * 3}


def sample_both(inputs: CheckInputs, sampling: Sampling) -> Sampled:
    """Answers of both models at temperature 1, made when the first check asks for them.

    Raises:
        NotApplicableError: there is no judge, or no prompt leaves room for an answer.
    """
    return inputs.once(sampling.name, lambda: _sample(inputs, sampling))


def _sample(inputs: CheckInputs, sampling: Sampling) -> Sampled:
    from accordant.sampling.sampler import LocalSampler
    from accordant.sampling.samples import SamplingOptions

    assert inputs.encoded is not None
    if inputs.judge is None:
        raise NotApplicableError("it needs a judge of answers")
    asked = _prompts(inputs, sampling)
    if not asked:
        raise NotApplicableError("no prompt leaves room for an answer")
    texts, prompts = zip(*asked, strict=True)
    options = SamplingOptions(
        max_new_tokens=sampling.max_new_tokens,
        samples_per_prompt=sampling.samples,
        stop_ids=tuple(inputs.encoded.end_of_turn_ids),
        seed=inputs.seed,
    )
    sides = []
    for model in (inputs.model, inputs.reference):
        groups = LocalSampler(model).sample(prompts, options)
        inputs.advance(sum(len(sample.completion) for group in groups for sample in group))
        sides.append(_answers(inputs, texts, prompts, groups))
    return Sampled(tuple(texts), *sides)


def _prompts(inputs: CheckInputs, sampling: Sampling) -> list[tuple[str, tuple[int, ...]]]:
    """Different prompts that leave room for an answer: as read, and in tokens."""
    from accordant.sampling.stepper import position_limit
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
        if limit is None or len(tokens) + sampling.max_new_tokens <= limit:
            asked.append((flat(text), tokens))
        if len(asked) == sampling.prompts:
            break
    return asked


def _answers(
    inputs: CheckInputs,
    texts: tuple[str, ...],
    prompts: tuple[tuple[int, ...], ...],
    groups: list[list[Sample]],
) -> tuple[tuple[Answer, ...], ...]:
    """The answers with what both models and the judge make of them."""
    import torch

    from accordant.scoring.engine import score_all
    from accordant.statistics.divergence import k3
    from accordant.tokens.trees import TokenTree

    assert inputs.judge is not None
    trees = [
        TokenTree(prompt, tuple(one.completion for one in group))
        for prompt, group in zip(prompts, groups, strict=True)
    ]
    ours, theirs = (
        score_all(model, trees, inputs.token_budget, progress=inputs.advance)
        for model in (inputs.model, inputs.reference)
    )
    ratio = ours.logps.double() - theirs.logps.double()
    divergence = torch.from_numpy(k3(ratio.numpy()))
    totals = zip(ours.sum_tokens(ratio).tolist(), ours.sum_tokens(divergence).tolist(), strict=True)
    answered = []
    for text, group in zip(texts, groups, strict=True):
        answers = []
        for one in group:
            written = inputs.tokenizer.decode(list(one.tokens), skip_special_tokens=True).strip()
            scored = inputs.judge(text, written, one.finished)
            answers.append(Answer(written, len(one.completion), scored, *next(totals)))
        answered.append(tuple(answers))
    return tuple(answered)
