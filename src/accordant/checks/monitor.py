"""A callback that watches a run: in `accordant align`, transformers' Trainer and TRL's.

Knows transformers' callbacks, the checks of `during` and a file for what was measured, so that a
resumed run knows its start. Knows nothing of losses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState

from accordant.base.errors import UserError
from accordant.base.files import write_whole
from accordant.checks.findings import SEVERITIES, Finding, Severity, reaches
from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import list_checks
from accordant.checks.run_history import NAN, RunHistory, Snapshot
from accordant.checks.snapshot import MonitorSet, answer, take_snapshot
from accordant.scoring.engine import is_installed
from accordant.scoring.installation import install
from accordant.tokens.trees import TokenTree

REWARD = "eval_rewards/margins"
TIMES = 10  # looks in a run that evaluates nothing


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """What a monitor does with what it sees.

    Args:
        beta: of the objective, from log-ratios to implicit rewards.
        stop_on: severity from which on a finding stops the run; None for never.
        every: steps between looks; None for the trainer's evaluations, or ten in the run.
        file: where measurements are kept; None for nowhere, then a resumed run starts anew.
    """

    beta: float = 0.1
    stop_on: Severity | None = None
    every: int | None = None
    file: Path | None = None


def read_findings(history: RunHistory) -> tuple[Finding, ...]:
    """Run the checks during training that apply to what was measured."""
    findings = []
    for check in list_checks("during"):
        try:
            findings.append(check(history))
        except NotApplicableError:
            continue
    return tuple(findings)


class Monitor(TrainerCallback):
    """Looks at the model at the start, with every evaluation and at the end.

    A finding is said when it is raised, and again only when it gets worse. Trainers call every hook
    with arguments, state and control, in this order: the `event`.

    Args:
        monitored: what to look at.
        settings: what to do with it.
        say: takes a line to show; `print` by default. Only the main process says anything.
    """

    def __init__(
        self,
        monitored: MonitorSet,
        settings: WatchSettings | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.monitored = monitored
        self.settings = settings or WatchSettings()
        self.stopped_by: Finding | None = None
        self._say = say
        self._answers: tuple[TokenTree, ...] = ()
        self._snapshots: list[Snapshot] = []
        self._said: dict[str, Severity] = {}
        self._reward = NAN

    @property
    def history(self) -> RunHistory:
        """All that was measured so far."""
        return RunHistory(
            tuple(self._snapshots),
            tuple(len(tree.continuations[0]) for tree in self._answers),
            beta=self.settings.beta,
            top_k=self.monitored.top_k,
        )

    def findings(self) -> tuple[Finding, ...]:
        """Run the checks on what was measured so far; nothing before the first snapshot."""
        return read_findings(self.history) if self._snapshots else ()

    def on_train_begin(self, *event: Any, model: nn.Module | None = None, **_: Any) -> None:
        """Look at the start, or read what an interrupted run has seen."""
        _, state, control = event
        if model is None:
            return
        # Trainers of other libraries hand over a model that the engine has not prepared.
        if not is_installed(model):
            install(model)
        # A run that goes on is held against its own start, not against its checkpoint.
        if state.global_step and self._read(state.global_step):
            return
        self._answers, self._snapshots = (), []
        self._look(model, state, control)

    def on_evaluate(
        self,
        *event: Any,
        model: nn.Module | None = None,
        metrics: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Take the held-out reward, and look."""
        self._reward = float((metrics or {}).get(REWARD, NAN))
        # An evaluation before training has no start to compare with.
        if self.settings.every is None and model is not None and self._snapshots:
            self._look(model, *event[1:])

    def on_step_end(self, *event: Any, model: nn.Module | None = None, **_: Any) -> None:
        """Look, where the trainer evaluates nothing or other steps were asked for."""
        args, state, control = event
        every = self.settings.every
        # transformers' strategy is an enum; other trainers may have none.
        if every is None and str(getattr(args.eval_strategy, "value", "no")) == "no":
            every = max(1, math.ceil(state.max_steps / TIMES))
        if every is not None and state.global_step % every == 0 and model is not None:
            self._look(model, state, control)

    def on_train_end(self, *event: Any, model: nn.Module | None = None, **_: Any) -> None:
        """Look at the end, if that was not just done."""
        if model is not None and self._snapshots:
            self._look(model, *event[1:])

    def _look(self, model: nn.Module, state: TrainerState, control: TrainerControl) -> None:
        # Trainers evaluate at their last step, and end there: one look is enough.
        if self._snapshots and self._snapshots[-1].step == state.global_step:
            return
        fresh = answer(model, self.monitored)
        # The start's answers are scored at every look, to see how far the policy has gone.
        if not self._snapshots:
            self._answers = fresh
        self._snapshots.append(
            take_snapshot(
                model, self.monitored, self._answers, fresh, state.global_step, self._reward
            )
        )
        if state.is_world_process_zero:
            self._write()
        for finding in self.findings():
            self._judge(finding, state, control)

    def _judge(self, finding: Finding, state: TrainerState, control: TrainerControl) -> None:
        before = self._said.get(finding.check, "ok")
        # Kept where it got better too, so that a relapse is said again.
        self._said[finding.check] = finding.severity
        worse = SEVERITIES.index(finding.severity) > SEVERITIES.index(before)
        if worse and state.is_world_process_zero:
            self._say(
                f"step {state.global_step}  {finding.severity}  {finding.title}: "
                f"{finding.sentence} {finding.mend}".rstrip()
            )
        level = self.settings.stop_on
        if level is None or not finding.raised or not reaches(finding.severity, level):
            return
        if self.stopped_by is None and state.global_step < state.max_steps:
            self.stopped_by = finding
            control.should_training_stop = True
            if state.is_world_process_zero:
                self._say(f"step {state.global_step}  stopped by {finding.check} (--stop-on)")

    def _write(self) -> None:
        if self.settings.file is None:
            return
        kept = {
            "answers": [(tree.prompt, tree.continuations[0]) for tree in self._answers],
            "measurements": [asdict(snapshot) for snapshot in self._snapshots],
        }
        try:
            self.settings.file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.settings.file, json.dumps(kept).encode())
        except OSError as error:
            raise UserError(
                f"what was measured cannot be written: {error.strerror or error}.",
                where=str(self.settings.file),
                mend="Make room, and go on from the last checkpoint with --resume.",
            ) from error

    def _read(self, step: int) -> bool:
        """Take up what was measured up to this step; False where there is no such file."""
        file = self.settings.file
        if file is None or not file.is_file():
            return False
        try:
            kept = json.loads(file.read_bytes())
            self._answers = tuple(
                TokenTree(tuple(prompt), (tuple(answer),)) for prompt, answer in kept["answers"]
            )
            snapshots = map(_snapshot, kept["measurements"])
            self._snapshots = [snapshot for snapshot in snapshots if snapshot.step <= step]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"it does not hold the measurements of a run ({error}).",
                where=str(file),
                mend="Remove it: the checks during training then start anew from the checkpoint.",
            ) from error
        return bool(self._snapshots)


def _snapshot(fields: Mapping[str, Any]) -> Snapshot:
    """Make a snapshot from JSON, which knows no tuples."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return Snapshot(**values)
