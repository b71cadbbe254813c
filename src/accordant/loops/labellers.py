"""Labellers: what turns drawn answers into records to learn from.

Knows drawn answers, rewards and preferences. Knows no policy and no trainer: a labeller is a pure
function of answers, a judge and a seed, and its numbers are plain floats that carry no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
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
        scores = iter(score_single(judge, _read_all(drawn, read)).tolist())
        labelled = []
        for index, group in enumerate(drawn):
            rewards = tuple(next(scores) for _ in group.samples)
            # The first drawn wins among equals: sorting is stable.
            order = sorted(range(len(rewards)), key=lambda at: -rewards[at])
            if (
                self.kind != "ranking"
                and len(rewards) > 1
                and rewards[order[0]] == rewards[order[-1]]
            ):
                labelled.append(Labelled(group, None, rewards, EQUAL))
                continue
            labelled.append(Labelled(group, self._example(group, index, order, rewards), rewards))
        return labelled

    def _example(
        self, drawn: Drawn, index: int, order: Sequence[int], rewards: Sequence[float]
    ) -> Example:
        if self.kind == "ranking":
            best_first = tuple(rewards[at] for at in order)
            return _record("ranking", drawn, index, order, best_first)
        if self.kind == "demonstration":
            return _record("demonstration", drawn, index, order[:1])
        best, worst = order[0], order[-1]
        pair = _record("comparison", drawn, index, (best, worst))
        return with_numbers(pair, "reward_gap", (rewards[best] - rewards[worst],))


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
        label = self._ranked if self.soft else self._drawn
        return [label(group, index, chances, seed) for index, group in enumerate(drawn)]

    def _ranked(self, drawn: Drawn, index: int, chances: Any, seed: int) -> Labelled:
        del seed
        count = len(drawn.samples)
        against = np.full((count, count), 0.5)
        for first, second in combinations(range(count), 2):
            against[first, second] = next(chances)
            against[second, first] = 1 - against[first, second]
        rates = tuple(against.mean(1).tolist())
        order = sorted(range(count), key=lambda at: -rates[at])
        best_first = tuple(rates[at] for at in order)
        return Labelled(drawn, _record("ranking", drawn, index, order, best_first), rates)

    def _drawn(self, drawn: Drawn, index: int, chances: Any, seed: int) -> Labelled:
        if len(drawn.samples) != 2:
            raise ValueError(f"{len(drawn.samples)} answers to a prompt: a drawn label takes 2")
        chance = next(chances)
        # Of the place, not of a generator's state: labels do not depend on who else is labelled.
        wins = hashed_uniform(f"label {seed} {index}") < chance
        pair = _record("comparison", drawn, index, (0, 1) if wins else (1, 0))
        return Labelled(drawn, pair, (chance, 1 - chance))


def _read_all(drawn: Sequence[Drawn], read: Read) -> list[Answer]:
    return list(
        chain.from_iterable(map(read, [d.prompt] * len(d.samples), d.samples) for d in drawn)
    )


def _record(
    kind: str,
    drawn: Drawn,
    index: int,
    order: Sequence[int],
    rewards: tuple[float, ...] | None = None,
) -> Example:
    """Make a record of some answers, in the order given."""
    tree = TokenTree(drawn.prompt, tuple(drawn.samples[at].completion for at in order))
    return Example(kind, (tree,), index, rewards=rewards)
