"""A few real optimiser steps on a copy of the model: what training would begin to do to pairs.

Knows the learner, the engine and examples. Knows nothing of files, texts or verdicts. The model
that is handed in is left as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from accordant.objectives.registry import Objective
from accordant.scoring.engine import score_all
from accordant.scoring.frozen import Frozen
from accordant.scoring.score_cache import keep_scores
from accordant.tokens.examples import Example
from accordant.training.learner import Learner

BATCH_SIZE = 8  # pairs of one step


def trial_cost(tokens: float, pairs: int, steps: int) -> float:
    """Return the forward-pass tokens of trial steps on `pairs` pairs of `tokens` tokens in all."""
    return tokens * (2 + 3 * steps * min(BATCH_SIZE, pairs) / max(pairs, 1))


def trial_changes(
    model: nn.Module,
    examples: Sequence[Example],
    objective: Objective,
    bound: Mapping[str, Any],
    steps: int,
    *,
    learning_rate: float,
    token_budget: int = 4096,
    advance: Callable[[int], None] = lambda _: None,
) -> Tensor:
    """Measure how a few steps on all pairs change both log-probabilities of each.

    Args:
        model: prepared by `scoring.install`; the reference of the objective.
        examples: comparisons or joint pairs; taken in turn, in the order given.
        objective: for such pairs.
        bound: its options, from `objectives.registry.bind_options`.
        steps: optimiser steps, at least 1.
        learning_rate: of AdamW without weight decay, constant.
        token_budget: tokens of one pass where nothing is trained.
        advance: called with the tokens done.

    Returns:
        chosen and rejected, nats, float64 `[n, 2]`.
    """
    # In float32 whatever the model is in: bfloat16 weights round the updates of small steps away.
    trained = copy.deepcopy(model).float().eval()
    trees = [tree for example in examples for tree in example.trees]
    start = score_all(trained, trees, token_budget, progress=advance)
    # The reference is the start itself, which has just been scored.
    learner = Learner(objective, bound, trained, Frozen(keep_scores(examples, start)))
    parameters = [p for p in trained.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)
    size = min(BATCH_SIZE, len(examples))
    for step in range(steps):
        batch = [examples[(step * size + place) % len(examples)] for place in range(size)]
        optimizer.zero_grad()
        learner.loss(batch).mean.backward()
        optimizer.step()
        advance(3 * sum(example.num_tokens for example in batch))
    end = score_all(trained, trees, token_budget, progress=advance)
    return (end.sum() - start.sum()).double().reshape(-1, 2)
