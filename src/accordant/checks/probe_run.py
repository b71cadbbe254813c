"""A short training run on a copy of the model, and what it did to the pairs of the feedback.

Knows trial steps and the objective that a check assumes. Knows no check and no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from accordant.base.errors import UserError
from accordant.base.options import Count, Positive
from accordant.checks.assumed_objective import pair_objective
from accordant.checks.inputs import CheckInputs
from accordant.checks.pair_pass import examples_of
from accordant.checks.passes import Pass, count_tokens

StepCount = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """What a probe run did: places of its pairs, and the changes of their chosen answers."""

    places: tuple[int, ...]
    changes: tuple[float, ...]
    words: str


def _run(
    inputs: CheckInputs,
    *,
    probe_steps: StepCount = 0,
    probe_pairs: Count = 64,
    probe_rate: Positive = 1e-5,
    method: str | None = None,
) -> ProbeRun | None:
    """Train a copy of the model for a few steps, and measure what the pairs lose.

    Args:
        probe_steps: optimiser steps of the probe run; 0 for none.
        probe_pairs: pairs of the probe run, drawn at random.
        probe_rate: its learning rate (AdamW in float32).
        method: objective of the probe run; the usual one for the feedback when none.
    """
    if not probe_steps:
        return None
    import torch

    from accordant.checks.trial_steps import trial_changes

    examples = examples_of(inputs)
    # Of pairs alone, the place of an example is that of its pair.
    if any(example.kind == "ranking" for example in examples):
        raise UserError(
            "the probe run trains on pairs, and these are rankings.",
            where="ches.probe_steps",
            mend="Leave it out, or write each ranking as comparisons.",
        )
    objective, bound = pair_objective(method, None, inputs.feedback.record_type)
    generator = torch.Generator().manual_seed(inputs.seed)
    # Drawn, as the first rows of a file may all be of one kind.
    places = torch.randperm(len(examples), generator=generator)[:probe_pairs].tolist()
    changes = trial_changes(
        inputs.model,
        [examples[place] for place in places],
        objective,
        bound,
        probe_steps,
        learning_rate=probe_rate,
        token_budget=inputs.token_budget,
        advance=inputs.advance,
    )
    words = f"{probe_steps} steps of {objective.name} on {len(places):,} pairs"
    return ProbeRun(tuple(places), tuple(changes[:, 0].tolist()), words)


def _cost(inputs: CheckInputs, probe_steps: int, probe_pairs: int) -> float:
    if not probe_steps:
        return 0.0
    from accordant.checks.trial_steps import trial_cost

    count = len(examples_of(inputs))
    tokens = min(1.0, probe_pairs / max(count, 1)) * count_tokens(inputs)
    return trial_cost(tokens, min(probe_pairs, count), probe_steps)


PROBE = Pass("probe run", _run, _cost, needs=("model",))
