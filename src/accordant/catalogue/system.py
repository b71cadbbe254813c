"""Describe one published system: what it is, where it lives, what it claims, how to run it.

Knows words alone. Imports none of the code the systems are made of, and not the studies.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args, get_type_hints

State = Literal["works", "planned"]
Method = Literal["complete", "partial"]
Verdict = Literal["shown", "in part", "not shown", "not tested"]


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a system was published; `authors` and `year` stay empty where they are not certain."""

    title: str
    authors: str = ""
    year: int | None = None

    def __str__(self) -> str:
        who = ", ".join(part for part in (self.authors, str(self.year or "")) if part)
        return f"{self.title} ({who})" if who else self.title


@dataclass(frozen=True, slots=True)
class Axes:
    """Where a system stands in the surveys' categories; `none` where one does not apply.

    Args:
        goal: what is aligned to, the deepest it speaks of (Yao et al. 2023, S10).
        direction: who is aligned with whom (Shen et al. 2024, S13).
        locus: whether the objective is right, or the model's own is it (Shen et al. 2023, S23).
        data_origin: who makes its data (Wang et al. 2023, S75).
        training_family: how it trains (S75).
        paradigm: how its claim is judged, here or in what is planned (S75).
    """

    goal: Literal["instruction", "preference", "value", "none"]
    direction: Literal["ai-to-human", "human-to-ai", "both", "none"]
    locus: Literal["outer", "inner", "both", "none"]
    data_origin: Literal["humans", "strong models", "management", "none"]
    training_family: Literal[
        "sft",
        "online",
        "offline rank-based",
        "offline language-based",
        "parameter-efficient",
        "architecture",
        "none",
    ]
    paradigm: Literal["closed-set", "open-set", "human-based", "llm-based", "none"]


AXES: dict[str, tuple[str, ...]] = {
    name: get_args(kind) for name, kind in get_type_hints(Axes).items()
}
"""The values that each of the categories has."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a claim, as a study measured it.

    Args:
        statement: what must be seen, in words.
        effect: lower end of the 95 % interval, estimate, upper end; NaN where there is none.
        threshold: the part shows where the whole interval lies above it.
        holds: whether it does.
        control: it is no part of the paper's claim, but says whether the study could see it.
    """

    statement: str
    effect: tuple[float, float, float]
    threshold: float
    holds: bool
    control: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What the last full run of a study found.

    Args:
        verdict: of the whole claim.
        parts: what was measured.
        untested: parts of the abstract's claim that were not.
        seeds: how many, first and last.
        date: of the run.
        commit: of the code it ran on.
        note: what a reader must know, such as what is simulated.
    """

    verdict: Verdict
    parts: tuple[Part, ...]
    untested: tuple[str, ...]
    seeds: tuple[int, int, int]
    date: str
    commit: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """One published system.

    Args:
        id: `S01` to `S75`.
        slug: name on the command line.
        title: what it is called among people.
        room: folder of accordant it lives in, or wheel under `packages/`; ` + ` joins several.
        works: what has to work for it.
        claim: the finding that `accordant reproduce` looks for in miniature; empty for a taxonomy.
        kind: `taxonomy` for surveys, whose categories are fields of every system: `axes`.
        paper: where it was published.
        how_to_run: a command; empty while the system is planned. A system that can be run has a
            study of its claim under its slug.
        axes: where it stands in the surveys' categories; None in records of other wheels.
        lacks: what of the published method is not there; empty where it is complete.
        not_shown: why something of the claim did not show, in a sentence; empty where all did.
        result: what the last full run of its study found; None before there was one.
    """

    id: str
    slug: str
    title: str
    room: str
    works: str
    claim: str = ""
    kind: Literal["method", "taxonomy"] = "method"
    paper: Paper | None = None
    how_to_run: str = ""
    axes: Axes | None = None
    lacks: str = ""
    not_shown: str = ""
    result: Result | None = None

    @property
    def state(self) -> State:
        """Whether a command runs it, whatever its study finds."""
        return "works" if self.how_to_run else "planned"

    @property
    def method(self) -> Method | None:
        """Whether all of the published method is there; None while the system is planned."""
        if self.state == "planned":
            return None
        return "partial" if self.lacks else "complete"

    @property
    def verdict(self) -> Verdict | None:
        """What its study found of the claim; None where there is nothing to test yet."""
        if self.state == "planned" or not self.claim:
            return None
        return "not tested" if self.result is None else self.result.verdict

    @property
    def rooms(self) -> tuple[str, ...]:
        """Return the rooms one by one."""
        return tuple(part.strip() for part in self.room.split("+"))

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain values, for JSON."""
        paper = self.paper
        return {
            "id": self.id,
            "slug": self.slug,
            "title": self.title,
            "room": self.room,
            "state": self.state,
            "kind": self.kind,
            "works": self.works,
            "claim": self.claim,
            "paper": None
            if paper is None
            else {"title": paper.title, "authors": paper.authors, "year": paper.year},
            "how_to_run": self.how_to_run,
            "method": self.method,
            "lacks": self.lacks,
            "verdict": self.verdict,
            "not_shown": self.not_shown,
            "result": None if self.result is None else asdict(self.result),
            "reproduce": f"accordant reproduce {self.slug}" if self.verdict else None,
            **({} if self.axes is None else asdict(self.axes)),
        }
