"""The grid of a sweep: which settings vary, and the complete settings of every run.

Knows settings, objectives' options and YAML. Knows nothing of data, models or running. What can be
wrong with a grid is found here, before anything runs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from accordant.base.errors import UserError, nearest
from accordant.base.setting_values import change_settings
from accordant.base.settings import options_of
from accordant.base.yaml_files import parse_value, read_yaml
from accordant.models.settings import MEMORY, MODEL
from accordant.objectives.registry import bind_options, get_objective, load_objective_file
from accordant.objectives.settings import METHOD
from accordant.runs.settings import AlignConfig
from accordant.training.settings import TRAINING

OPTION, METHOD_KEY = "option", "method"
RUNS, CACHE = "runs", "cache"
"""Folders of a sweep: its runs, and the reference scores that they share."""

# A sweep studies one model on one data set, measured in one way, and a run is one process.
_FIXED = {
    *("model", "revision", "trust_remote_code", "objective_file", "cache_dir", "options"),
    *("sharding", "probe", "device"),
}
VARIABLE = {
    option.name
    for option in options_of(AlignConfig)
    if option.panel in (MODEL, METHOD, TRAINING, MEMORY) and option.name not in _FIXED
}
_PREFIX = f"{OPTION}."
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing a sweep varies."""

    # `("learning_rate",)`; `("option", "beta")` of all objectives; `("dpo", "beta")`, an option or
    # a setting, of one
    key: tuple[str, ...]
    values: tuple[Any, ...]
    where: str  # place that errors name


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a sweep."""

    name: str  # of its folder: unique, and still the same when axes get further values
    label: str  # what tells it from the others, in words
    varied: Mapping[str, Any]  # values by setting; options as `option.NAME`
    config: AlignConfig  # complete settings of the run

    @property
    def folder(self) -> Path:
        """Where the run writes everything."""
        return self.config.output_dir


def read_axes(sources: Sequence[str]) -> tuple[Axis, ...]:
    """Read the axes that `--sweep` names: YAML files, and `KEY=VALUE,VALUE`, which beats files.

    A file maps settings to values; below `option` and below an objective's name stands a mapping
    of its own.

    Raises:
        UserError: a file that cannot be read; an axis that is given twice, lacks values or lists
            one twice.
    """
    files: list[Axis] = []
    texts: list[Axis] = []
    for source in sources:
        # A file's name may hold an equals sign.
        if "=" in source and not source.endswith((".yaml", ".yml")):
            texts.append(_read_text(source))
        else:
            files += _read_file(Path(source))
    for axes in (files, texts):
        counts = Counter(axis.key for axis in axes)
        for axis in axes:
            if counts[axis.key] > 1:
                raise UserError(
                    f"'{'.'.join(axis.key)}' is given {counts[axis.key]} times.",
                    where=axis.where,
                    mend="Name all its values in one place.",
                )
    chosen = {axis.key: axis for axis in (*files, *texts)}
    for axis in chosen.values():
        _check_values(axis)
    return tuple(chosen.values())


def make_trials(config: AlignConfig, axes: Sequence[Axis]) -> tuple[Trial, ...]:
    """Combine all values, objective by objective, in the order of the axes.

    What is given for one objective replaces for it what is given for all.

    Args:
        config: the settings that all runs share.
        axes: from `read_axes`.

    Raises:
        UserError: a setting that does not exist or that a sweep cannot vary, a value it cannot
            take, an objective or an option of one that does not exist.
    """
    if config.objective_file is not None:
        load_objective_file(config.objective_file)
    methods = _methods(config, axes)
    for axis in axes:
        _check_key(axis, methods)
    return tuple(
        _make_trial(config, method, list(zip(varied, values, strict=True)))
        for method in methods
        for varied in [_axes_of(method, axes)]
        for values in product(*(axis.values for axis in varied))
    )


def show_value(value: Any) -> str:
    """Write a value as people do: `1e-06`, `true`, `q_proj+v_proj`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "+".join(map(show_value, value)) if isinstance(value, list | tuple) else str(value)


def _read_file(path: Path) -> Iterator[Axis]:
    file = read_yaml(path)
    if not file.values:
        raise UserError("it names nothing to vary.", where=str(path))
    for name, value in file.values.items():
        inner = value if isinstance(value, dict) else {None: value}
        for last, values in inner.items():
            key = (name,) if last is None else (name, last)
            where = f"{path}, line {file.lines.get(key, 1)}, key {'.'.join(key)}"
            listed = values if isinstance(values, list) else [values]
            yield _make_axis(key, listed, where)


def _read_text(text: str) -> Axis:
    name, _, listed = text.partition("=")
    key = tuple(word.strip() for word in name.split("."))
    values = parse_value(f"[{listed}]")
    if not all(key) or len(key) > 2 or not isinstance(values, list):
        raise UserError(
            f"found '{text}', expected KEY=VALUE,VALUE.",
            where="--sweep",
            mend="Example: --sweep option.beta=0.1,0.3",
        )
    return _make_axis(key, values, f"--sweep {'.'.join(key)}")


def _make_axis(key: tuple[str, ...], values: Sequence[Any], where: str) -> Axis:
    # `options` in YAML is `--option` on the command line; here either will do.
    first = OPTION if key[0] == "options" else key[0]
    return Axis((first, *key[1:]), tuple(values), where)


def _check_values(axis: Axis) -> None:
    if not axis.values:
        raise UserError("it has no values.", where=axis.where)
    if any(value is None or isinstance(value, dict) for value in axis.values):
        raise UserError("a value is empty or a mapping.", where=axis.where)
    value, times = Counter(map(show_value, axis.values)).most_common(1)[0]
    if times > 1:
        raise UserError(f"the value {value} is listed {times} times.", where=axis.where)


def _methods(config: AlignConfig, axes: Sequence[Axis]) -> tuple[str | None, ...]:
    """Return the objectives of the grid; None stands for the usual one of the data."""
    for axis in axes:
        if axis.key == (METHOD_KEY,):
            names = tuple(map(str, axis.values))
            try:
                for name in names:
                    get_objective(name)
            except UserError as error:
                raise error.at(axis.where) from None
            return names
    return (config.method,)


def _check_key(axis: Axis, methods: Sequence[str | None]) -> None:
    """Refuse what cannot be varied."""
    first, last, where = axis.key[0], axis.key[-1], axis.where
    if len(axis.key) == 2:
        if first != OPTION and first not in methods:
            named = ", ".join(filter(None, methods)) or "none is named"
            raise UserError(
                f"'{first}' is no objective of this sweep ({named}).",
                where=where,
                mend=f"Add it: --sweep {METHOD_KEY}={first},...",
            )
        if first != OPTION and last == METHOD_KEY:
            raise UserError("an objective has no method of its own.", where=where)
    elif first in AlignConfig.model_fields and first not in VARIABLE:
        raise UserError(
            f"a sweep cannot vary '{first}'.",
            where=where,
            mend="It compares objectives and hyperparameters of one model on one data set, "
            "measured in one way; give other settings once, for all runs.",
        )
    elif first not in VARIABLE:
        mend = nearest(first, VARIABLE) or f"An option of an objective is written {_PREFIX}{first}."
        raise UserError(f"there is no setting '{first}'.", where=where, mend=mend)


def _axes_of(method: str | None, axes: Sequence[Axis]) -> list[Axis]:
    """Return the axes that `method` varies along; those of its name alone replace general ones."""
    special = {axis.key[1]: axis for axis in axes if len(axis.key) == 2 and axis.key[0] == method}
    general = [axis for axis in axes if len(axis.key) == 1 or axis.key[0] == OPTION]
    replaced = {METHOD_KEY, *special}
    return [*(axis for axis in general if axis.key[-1] not in replaced), *special.values()]


def _make_trial(
    config: AlignConfig, method: str | None, chosen: Sequence[tuple[Axis, Any]]
) -> Trial:
    settings: dict[str, Any] = {}
    options: dict[str, Any] = dict(config.options)
    varied: dict[str, Any] = {} if method is None else {METHOD_KEY: method}
    where = dict.fromkeys(options, "--option")
    for axis, value in chosen:
        name = axis.key[-1]
        # Below an objective's name stand its options and settings alike; an option comes first.
        is_option = axis.key[0] == OPTION or (
            len(axis.key) == 2 and (name not in VARIABLE or _has_option(method, name))
        )
        (options if is_option else settings)[name] = value
        varied[_PREFIX + name if is_option else name] = value
        where[name] = axis.where
    options = _check_options(method, options, where)
    changed = change_settings(config, settings, where)
    # As they were read: 2e-6 and 0.000002 are one value and one folder.
    varied |= {name: getattr(changed, name) for name in settings}
    varied |= {n: options[n.removeprefix(_PREFIX)] for n in varied if n.startswith(_PREFIX)}
    words = {name: show_value(value) for name, value in varied.items()}
    label = " ".join(
        word if name == METHOD_KEY else f"{name.removeprefix(_PREFIX)}={word}"
        for name, word in words.items()
    )
    name = _folder_name(label)
    of_the_run = {
        METHOD_KEY: method,
        "options": options,
        "output_dir": config.output_dir / RUNS / name,
        "cache_dir": config.cache_dir or config.output_dir / CACHE,
        # The same prompts are held out whatever the seed, or runs could not be compared.
        "held_out_seed": config.seed if config.held_out_seed is None else config.held_out_seed,
        # A run goes on where it was; the sweep decides what is done anew.
        **{"resume": True, "overwrite": False, "dry_run": False},
        **{"sweep": (), "parallel": None},
    }
    return Trial(name, label, varied, changed.model_copy(update=of_the_run))


def _has_option(method: str | None, name: str) -> bool:
    options = () if method is None else get_objective(method).options
    return any(option.name == name for option in options)


def _check_options(
    method: str | None, options: Mapping[str, Any], where: Mapping[str, str]
) -> dict[str, Any]:
    """Return options as the objective reads them; where the data chooses it, as they are.

    Raises:
        UserError: the objective has no such option, or none with such a value.
    """
    if method is None:
        return dict(options)
    values = {}
    for name, value in options.items():
        try:
            # One by one, as each may come from a place of its own.
            values[name] = bind_options(get_objective(method), {name: value})[name]
        except UserError as error:
            general = not _has_option(method, name) and not where[name].endswith(f"{method}.{name}")
            other = f" Or give it to one objective: --sweep OBJECTIVE.{name}=..." if general else ""
            message = f"objective '{method}': {error.message}"
            raise UserError(message, where=where[name], mend=error.mend + other) from None
    return values


def _folder_name(label: str) -> str:
    """Make a name that every file system takes; a digest stands for what it cannot hold."""
    plain = label.replace(" ", ",")
    name = re.sub(r"[^\w.=+,-]", "-", plain, flags=re.ASCII)
    if name == plain and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(json.dumps(label).encode()).hexdigest()[:8]
    return f"{name[:_LONGEST_NAME]}-{digest}"
