"""What training did, measured on held-out records: log-probabilities, answers, divergence.

Knows the prepared run and the model before and after. Knows nothing of files or of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from accordant.feedback.kinds import asked_of
from accordant.feedback.records import Record, Text, flat
from accordant.models.adapters import is_adapted, reference_mode
from accordant.reports.report import ComparedAnswer
from accordant.rewards.reward import Reward, read_answer
from accordant.rewards.wrappers import REFERENCE_ANSWERS, compares, with_reference_answers
from accordant.runs.align.answers import compare_answers, kl_from_reference
from accordant.runs.align.prepare import Prepared
from accordant.runs.align.results import KlEstimate, WinRate
from accordant.runs.held_out import held_out_scores, measure_held_out
from accordant.runs.settings import AlignConfig
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import Sample, SamplingOptions
from accordant.scoring.engine import score_all
from accordant.scoring.scores import Scores
from accordant.tokens.trees import TokenTree
from accordant.training.progress import phase

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Start:
    """What is measured before the first step: held-out scores, and answers to held-out prompts.

    Args:
        scores: of the held-out records' own answers.
        prompts: tokens of what is asked.
        texts: the same as a person would read it.
        answers: the model's, one to each.
        judge: compares with answers of the start, where it compares.
    """

    scores: Scores
    prompts: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    answers: tuple[Sample, ...]
    judge: Reward


def measure_start(config: AlignConfig, ready: Prepared) -> Start | None:
    """Measure the model before it changes; None where nothing is held out."""
    held_out, session = ready.parts.held_out, ready.session
    if not held_out:
        return None
    texts = first_prompts(ready.relabelled.questions, config.sample_prompts)
    prompts = tuple(map(session.encode_prompt, texts))
    what = f"measuring the start: {len(held_out)} held-out records, {len(texts)} answers"
    with phase(session.console, what):
        start = Start(
            scores=held_out_scores(session.model, held_out, config.token_budget),
            prompts=prompts,
            texts=tuple(map(flat, texts)),
            answers=tuple(_answers(config, ready, session.model, prompts)),
            judge=ready.judge,
        )
        return _with_reference_answers(config, ready, start)


def _with_reference_answers(config: AlignConfig, ready: Prepared, start: Start) -> Start:
    """Sample what the judge compares with, where it does: the start is the reference."""
    if not compares(ready.judge):
        return start
    # Another seed: with the same one the answers to be judged would be among them.
    other = config.model_copy(update={"seed": config.seed + 1})
    prompts = [prompt for prompt in start.prompts for _ in range(REFERENCE_ANSWERS)]
    texts = [text for text in start.texts for _ in range(REFERENCE_ANSWERS)]
    samples = _answers(other, ready, ready.session.model, prompts)
    pairs = zip(texts, samples, strict=True)
    answers = [read_answer(text, sample, ready.session.tokenizer) for text, sample in pairs]
    return replace(start, judge=with_reference_answers(ready.judge, answers))


def measure_change(
    config: AlignConfig, ready: Prepared, start: Start | None, model: nn.Module
) -> dict[str, Any]:
    """Compare the trained model with the start.

    Returns:
        `held_out`: measures of held-out records; `win_rates`: of the answers after training over
        those before it; `kl`: the divergence.
    """
    if start is None:
        return {"held_out": None, "win_rates": (), "kl": None}
    examples = ready.parts.held_out
    end = held_out_scores(model, examples, config.token_budget)
    beta = float(ready.options.get("beta", 1.0))
    held_out = measure_held_out(examples, start.scores, end, beta)
    if not start.prompts:
        return {"held_out": held_out, "win_rates": (), "kl": None}
    after = _answers(config, ready, model, start.prompts)
    # The divergence is that of the policy itself, which the answers show at temperature 1 alone.
    at_one = config.model_copy(update={"temperature": 1.0})
    samples = after if config.temperature == 1 else _answers(at_one, ready, model, start.prompts)
    return {
        "held_out": held_out,
        "win_rates": (_win_rate(ready, start, after),),
        "kl": _divergence(config, ready, sample_trees(start.prompts, samples), model),
    }


def _win_rate(ready: Prepared, start: Start, after: Sequence[Sample]) -> WinRate:
    old, new = (
        [as_text(sample, ready.session.tokenizer) for sample in samples]
        for samples in (start.answers, after)
    )
    return compare_answers(start.texts, old, new, start.judge)


def _divergence(
    config: AlignConfig, ready: Prepared, trees: Sequence[TokenTree], model: nn.Module
) -> KlEstimate | None:
    """Return KL(policy || start) on the policy's samples: the start is the model without adapter.

    Without an adapter the start is loaded once more.
    """
    if not trees:
        return None
    policy = score_all(model, trees, config.token_budget)
    adapted = is_adapted(model)
    origin = model if adapted else ready.session.other_model()
    with reference_mode(model) if adapted else nullcontext():
        reference = score_all(origin, trees, config.token_budget)
    return kl_from_reference(policy.logps, reference.logps, policy.lengths)


def _answers(
    config: AlignConfig, ready: Prepared, model: nn.Module, prompts: Sequence[Sequence[int]]
) -> list[Sample]:
    """Draw one answer to every prompt (token ids)."""
    options = SamplingOptions(
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        seed=config.seed,
        stop_ids=tuple(ready.encoded.end_of_turn_ids),
    )
    return [sample for (sample,) in LocalSampler(model).sample(prompts, options)]


def first_prompts(records: Sequence[Record], count: int) -> list[Text]:
    """Return the first `count` different prompts, in order."""
    return list(dict.fromkeys(asked_of(record)[0].prompt for record in records))[:count]


def as_text(sample: Sample, tokenizer: PreTrainedTokenizerBase) -> ComparedAnswer:
    """Return a sample as a person would read it."""
    text = str(tokenizer.decode(list(sample.tokens), skip_special_tokens=True))
    return ComparedAnswer(text.strip(), sample.finished, len(sample.completion))


def sample_trees(prompts: Sequence[Sequence[int]], samples: Sequence[Sample]) -> list[TokenTree]:
    """Return samples as trees to score; a sample without a token says nothing and is left out."""
    return [
        TokenTree(tuple(prompt), (sample.completion,))
        for prompt, sample in zip(prompts, samples, strict=True)
        if sample.completion
    ]
