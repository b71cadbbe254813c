"""Preference structures: a core formula, the worlds it is judged in, worlds added to both sides.

Knows formulas. Knows nothing of probabilities, scores or losses. A structure (P, C, A) prefers the
worlds of (P or A) and C to those of (not P or A) and C: what a loss of it raises and lowers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accordant_studies.explore.logic.formulas import (
    Formula,
    connect,
    formula_of,
    names_in,
    parse,
    simplify,
    tabulate,
    write,
)

Relation = Literal["equivalent", "entails", "is entailed by", "incomparable"]


@dataclass(frozen=True, slots=True)
class Structure:
    """A preference structure; build one with `structure` or `prefer`.

    Args:
        core: P, what should hold.
        condition: C, the worlds that count at all.
        added: A, worlds that count on both sides.
    """

    core: Formula
    condition: Formula
    added: Formula

    @property
    def preferred(self) -> Formula:
        """Return (P or A) and C."""
        return connect("And", connect("Or", self.core, self.added), self.condition)

    @property
    def dispreferred(self) -> Formula:
        """Return (not P or A) and C."""
        fails = connect("Not", self.core)
        return connect("And", connect("Or", fails, self.added), self.condition)

    @property
    def names(self) -> tuple[str, ...]:
        """Return propositions it is about."""
        return names_in(self.core, self.condition, self.added)

    def tables(self, names: tuple[str, ...] | None = None) -> tuple[int, int]:
        """Return the tables of the preferred and the dispreferred side over `names`, or its own."""
        over = self.names if names is None else names
        return tabulate(self.preferred, over), tabulate(self.dispreferred, over)

    def __str__(self) -> str:
        parts = [write(self.core)]
        if str(self.condition) != "True":
            parts.append(f"given {write(self.condition)}")
        if str(self.added) != "False":
            parts.append(f"adding {write(self.added)}")
        return "; ".join(parts)


def structure(core: str, condition: str = "True", added: str = "False") -> Structure:
    """Return a structure from the texts of its three formulas.

    Raises:
        ValueError: a text is no formula.
    """
    return Structure(parse(core), parse(condition), parse(added))


def unconditioned(core: Formula) -> Structure:
    """Return the structure that prefers the worlds where `core` holds to all others.

    Its logistic loss at scale 1 is the semantic loss, -log of the core's probability.
    """
    return Structure(core, parse("True"), parse("False"))


def prefer(preferred: Formula, dispreferred: Formula) -> Structure:
    """Return the structure that prefers exactly these worlds to those, in its simplest form.

    The core is `dispreferred implies preferred`, the condition that either holds, and what is added
    are the worlds of both (arXiv:2412.17696, algorithm 1): then (P or A) and C is `preferred`, and
    (not P or A) and C is `dispreferred`.
    """
    return Structure(
        core=simplify(connect("Implies", dispreferred, preferred)),
        condition=simplify(connect("Or", preferred, dispreferred)),
        added=simplify(connect("And", preferred, dispreferred)),
    )


def from_tables(preferred: int, dispreferred: int, names: tuple[str, ...]) -> Structure:
    """Return the structure whose two sides have these truth tables over `names`."""
    return prefer(formula_of(preferred, names), formula_of(dispreferred, names))


def relation(one: Structure, other: Structure) -> Relation:
    """Say how two structures stand to each other.

    One entails another when it prefers no more worlds and disprefers no fewer. Then its loss is
    nowhere smaller, whatever the weights and however the loss falls in the ratio of the two counts.
    Incomparable structures may still be ordered by their losses in part of the weights.
    """
    names = names_in(*(part for s in (one, other) for part in (s.core, s.condition, s.added)))
    for_one, against_one = one.tables(names)
    for_other, against_other = other.tables(names)
    forward = for_one & ~for_other == 0 and against_other & ~against_one == 0
    backward = for_other & ~for_one == 0 and against_one & ~against_other == 0
    if forward and backward:
        return "equivalent"
    if forward:
        return "entails"
    return "is entailed by" if backward else "incomparable"
