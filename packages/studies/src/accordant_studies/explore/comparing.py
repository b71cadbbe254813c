"""One objective looked at closely, and two looked at together: logic and profile, in plain values.

Knows readings and profiles. Knows nothing of how they are printed or drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accordant.base.options import Value
from accordant.cli.objective_text import explanation
from accordant.objectives.registry import Objective, bind_options
from accordant_studies.explore.logic.formulas import simplify, write
from accordant_studies.explore.logic.readings import Reading, read
from accordant_studies.explore.logic.relating import relate
from accordant_studies.explore.profile import Profile, profile

_SHOWN_MARGINS = 9
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class View:
    """An objective under certain options.

    Args:
        objective: what is looked at.
        options: all of its options.
        reading: its logic.
        profile: its loss along a line of margins; None where a margin does not describe it.
    """

    objective: Objective
    options: dict[str, Value]
    reading: Reading
    profile: Profile | None

    @property
    def options_text(self) -> str:
        """Return the options in one line."""
        chosen = ", ".join(f"{name} {value}" for name, value in self.options.items())
        return chosen or "none"

    @property
    def meaning(self) -> str:
        """Return the structures in one line."""
        return " | plus | ".join(str(term.structure) for term in self.reading.terms) or (
            self.reading.note
        )

    def logic_rows(self) -> tuple[tuple[str, str], ...]:
        """Return what the objective means, as rows of name and text."""
        rows: list[tuple[str, str]] = []
        if self.reading.terms:
            rows.append(("rho", "log(count of the preferred worlds / count of the dispreferred)"))
        for number, term in enumerate(self.reading.terms, 1):
            prefix = f"{number}. " if len(self.reading.terms) > 1 else ""
            weight = "" if term.weight == 1 else f"{term.weight:g} * "
            margin = f"; Margin has probability exp(-{term.margin:g})" if term.margin else ""
            of = "token means" if term.per_token else "whole answers"
            rows += [
                (f"{prefix}loss", f"{weight}{term.link.formula}, {of}{margin}"),
                ("preferred", write(simplify(term.structure.preferred))),
                ("dispreferred", write(simplify(term.structure.dispreferred))),
                ("core", write(term.structure.core)),
                ("given", write(term.structure.condition)),
                ("added", write(term.structure.added)),
            ]
        if self.reading.note:
            rows.append(("note" if rows else "formula", self.reading.note))
        return tuple(rows)


def look_at(objective: Objective, given: Mapping[str, Any] | None = None, span: float = 30) -> View:
    """Return an objective with its logic and its profile over margins from -span to span, nats.

    Raises:
        UserError: an option it does not have, or a value it cannot take.
    """
    options = bind_options(objective, given or {})
    return View(objective, options, read(objective, options), profile(objective, options, span))


def view_as_dict(view: View) -> dict[str, Any]:
    """Return the logic and profile as plain values."""
    terms = [
        {
            "weight": term.weight,
            "link": term.link.formula,
            "per_token": term.per_token,
            "margin": term.margin,
            "core": write(term.structure.core),
            "condition": write(term.structure.condition),
            "added": write(term.structure.added),
            "preferred": write(simplify(term.structure.preferred)),
            "dispreferred": write(simplify(term.structure.dispreferred)),
        }
        for term in view.reading.terms
    ]
    shape = view.profile
    return {
        "explanation": explanation(view.objective),
        "chosen_options": view.options,
        "logic": {"terms": terms, "note": view.reading.note},
        "profile": shape
        and {
            "axis": shape.axis,
            "margins": list(shape.margins),
            "lines": [
                {"name": line.name, "losses": line.losses, "pushes": line.pushes}
                for line in shape.lines
            ],
        },
    }


@dataclass(frozen=True, slots=True)
class ObjectiveComparison:
    """Two objectives along the same margins.

    Args:
        first: one.
        second: the other.
        logic: sentences on how their structures stand to each other.
        unlike: why they cannot be put on one line of margins; empty where they can.
    """

    first: View
    second: View
    logic: tuple[str, ...]
    unlike: str = ""

    @property
    def views(self) -> tuple[View, View]:
        """Return both views."""
        return self.first, self.second

    @property
    def axis(self) -> str:
        """Return what the margins are."""
        return self._profiles()[0].axis

    @property
    def margins(self) -> tuple[float, ...]:
        """Return all margins, nats."""
        return self._profiles()[0].margins

    def series(self) -> dict[str, tuple[float, ...]]:
        """Return every number of both along the margins: losses first, then pushes by answer."""
        one, other = self._profiles()
        names = (self.first.objective.name, self.second.objective.name)
        found: dict[str, tuple[float, ...]] = {}
        for line_a, line_b in zip(one.lines, other.lines, strict=True):
            role = f" ({line_a.name})" if line_a.name else ""
            for name, line in zip(names, (line_a, line_b), strict=True):
                found[f"loss {name}{role}"] = line.losses
            for answer in line_a.pushes:
                for name, line in zip(names, (line_a, line_b), strict=True):
                    found[f"{answer} {name}{role}"] = line.pushes[answer]
        return found

    def table(self) -> tuple[tuple[str, ...], tuple[tuple[float, ...], ...]]:
        """Return columns and rows at some of the margins."""
        series = self.series()
        step = (len(self.margins) - 1) // (_SHOWN_MARGINS - 1)
        places = range(0, len(self.margins), step)
        rows = tuple(
            (self.margins[place], *(values[place] for values in series.values()))
            for place in places
        )
        return ("margin", *series), rows

    def remarks(self) -> tuple[str, ...]:
        """Return where the two differ, in sentences."""
        one, other = self._profiles()
        names = (self.first.objective.name, self.second.objective.name)
        found: list[str] = []
        for line_a, line_b in zip(one.lines, other.lines, strict=True):
            role = f" of {line_a.name} answers" if line_a.name else ""
            gaps = [b - a for a, b in zip(line_a.losses, line_b.losses, strict=True)]
            widest = max(range(len(gaps)), key=lambda k: abs(gaps[k]))
            if abs(gaps[widest]) < _SAME:
                found.append(f"The losses{role} are equal at every margin shown.")
            else:
                found.append(
                    f"The losses{role} differ most at margin {self.margins[widest]:g}: "
                    f"{names[0]} {line_a.losses[widest]:.4g}, {names[1]} "
                    f"{line_b.losses[widest]:.4g}."
                )
            for answer, pushes in line_a.pushes.items():
                found += self._signs(answer + role, pushes, line_b.pushes[answer], names)
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Return both, what their logic says, and all numbers, as plain values."""
        described = {
            "views": [view_as_dict(view) for view in self.views],
            "relation": list(self.logic),
        }
        if self.unlike:
            return described | {"unlike": self.unlike}
        return described | {"margins": list(self.margins), "remarks": list(self.remarks())}

    def _signs(
        self,
        answer: str,
        one: tuple[float, ...],
        other: tuple[float, ...],
        names: tuple[str, str],
    ) -> list[str]:
        """Return the sentence on margins where the two push an answer opposite ways."""
        opposite = [
            margin for margin, a, b in zip(self.margins, one, other, strict=True) if a * b < -_SAME
        ]
        if not opposite:
            return []
        return [
            f"From margin {opposite[0]:g} to {opposite[-1]:g}, at {len(opposite)} of "
            f"{len(self.margins)}, {names[0]} and {names[1]} push the {answer} opposite ways."
        ]

    def _profiles(self) -> tuple[Profile, Profile]:
        if self.unlike or self.first.profile is None or self.second.profile is None:
            raise ValueError("these two cannot be put on one line of margins")
        return self.first.profile, self.second.profile


def compare(first: View, second: View) -> ObjectiveComparison:
    """Put two views side by side."""
    one, other = first.profile, second.profile
    unlike = ""
    if one is None or other is None or _roles(one) != _roles(other):
        unlike = (
            "They learn from different feedback, so no margin is common to both: look at each with "
            "`accordant objectives show`."
        )
    names = (first.objective.name, second.objective.name)
    return ObjectiveComparison(
        first, second, relate(names[0], first.reading, names[1], second.reading), unlike
    )


def _roles(shape: Profile) -> tuple[str, tuple[str, ...]]:
    return shape.axis, tuple(line.name for line in shape.lines)
