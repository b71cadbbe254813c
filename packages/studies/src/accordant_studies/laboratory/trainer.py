"""The trainer that users run, fed with the batches of a study.

Knows `training.run.train` and the laboratory's batches. Knows nothing of claims. What the
laboratory's own loop leaves out is switched off here too (clipping, warm-up, decay), so that the
two give the same weights, and a claim that is shown this way is shown for the product.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import TrainerCallback

from accordant.scoring.frozen import Frozen
from accordant.tokens.examples import Example
from accordant.training.learner import Learner
from accordant.training.run import train as run_trainer
from accordant.training.settings import TrainingSettings
from accordant.training.trainer import Task
from accordant_studies.laboratory.training import (
    Batches,
    Watch,
    examples_of,
    make_learner,
    minibatches,
)
from accordant_studies.laboratory.transformer import clone


def train_with_trainer(
    policy: nn.Module,
    objective: str,
    batches: Batches,
    *,
    steps: int,
    lr: float,
    reference: nn.Module | None = None,
    baselines: Sequence[nn.Module] = (),
    options: Mapping[str, object] | None = None,
    momentum: float = 0.9,
    schedule: Literal["constant", "linear"] = "constant",
    watch: Watch | None = None,
    every: int = 1,
) -> list[dict[str, float]]:
    """Train a model or a table in place with `AlignTrainer` and Adam.

    Args:
        schedule: whether the learning rate stays, or falls to 0 on a line. The other arguments are
            those of `training.train`.

    Raises:
        ValueError: a batch has weights, which the trainer does not know.
    """
    learner = make_learner(policy, objective, reference, options)
    frozen = tuple(Frozen(model, adapter=True) for model in baselines)
    source = _Batches(batches, learner, frozen)
    task = Task(source, (), learner.objective, learner.options, learner.reference)
    watcher = _Watcher(watch, every) if watch is not None else None
    training = policy.training
    # The trainer seeds torch for dropout; a study's own draws are not to depend on it.
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        settings = TrainingSettings(
            output_dir=Path(folder),
            precision="float32",
            device="cpu",
            learning_rate=lr,
            max_steps=steps,
            schedule=schedule,
            adam_beta1=momentum,
            warmup=0.0,
            max_grad_norm=0.0,
            token_budget=1 << 24,
            logging_steps=steps,
            save_steps=steps + 1,
        )
        run_trainer(policy, task, settings, callbacks=[watcher] if watcher is not None else [])
    policy.train(training)
    return [] if watcher is None else watcher.seen


def fine_tuned(
    start: Any,
    objective: str,
    examples: Sequence[Example],
    seed: int,
    *,
    batch: int,
    lr: float,
    steps: int | None = None,
    epochs: int = 1,
    **given: Any,
) -> Any:
    """Return a copy of a model, trained by the trainer on examples in shuffled batches.

    Args:
        batch: examples a step.
        steps: how many, with as many passes as they take; all of `epochs` passes when None.
        given: more arguments of `train_with_trainer`.
    """
    if steps is not None:
        epochs = 1 + steps * batch // len(examples)
    batches = minibatches(examples, batch, seed, epochs)
    policy = clone(start)
    train_with_trainer(policy, objective, batches, steps=steps or len(batches), lr=lr, **given)
    return policy


@dataclass(frozen=True, eq=False)
class _Batches:
    """Batches of a study, taken in turn or asked for by step, as a source of the trainer."""

    batches: Batches
    learner: Learner
    baselines: tuple[Frozen, ...]
    steps = None
    known = ()

    @property
    def kind(self) -> str:
        return self.learner.objective.feedback[0]

    @property
    def on_policy(self) -> bool:
        # Whoever makes a batch at its step may have sampled the policy for it.
        return callable(self.batches)

    def examples(self, step: int, policy: nn.Module) -> Sequence[Example]:  # noqa: ARG002
        if callable(self.batches):
            batch = self.batches(step)
        else:
            batch = self.batches[step % len(self.batches)]
        if batch.weights is not None:
            raise ValueError("the trainer does not know weights of a batch")
        return examples_of(self.learner, batch, self.baselines)

    def identity(self) -> Mapping[str, str]:
        return {}


class _Watcher(TrainerCallback):
    """Calls `watch` before the first step, every so many steps and after the last."""

    def __init__(self, watch: Watch, every: int) -> None:
        self._watch = watch
        self._every = every
        self.seen: list[dict[str, float]] = []

    def _look(self, model: nn.Module, step: int) -> None:
        training = model.training
        model.eval()
        with torch.no_grad():
            self.seen.append({"step": float(step), **self._watch(step)})
        model.train(training)

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ARG002
        self._look(given["model"], 0)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ARG002
        step = state.global_step
        if step % self._every == 0 or step == state.max_steps:
            self._look(given["model"], step)
