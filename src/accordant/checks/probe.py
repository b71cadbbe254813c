"""A few real optimiser steps on a copy of the model: what training would begin to do to pairs.

Knows the engine, examples and objectives. Knows nothing of files, texts or verdicts. The model that
is handed in is left as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from accordant.objectives.assemble import assemble
from accordant.objectives.batch import evaluate
from accordant.objectives.registry import Objective
from accordant.scoring.engine import score, score_all
from accordant.tokens.examples import Example


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How the probe trains.

    Args:
        steps: optimiser steps, at least 1.
        batch_size: pairs of one step.
        learning_rate: of AdamW without weight decay, constant.
        token_budget: tokens of one pass where nothing is trained.
    """

    steps: int
    batch_size: int = 8
    learning_rate: float = 1e-5
    token_budget: int = 4096


def probe_cost(tokens: float, pairs: int, options: ProbeOptions) -> float:
    """Forward-pass tokens of a probe run on `pairs` pairs of so many tokens together."""
    trained = options.steps * min(options.batch_size, pairs)
    return tokens * (2 + 3 * trained / max(pairs, 1))


def probe_changes(
    model: nn.Module,
    examples: Sequence[Example],
    objective: Objective,
    bound: Mapping[str, Any],
    options: ProbeOptions,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> Tensor:
    """Change of both log-probabilities of every pair over a few steps on all of them.

    The copy is in float32, whatever the model is in: plain bfloat16 weights round the updates of a
    few small steps away.

    Args:
        model: prepared by `scoring.engine.install`; the reference of the objective.
        examples: comparisons or joint pairs; taken in turn, in the order given.
        objective: for such pairs.
        bound: its options, from `objectives.registry.bind_options`.
        options: how to train.
        advance: called with the tokens done.

    Returns:
        chosen and rejected, nats, float64 `[n, 2]`.
    """
    trained = copy.deepcopy(model).float().eval()
    trees = [tree for example in examples for tree in example.trees]
    start = score_all(trained, trees, options.token_budget, progress=advance)
    parameters = [p for p in trained.parameters() if p.requires_grad]
    mover = torch.optim.AdamW(parameters, lr=options.learning_rate, weight_decay=0.0)
    size = min(options.batch_size, len(examples))
    for step in range(options.steps):
        places = [(step * size + one) % len(examples) for one in range(size)]
        batch = [examples[place] for place in places]
        answers = torch.tensor([2 * place + side for place in places for side in (0, 1)])
        policy = score(trained, [tree for one in batch for tree in one.trees])
        reference = start.select(answers).to(policy.logps.device)
        inputs = assemble(objective, policy, reference, batch)
        mover.zero_grad()
        evaluate(objective, inputs, bound).losses.mean().backward()
        mover.step()
        advance(3 * sum(example.num_tokens for example in batch))
    end = score_all(trained, trees, options.token_budget, progress=advance)
    return (end.sum() - start.sum()).double().reshape(-1, 2)
