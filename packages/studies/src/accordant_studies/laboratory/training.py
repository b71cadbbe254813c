"""A small deterministic loop: registered objectives on any policy the laboratory can score.

Knows policies (tables, or models prepared for the engine), examples and objectives by name. Knows
nothing of worlds' rewards or of reports. The loop adds nothing to a loss: no clipping, no warm-up,
no decay, so that what is seen comes from the objective.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from accordant.objectives.registry import bind_options, get_objective
from accordant.scoring.frozen import Frozen, freeze
from accordant.tokens.examples import Example
from accordant.training.learner import Learner
from accordant.training.optimizer import CompensatedAdamW
from accordant.training.preparations.baselines import with_baselines
from accordant.training.preparations.mechanism import prepare_examples
from accordant.training.preparations.workbench import Workbench

Watch = Callable[[int], Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step is taken on.

    Args:
        examples: records in tokens, at least one. They are prepared as the
            objective asks, as far as it takes no model.
        weights: how much every example counts, `[n]`, besides the objective's own weights; with
            the probabilities of all possible examples the loss is the population's. None for 1.
    """

    examples: Sequence[Example]
    weights: Tensor | None = None


Batches = Sequence[Batch] | Callable[[int], Batch]


def train(
    policy: nn.Module,
    objective: str,
    batches: Batches,
    *,
    steps: int,
    lr: float | Callable[[int], float],
    reference: nn.Module | None = None,
    baselines: Sequence[nn.Module] = (),
    options: Mapping[str, object] | None = None,
    optimizer: Literal["adam", "compensated", "sgd"] = "adam",
    momentum: float = 0.9,
    watch: Watch | None = None,
    every: int = 1,
) -> list[dict[str, float]]:
    """Train `policy` in place.

    Args:
        policy: a `TabularPolicy`, or a model prepared by `scoring.install`.
        objective: name of a registered objective.
        batches: taken in turn, again and again; or a function from the step to its batch, for
            answers sampled on the way. Batches of a sequence are laid out once.
        steps: optimiser steps.
        lr: learning rate, or a function from the step to it.
        reference: frozen; the policy as it stands when None.
        baselines: further frozen policies, for objectives that read them.
        options: of the objective.
        optimizer: Adam (second beta 0.999), the same for weights in bfloat16, or plain gradient
            descent for claims about gradients.
        momentum: Adam's first beta; plain gradient descent has none.
        watch: called as `watch(step)` before the first step, every so many steps and after the
            last, without gradients.
        every: steps between calls of `watch`.

    Returns:
        what `watch` returned, each with its `step`.
    """
    learner = make_learner(policy, objective, reference, options)
    losses = _losses_of(learner, batches, [Frozen(model, adapter=True) for model in baselines])
    rate = lr if callable(lr) else lambda _: lr
    weights = [p for p in policy.parameters() if p.requires_grad]
    kinds = {"adam": torch.optim.Adam, "compensated": CompensatedAdamW, "sgd": torch.optim.SGD}
    betas = {} if optimizer == "sgd" else {"betas": (momentum, 0.999)}
    stepper = kinds[optimizer](weights, lr=rate(0), **betas)
    seen: list[dict[str, float]] = []
    for step in range(steps + 1):
        if watch is not None and (step % every == 0 or step == steps):
            with torch.no_grad():
                seen.append({"step": float(step), **watch(step)})
        if step == steps:
            return seen
        for group in stepper.param_groups:
            group["lr"] = rate(step)
        stepper.zero_grad()
        losses(step).backward()
        stepper.step()
    return seen


def make_learner(
    policy: nn.Module,
    objective: str,
    reference: nn.Module | None = None,
    options: Mapping[str, object] | None = None,
) -> Learner:
    """Return the learner of a policy; arguments as for `train`."""
    entry = get_objective(objective)
    beside = None
    if entry.needs_reference:
        beside = freeze(policy) if reference is None else Frozen(reference, adapter=True)
    bound = bind_options(entry, options or {})
    return Learner(entry, bound, policy, beside)


def minibatches(examples: Sequence[Example], size: int, seed: int, epochs: int = 1) -> list[Batch]:
    """Deal examples into shuffled batches, every epoch anew; the last may be smaller."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(epochs):
        order = torch.randperm(len(examples), generator=generator).tolist()
        for start in range(0, len(order), size):
            batches.append(Batch([examples[i] for i in order[start : start + size]]))
    return batches


def examples_of(
    learner: Learner, batch: Batch, baselines: Sequence[Frozen] = ()
) -> Sequence[Example]:
    """Return the examples of a batch, prepared as the objective asks."""
    examples = batch.examples
    if baselines:
        examples = with_baselines(examples, [model.scores(examples) for model in baselines])
    return prepare_examples(Workbench(learner.objective, learner.options), examples)


def _losses_of(
    learner: Learner, batches: Batches, baselines: Sequence[Frozen]
) -> Callable[[int], Tensor]:
    """Return the loss of every step, with batches of a sequence laid out when they first come."""
    if callable(batches):
        return lambda step: _prepare(learner, batches(step), baselines)()
    prepared: dict[int, Callable[[], Tensor]] = {}

    def loss(step: int) -> Tensor:
        index = step % len(batches)
        if index not in prepared:
            prepared[index] = _prepare(learner, batches[index], baselines)
        return prepared[index]()

    return loss


def _prepare(
    learner: Learner, batch: Batch, baselines: Sequence[Frozen] = ()
) -> Callable[[], Tensor]:
    """Return the loss of a batch as a function of the policy's weights alone."""
    entry = learner.objective
    if batch.weights is not None and entry.batch_means is not None:
        raise ValueError(f"the batch statistics of {entry.name!r} know no weights")
    inputs = learner.prepare(examples_of(learner, batch, baselines))
    return lambda: learner.evaluate(inputs(), weights=batch.weights).mean
