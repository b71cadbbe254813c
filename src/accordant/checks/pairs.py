"""One pass of a model over all preferences of the feedback, read by several checks at once.

Knows the engine and which answers of an example were preferred to which. Knows no check: what is
taken from the scores of a row is handed in as functions. Hidden states and logits exist for one
row at a time, whatever the size of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Reading:
    """What one check takes from the scores of every row.

    Args:
        read: from the scores of whole examples and the continuations `[n]` that were preferred to
            others `[n]`, to numbers of each pair, `[n, k]`.
        logps: whether it reads log-probabilities; where nobody does, the head is left out.
        hidden: whether it reads hidden states.
    """

    read: Callable[[Scores, Tensor, Tensor], Tensor]
    logps: bool = True
    hidden: bool = False


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
    *,
    row_tokens: int,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Tensor]:
    """Walk the examples once and let every reading take its numbers on the way.

    Args:
        model: prepared by `scoring.install`.
        examples: comparisons, joint pairs or rankings.
        readings: by name.
        row_tokens: tokens of a packed row; a longer example gets a row of its own.
        advance: called after every row with its tokens.

    Returns:
        what each reading took, float64 `[pairs, k]` on the CPU, in the order of `list_pairs`.
    """
    options = ScoreOptions(
        logps=any(reading.logps for reading in readings.values()),
        hidden=any(reading.hidden for reading in readings.values()),
    )
    taken: dict[str, list[Tensor]] = {name: [] for name in readings}
    with evaluating(model):
        for row in plan_rows([example.num_tokens for example in examples], row_tokens):
            packed = [examples[place] for place in row]
            scores = score(model, [tree for example in packed for tree in example.trees], options)
            chosen, rejected = _places(packed, scores.lengths.device)
            for name, reading in readings.items():
                taken[name].append(reading.read(scores, chosen, rejected).double().cpu())
            advance(sum(example.num_tokens for example in packed))
    return {name: torch.cat(parts) for name, parts in taken.items()}


def _places(examples: Sequence[Example], device: torch.device) -> tuple[Tensor, Tensor]:
    """Number continuations of a row that were preferred to others, int64 `[n]` each."""
    first = [0]
    for example in examples:
        first.append(first[-1] + count_answers(example))
    pairs = list_pairs(examples)
    chosen = [first[pair.example] + pair.chosen for pair in pairs]
    rejected = [first[pair.example] + pair.rejected for pair in pairs]
    return (
        torch.tensor(chosen, dtype=torch.long, device=device),
        torch.tensor(rejected, dtype=torch.long, device=device),
    )


def summed_logps(scores: Scores, chosen: Tensor, rejected: Tensor) -> Tensor:
    """Return log-probability and tokens of both answers: chosen, rejected, then their lengths."""
    total, lengths = scores.sum(), scores.lengths
    columns = (total[chosen], total[rejected], lengths[chosen], lengths[rejected])
    return torch.stack([column.double() for column in columns], dim=1)


LOGPS = Reading(summed_logps)
