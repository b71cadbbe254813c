"""From a world's answers and rewards to feedback records in tokens, as the data rooms make them.

Knows worlds, rewards and random generators. Knows nothing of policies or losses. Whatever is drawn
takes a seed. What comes out are the project's own `Example`s, so the registered objectives are
trained on them by the same path as on a user's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from accordant.tokens.examples import Example, with_numbers
from accordant_studies.laboratory.worlds import World


@dataclass(frozen=True, slots=True)
class Pairs:
    """`n` pairs of answers to compare.

    Args:
        contexts: int64 `[n]`.
        first: index of the first answer, int64 `[n]`.
        second: index of the second answer, int64 `[n]`.
    """

    contexts: Tensor
    first: Tensor
    second: Tensor

    @property
    def count(self) -> int:
        """Return the number of pairs."""
        return self.contexts.shape[0]

    def gaps(self, values: Tensor) -> Tensor:
        """Return the value of the first answer minus that of the second, `[n]`.

        Args:
            values: rewards or log-ratios of all answers, `[contexts, answers]`.
        """
        return values[self.contexts, self.first] - values[self.contexts, self.second]


def draw_answers(logps: Tensor, contexts: Tensor, each: int, seed: int) -> Tensor:
    """Draw answers independently from a policy.

    Args:
        logps: of the sampler, `[contexts, answers]`.
        contexts: int64 `[n]`.
        each: answers per context.
        seed: of the draws.

    Returns:
        indices, int64 `[n, each]`.
    """
    return torch.multinomial(
        logps.detach().exp()[contexts], each, replacement=True, generator=_generator(seed)
    )


def draw_pairs(world: World, logps: Tensor, count: int, seed: int) -> Pairs:
    """Draw pairs of two different answers from one sampler; equal draws are drawn again."""
    generator = _generator(seed)
    weights = logps.detach().exp()
    contexts = torch.randint(world.contexts, (count,), generator=generator)
    first = torch.multinomial(weights[contexts], 1, generator=generator)
    others = weights[contexts].scatter(1, first, 0.0)
    second = torch.multinomial(others, 1, generator=generator)
    return Pairs(contexts, first.squeeze(1), second.squeeze(1))


def every_pair(world: World) -> Pairs:
    """Return all ordered pairs of two different answers, in every context."""
    grid = torch.cartesian_prod(
        torch.arange(world.contexts), torch.arange(world.size), torch.arange(world.size)
    )
    return Pairs(*grid[grid[:, 1] != grid[:, 2]].T)


def vote(
    pairs: Pairs,
    rewards: Tensor,
    seed: int,
    *,
    voters: int = 1,
    temperature: float = 1.0,
    flips: float = 0.0,
) -> Tensor:
    """Say how many voters prefer the first answer, int64 `[n]`.

    Each votes by Bradley-Terry, P(first) = sigmoid(reward gap / temperature), and is then turned
    round with probability `flips`.

    Args:
        pairs: what they vote on.
        rewards: `[contexts, answers]`.
        seed: of the votes.
        voters: votes per pair.
        temperature: 0 always prefers the higher reward, ties half.
        flips: share of votes turned round, in [0, 0.5].
    """
    gaps = pairs.gaps(rewards).double()
    clean = (gaps.sign() + 1) / 2 if temperature == 0 else (gaps / temperature).sigmoid()
    chance = clean * (1 - flips) + (1 - clean) * flips
    draws = torch.rand(pairs.count, voters, generator=_generator(seed), dtype=torch.float64)
    return (draws < chance.unsqueeze(1)).sum(1)


def majority(pairs: Pairs, votes: Tensor, voters: int, seed: int = 0) -> Pairs:
    """Return the pairs with the answer more voters prefer first; a draw is decided by a coin."""
    coin = torch.rand(pairs.count, generator=_generator(seed)) < 0.5
    swapped = (2 * votes < voters) | ((2 * votes == voters) & coin)
    return Pairs(
        pairs.contexts,
        torch.where(swapped, pairs.second, pairs.first),
        torch.where(swapped, pairs.first, pairs.second),
    )


def every_vote(pairs: Pairs, votes: Tensor, voters: int) -> Pairs:
    """Return one pair for every vote, the answer first that it was for."""
    for_first = torch.arange(voters) < votes.unsqueeze(1)
    first, second = (
        torch.where(for_first, ours.unsqueeze(1), theirs.unsqueeze(1)).flatten()
        for ours, theirs in ((pairs.first, pairs.second), (pairs.second, pairs.first))
    )
    return Pairs(pairs.contexts.repeat_interleave(voters), first, second)


def comparisons(world: World, pairs: Pairs, rewards: Tensor | None = None) -> list[Example]:
    """Return comparisons with the first answer of every pair chosen.

    Args:
        world: what the answers are of.
        pairs: preferred answers first.
        rewards: what the answers were rated, `[contexts, answers]`; kept as the pairs' gaps for
            objectives that read them. None where nobody rated them.
    """
    columns = (pairs.contexts, pairs.first, pairs.second)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    examples = [
        Example("comparison", (world.tree(context, (first, second)),), index)
        for index, (context, first, second) in enumerate(rows)
    ]
    if rewards is None:
        return examples
    return [
        with_numbers(example, "reward_gap", (gap,))
        for example, gap in zip(examples, pairs.gaps(rewards).tolist(), strict=True)
    ]


def voted_comparisons(
    world: World, pairs: Pairs, votes: Tensor, voters: int, seed: int = 0
) -> list[Example]:
    """Return comparisons decided by the majority that keep how many voted for either answer."""
    preferred = majority(pairs, votes, voters, seed)
    turned = preferred.first != pairs.first
    wins = torch.where(turned, voters - votes, votes).tolist()
    return [
        with_numbers(example, "votes", (won, voters - won))
        for example, won in zip(comparisons(world, preferred), wins, strict=True)
    ]


def joint_pairs(
    world: World, chosen: Sequence[Tensor], rejected: Sequence[Tensor]
) -> list[Example]:
    """Return comparisons of answers to contexts that may differ.

    Args:
        world: what the answers are of.
        chosen: contexts and answers preferred, two int64 `[n]`.
        rejected: those they were preferred to, two int64 `[n]`.
    """
    rows = zip(*(part.tolist() for part in (*chosen, *rejected)), strict=True)
    return [
        Example("joint_pair", (world.tree(a, (first,)), world.tree(b, (second,))), index)
        for index, (a, first, b, second) in enumerate(rows)
    ]


def demonstrations(world: World, contexts: Tensor, answers: Tensor) -> list[Example]:
    """Return answers to imitate; `contexts` and `answers` are int64 `[n]`."""
    return [
        Example("demonstration", (world.tree(context, (answer,)),), index)
        for index, (context, answer) in enumerate(
            zip(contexts.tolist(), answers.tolist(), strict=True)
        )
    ]


def thumbs(world: World, contexts: Tensor, answers: Tensor, desirable: Tensor) -> list[Example]:
    """Return answers with thumbs; all three are `[n]`, `desirable` is bool."""
    shown = demonstrations(world, contexts, answers)
    return [
        replace(example, kind="binary", label=label)
        for example, label in zip(shown, desirable.tolist(), strict=True)
    ]


def rankings(world: World, contexts: Tensor, answers: Tensor, rewards: Tensor) -> list[Example]:
    """Return several answers to each context, sorted by reward, best first.

    Args:
        world: what the answers are of.
        contexts: int64 `[n]`.
        answers: int64 `[n, k]`.
        rewards: what they are ranked by, `[contexts, answers]`.
    """
    numbers = rewards[contexts.unsqueeze(1), answers]
    order = numbers.argsort(dim=1, descending=True, stable=True)
    best, numbers = answers.gather(1, order), numbers.gather(1, order)
    rows = zip(contexts.tolist(), best.tolist(), numbers.tolist(), strict=True)
    return [
        Example("ranking", (world.tree(context, ids),), index, rewards=tuple(values))
        for index, (context, ids, values) in enumerate(rows)
    ]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
