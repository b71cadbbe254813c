"""Labellers: what turns drawn answers into records to learn from.

Knows drawn answers, rewards and preferences. Knows no policy and no trainer: a labeller is a pure
function of answers, a judge and a seed, and its numbers are plain floats that carry no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal, Protocol

import numpy as np

from accordant.base.chance import hashed_uniform
from accordant.loops.drawn import Drawn, Labelled
from accordant.rewards.preference import symmetric_preference
from accordant.rewards.reward import Answer, score_single
from accordant.sampling.samples import Prompt, Sample
from accordant.tokens.examples import Example, with_numbers
from accordant.tokens.trees import TokenTree

Read = Callable[[Prompt, Sample], Answer]
"""A sample to a prompt (token ids) as a judge reads it."""

EQUAL = "equal scores"


def read_tokens(prompt: Prompt, sample: Sample) -> Answer:
    """Read a sample for judges of token ids: its text is their numbers."""
    asked, answer = (" ".join(map(str, ids)) for ids in (prompt, sample.tokens))
    return Answer(asked, answer, sample.finished, tuple(prompt), sample.completion)


class Labeller(Protocol):
    """A way to turn answers into records.

    Attributes:
        kind: record type it makes, a name of `feedback.kinds`.
        needs: what judges: `reward`, `preference`, or `implicit` for the policy's own log-ratio to
            the start.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def needs(self) -> str: ...  # noqa: D102

    def label(self, drawn: Sequence[Drawn], judge: Any, read: Read, seed: int) -> list[Labelled]:
        """Label the answers to every prompt; `Example.index` is the prompt's place in `drawn`."""
        ...


@dataclass(frozen=True, slots=True)
class ByReward:
    """A number for every answer.

    Args:
        kind: `comparison` of the best with the worst answer, `ranking` of all with their rewards,
            or `demonstration` of the best.
        needs: `reward`, or `implicit` for the policy's own.
    """

    kind: Literal["comparison", "ranking", "demonstration"] = "comparison"
    needs: Literal["reward", "implicit"] = "reward"

    def label(self, drawn: Sequence[Drawn], judge: Any, read: Read, seed: int) -> list[Labelled]:
        """Score all answers in one batch; a comparison of equal scores is dropped."""
        del seed
        answers = [read(group.prompt, sample) for group in drawn for sample in group.samples]
        scores = iter(score_single(judge, answers).tolist())
        labelled = []
        for index, group in enumerate(drawn):
            rewards = tuple(next(scores) for _ in group.samples)
            # Rankings keep ties: there, equal answers have equal advantages.
            if self.kind != "ranking" and len(set(rewards)) == 1 < len(rewards):
                labelled.append(Labelled(group, None, rewards, EQUAL))
                continue
            record = _make_record(self.kind, group, index, rewards)
            if self.kind == "comparison" and record.example is not None:
                gap = with_numbers(record.example, "reward_gap", (max(rewards) - min(rewards),))
                record = replace(record, example=gap)
            labelled.append(record)
        return labelled


@dataclass(frozen=True, slots=True)
class ByPreference:
    """The chance that one answer is preferred to another.

    With `soft` labels every answer's reward is its mean chance against all answers to its prompt,
    itself included at 1/2: for CoPG with beta = tau these are the gradients of IPO on the chances
    themselves, times tau / 2. Otherwise a pair's winner is drawn by its chance.

    Args:
        soft: a ranking by win rates instead of a comparison that was drawn.
    """

    soft: bool = False
    needs = "preference"

    @property
    def kind(self) -> str:
        """The record type that soft or drawn labels make."""
        return "ranking" if self.soft else "comparison"

    def label(self, drawn: Sequence[Drawn], judge: Any, read: Read, seed: int) -> list[Labelled]:
        """Compare answers with each other, all of them in one batch and in both orders.

        Raises:
            ValueError: labels are drawn and a prompt does not have two answers.
        """
        answers = [[read(group.prompt, sample) for sample in group.samples] for group in drawn]
        pairs = [pair for row in answers for pair in combinations(row, 2)]
        first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        chances = iter(symmetric_preference(judge, first, second).tolist())
        labelled = []
        for index, group in enumerate(drawn):
            count = len(group.samples)
            if not self.soft and count != 2:
                raise ValueError(f"{count} answers to a prompt: a drawn label takes 2")
            against = np.full((count, count), 0.5)
            for one, other in combinations(range(count), 2):
                against[one, other] = next(chances)
                against[other, one] = 1 - against[one, other]
            if self.soft:
                labelled.append(_make_record("ranking", group, index, against.mean(1).tolist()))
                continue
            chance = float(against[0, 1])
            # Of the place, not of a generator's state: labels do not depend on who else has one.
            order = (0, 1) if hashed_uniform(f"label {seed} {index}") < chance else (1, 0)
            labelled.append(_make_record("comparison", group, index, (chance, 1 - chance), order))
        return labelled


def _make_record(
    kind: str,
    drawn: Drawn,
    index: int,
    scores: Sequence[float],
    order: Sequence[int] | None = None,
) -> Labelled:
    """Make a record of answers, best first: in the order given, or in that of their scores."""
    if order is None:
        # The first drawn wins among equals: sorting is stable.
        order = sorted(range(len(scores)), key=lambda at: -scores[at])
    taken = {"comparison": (order[0], order[-1]), "demonstration": order[:1]}.get(kind, order)
    tree = TokenTree(drawn.prompt, tuple(drawn.samples[at].completion for at in taken))
    rewards = tuple(scores[at] for at in order) if kind == "ranking" else None
    return Labelled(drawn, Example(kind, (tree,), index, rewards=rewards), tuple(scores))
