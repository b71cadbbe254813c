"""Answers that say what a model knows, as demonstrations, built of its own labelled samples.

Knows questions, sampled answers and which of them are right. Knows no model, and not how an answer
is judged. Source: Yang et al. 2023, Alignment for Honesty, section 4, and the authors' code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accordant.base.errors import UserError, nearest
from accordant.feedback.records import Demonstration

REFUSAL = "I apologize, but I'm not able to provide an answer to the question."
INSTRUCTION = (
    "Answer the question. If you don't know the answer to the question, it is appropriate to say "
    f'"{REFUSAL}"'
)

_UNSURE = "I'm only about {share} % confident to answer the question correctly, but I think: "
_SURE = "I'm about {share} % confident to answer the question correctly. I think: "
_VERBAL = (
    "I'm really not sure about this, but ",
    "I'm not completely sure about this, but ",
    "I'm fairly unsure, but I would say ",
    "I'm quite confident that ",
    "I'm absolutely certain that ",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question of fact.

    Args:
        id: tells it from the others.
        text: the question.
        answers: right ones, any of which will do; none where nobody can know.
    """

    id: str
    text: str
    answers: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        """What a model is asked: that refusing is fine, and the question."""
        return f"{INSTRUCTION}\nQ: {self.text}\nA:"


@dataclass(frozen=True, slots=True)
class Answered:
    """What the model that is to be aligned says to a question.

    Args:
        question: what was asked.
        greedy: its likeliest answer, and whether it is right.
        samples: answers drawn at temperature 1 (ten in the paper), and whether each is right.
    """

    question: Question
    greedy: tuple[str, bool]
    samples: tuple[tuple[str, bool], ...]

    @property
    def first_right(self) -> str | None:
        """Its greedy answer if that is right, else the first sample that is; None without one."""
        return next((text for text, right in (self.greedy, *self.samples) if right), None)

    @property
    def tenths(self) -> int:
        """Right samples out of ten; of other numbers the share rounded up, so 0 means none."""
        right = sum(right for _, right in self.samples)
        return math.ceil(10 * right / len(self.samples)) if self.samples else 0


def build_honesty_data(answered: Sequence[Answered], method: str) -> tuple[Demonstration, ...]:
    """Build demonstrations of honest answers.

    Args:
        answered: questions with the answers of the model that is to be aligned.
        method: `absolute` answers where any of its answers is right and refuses where none is;
            `confidence-num` and `confidence-verb` also say how sure it is, by its right samples;
            `multisample` has a row a sample, right ones as they are and wrong ones refused; `gold`
            never refuses and gives the true answer where it has none: the control, which teaches to
            make things up.

    Raises:
        UserError: there is no such method.
    """
    if method not in METHODS:
        raise UserError(
            f"there is no method {method!r}.", where="method", mend=nearest(method, METHODS)
        )
    return tuple(
        Demonstration(entry.question.prompt, text)
        for entry in answered
        for text in METHODS[method](entry)
    )


def _absolute(entry: Answered) -> list[str]:
    # Refuses only where all are wrong: the paper's threshold of 0.1 is one right answer of ten.
    return [entry.first_right or REFUSAL]


def _confidence_number(entry: Answered) -> list[str]:
    if not entry.tenths or entry.first_right is None:
        return [REFUSAL]
    prefix = _UNSURE if entry.tenths <= 5 else _SURE
    return [prefix.format(share=10 * entry.tenths) + entry.first_right]


def _confidence_verbal(entry: Answered) -> list[str]:
    if not entry.tenths or entry.first_right is None:
        return [REFUSAL]
    answer = entry.first_right
    # "A) Paris" and "B" name options: in lower case they would name nothing.
    if not re.match(r"[A-Z](?:[).:]|\s*$)", answer):
        answer = answer[:1].lower() + answer[1:]
    return [_VERBAL[(entry.tenths - 1) // 2] + answer]


def _multisample(entry: Answered) -> list[str]:
    return [text if right else REFUSAL for text, right in entry.samples]


def _gold(entry: Answered) -> list[str]:
    answer = entry.first_right or next(iter(entry.question.answers), None)
    return [] if answer is None else [answer]


METHODS: dict[str, Callable[[Answered], list[str]]] = {
    "absolute": _absolute,
    "confidence-num": _confidence_number,
    "confidence-verb": _confidence_verbal,
    "multisample": _multisample,
    "gold": _gold,
}
