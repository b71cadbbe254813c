"""Feedback as people give it: one frozen record per kind of feedback.

Knows text, roles and labels. Knows nothing of tokens, models or losses. A `Text` is either plain
(a string) or conversational (a tuple of messages); within one record all texts are of one kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is `system`, `user`, `assistant` or `tool`."""

    role: str
    content: str


Text = str | tuple[Message, ...]


def flat(text: Text) -> str:
    """Return a text as a person would read it; several messages with their roles."""
    if isinstance(text, str):
        return text
    if len(text) == 1:
        return text[0].content
    return "\n".join(f"{message.role}: {message.content}" for message in text)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record was read: `source` is a file or hub id, `row` counts from 1."""

    source: str
    row: int

    def __str__(self) -> str:
        return f"{self.source}, row {self.row}"


class Record(Protocol):
    """What all records share; `feedback.kinds` knows the rest of each kind."""

    @property
    def origin(self) -> Origin | None:
        """Where the record was read; None where it was made in code."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """An answer to imitate."""

    prompt: Text
    completion: Text
    # Not compared, here and below: the same text read elsewhere is the same feedback.
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """One answer with a thumb: `label` True is desirable."""

    prompt: Text
    completion: Text
    label: bool
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers to one prompt; `chosen` was preferred.

    What more may be known of it: `votes`, how many people preferred the chosen and how many the
    rejected answer; `rewards`, the numbers they were rated with, chosen first; `margin`, by how
    much the chosen one was said to be better.
    """

    prompt: Text
    chosen: Text
    rejected: Text
    origin: Origin | None = field(default=None, compare=False)
    votes: tuple[int, int] | None = None
    rewards: tuple[float, float] | None = None
    margin: float | None = None

    @property
    def reward_gap(self) -> float | None:
        """Return the margin where it is given, else the difference of the rewards, else None."""
        if self.margin is not None or self.rewards is None:
            return self.margin
        return self.rewards[0] - self.rewards[1]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Several answers to one prompt, best first.

    `rewards`, where known, are the numbers the order came from (same order, not increasing; equal
    numbers are ties).
    """

    prompt: Text
    completions: tuple[Text, ...]
    rewards: tuple[float, ...] | None = None
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Rating:
    """One answer rated on one or several named attributes."""

    prompt: Text
    completion: Text
    ratings: Mapping[str, float]
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Judgment:
    """One answer with feedback in words; `is_good` is None when no verdict was given."""

    prompt: Text
    completion: Text
    judgment: str
    is_good: bool | None = None
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class JointPair:
    """Two prompt-and-answer pairs compared as wholes; the prompts may differ."""

    chosen_prompt: Text
    chosen: Text
    rejected_prompt: Text
    rejected: Text
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Steps:
    """A solution in steps, each labelled correct or not."""

    prompt: Text
    steps: tuple[str, ...]
    labels: tuple[bool, ...]
    origin: Origin | None = field(default=None, compare=False)
