"""The registry of checks: a dict of frozen records, filled by a decorator.

Knows names, needs and costs. Never imports torch, so that listing checks is instant; a check
imports it when it runs. Every module of `before`, `during` and `after` whose name has no underscore
in front is a check, and is found by being there.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from accordant.base.errors import UserError, nearest
from accordant.base.options import bind_values, read_options
from accordant.base.settings import Option
from accordant.checks.findings import Finding
from accordant.checks.inputs import CheckInputs
from accordant.feedback.records import RECORD_TYPES

When = Literal["before", "during", "after"]
Need = Literal["held_out", "tokenizer", "model", "reference"]
Function = TypeVar("Function", bound="Callable[..., Finding]")
Cost = Callable[..., Mapping[str, float]]

_STAGES = get_args(When)
_registered: dict[str, Check] = {}


@dataclass(frozen=True, slots=True)
class Check:
    """One registered check and all that is known of it without running it.

    Args:
        name: as in `--only`.
        title: heading.
        summary: first line of its docstring.
        when: before, during or after training.
        needs: what it reads besides the feedback. `model` and `reference` include the tokenizer.
        uses: what it reads besides, where it is there; it runs without it too.
        feedback: record types it applies to; empty for all.
        paper: where it comes from; empty for plain sense.
        cost: tokens it puts through a model, by name of the pass, one forward pass of one token
            counting 1 and its gradient 2 more: `cost(inputs)`, with those options of the check
            that it names. Passes of one name are made once (`CheckInputs.once`) however many checks
            name them. None for checks that need no model.
        options: what the user may set (`--option NAME.OPTION=VALUE`): the keyword-only parameters
            of the function, with their help in its docstring's `Args`.
        function: the check. Before and after training: `function(inputs, **options) -> Finding`;
            it raises `NotApplicableError` where the inputs says nothing about its question.
            During training: the callback calls it as it documents.
    """

    name: str
    title: str
    summary: str
    when: When
    needs: tuple[Need, ...]
    uses: tuple[Need, ...]
    feedback: tuple[str, ...]
    paper: str
    cost: Cost | None
    options: tuple[Option, ...]
    function: Callable[..., Finding]

    @property
    def reads(self) -> str:
        """What it reads, in words."""
        needed = ", ".join(self.needs) or ("the run" if self.when == "during" else "feedback")
        return f"{needed}; {' and '.join(self.uses)} if there" if self.uses else needed

    def applies_to(self, record_type: str) -> bool:
        """Whether it can be run on records of this type."""
        return not self.feedback or record_type in self.feedback

    def passes(self, inputs: CheckInputs, options: Mapping[str, Any]) -> Mapping[str, float]:
        """What it costs on these inputs with these options; empty without a model."""
        if self.cost is None:
            return {}
        parameters = inspect.signature(self.cost).parameters.values()
        if any(one.kind is one.VAR_KEYWORD for one in parameters):
            return self.cost(inputs, **options)
        named = {one.name for one in parameters}
        return self.cost(inputs, **{k: v for k, v in options.items() if k in named})


def check(
    *,
    name: str,
    title: str,
    when: When,
    needs: tuple[Need, ...] = (),
    uses: tuple[Need, ...] = (),
    feedback: tuple[str, ...] = (),
    paper: str = "",
    cost: Cost | None = None,
) -> Callable[[Function], Function]:
    """Register the decorated function as a check; the function itself is left as it is.

    The fields are those of `Check`.

    Raises:
        ValueError: the name is taken, or a word is not one that is known.
    """
    unknown = {*needs, *uses} - {*get_args(Need)} | {*feedback} - RECORD_TYPES.keys()
    if unknown or when not in _STAGES:
        raise ValueError(
            f"check '{name}': {when=}, {needs=}, {uses=} or {feedback=} names no such thing"
        )
    if cost is None and {"model", "reference"} & {*needs, *uses} and when != "during":
        raise ValueError(f"check '{name}' needs a model, so it must say what it costs")

    def register(function: Function) -> Function:
        known = _registered.get(name)
        if known is not None and known.function.__module__ != function.__module__:
            raise ValueError(f"there are two checks called '{name}'")
        summary = (inspect.getdoc(function) or "").partition("\n")[0]
        _registered[name] = Check(
            name,
            title,
            summary,
            when,
            needs,
            uses,
            feedback,
            paper,
            cost,
            read_options(function),
            function,
        )
        return function

    return register


@functools.cache
def _load_all() -> None:
    for stage in _STAGES:
        package = importlib.import_module(f"accordant.checks.{stage}")
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{package.__name__}.{module.name}")


def list_checks(when: When | None = None) -> tuple[Check, ...]:
    """All checks, or those of one stage, in the order of stages and names."""
    _load_all()
    found = (one for one in _registered.values() if when in (None, one.when))
    return tuple(sorted(found, key=lambda one: (_STAGES.index(one.when), one.name)))


def get_check(name: str, where: str = "--only") -> Check:
    """The check with this name.

    Raises:
        UserError: there is none; names the nearest.
    """
    known: dict[str, Any] = {one.name: one for one in list_checks()}
    if name not in known:
        raise UserError(f"there is no check '{name}'.", where=where, mend=nearest(name, known))
    found: Check = known[name]
    return found


def bind_options(checks: Iterable[Check], given: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Check the user's options, written `CHECK.OPTION`, and fill in the defaults.

    Args:
        checks: those that will be run.
        given: options by their whole names.

    Returns:
        for every check that will be run, a value for each of its options.

    Raises:
        UserError: a name without a check, an unknown check or option, or a value out of range.
    """
    by_check: dict[str, dict[str, object]] = {}
    for whole, value in given.items():
        name, dot, option = whole.partition(".")
        if not dot:
            raise UserError(
                f"found '{whole}', expected CHECK.OPTION=VALUE.",
                where="--option",
                mend="`accordant check --list` names the checks with their options.",
            )
        by_check.setdefault(get_check(name, "--option").name, {})[option] = value
    chosen = {one.name: one for one in checks}
    for name in by_check.keys() - chosen.keys():
        raise UserError(
            f"the check '{name}' is not run, so its options change nothing.",
            where="--option",
            mend="Leave them out, or let it run.",
        )
    return {
        name: bind_values(one.function, by_check.get(name, {}), where=f"check '{name}'")
        for name, one in chosen.items()
    }
