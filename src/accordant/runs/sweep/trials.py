"""Runs of a sweep as folders: prepared, written down, read back, and rid of what is not kept.

Knows settings, prepared runs and their folders. Knows nothing of processes or of the report.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.base.setting_values import settings_to_yaml
from accordant.base.settings import OUTPUT, options_of
from accordant.models.settings import MEMORY
from accordant.models.sources import RUN_MODEL
from accordant.objectives.registry import bind_options
from accordant.runs.align.prepare import Prepared, plan_run, prepare
from accordant.runs.settings import SWEEP, AlignConfig
from accordant.runs.sweep.grid import Trial
from accordant.runs.sweep.numbers import RunNumbers
from accordant.runs.sweep.results import TrialResult, rank_trials, ranking_measure
from accordant.runs.sweep.trial import NUMBERS_NAME, SETTINGS_NAME
from accordant.training.settings import TRAINING

if TYPE_CHECKING:
    from accordant.tokens.examples import Example

IDENTITY_NAME = "trial.json"

_PANELS = {option.name: option.panel for option in options_of(AlignConfig)}
_ABOUT_RUNNING = {name for name, panel in _PANELS.items() if panel in (OUTPUT, SWEEP, MEMORY)}
# A run and its continuation may differ in these: they change no number of its report.
_WITHOUT_EFFECT = _ABOUT_RUNNING - {"optimizer_moments"} | {
    *("cache_dir", "reference", "eval_steps", "gradient_accumulation_steps", "options"),
}
# Runs that differ in these alone have the same records in the same tokens.
_AFTER_ENCODING = {
    *(name for name, panel in _PANELS.items() if panel == TRAINING),
    *("options", "reference", "precision"),
    *("lora_rank", "lora_alpha", "lora_dropout", "lora_targets"),
} | _ABOUT_RUNNING


@dataclass(frozen=True, slots=True)
class PreparedTrial:
    """A run of a sweep and all that is known of it before weights are loaded."""

    trial: Trial
    ready: Prepared
    # what its numbers depend on; a run is gone on with only if this is the same
    identity: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What tells it from the others; a grid without axes has one run, of its objective."""
        return self.trial.label or self.ready.objective.name

    @property
    def has_ended(self) -> bool:
        """Whether it has left its numbers, which are the last thing it writes."""
        return (self.trial.folder / NUMBERS_NAME).is_file()


def prepare_trials(trials: Sequence[Trial]) -> tuple[PreparedTrial, ...]:
    """Check every run as `align` would; what runs of one objective share is read once.

    Raises:
        UserError: anything the user can mend, with the run it was found in.
    """
    known: dict[str, Prepared] = {}
    prints: dict[int, str] = {}
    prepared = []
    for trial in trials:
        try:
            ready = _prepare(trial.config, known)
        except UserError as error:
            where = ": ".join(filter(None, (f"run {trial.label}", error.where)))
            raise UserError(error.message, where=where, mend=error.mend) from None
        # By identity: runs that share their records share the very object.
        data = [encoded for encoded in (ready.encoded, ready.encoded_held_out) if encoded]
        for encoded in data:
            prints.setdefault(id(encoded), _fingerprint(encoded.examples))
        identity = {
            **trial.config.model_dump(mode="json", exclude=_WITHOUT_EFFECT),
            "method": ready.objective.name,
            "option": dict(ready.options),
            "records": [prints[id(encoded)] for encoded in data],
        }
        prepared.append(PreparedTrial(trial, ready, identity))
    return tuple(prepared)


def write_trial(trial: PreparedTrial) -> None:
    """Make the run's folder, with its settings as `align --config` reads them."""
    folder = trial.trial.folder
    folder.mkdir(parents=True, exist_ok=True)
    text = settings_to_yaml(trial.trial.config)
    (folder / SETTINGS_NAME).write_text(text, encoding="utf-8")
    identity = json.dumps(trial.identity, indent=1, ensure_ascii=False)
    (folder / IDENTITY_NAME).write_text(identity, encoding="utf-8")


def check_trial(trial: PreparedTrial) -> None:
    """Make sure that what is in the run's folder, if anything, is this run.

    Raises:
        UserError: it was made with other settings or data; names them.
    """
    try:
        before = json.loads((trial.trial.folder / IDENTITY_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    # Through JSON, as tuples come back as lists.
    now = json.loads(json.dumps(trial.identity))
    changes = "; ".join(
        f"{name} was {before.get(name)!r}, is {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    )
    if changes:
        raise UserError(
            f"the run in this folder was made with other settings ({changes}).",
            where=str(trial.trial.folder),
            mend="Go on with the same settings, start over with --overwrite, or choose another "
            "--output-dir.",
        )


def read_trial(trial: PreparedTrial, failure: str = "") -> TrialResult:
    """Read what the run left; `failure` says why it left nothing."""
    folder, ended = trial.trial.folder, trial.has_ended
    numbers = RunNumbers(message=failure)
    if ended:
        numbers = RunNumbers.from_text((folder / NUMBERS_NAME).read_text(encoding="utf-8"))
    return TrialResult(
        name=trial.trial.name,
        label=trial.label,
        method=trial.ready.objective.name,
        varied=trial.trial.varied,
        options=trial.ready.options,
        state="finished" if ended else "failed",
        model=RUN_MODEL if ended and (folder / RUN_MODEL).is_dir() else "",
        **{field.name: getattr(numbers, field.name) for field in fields(numbers)},
    )


def tidy(
    config: AlignConfig, trials: Sequence[PreparedTrial], results: Iterable[TrialResult]
) -> None:
    """Remove checkpoints of runs that have ended, and models that are not kept."""
    if config.keep_models == "all":
        return
    by_name = {result.name: result for result in results if result.state == "finished"}
    # In the grid's order, so that which model stays does not depend on which run ends first.
    ended = [trial for trial in trials if trial.trial.name in by_name]
    ranked = [by_name[trial.trial.name] for trial in ended]
    best = rank_trials(ranked, ranking_measure(config.rank_by, ranked))[:1]
    keep = {result.name for result in best} if config.keep_models == "best" else set()
    for trial in ended:
        remove = [*trial.trial.folder.glob("checkpoint-*")]
        if trial.trial.name not in keep:
            remove.append(trial.trial.folder / RUN_MODEL)
        for folder in remove:
            shutil.rmtree(folder, ignore_errors=True)


def _prepare(config: AlignConfig, known: dict[str, Prepared]) -> Prepared:
    """Prepare a run as `align` does, on the records of an earlier one where they are the same."""
    key = config.model_dump_json(exclude=_AFTER_ENCODING)
    first = known.get(key)
    # What examples are prepared with may depend on options, and is part of the plan.
    if first is None or any(need.option for need in first.objective.prepare):
        known[key] = prepare(config)
        return known[key]
    return replace(
        first,
        config=config,
        bench=replace(first.bench, options=bind_options(first.objective, config.options)),
        plan=plan_run(config, first.session, first.parts),
    )


def _fingerprint(examples: Sequence[Example]) -> str:
    """Digest tokens, labels and whatever else examples carry."""
    from accordant.tokens.fingerprint import fingerprint_examples

    digest = hashlib.sha256(fingerprint_examples(examples).encode())
    for example in examples:
        digest.update(repr(replace(example, trees=(), id="-")).encode())
    return digest.hexdigest()
