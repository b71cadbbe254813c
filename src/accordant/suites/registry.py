"""The registry of suites: a dict of frozen records, filled by a decorator.

Knows items, rewards, intervals, signatures and docstrings. Knows nothing of inspect-ai, of models
or XX
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from accordant.base.discovery import find_entry, load_modules, summarise_entry
from accordant.base.options import bind_values, read_options
from accordant.base.settings import Option
from accordant.feedback.records import Text

if TYPE_CHECKING:
    from accordant.rewards.reward import Reward
    from accordant.statistics.interval import Interval


@dataclass(frozen=True, slots=True)
class Item:
    """What a suite asks once.

    Args:
        id: tells it from the others.
        prompt: what the model reads.
        details: what metrics need besides the answer, such as a group or an earlier result; plain
            values, as they are written into logs.
    """

    id: str
    prompt: Text
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """An item with its answer; `values` are the reward's, by attribute."""

    item: Item
    answer: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SuiteParts:
    """What a suite is made of under the user's options.

    Args:
        items: what is asked.
        reward: the scorer.
        solver: makes inspect-ai's solver, for suites of several turns; None asks every item once.
    """

    items: tuple[Item, ...]
    reward: Reward
    solver: Callable[[], Any] | None = None


Metric = Callable[[Sequence[ScoredItem]], "Mapping[str, Interval]"]
"""Scored items, at least one -> numbers by name; NaN where nothing can be said of them yet."""
Function = TypeVar("Function", bound=Callable[..., SuiteParts])


@dataclass(frozen=True, slots=True)
class Suite:
    """One registered suite and all that is known of it without running it.

    Args:
        name: as on the command line.
        summary: first line of its docstring.
        paper: where it comes from.
        metrics: what is counted over all scored items.
        options: what the user may set.
        function: `function(**options) -> SuiteParts`.
    """

    name: str
    summary: str
    paper: str
    metrics: tuple[Metric, ...]
    options: tuple[Option, ...]
    function: Callable[..., SuiteParts]

    def build(self, given: Mapping[str, object]) -> SuiteParts:
        """Return its parts under the user's options; numbers may be text.

        Raises:
            UserError: an unknown option, one out of range, or a file that cannot be read.
        """
        return self.function(**bind_values(self.function, given, f"suite {self.name!r}"))

    def measure(self, scored: Sequence[ScoredItem]) -> dict[str, Interval]:
        """Return the numbers of all metrics."""
        return {name: number for metric in self.metrics for name, number in metric(scored).items()}


_registered: dict[str, Suite] = {}


def suite(*, name: str, paper: str, metrics: tuple[Metric, ...]) -> Callable[[Function], Function]:
    """Register the decorated function as a suite; the function itself is left as it is.

    Its keyword-only parameters are its options, with their help in the docstring's `Args`. The
    fields are those of `Suite`.

    Raises:
        ValueError: the name is taken.
        TypeError: there is no docstring, or an option cannot be read.
    """

    def register(function: Function) -> Function:
        known = _registered.get(name)
        summary = summarise_entry("suite", name, function, known.function if known else None)
        _registered[name] = Suite(name, summary, paper, metrics, read_options(function), function)
        return function

    return register


def list_suites() -> tuple[Suite, ...]:
    """Return all registered suites, sorted by name; imports neither torch nor inspect-ai."""
    # Its modules import this one, so the folder cannot be imported above.
    from accordant.suites import library

    load_modules(library.__name__, library.__path__)
    return tuple(_registered[name] for name in sorted(_registered))


def get_suite(name: str) -> Suite:
    """Return a suite by name.

    Raises:
        UserError: there is none; suggests the nearest.
    """
    return find_entry("suite", name, {entry.name: entry for entry in list_suites()})
