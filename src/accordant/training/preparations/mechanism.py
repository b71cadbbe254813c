"""The one place where what an objective asks for is checked, planned and done.

Knows declarations (`objectives.preparations`), examples, and a workbench of what a run has. Knows
no particular preparation: each registers its three functions with `prepares`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from accordant.objectives.preparations import Preparation
from accordant.tokens.examples import Example
from accordant.training.settings import TrainingSettings

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from accordant.feedback.loading import Feedback
    from accordant.objectives.registry import Objective
    from accordant.tokens.rendering import Rendering

# Files of the built-in preparations, loaded when the first is looked up.
BUILT_IN = (
    "baselines",
    "details",
    "mismatched",
    "prompt_weights",
    "scored_prompts",
    "self_samples",
)


@dataclass(frozen=True, slots=True)
class Parts:
    """Examples to learn from and examples to test on."""

    train: tuple[Example, ...]
    held_out: tuple[Example, ...] = ()

    @property
    def all(self) -> tuple[Example, ...]:
        """Both parts, one after the other."""
        return self.train + self.held_out

    def with_examples(self, examples: Sequence[Example]) -> Parts:
        """Divide as many examples as there are in `all` in the same way."""
        count = len(self.train)
        return Parts(tuple(examples[:count]), tuple(examples[count:]))


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a preparation may read and use; what a caller does not have is left at its default.

    Args:
        objective: who asks.
        options: its options, defaults included.
        settings: of the run.
        feedback: records of the training and, where there is one, of the held-out part;
            `Example.index` is the place in its own.
        tokenizer: of the policy; known from the plan on, as are the fields below.
        rendering: how records become text.
        max_tokens: tokens a prompt and one answer may have together; None for no limit.
        positions: the model's; None where it names no limit.
        stop_ids: tokens that end an answer.
        policy: gives the model as it stands before training, prepared for scoring; first called
            by the first preparation that needs it, so that those before have the memory.
        console: where a run says what takes long.
        memory: what `plan` leaves for `run`, by declaration, so that nothing is computed twice.
    """

    objective: Objective
    options: Mapping[str, Any]
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    feedback: tuple[Feedback, ...] = ()
    tokenizer: PreTrainedTokenizerBase | None = None
    rendering: Rendering | None = None
    max_tokens: int | None = None
    positions: int | None = None
    stop_ids: tuple[int, ...] = ()
    policy: Callable[[], nn.Module] | None = None
    console: Console | None = None
    memory: dict[Preparation, Any] = field(default_factory=dict)


Check = Callable[[Any, Workbench], None]
Step = Callable[[Any, Workbench, Parts], Parts]


@dataclass(frozen=True, slots=True)
class Implementation:
    """The functions of one kind of preparation; see `prepares`."""

    check: Check
    plan: Step
    run: Step
    unused: Callable[[Workbench], None]


_registered: dict[type[Preparation], Implementation] = {}


def prepares(
    kind: type[Preparation],
    *,
    check: Check = lambda need, bench: None,  # noqa: ARG005 - called by position
    plan: Step = lambda need, bench, parts: parts,  # noqa: ARG005
    run: Step = lambda need, bench, parts: parts,  # noqa: ARG005
    unused: Callable[[Workbench], None] = lambda bench: None,  # noqa: ARG005
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
    _load_built_in()
    for need in bench.objective.prepare:
        _find(need).check(need, bench)
    for kind, implementation in _registered.items():
        if not any(isinstance(need, kind) for need in bench.objective.prepare):
            implementation.unused(bench)


def plan_preparations(bench: Workbench, parts: Parts) -> Parts:
    """Return the examples as large as they will be once prepared; loads no weights.

    Raises:
        UserError: an example cannot be prepared.
    """
    for need in bench.objective.prepare:
        parts = _find(need).plan(need, bench, parts)
    return parts


def run_preparations(bench: Workbench, parts: Parts) -> Parts:
    """Return planned examples with everything the objective asks for.

    Raises:
        UserError: an example cannot be prepared.
    """
    for need in bench.objective.prepare:
        parts = _find(need).run(need, bench, parts)
    return parts


def prepare_examples(bench: Workbench, examples: Sequence[Example]) -> tuple[Example, ...]:
    """Plan and run on examples of which some preparations may be done already, by the caller."""
    needs = (n for n in bench.objective.prepare if not n.optional)
    missing = tuple(need for need in needs if not all(map(need.is_done, examples)))
    bench = replace(bench, objective=replace(bench.objective, prepare=missing))
    return run_preparations(bench, plan_preparations(bench, Parts(tuple(examples)))).train


def _load_built_in() -> None:
    for module in BUILT_IN:
        importlib.import_module(f"accordant.training.preparations.{module}")


def _find(need: Preparation) -> Implementation:
    _load_built_in()
    for kind in type(need).__mro__:
        if kind in _registered:
            return _registered[kind]
    raise TypeError(f"nothing prepares {type(need).__name__}: register it with `prepares`")
