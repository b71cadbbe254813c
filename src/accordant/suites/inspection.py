"""Suites as tasks of inspect-ai: what its command line finds of accordant.

Knows inspect-ai and the registry of suites. Knows no suite and no model. This module is the entry
point `accordant` of the group `inspect_ai`: importing it registers every suite as a task and the
provider of models, so that `inspect eval accordant/honesty --model accordant/FOLDER` works.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    ModelAPI,
    modelapi,
)
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer
from inspect_ai.solver import TaskState, generate

from accordant.feedback.records import Text
from accordant.rewards.reward import Answer, Reward, score_answers
from accordant.suites.batches import Batches
from accordant.suites.registry import Item, ScoredItem, Suite, SuiteParts, list_suites

SCORED_TOGETHER = 64  # answers; a reward cuts them into passes that fit its model
ROLES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


TASKS: dict[str, Callable[..., Task]] = {}


def make_task(entry: Suite, options: Mapping[str, object]) -> Task:
    """Return a registered suite as the task that inspect finds under its name.

    Raises:
        UserError: an option cannot be used.
    """
    return TASKS[entry.name](**options)


def _build_task(entry: Suite, options: Mapping[str, object]) -> Task:
    parts = entry.build(options)
    measured = scorer(metrics=[_make_metric(entry, parts)], name=entry.name)
    items = {item.id: item for item in parts.items}
    # inspect registers what makes a scorer, not a scorer.
    make_scorer: Callable[[], Scorer] = measured(lambda: _score_with(parts.reward, items))
    samples = [Sample(_input(i.prompt), id=i.id, metadata=dict(i.details)) for i in parts.items]
    return Task(
        name=entry.name,
        dataset=MemoryDataset(samples, name=entry.name),
        solver=parts.solver() if parts.solver else generate(),
        scorer=make_scorer(),
    )


def read_scored(parts: SuiteParts, scores: Mapping[str, Score]) -> tuple[ScoredItem, ...]:
    """Return the items that have a score, in their order, from scores by item id."""
    return tuple(
        ScoredItem(item, scores[item.id].answer or "", _values(scores[item.id]))
        for item in parts.items
        if item.id in scores
    )


def _input(prompt: Text) -> str | list[ChatMessage]:
    if isinstance(prompt, str):
        return prompt
    return [ROLES[message.role](content=message.content) for message in prompt]


def _score_with(reward: Reward, items: Mapping[str, Item]) -> Scorer:
    def score_batch(answers: Sequence[Answer], _: object) -> list[list[float]]:
        rows: list[list[float]] = score_answers(reward, answers).values.tolist()
        return rows

    # A judge that is a model reads a batch in the time of few answers.
    batches = Batches[Answer, list[float]](score_batch, SCORED_TOGETHER)

    async def score(state: TaskState, target: Target) -> Score:  # noqa: ARG001 - inspect's call
        text = state.output.completion.strip()
        finished = state.output.stop_reason == "stop"
        row = await batches.ask(Answer(items[str(state.sample_id)].prompt, text, finished))
        return Score(value=dict(zip(reward.attributes, row, strict=True)), answer=text)

    return score


def _make_metric(entry: Suite, parts: SuiteParts) -> Metric:
    def measure(scores: list[SampleScore]) -> dict[str, float]:
        # Called while samples run, on some of them, and on none.
        scored = read_scored(parts, {str(s.sample_id): s.score for s in scores})
        numbers: dict[str, float] = {}
        for name, interval in (entry.measure(scored) if scored else {}).items():
            ends = {name: interval.estimate, f"{name} low": interval.low}
            numbers |= ends | {f"{name} high": interval.high}
        return {name: number for name, number in numbers.items() if not math.isnan(number)}

    made: Callable[[], Metric] = metric(name=entry.name)(lambda: measure)
    return made()


def _values(score: Score) -> dict[str, float]:
    assert isinstance(score.value, dict)
    return {name: float(str(value)) for name, value in score.value.items()}


def _register(entry: Suite) -> None:
    @task(name=entry.name)
    @functools.wraps(entry.function)
    def build(**options: Any) -> Task:
        return _build_task(entry, options)

    # Made through it, a task carries its options, by which an evaluation is resumed.
    TASKS[entry.name] = build


for _entry in list_suites():
    _register(_entry)


@modelapi(name="accordant")
def accordant() -> type[ModelAPI]:
    """Return the provider of local models; loaded when one is asked for, as torch takes seconds."""
    from accordant.suites.provider import AccordantModels

    return AccordantModels
