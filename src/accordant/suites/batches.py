"""Batches of what is asked at the same time by tasks that know nothing of each other.

Knows tasks and threads. Knows nothing of prompts, answers or inspect-ai.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio

Question = TypeVar("Question")
Reply = TypeVar("Reply")


@dataclass(slots=True, eq=False)
class _Asked(Generic[Question, Reply]):
    question: Question
    alike: Any
    reply: list[Reply] = field(default_factory=list)  # one, once it is there


class Batches(Generic[Question, Reply]):
    """Gather questions into batches, and answer each batch in a thread.

    Args:
        answer: questions of a batch, and what they share, to their replies in the same order.
        most: questions of a batch.
    """

    def __init__(
        self, answer: Callable[[Sequence[Question], Any], Sequence[Reply]], most: int
    ) -> None:
        self.answer, self.most = answer, most
        self.waiting: list[_Asked[Question, Reply]] = []
        self.lock = anyio.Lock()

    async def ask(self, question: Question, alike: Any = None) -> Reply:
        """Return the reply to a question, answered with those that wait and share `alike`."""
        asked = _Asked[Question, Reply](question, alike)
        self.waiting.append(asked)
        # Whoever comes first answers all that wait: while a batch runs, the next one gathers.
        async with self.lock:
            if not asked.reply:
                others = (a for a in self.waiting if a is not asked and a.alike == alike)
                batch = [asked, *others][: self.most]
                self.waiting = [other for other in self.waiting if other not in batch]
                questions = [other.question for other in batch]
                replies = await anyio.to_thread.run_sync(self.answer, questions, alike)
                for other, reply in zip(batch, replies, strict=True):
                    other.reply.append(reply)
        return asked.reply[0]
