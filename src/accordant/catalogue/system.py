"""Describe one published system: what it is, where it lives, what it claims, how to run it.

Knows words alone. Imports none of the code the systems are made of, and not the studies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

State = Literal["works", "planned"]


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
class System:
    """One published system.

    Args:
        id: `S01` to `S75`.
        slug: name on the command line.
        title: what it is called among people.
        room: folder of accordant it lives in, or wheel under `packages/`; ` + ` joins several.
        works: what has to work for it.
        claim: the finding that `accordant reproduce` looks for in miniature; empty for a taxonomy.
        kind: `taxonomy` for surveys and positions, whose categories the catalogue carries.
        paper: where it was published.
        how_to_run: a command; empty while the system is planned. A system that can be run has a
            study of its claim under its slug.
        not_shown: what of the claim its study did not show, in a sentence; empty where all of it
            showed, and for systems without a study.
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
    not_shown: str = ""

    @property
    def state(self) -> State:
        """Whether a command puts the claim to the test, whatever that finds."""
        return "works" if self.how_to_run else "planned"

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
            "not_shown": self.not_shown,
            "reproduce": f"accordant reproduce {self.slug}" if self.how_to_run else None,
        }
