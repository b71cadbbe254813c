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
from accordant.models.settings import MEMORY, MODEL
from accordant.objectives.registry import bind_options, get_objective, load_objective_file
from accordant.objectives.settings import METHOD
from accordant.runs.settings import AlignConfig
from accordant.training.settings import TRAINING

OPTION, METHOD_KEY = "option", "method"
RUNS, CACHE = "runs", "cache"
"""Folders of a sweep: its runs, and the reference scores that they share."""

# A sweep studies one model on one data set, measured in one way, and a run is one process.
_VARIABLE_PANELS = (MODEL, METHOD, TRAINING, MEMORY)
_FIXED = {
    *("model", "revision", "trust_remote_code", "objective_file", "cache_dir", "options"),
    *("sharding", "probe", "device"),
}
_PREFIX = f"{OPTION}."
_LONGEST_NAME = 100

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing a sweep varies.

    Args:
        key: `("learning_rate",)`; `("option", "beta")` of all objectives; `("dpo", "beta")`, an
            option or a setting, of one.
        values: what it takes, in order.
        where: place that errors name.
    """

    key: Key
    values: tuple[Any, ...]
    where: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a sweep.

    Args:
        name: of its folder: unique, and still the same when axes get further values.
        label: what tells it from the others, in words.
        varied: values by setting; options as `option.NAME`.
        config: complete settings of the run.
    """

    name: str
    label: str
    varied: Mapping[str, Any]
    config: AlignConfig


def read_axes(sources: Sequence[str]) -> tuple[Axis, ...]:
    """The axes that `--sweep` names: YAML files, and `KEY=VALUE,VALUE`, which beats files.

    A file maps settings to values; below `option` and below an objective's name stands a mapping
    of its own.

    Raises:
        UserError: a file that cannot be read; an axis that is given twice, lacks values or lists
            one twice.
    """
    files = [axis for source in sources if not _assigns(source) for axis in _of_file(Path(source))]
    texts = [_of_text(source) for source in sources if _assigns(source)]
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
    return tuple(_checked(axis) for axis in chosen.values())


def make_trials(config: AlignConfig, axes: Sequence[Axis]) -> tuple[Trial, ...]:
    """Every combination of values, objective by objective, in the order of the axes.

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
    trials = []
    for method in methods:
        own = _axes_of(method, axes)
        for values in product(*(axis.values for axis in own)):
            trials.append(_trial(config, method, list(zip(own, values, strict=True))))
    return tuple(trials)


def show_value(value: Any) -> str:
    """A value as people write it: `1e-06`, `true`, `q_proj+v_proj`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "+".join(map(show_value, value))
    return str(value)


def _assigns(source: str) -> bool:
    return "=" in source and not source.endswith((".yaml", ".yml"))


def _of_file(path: Path) -> Iterator[Axis]:
    from accordant.base.yaml_files import read_yaml

    file = read_yaml(path)
    if not file.values:
        raise UserError("it names nothing to vary.", where=str(path))
    for name, value in file.values.items():
        inner = value.items() if isinstance(value, dict) else ((None, value),)
        for part, values in inner:
            key = (name,) if part is None else (name, part)
            where = f"{path}, line {file.lines.get(key, 1)}, key {'.'.join(key)}"
            listed = values if isinstance(values, list) else [values]
            yield Axis((_singular(name), *key[1:]), tuple(listed), where)


def _of_text(text: str) -> Axis:
    from accordant.base.yaml_files import parse_value

    name, _, listed = text.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    values = parse_value(f"[{listed}]")
    if not all(key) or len(key) > 2 or not isinstance(values, list):
        raise UserError(
            f"found '{text}', expected KEY=VALUE,VALUE.",
            where="--sweep",
            mend="Example: --sweep option.beta=0.1,0.3",
        )
    return Axis((_singular(key[0]), *key[1:]), tuple(values), f"--sweep {'.'.join(key)}")


def _singular(name: str) -> str:
    """`options` in YAML is `--option` on the command line; here either will do."""
    return OPTION if name == "options" else name


def _checked(axis: Axis) -> Axis:
    if not axis.values:
        raise UserError("it has no values.", where=axis.where)
    if any(value is None or isinstance(value, dict) for value in axis.values):
        raise UserError("a value is empty or a mapping.", where=axis.where)
    value, times = Counter(map(show_value, axis.values)).most_common(1)[0]
    if times > 1:
        raise UserError(f"the value {value} is listed {times} times.", where=axis.where)
    return axis


def _methods(config: AlignConfig, axes: Sequence[Axis]) -> tuple[str | None, ...]:
    """The objectives of the grid; None stands for the usual one of the data."""
    named = [axis for axis in axes if axis.key == (METHOD_KEY,)]
    if not named:
        return (config.method,)
    for name in named[0].values:
        try:
            get_objective(str(name))
        except UserError as error:
            raise UserError(error.message, where=named[0].where, mend=error.mend) from None
    return tuple(map(str, named[0].values))


def _check_key(axis: Axis, methods: Sequence[str | None]) -> None:
    first, last = axis.key[0], axis.key[-1]
    if len(axis.key) == 1:
        _check_setting(axis)
    elif first != OPTION and first not in methods:
        named = ", ".join(method for method in methods if method) or "none is named"
        raise UserError(
            f"'{first}' is no objective of this sweep ({named}).",
            where=axis.where,
            mend=f"Add it: --sweep {METHOD_KEY}={first},...",
        )
    elif last == METHOD_KEY:
        raise UserError("an objective has no method of its own.", where=axis.where)


def _check_setting(axis: Axis) -> None:
    name, known = axis.key[0], _variable()
    if name in known:
        return
    if name in AlignConfig.model_fields:
        raise UserError(
            f"a sweep cannot vary '{name}'.",
            where=axis.where,
            mend="It compares objectives and hyperparameters of one model on one data set, "
            "measured in one way; give other settings once, for all runs.",
        )
    suggestion = nearest(name, known)
    raise UserError(
        f"there is no setting '{name}'.",
        where=axis.where,
        mend=suggestion or f"An option of an objective is written {OPTION}.{name}.",
    )


def _variable() -> set[str]:
    panels = {option.name: option.panel for option in options_of(AlignConfig)}
    return {
        name for name, panel in panels.items() if panel in _VARIABLE_PANELS and name not in _FIXED
    }


def _axes_of(method: str | None, axes: Sequence[Axis]) -> list[Axis]:
    """The axes that `method` varies along; its own stand in for general ones of that name."""
    own = {
        axis.key[1]: axis
        for axis in axes
        if len(axis.key) == 2 and axis.key[0] == method and method is not None
    }
    general = [axis for axis in axes if len(axis.key) == 1 or axis.key[0] == OPTION]
    return [
        *(axis for axis in general if axis.key[-1] not in {METHOD_KEY, *own}),
        *own.values(),
    ]


def _trial(config: AlignConfig, method: str | None, chosen: Sequence[tuple[Axis, Any]]) -> Trial:
    settings: dict[str, Any] = {}
    options: dict[str, Any] = dict(config.options)
    varied: dict[str, Any] = {} if method is None else {METHOD_KEY: method}
    where = dict.fromkeys(options, "--option")
    for axis, value in chosen:
        name = axis.key[-1]
        own_setting = axis.key[0] != OPTION and name in _variable() and not _has(method, name)
        is_setting = len(axis.key) == 1 or own_setting
        (settings if is_setting else options)[name] = value
        varied[name if is_setting else _PREFIX + name] = value
        where[name] = axis.where
    options = _checked_options(method, options, where)
    changed = change_settings(config, settings, where)
    # As they were read: 2e-6 and 0.000002 are one value and one folder.
    varied |= {name: getattr(changed, name) for name in settings}
    varied |= {n: options[n.removeprefix(_PREFIX)] for n in varied if n.startswith(_PREFIX)}
    label = _label(varied)
    name = _folder_name(label)
    own = {METHOD_KEY: method, "options": options, **_of_every_run(config, name)}
    return Trial(name, label, varied, changed.model_copy(update=own))


def _of_every_run(config: AlignConfig, name: str) -> dict[str, Any]:
    """What a run of the sweep has in place of the sweep's own settings."""
    seed = config.seed if config.held_out_seed is None else config.held_out_seed
    return {
        "output_dir": config.output_dir / RUNS / name,
        "cache_dir": config.cache_dir or config.output_dir / CACHE,
        # The same prompts are held out whatever the seed, or runs could not be compared.
        "held_out_seed": seed,
        # A run goes on where it was; the sweep decides what is done anew.
        **{"resume": True, "overwrite": False, "dry_run": False},
        **{"sweep": (), "parallel": None},
    }


def _label(varied: Mapping[str, Any]) -> str:
    return " ".join(
        show_value(value)
        if name == METHOD_KEY
        else f"{name.removeprefix(_PREFIX)}={show_value(value)}"
        for name, value in varied.items()
    )


def _has(method: str | None, name: str) -> bool:
    return method is not None and any(
        option.name == name for option in get_objective(method).options
    )


def _checked_options(
    method: str | None, options: Mapping[str, Any], where: Mapping[str, str]
) -> dict[str, Any]:
    """The options as the objective reads them; without a named objective the data decides, later.

    Raises:
        UserError: the objective has no such option, or none with such a value.
    """
    if method is None:
        return dict(options)
    read = {}
    for name, value in options.items():
        try:
            read[name] = bind_options(get_objective(method), {name: value})[name]
        except UserError as error:
            general = not _has(method, name) and not where[name].endswith(f"{method}.{name}")
            other = f" Or give it to one objective: --sweep OBJECTIVE.{name}=..." if general else ""
            raise UserError(
                f"objective '{method}': {error.message}",
                where=where[name],
                mend=error.mend + other,
            ) from None
    return read


def _folder_name(label: str) -> str:
    """The label as a name that every file system takes; a digest replaces what it cannot hold."""
    name = re.sub(r"[^\w.=+,-]", "-", label.replace(" ", ","), flags=re.ASCII)
    if name == label.replace(" ", ",") and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(json.dumps(label).encode()).hexdigest()[:8]
    return f"{name[:_LONGEST_NAME]}-{digest}"
