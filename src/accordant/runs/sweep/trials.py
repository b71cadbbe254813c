"""Runs of a sweep as folders: prepared, written down, read back, and rid of what is not kept.

Knows settings, prepared runs and their folders. Knows nothing of processes or of the report.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.base.setting_values import settings_to_yaml
from accordant.base.settings import OUTPUT, options_of
from accordant.models.facts import read_facts
from accordant.models.settings import MEMORY
from accordant.models.sources import RUN_MODEL
from accordant.runs.align.prepare import Prepared, prepare
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
    """A run of a sweep and all that is known of it before weights are loaded.

    Args:
        trial: its name and settings.
        ready: data, objective and plan.
        identity: what its numbers depend on; a run is gone on with only if this is the same.
    """

    trial: Trial
    ready: Prepared
    identity: Mapping[str, Any]

    @property
    def has_ended(self) -> bool:
        """Whether it has left its numbers, which are the last thing it writes."""
        return (self.trial.config.output_dir / NUMBERS_NAME).is_file()


@dataclass(frozen=True, slots=True)
class ReadTrial:
    """What a run left: its place in the comparison, and its numbers where it has ended."""

    result: TrialResult
    numbers: RunNumbers | None = None


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
        data = [ready.encoded, *([ready.encoded_held_out] if ready.encoded_held_out else [])]
        for part in data:
            prints.setdefault(id(part), _fingerprint(part.examples))
        identity = _identity(trial.config, ready, [prints[id(part)] for part in data])
        prepared.append(PreparedTrial(trial, ready, identity))
    return tuple(prepared)


def write_trial(trial: PreparedTrial) -> None:
    """Make the run's folder, with its settings as `align --config` reads them."""
    folder = trial.trial.config.output_dir
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
    file = trial.trial.config.output_dir / IDENTITY_NAME
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    now = json.loads(json.dumps(trial.identity))
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        told = "; ".join(
            f"{name} was {before.get(name)!r}, is {now.get(name)!r}" for name in changed
        )
        raise UserError(
            f"the run in this folder was made with other settings ({told}).",
            where=str(file.parent),
            mend="Go on with the same settings, start over with --overwrite, or choose another "
            "--output-dir.",
        )


def read_trial(trial: PreparedTrial, failure: str = "") -> ReadTrial:
    """What the run left; `failure` says why it left nothing."""
    known: dict[str, Any] = {
        "name": trial.trial.name,
        "label": trial.trial.label or trial.ready.objective.name,
        "method": trial.ready.objective.name,
        "varied": trial.trial.varied,
        "options": trial.ready.options,
    }
    folder = trial.trial.config.output_dir
    if not trial.has_ended:
        return ReadTrial(TrialResult(**known, state="failed", message=failure))
    numbers = RunNumbers.from_text((folder / NUMBERS_NAME).read_text(encoding="utf-8"))
    result = TrialResult(
        **known,
        state="finished",
        message=numbers.verdict,
        measures=numbers.measures,
        units=numbers.units,
        seconds=numbers.seconds,
        model=RUN_MODEL if (folder / RUN_MODEL).is_dir() else "",
    )
    return ReadTrial(result, numbers)


def tidy(config: AlignConfig, trials: Sequence[PreparedTrial], read: Iterable[ReadTrial]) -> None:
    """Remove checkpoints of runs that have ended, and models that are not kept.

    The order of runs is total, so which model stays does not depend on which run ends first.
    """
    if config.keep_models == "all":
        return
    places = {trial.trial.name: place for place, trial in enumerate(trials)}
    ended = sorted(
        (each.result for each in read if each.numbers is not None),
        key=lambda result: places[result.name],
    )
    best = rank_trials(ended, ranking_measure(config.rank_by, ended))[:1]
    keep = {one.name for one in best} if config.keep_models == "best" else set()
    for one in ended:
        folder = trials[places[one.name]].trial.config.output_dir
        for checkpoint in folder.glob("checkpoint-*"):
            shutil.rmtree(checkpoint, ignore_errors=True)
        if one.name not in keep:
            shutil.rmtree(folder / RUN_MODEL, ignore_errors=True)


def _prepare(config: AlignConfig, known: dict[str, Prepared]) -> Prepared:
    from accordant.objectives.registry import bind_options
    from accordant.training.plan import make_plan

    key = config.model_dump_json(exclude=_AFTER_ENCODING)
    first = known.get(key)
    # What examples are prepared with may depend on options, and is part of the plan.
    if first is None or any(need.option for need in first.objective.prepare):
        known[key] = prepare(config)
        return known[key]
    held_out = first.encoded_held_out
    return replace(
        first,
        options=bind_options(first.objective, config.options),
        plan=make_plan(
            read_facts(config).config,
            config,
            first.encoded.examples,
            held_out.examples if held_out else (),
        ),
    )


def _identity(config: AlignConfig, ready: Prepared, data: Sequence[str]) -> dict[str, Any]:
    settings = config.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
    own = {"method": ready.objective.name, "option": dict(ready.options)}
    return settings | own | {"records": list(data)}


def _fingerprint(examples: Sequence[Example]) -> str:
    """Digest of tokens, labels and whatever else examples carry."""
    from accordant.tokens.fingerprint import fingerprint_examples

    digest = hashlib.sha256(fingerprint_examples(examples).encode())
    for example in examples:
        digest.update(repr(replace(example, trees=(), id="-")).encode())
    return digest.hexdigest()
