"""One pass of a model over all preferences of the feedback, read by several checks at once.

Knows the engine and which answers of an example were preferred to which. Knows no check: what is
taken from the scores of a row is handed in as functions. Hidden states and logits exist for one
row at a time, whatever the size of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

from accordant.feedback.kinds.ranking import ordered_places
from accordant.scoring.engine import ScoreOptions, evaluating, score
from accordant.scoring.scores import Scores
from accordant.tokens.examples import Example
from accordant.tokens.trees import plan_rows


@dataclass(frozen=True, slots=True)
class Pair:
    """One preference.

    Args:
        example: place of its example in the list it came from.
        chosen: the preferred answer, by its place among the example's answers.
        rejected: the other one.
    """

    example: int
    chosen: int
    rejected: int


Reading = Callable[[Scores, Tensor, Tensor], Tensor]
"""From the scores of a row's examples and the continuations `[n]` that were preferred to others
`[n]`, to numbers of each pair, `[n, k]`."""


def list_pairs(examples: Sequence[Example]) -> list[Pair]:
    """List every preference the examples state, example by example.

    A comparison or joint pair states one. A ranking states one for every two of its answers that
    were not given the same reward.
    """
    return [
        Pair(place, chosen, rejected)
        for place, example in enumerate(examples)
        for chosen, rejected in ordered_places(count_answers(example), example.rewards)
    ]


def count_answers(example: Example) -> int:
    """Count continuations over all trees of an example."""
    return sum(len(tree.continuations) for tree in example.trees)


def tokens_of(example: Example, answer: int) -> tuple[int, ...]:
    """Return the token ids of an example's answer, by its place among all of them."""
    return [ids for tree in example.trees for ids in tree.continuations][answer]


@torch.no_grad()
def read_pairs(
    model: nn.Module,
    examples: Sequence[Example],
    readings: Mapping[str, Reading],
    options: ScoreOptions | None = None,
    *,
    row_tokens: int,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Tensor]:
    """Walk the examples once and let every reading take its numbers on the way.

    Args:
        model: prepared by `scoring.install`.
        examples: comparisons, joint pairs or rankings.
        readings: by name.
        options: what the readings need of the scores; log-probabilities alone when None.
        row_tokens: tokens of a packed row; a longer example gets a row of its own.
        advance: called after every row with its tokens.

    Returns:
        what each reading took, float64 `[pairs, k]` on the CPU, in the order of `list_pairs`.
    """
    # Hidden states of all data would fit nowhere: what is read of a row is all that is kept.
    taken: dict[str, list[Tensor]] = {name: [] for name in readings}
    with evaluating(model):
        for row in plan_rows([example.num_tokens for example in examples], row_tokens):
            packed = [examples[place] for place in row]
            scores = score(model, [tree for example in packed for tree in example.trees], options)
            chosen, rejected = _places(packed, scores.lengths.device)
            for name, reading in readings.items():
                taken[name].append(reading(scores, chosen, rejected).double().cpu())
            advance(sum(example.num_tokens for example in packed))
    return {name: torch.cat(parts) for name, parts in taken.items()}


def _places(examples: Sequence[Example], device: torch.device) -> Tensor:
    """Number continuations of a row, the preferred and the other of every pair, int64 `[2, n]`."""
    counts = [count_answers(example) for example in examples]
    # A row's scores have the continuations of its examples one after the other.
    firsts = [0, *accumulate(counts)]
    pairs = [
        (firsts[pair.example] + pair.chosen, firsts[pair.example] + pair.rejected)
        for pair in list_pairs(examples)
    ]
    return torch.tensor(pairs, dtype=torch.long, device=device).reshape(-1, 2).T


def summed_logps(scores: Scores, chosen: Tensor, rejected: Tensor) -> Tensor:
    """Return log-probability and tokens of both answers: chosen, rejected, then their lengths."""
    total, lengths = scores.sum(), scores.lengths
    columns = (total[chosen], total[rejected], lengths[chosen], lengths[rejected])
    return torch.stack([column.double() for column in columns], dim=1)
