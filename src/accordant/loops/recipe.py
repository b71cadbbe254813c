"""Recipes: who draws, who labels, what is trained, against whom and how long.

Knows names, numbers and labellers. Knows no model and never imports torch, so that listing recipes
is instant. A recipe is a file of the folder `recipes` that holds a `RECIPE`; standing there
registers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from accordant.base.discovery import find_entry, load_modules
from accordant.loops.filters import Filter, equal_answers

if TYPE_CHECKING:
    from accordant.loops.labellers import Labeller
    from accordant.sampling.sampler import Sampler

Rows = Sequence[Mapping[str, float]]
Stop = Callable[[Rows], str]
"""The measured rows of all rounds so far -> why to stop, or nothing."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Who draws answers, and how many to each prompt.

    Args:
        count: answers to each prompt.
        reference: share b of the reference, in [0, 1]: every token is drawn from
            policy^(1-b) reference^b / Z. 0 is the policy, 1 the reference.
        sampler: somebody else who draws, such as a teacher behind a server; None for the above.
    """

    count: int = 1
    reference: float = 0.0
    sampler: Sampler | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.reference <= 1:
            raise ValueError(f"{self}: expected a count of 1 or more and a share in [0, 1]")

    @property
    def drawer(self) -> str:
        """Who draws, in words."""
        if self.sampler is not None:
            return type(self.sampler).__name__
        names = {0.0: "policy", 1.0: "reference"}
        return names.get(self.reference, f"mixture {self.reference:g}")


@dataclass(frozen=True, slots=True)
class Passes:
    """How long a round's records are trained on; exactly one of both.

    Args:
        steps: optimiser steps a round; the optimiser and its schedule run through all rounds. 1 is
            fully online.
        epochs: passes over the records, with a fresh optimiser and its own schedule every round.
    """

    steps: int = 0
    epochs: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.epochs) != 0 or max(self.steps, self.epochs) < 1:
            raise ValueError(f"{self}: expected steps or epochs, 1 or more")


@dataclass(frozen=True, slots=True)
class ReferenceRule:
    """How the reference follows the policy: at a round's start, ref <- keep ref + (1-keep) policy.

    Args:
        keep: share of the reference that stays, in [0, 1]: 1 is a fixed reference.
        every: rounds between moves.
        lag: rounds by which the policy it moves to is behind.
    """

    keep: float = 1.0
    every: int = 1
    lag: int = 0

    @property
    def moves(self) -> bool:
        """Whether the reference ever changes."""
        return self.keep < 1


FIXED = ReferenceRule()
ROUND_START = ReferenceRule(keep=0.0)
PREVIOUS = ReferenceRule(keep=0.0, lag=1)


def moving_average(decay: float) -> ReferenceRule:
    """Return the rule of a reference that is the policy's moving average over rounds."""
    return ReferenceRule(keep=decay)


def sync(alpha: float, every: int) -> ReferenceRule:
    """Return the rule ref <- alpha policy + (1 - alpha) ref, every so many rounds."""
    return ReferenceRule(keep=1 - alpha, every=every)


@dataclass(frozen=True, slots=True)
class Recipe:
    """An iterative or online method: names of what the rooms below hold, and numbers.

    Args:
        name: as it is called.
        summary: one sentence.
        paper: where it comes from.
        draws: who answers each prompt, in this order; none where records are given.
        labeller: makes records of answers; None where records are given.
        objective: name of a registered objective.
        options: of the objective, where they differ from its defaults.
        filters: what is dropped.
        passes: how long each round is trained on.
        rounds: how many, unless a stop rule ends the loop.
        reference: how the reference follows the policy.
        stop: rules that may end the loop early.
        sampling: options of `SamplingOptions` that differ from its defaults.
        settings: options of `TrainingSettings` that differ from its defaults: the optimiser is part
            of a method.
        advice: name of a setting -> why not to change it; said to who does.
    """

    name: str
    summary: str
    paper: str
    draws: tuple[Draw, ...]
    labeller: Labeller | None
    objective: str
    options: Mapping[str, object] = field(default_factory=dict)
    filters: tuple[Filter, ...] = (equal_answers,)
    passes: Passes = Passes(steps=1)
    rounds: int = 1000
    reference: ReferenceRule = FIXED
    stop: tuple[Stop, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    advice: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.draws) != (self.labeller is not None):
            raise ValueError(f"recipe {self.name!r}: answers are drawn and labelled, or neither")

    @property
    def on_policy(self) -> bool:
        """Whether all answers are the policy's own, and trained on before it has moved."""
        from_policy = all(draw.reference == 0 and draw.sampler is None for draw in self.draws)
        return bool(self.draws) and from_policy and self.passes.steps == 1

    def warnings(self, settings: object) -> list[str]:
        """Say which settings differ from the recipe's where it advises against that."""
        return [
            f"{name} is {getattr(settings, name)}, not {self.settings[name]}: {why}"
            for name, why in self.advice.items()
            if getattr(settings, name) != self.settings[name]
        ]


def kl_above(most: float) -> Stop:
    """Return the rule to stop once the divergence from the start is above `most` nats."""

    def stop(rows: Rows) -> str:
        kl = rows[-1].get("kl", 0.0)
        return (
            f"the divergence from the start is {kl:.3g} nats, above {most:g}" if kl > most else ""
        )

    return stop


def falling(name: str, rounds: int) -> Stop:
    """Return the rule to stop once a measured number, such as `reward`, fell so often running."""

    def stop(rows: Rows) -> str:
        last = [row[name] for row in rows[-rounds - 1 :]]
        fell = len(last) > rounds and all(b < a for a, b in pairwise(last))
        return f"{name} fell in {rounds} rounds running, to {last[-1]:.4g}" if fell else ""

    return stop


def list_recipes() -> dict[str, Recipe]:
    """Return the recipes of the folder `recipes` by name."""
    # Its files import this module, so the folder cannot be imported above.
    from accordant.loops import recipes

    modules = load_modules(recipes.__name__, recipes.__path__)
    return {module.RECIPE.name: module.RECIPE for module in modules}


def find_recipe(name: str) -> Recipe:
    """Return the recipe called `name`.

    Raises:
        UserError: there is none; names the nearest.
    """
    return find_entry("recipe", name, list_recipes())
