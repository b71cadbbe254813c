"""A small deterministic loop: registered objectives on any policy the laboratory can score.

Knows policies (tables, or models prepared for the engine), examples and objectives by name. Knows
nothing of worlds' rewards or of reports. The loop adds nothing to a loss: no clipping, no warm-up,
no decay, so that what is seen comes from the objective.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from accordant.objectives.assemble import assemble
from accordant.objectives.batch import evaluate
from accordant.objectives.registry import Objective, bind_options, get_objective
from accordant.scoring.engine import pack, score_packed
from accordant.scoring.scores import Scores
from accordant.tokens.examples import Example
from accordant.tokens.limits import add_mismatched
from accordant.tokens.trees import TokenTree
from accordant.training.optimizer import CompensatedAdamW
from accordant_studies.laboratory.worlds import TabularPolicy, frozen_copy

Watch = Callable[[int], Mapping[str, float]]


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step is taken on.

    Args:
        examples: records in tokens, at least one. An objective that needs mismatched answers is
            given them.
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
    lr: float,
    reference: nn.Module | None = None,
    aligned: Sequence[nn.Module] = (),
    options: Mapping[str, object] | None = None,
    optimizer: Literal["adam", "compensated", "sgd"] = "adam",
    watch: Watch | None = None,
    every: int = 1,
) -> list[dict[str, float]]:
    """Train `policy` in place.

    Args:
        policy: a `TabularPolicy`, or a model prepared by `scoring.engine.install`.
        objective: name of a registered objective.
        batches: taken in turn, again and again; or a function from the step to its batch, for
            answers sampled on the way. Batches of a sequence are laid out once.
        steps: optimiser steps.
        lr: learning rate, constant.
        reference: frozen; the policy as it stands when None.
        aligned: further frozen policies, for objectives that read them.
        options: of the objective.
        optimizer: Adam (betas 0.9 and 0.999), the same for weights in bfloat16, or plain gradient
            descent for claims about gradients.
        watch: called as `watch(step)` before the first step, every so many steps and after the
            last, without gradients.
        every: steps between calls of `watch`.

    Returns:
        what `watch` returned, each with its `step`.
    """
    entry = get_objective(objective)
    bound = bind_options(entry, options or {})
    frozen = _Frozen(_reference(entry, policy, reference), tuple(aligned))
    losses = _losses_of(entry, bound, policy, frozen, batches)
    kinds = {"adam": torch.optim.Adam, "compensated": CompensatedAdamW, "sgd": torch.optim.SGD}
    mover = kinds[optimizer]([p for p in policy.parameters() if p.requires_grad], lr=lr)
    seen: list[dict[str, float]] = []
    for step in range(steps + 1):
        if watch is not None and (step % every == 0 or step == steps):
            with torch.no_grad():
                seen.append({"step": float(step), **watch(step)})
        if step == steps:
            return seen
        mover.zero_grad()
        losses(step).backward()
        mover.step()
    return seen


def population_loss(
    policy: nn.Module,
    objective: str,
    batch: Batch,
    *,
    reference: nn.Module | None = None,
    options: Mapping[str, object] | None = None,
) -> Tensor:
    """The weighted mean loss of one batch, a scalar with gradient; see `train`."""
    entry = get_objective(objective)
    bound = bind_options(entry, options or {})
    frozen = _Frozen(_reference(entry, policy, reference))
    return _prepare(entry, bound, policy, frozen, batch)()


def minibatches(examples: Sequence[Example], size: int, seed: int, epochs: int = 1) -> list[Batch]:
    """Examples in shuffled batches, every epoch in an order of its own; the last may be smaller."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(epochs):
        order = torch.randperm(len(examples), generator=generator).tolist()
        for start in range(0, len(order), size):
            batches.append(Batch([examples[i] for i in order[start : start + size]]))
    return batches


def scorer(policy: nn.Module, trees: Sequence[TokenTree]) -> Callable[[], Scores]:
    """A function that scores `trees` under the policy as it then stands."""
    if isinstance(policy, TabularPolicy):
        return policy.scorer(trees)
    packed = pack(policy, trees)
    return lambda: score_packed(policy, packed)


@dataclass(frozen=True, eq=False)
class _Frozen:
    """Policies that are scored beside the one that is trained."""

    reference: nn.Module | None = None
    aligned: tuple[nn.Module, ...] = ()

    def scores(self, trees: Sequence[TokenTree]) -> tuple[Scores | None, tuple[Scores, ...]]:
        """Their scores of `trees`, without gradient."""
        with torch.no_grad():
            fixed = None if self.reference is None else scorer(self.reference, trees)().detach()
            return fixed, tuple(scorer(model, trees)().detach() for model in self.aligned)


def _reference(
    entry: Objective, policy: nn.Module, reference: nn.Module | None
) -> nn.Module | None:
    if not entry.needs_reference:
        return None
    return frozen_copy(policy) if reference is None else reference


def _losses_of(
    entry: Objective,
    options: Mapping[str, Any],
    policy: nn.Module,
    frozen: _Frozen,
    batches: Batches,
) -> Callable[[int], Tensor]:
    """The loss of every step, with batches of a sequence laid out when they first come."""
    if callable(batches):
        return lambda step: _prepare(entry, options, policy, frozen, batches(step))()
    prepared: dict[int, Callable[[], Tensor]] = {}

    def loss(step: int) -> Tensor:
        index = step % len(batches)
        if index not in prepared:
            prepared[index] = _prepare(entry, options, policy, frozen, batches[index])
        return prepared[index]()

    return loss


def _prepare(
    entry: Objective,
    options: Mapping[str, Any],
    policy: nn.Module,
    frozen: _Frozen,
    batch: Batch,
) -> Callable[[], Tensor]:
    """The loss of a batch as a function of the policy's weights alone."""
    if batch.weights is not None and entry.batch_means is not None:
        raise ValueError(f"the batch statistics of {entry.name!r} know no weights")
    examples = batch.examples
    if entry.mismatched:
        examples = add_mismatched(examples, None, lambda index: f"example {index}")
    trees = [tree for example in examples for tree in example.trees]
    score = scorer(policy, trees)
    fixed, aligned = frozen.scores(trees)

    def loss() -> Tensor:
        inputs = assemble(entry, score(), fixed, examples, aligned)
        output = evaluate(entry, inputs, options)
        weights = torch.ones_like(output.losses) if output.weights is None else output.weights
        if batch.weights is not None:
            weights = weights * batch.weights.to(weights)
        return (output.losses * weights).sum() / weights.sum()

    return loss
