"""Run a recipe on a model: the loop as a source of the trainer, and what a resumed run needs.

Knows the loop, the trainer and its settings. Knows nothing of text, of reports or of any recipe.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from accordant.base.errors import UserError
from accordant.loops.labellers import Read, read_tokens
from accordant.loops.loop import Loop
from accordant.loops.recipe import Recipe
from accordant.loops.reference import MovingReference
from accordant.rewards.implicit import ImplicitReward
from accordant.rewards.preference import RewardPreference
from accordant.rewards.reward import Reward
from accordant.sampling.samples import SamplingOptions
from accordant.scoring.engine import is_installed
from accordant.scoring.frozen import freeze
from accordant.scoring.installation import install
from accordant.training.arguments import save_interval
from accordant.training.checkpoints import list_checkpoints, step_of
from accordant.training.run import TrainResult, train
from accordant.training.settings import TrainingSettings
from accordant.training.sources import DataSet
from accordant.training.trainer import Task

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn

    from accordant.rewards.preference import Preference
    from accordant.tokens.examples import Example

ROUNDS, STATES = "rounds", "reference"


@dataclass(frozen=True, slots=True)
class LoopResult:
    """What a loop leaves besides the weights in the model it was given."""

    # what was measured of every round; see `measures.measure_round`
    rows: tuple[Mapping[str, float], ...]
    stopped: str  # why a rule ended it; empty where it ran its rounds
    training: TrainResult  # of the last call of the trainer
    warnings: tuple[str, ...] = ()  # settings against which the recipe advises


def recipe_settings(recipe: Recipe, **given: Any) -> TrainingSettings:
    """Return training settings as the recipe has them, but for those that are given."""
    return TrainingSettings(**{**recipe.settings, **given})


def make_loop(
    recipe: Recipe,
    model: nn.Module,
    settings: TrainingSettings,
    *,
    prompts: Sequence[tuple[int, ...]] = (),
    judge: Reward | Preference | None = None,
    read: Read = read_tokens,
    given: Sequence[Example] = (),
    sampling: SamplingOptions | None = None,
) -> Loop:
    """Return the loop of a recipe on a model as it stands, which is its start and reference.

    Args:
        recipe: the method; `dataclasses.replace` changes its rounds, objective or options.
        model: with its adapter where it has one; prepared for scoring here if it is not yet.
        settings: of training, from `recipe_settings`; `batch_size` counts prompts a round.
        prompts: token ids of what is asked, where the recipe draws answers.
        judge: a reward or a preference, as the labeller needs; a reward may stand for the
            Bradley-Terry preference it implies.
        read: a sample to a prompt as the judge reads it.
        given: records, where the recipe draws no answers.
        sampling: how answers are drawn, but for what the recipe says.

    Raises:
        UserError: prompts, records or a judge are missing, see also `Loop`.
    """
    if not is_installed(model):
        install(model)
    start = freeze(model, settings.precision)
    # One that moves must not drag the start along, to which the divergence is measured.
    moving = freeze(model, settings.precision) if recipe.reference.moves else start
    needs = recipe.labeller.needs if recipe.labeller is not None else ""
    if needs == "implicit":
        base: Any = None if start.source is model else start.source
        unread: Any = None  # answers that were drawn bring their tokens
        judge = ImplicitReward(model, base, unread, unread, token_budget=settings.token_budget)
    if needs == "preference" and isinstance(judge, Reward):
        judge = RewardPreference(judge)
    _require(recipe, given=given, prompts=prompts, judge=judge)
    return Loop(
        recipe,
        MovingReference(moving, recipe.reference),
        start,
        prompts=tuple(map(tuple, prompts)),
        each=settings.batch_size,
        sampling=sampling or SamplingOptions(),
        judge=judge,
        read=read,
        given=given,
        seed=settings.seed,
        folder=settings.output_dir / ROUNDS,
    )


def _require(recipe: Recipe, *, given: object, prompts: object, judge: object) -> None:
    needs = recipe.labeller.needs if recipe.labeller is not None else ""
    required = {"prompts": (prompts, "prompts"), "judge": (judge is not None, f"a {needs}")}
    for name, (present, noun) in (required if needs else {"given": (given, "records")}).items():
        if not present:
            message = f"recipe {recipe.name!r} needs {noun}."
            raise UserError(message, where=name, mend=f"Give `{name}=`.")


def run_loop(
    loop: Loop,
    model: nn.Module,
    settings: TrainingSettings,
    *,
    console: Console | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> LoopResult:
    """Train `model` in place as a loop says.

    Args:
        loop: from `make_loop`, with the same model and settings.
        model: see `make_loop`.
        settings: of training. With `resume` an interrupted loop goes on as if it had not been, from
            the rounds and checkpoints in the output folder; without, rounds there are removed.
        console: where progress and warnings are shown; nowhere when None.
        callbacks: further callbacks of transformers.

    Raises:
        UserError: see `Loop.begin` and `training.run.train`.
    """
    warnings = tuple(loop.recipe.warnings(settings))
    if console is not None:
        for warning in warnings:
            console.print(f"warning: {warning}", markup=False, highlight=False)
    if not settings.resume:
        for name in (ROUNDS, STATES):
            shutil.rmtree(settings.output_dir / name, ignore_errors=True)
    if loop.recipe.passes.steps:
        # One optimiser and one schedule for all rounds; the loop is the source.
        steps = loop.recipe.rounds * loop.recipe.passes.steps
        settings = settings.model_copy(update={"max_steps": steps})
        further = [*callbacks, _LoopState(loop, settings)]
        training = train(model, _task(loop, loop), settings, callbacks=further, console=console)
    else:
        follow = partial(train, model, callbacks=callbacks, console=console)
        training = _run_epochs(loop, model, settings, follow)
    return LoopResult(tuple(loop.rows), loop.stopped(), training, warnings)


def _run_epochs(
    loop: Loop, model: nn.Module, settings: TrainingSettings, follow: Callable[..., TrainResult]
) -> TrainResult:
    """Train on round after round, each with a fresh optimiser and a checkpoint at its end.

    A resumed loop goes through all rounds again: those that are done give their weights, so that
    the reference moves as it did.
    """
    version, epochs = 0, loop.recipe.passes.epochs
    for number in range(loop.recipe.rounds):
        begun = loop.begin(number, version, model)
        source = DataSet(loop.prepared(begun, model), settings.batch_size, settings.seed)
        last = source.steps * epochs
        every = save_interval(settings, last)
        update = {
            "output_dir": settings.output_dir / f"round-{number:03}",
            "epochs": float(epochs),
            "max_steps": None,
            # The last step needs a checkpoint, and only multiples get one: a resumed loop goes on
            # from it.
            "save_steps": every if last % every == 0 else last,
        }
        result = follow(_task(loop, source), settings.model_copy(update=update))
        version += result.steps
        if loop.stopped():
            break
    return result


def _task(loop: Loop, source: Any) -> Task:
    reference = loop.reference.frozen if loop.objective.needs_reference else None
    return Task(source, (), loop.objective, loop.options, reference)


class _LoopState(TrainerCallback):
    """Keeps a reference that moves beside every checkpoint; stops as the recipe says."""

    def __init__(self, loop: Loop, settings: TrainingSettings) -> None:
        self._loop, self._settings = loop, settings

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the reference back as it was at the step that training goes on from."""
        del args, control
        if state.global_step and self._loop.recipe.reference.moves:
            kept = torch.load(self._path(state.global_step), weights_only=True)
            self._loop.reference.restore(kept)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep the reference before the checkpoint that needs it is written."""
        if self._loop.stopped():
            control.should_training_stop = True
        if control.should_save and args.should_save and self._loop.recipe.reference.moves:
            path = self._path(state.global_step)
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(self._loop.reference.state(), path)
            # The trainer removes old checkpoints; nobody resumes from what lies beside them.
            kept = map(step_of, list_checkpoints(self._settings.output_dir))
            needed = {path, *map(self._path, kept)}
            for old in set(path.parent.glob("step-*.pt")) - needed:
                old.unlink()

    def _path(self, step: int) -> Path:
        return self._settings.output_dir / STATES / f"step-{step}.pt"
