"""What training did, measured on held-out records: log-probabilities, answers, divergence.

Knows the prepared run and the model before and after. Knows nothing of files or of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from accordant.feedback.kinds import asked_of
from accordant.feedback.records import Record, Text, flat
from accordant.models.adapters import is_adapted, reference_mode
from accordant.objectives.held_out import HeldOutLogps
from accordant.objectives.kinds import SCORED_KINDS
from accordant.reports.report import ComparedAnswer
from accordant.rewards.reward import Reward, read_answer
from accordant.rewards.wrappers import REFERENCE_ANSWERS, compares, with_reference_answers
from accordant.runs.align.answers import compare_answers, kl_from_reference
from accordant.runs.align.prepare import Prepared
from accordant.runs.align.results import KlEstimate
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import Sample, SamplingOptions
from accordant.scoring.engine import score_all
from accordant.scoring.scores import Scores
from accordant.statistics.measures import HeldOut
from accordant.tokens.trees import TokenTree
from accordant.training.progress import phase

Prompt = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """What is measured before the first step: held-out scores, and answers to held-out prompts."""

    scores: Scores  # of the held-out records' own answers
    prompts: tuple[Prompt, ...]  # tokens of what is asked
    texts: tuple[str, ...]  # the same as a person would read it
    answers: tuple[Sample, ...]  # the model's, one to each
    judge: Reward  # compares with answers of the start, where it compares


def measure_start(ready: Prepared) -> Start | None:
    """Measure the model before it changes; None where nothing is held out."""
    held_out, session = ready.parts.held_out, ready.session
    if not held_out:
        return None
    asked = first_prompts(ready.relabelled.questions, ready.config.sample_prompts)
    prompts, texts = tuple(map(session.encode_prompt, asked)), tuple(map(flat, asked))
    what = f"measuring the start: {len(held_out)} held-out records, {len(asked)} answers"
    with phase(session.console, what):
        return Start(
            scores=_held_out_scores(ready, session.model),
            prompts=prompts,
            texts=texts,
            answers=tuple(_sample(ready, session.model, prompts)),
            judge=_judge(ready, prompts, texts),
        )


def measure_change(ready: Prepared, start: Start | None, model: nn.Module) -> dict[str, Any]:
    """Compare the trained model with the start.

    Returns:
        fields of `AlignResults`: `held_out`, measures of held-out records; `win_rates`, of the
        answers after training over those before it; `kl`, the divergence. Empty without a start.
    """
    if start is None:
        return {}
    held_out = _measure_held_out(ready, start.scores, _held_out_scores(ready, model))
    if not start.prompts:
        return {"held_out": held_out}
    after = _sample(ready, model, start.prompts)
    before, later = ([_as_text(ready, s) for s in samples] for samples in (start.answers, after))
    # The divergence is that of the policy itself, which the answers show at temperature 1 alone.
    at_one = ready.config.temperature == 1
    samples = after if at_one else _sample(ready, model, start.prompts, temperature=1.0)
    return {
        "held_out": held_out,
        "win_rates": (compare_answers(start.texts, before, later, start.judge),),
        "kl": _divergence(ready, start.prompts, samples, model),
    }


def first_prompts(records: Sequence[Record], count: int) -> list[Text]:
    """Return the first `count` different prompts, in order."""
    return list(dict.fromkeys(asked_of(record)[0].prompt for record in records))[:count]


def _held_out_scores(ready: Prepared, model: nn.Module) -> Scores:
    """Score the held-out examples' own answers (not those attached to them)."""
    trees = [tree for example in ready.parts.held_out for tree in example.own_trees]
    return score_all(model, trees, ready.config.token_budget)


def _measure_held_out(ready: Prepared, start: Scores, end: Scores) -> HeldOut | None:
    """Compare scores as the kind of feedback allows; None for kinds that no loss uses."""
    examples = ready.parts.held_out
    kind = SCORED_KINDS.get(examples[0].kind)
    if kind is None:
        return None
    beta = float(ready.options.get("beta", 1.0))
    return kind.measure(HeldOutLogps(end.sum(), start.sum(), start.lengths), examples, beta)


def _judge(ready: Prepared, prompts: Sequence[Prompt], texts: Sequence[str]) -> Reward:
    """Return the judge with what it compares with, where it does: the start is the reference."""
    if not compares(ready.judge):
        return ready.judge
    # Another seed: with the same one the answers to be judged would be among them.
    seed, times = ready.config.seed + 1, range(REFERENCE_ANSWERS)
    asked = [pair for pair in zip(prompts, texts, strict=True) for _ in times]
    samples = _sample(ready, ready.session.model, [prompt for prompt, _ in asked], seed=seed)
    answers = [
        read_answer(text, sample, ready.session.tokenizer)
        for (_, text), sample in zip(asked, samples, strict=True)
    ]
    return with_reference_answers(ready.judge, answers)


def _divergence(
    ready: Prepared, prompts: Sequence[Prompt], samples: Sequence[Sample], model: nn.Module
) -> KlEstimate | None:
    """Return KL(policy || start) on the policy's samples: the start is the model without adapter.

    Without an adapter the start is loaded once more.
    """
    # A sample without a token says nothing.
    trees = [
        TokenTree(prompt, (sample.completion,))
        for prompt, sample in zip(prompts, samples, strict=True)
        if sample.completion
    ]
    if not trees:
        return None
    budget = ready.config.token_budget
    policy = score_all(model, trees, budget)
    adapted = is_adapted(model)
    origin = model if adapted else ready.session.other_model()
    with reference_mode(model) if adapted else nullcontext():
        reference = score_all(origin, trees, budget)
    return kl_from_reference(policy.logps, reference.logps, policy.lengths)


def _sample(
    ready: Prepared, model: nn.Module, prompts: Sequence[Prompt], **changes: Any
) -> list[Sample]:
    """Draw one answer to every prompt as the settings say, but for `changes`."""
    options = SamplingOptions(
        max_new_tokens=ready.config.max_new_tokens,
        temperature=ready.config.temperature,
        seed=ready.config.seed,
        stop_ids=tuple(ready.encoded.end_of_turn_ids),
    )
    drawn = LocalSampler(model).sample(prompts, replace(options, **changes))
    return [sample for (sample,) in drawn]


def _as_text(ready: Prepared, sample: Sample) -> ComparedAnswer:
    """Return a sample as a person would read it."""
    text = str(ready.session.tokenizer.decode(list(sample.tokens), skip_special_tokens=True))
    return ComparedAnswer(text.strip(), sample.finished, len(sample.completion))
