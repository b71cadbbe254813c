"""The registry of checks: a dict of frozen records, filled by a decorator.

Knows declarations: names, passes, scales, options; completes a check's outcome to a finding. Never
imports torch, so that listing checks is instant; a pass imports it when it is made. Every module of
`before`, `during` and `after` is a check, and is found by being there.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, get_args

from accordant.base.discovery import load_modules, summarise_entry
from accordant.base.errors import UserError, nearest
from accordant.base.options import Count, bind_values, read_options
from accordant.base.settings import Option
from accordant.checks.findings import Finding, Outcome, Scale
from accordant.checks.inputs import CheckInputs
from accordant.checks.passes import Need, Pass, list_options
from accordant.feedback.kinds import KINDS
from accordant.statistics.measures import Measure

When = Literal["before", "during", "after"]

SHOWN = "shown"  # the option that says how many rows are listed
_STAGES = get_args(When)
_registered: dict[str, Check] = {}


@dataclass(frozen=True, slots=True)
class Check:
    """One registered check and all that is known of it without running it.

    Calling it runs it: `check(inputs, **options) -> Finding`, with the defaults of options that are
    not given. It raises `NotApplicableError` where the inputs say nothing about its question.

    Args:
        name: as in `--only`.
        title: heading.
        summary: first line of its docstring.
        when: before, during or after training.
        passes: what it reads; the function takes their results, in order.
        feedback: record types it applies to; empty for all.
        paper: where it comes from; empty for plain sense.
        scale: how its number becomes a severity, where no rule of its own decides.
        options: what the user may set (`--option NAME.OPTION=VALUE`).
        functions: whose keyword-only parameters the options are: first the check's own,
            `function(inputs, *results, **options) -> Outcome`, then its passes' and what says how
            many rows are listed. The inputs are `CheckInputs` before and after training, and the
            `RunHistory` during it.
    """

    name: str
    title: str
    summary: str
    when: When
    passes: tuple[Pass[Any], ...]
    feedback: tuple[str, ...]
    paper: str
    scale: Scale | None
    options: tuple[Option, ...]
    functions: tuple[Callable[..., Any], ...]

    @property
    def defaults(self) -> dict[str, Any]:
        """Default of every option, by name."""
        return {option.name: option.default for option in self.options}

    def __call__(self, inputs: Any, **options: Any) -> Finding:
        """Run the check.

        Raises:
            NotApplicableError: the inputs say nothing about its question.
            TypeError: there is no such option.
        """
        if options.keys() - self.defaults.keys():
            raise TypeError(
                f"check '{self.name}' has no option {options.keys() - self.defaults.keys()}"
            )
        values = self.defaults | options
        results = (source.read(inputs, **values) for source in self.passes)
        # Those of its passes are in `values` too, and no parameters of the function.
        taken = {option.name: values[option.name] for option in list_options(self.functions[0])}
        outcome: Outcome = self.functions[0](inputs, *results, **taken)
        step = inputs.last.step if self.when == "during" else None
        return self._complete(outcome, values.get(SHOWN), step)

    def _complete(self, outcome: Outcome, shown: int | None, step: int | None) -> Finding:
        scale = outcome.scale or self.scale
        severity = outcome.severity or (scale.severity(outcome.number) if scale else "ok")
        concerned, rows = outcome.concerned, outcome.rows
        # Rows may be made one by one, at a cost: where their count is told, no more are made.
        if concerned is None:
            rows = tuple(rows)
            concerned = len(rows)
        measures = (
            Measure(name, *(number if isinstance(number, tuple) else (number, outcome.unit)))
            for name, number in outcome.measures.items()
        )
        return Finding(
            check=self.name,
            title=self.title,
            severity=severity,
            quantity=outcome.quantity,
            number=outcome.number,
            sentence=outcome.says,
            unit=outcome.unit,
            mend="" if severity == "ok" else outcome.mend,
            threshold=scale.held_against(outcome.number) if scale else None,
            rows=tuple(islice(rows, shown)),
            row_unit=outcome.row_unit,
            concerned=concerned,
            # Several rows may name one record; the file of the others leaves it out once.
            drop=tuple(dict.fromkeys(origin for origin in outcome.drop if origin is not None)),
            measures=tuple(measures),
            charts=tuple(outcome.charts),
            step=step,
        )

    @property
    def needs(self) -> tuple[Need, ...]:
        """What it reads besides the feedback."""
        return tuple(dict.fromkeys(need for read in self.passes for need in read.needs))

    @property
    def uses(self) -> tuple[Need, ...]:
        """What it reads besides, where it is there; it runs without it too."""
        return tuple(dict.fromkeys(need for read in self.passes for need in read.uses))

    @property
    def reads_model(self) -> bool:
        """Whether it puts tokens through a model where there is one."""
        return bool({"model", "reference"} & {*self.needs, *self.uses})

    @property
    def reads(self) -> str:
        """What it reads, in words."""
        needed = ", ".join(self.needs) or ("the run" if self.when == "during" else "feedback")
        return f"{needed}; {' and '.join(self.uses)} if there" if self.uses else needed

    def applies_to(self, record_type: str) -> bool:
        """Tell whether it can be run on records of this type."""
        return not self.feedback or record_type in self.feedback

    def costs(
        self, inputs: CheckInputs, options: Mapping[str, Any] | None = None
    ) -> dict[str, float]:
        """Count the tokens it puts through models, by name of the pass; none without a model.

        Args:
            inputs: without models.
            options: of the check; defaults for the rest.
        """
        values = self.defaults | dict(options or {})
        return {k: v for read in self.passes for k, v in read.costs(inputs, values).items()}


def check(
    *,
    name: str,
    title: str,
    when: When,
    reads: tuple[Pass[Any], ...] = (),
    feedback: tuple[str, ...] = (),
    paper: str = "",
    scale: Scale | None = None,
    shown: tuple[int, str] | None = None,
) -> Callable[[Callable[..., Outcome]], Check]:
    """Register the decorated function, which takes the results of its passes, as a check.

    `reads` are its passes and `shown` says how many rows are listed by default, and what the option
    of that name says of them; all others as in `Check`.

    Raises:
        ValueError: the name is taken, or a word is not one that is known.
        TypeError: there is no docstring, or an option cannot be read.
    """
    # A kind that is misspelt would apply to nothing, and the check would never run.
    if when not in _STAGES or {*feedback} - KINDS.keys():
        raise ValueError(f"check '{name}': {when=} or {feedback=} names no such thing")

    def register(function: Callable[..., Outcome]) -> Check:
        known = _registered.get(name)
        summary = summarise_entry("check", name, function, known.functions[0] if known else None)
        listed = () if shown is None else (_listing(*shown),)
        functions = (function, *(source.run for source in reads), *listed)
        options = read_options(*functions)
        _registered[name] = Check(
            name, title, summary, when, reads, feedback, paper, scale, options, functions
        )
        return _registered[name]

    return register


def _listing(count: int, words: str) -> Callable[..., None]:
    """Make the function whose option says how many rows are listed."""

    def listing(*, shown: Count = count) -> None:
        del shown

    # Helps are read from docstrings, and this one is not known before the check is declared.
    listing.__doc__ = f"List rows.\n\n    Args:\n        shown: {words}"
    return listing


def _load_all() -> None:
    for stage in _STAGES:
        package = importlib.import_module(f"accordant.checks.{stage}")
        load_modules(package.__name__, package.__path__)


def list_checks(when: When | None = None) -> tuple[Check, ...]:
    """List all checks, or those of one stage, in the order of stages and names."""
    _load_all()
    checks = (check for check in _registered.values() if when in (None, check.when))
    return tuple(sorted(checks, key=lambda check: (_STAGES.index(check.when), check.name)))


def get_check(name: str, where: str = "--only") -> Check:
    """Return the check with this name.

    Raises:
        UserError: there is none; names the nearest.
    """
    known = {check.name: check for check in list_checks()}
    if name not in known:
        raise UserError(f"there is no check '{name}'.", where=where, mend=nearest(name, known))
    return known[name]


def bind_check_options(
    checks: Iterable[Check], given: Mapping[str, object]
) -> dict[str, dict[str, Any]]:
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
    chosen = {check.name: check for check in checks}
    # Refused, not passed over: whoever sets an option expects it to change what is said.
    for name in by_check.keys() - chosen.keys():
        raise UserError(
            f"the check '{name}' is not run, so its options change nothing.",
            where="--option",
            mend="Leave them out, or let it run.",
        )
    return {
        name: bind_values(
            check.functions[0], by_check.get(name, {}), f"check '{name}'", *check.functions[1:]
        )
        for name, check in chosen.items()
    }
