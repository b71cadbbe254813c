"""The one place where what an objective asks for is checked, planned and done.

Knows declarations (`objectives.preparations`), examples and the workbench. Knows no particular
preparation: each registers its three functions with `prepares`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from accordant.base.discovery import load_modules
from accordant.objectives.preparations import Preparation
from accordant.tokens.examples import Example
from accordant.training.preparations.workbench import Parts, Workbench

Step = Callable[[Any, Workbench, Parts], Parts]


class Implementation(NamedTuple):
    """The functions of one kind of preparation; see `prepares`."""

    check: Callable[[Any, Workbench], None] | None
    plan: Step | None
    run: Step | None
    unused: Callable[[Workbench], None] | None


_registered: dict[type[Preparation], Implementation] = {}


def prepares(
    kind: type[Preparation],
    *,
    check: Callable[[Any, Workbench], None] | None = None,
    plan: Step | None = None,
    run: Step | None = None,
    unused: Callable[[Workbench], None] | None = None,
) -> None:
    """Register how preparations of a kind are made.

    Args:
        kind: class of the declarations.
        check: `check(need, bench)` refuses settings and records before anything is read further.
        plan: `plan(need, bench, parts)` returns the examples as large as they will be, before
            weights are loaded; what needs no model is done here, for good.
        run: `run(need, bench, parts)` returns the examples of `plan` with what takes a model.
        unused: `unused(bench)` refuses settings that nobody would read, where the objective asks
            for no such preparation.
    """
    _registered[kind] = Implementation(check, plan, run, unused)


def check_preparations(bench: Workbench) -> None:
    """Make sure that settings and records allow what the objective asks for.

    Raises:
        UserError: they do not, or a setting would be ignored.
    """
    for need in bench.objective.prepare:
        if check := _find(need).check:
            check(need, bench)
    _load_built_in()
    for kind, implementation in _registered.items():
        if implementation.unused and not any(isinstance(n, kind) for n in bench.objective.prepare):
            implementation.unused(bench)


def plan_preparations(bench: Workbench, parts: Parts) -> Parts:
    """Return the examples as large as they will be once prepared; loads no weights.

    Raises:
        UserError: an example cannot be prepared.
    """
    for need in bench.objective.prepare:
        if plan := _find(need).plan:
            parts = plan(need, bench, parts)
    return parts


def run_preparations(bench: Workbench, parts: Parts) -> Parts:
    """Return planned examples with everything the objective asks for.

    Raises:
        UserError: an example cannot be prepared.
    """
    for need in bench.objective.prepare:
        if run := _find(need).run:
            parts = run(need, bench, parts)
    return parts


def prepare_examples(bench: Workbench, examples: Sequence[Example]) -> tuple[Example, ...]:
    """Plan and run on examples of which some preparations may be done already, by the caller."""
    needs = (n for n in bench.objective.prepare if not n.optional)
    missing = tuple(need for need in needs if not all(map(need.is_done, examples)))
    bench = replace(bench, objective=replace(bench.objective, prepare=missing))
    return run_preparations(bench, plan_preparations(bench, Parts(tuple(examples)))).train


def _load_built_in() -> None:
    # Each registers itself; only now, as they import what is in this file.
    load_modules(__package__, [str(Path(__file__).parent)])


def _find(need: Preparation) -> Implementation:
    _load_built_in()
    # A subclass is prepared as its base is, unless it is registered itself.
    for kind in type(need).__mro__:
        if kind in _registered:
            return _registered[kind]
    raise TypeError(f"nothing prepares {type(need).__name__}: register it with `prepares`")
