"""Where probability went between two models, token by token of the vocabulary.

Knows the engine and trees of tokens. Knows nothing of texts, data or verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from accordant.scoring.distributions import next_token_logps
from accordant.scoring.engine import ScoreOptions, evaluating, score
from accordant.scoring.scores import Scores
from accordant.tokens.trees import TokenTree, plan_rows

# Positions whose distributions exist at a time: two models' of 64 take 25 MB at 50,000 tokens.
_POSITIONS = 64


@dataclass(frozen=True, slots=True)
class ProbabilityShift:
    """Changes of probability, averaged over positions; float64 on the CPU.

    Args:
        change: of every token at all positions of the answers, `[vocab]`; sums to 0.
        first_change: of every token where an answer begins, `[vocab]`.
        variation: total variation sum |p - q| / 2 at every position, `[positions]`, in [0, 1].
        first_variation: the same where an answer begins, `[trees]`.
        first_elsewhere: part of it that tokens gained which begin no answer of the tree, `[trees]`.
    """

    change: Tensor
    first_change: Tensor
    variation: Tensor
    first_variation: Tensor
    first_elsewhere: Tensor


@torch.no_grad()
def measure_shift(
    model: Any,
    reference: Any,
    trees: Sequence[TokenTree],
    *,
    row_tokens: int,
    advance: Callable[[int], None] = lambda _: None,
) -> ProbabilityShift:
    """Compare both models' next-token distributions along the answers of `trees`.

    Args:
        model: prepared by `scoring.install`.
        reference: the other one, of the same vocabulary, prepared too.
        trees: prompts with at least one answer each.
        row_tokens: tokens of a packed row.
        advance: called after every row with its tokens, once for each model.
    """
    rows = []
    with evaluating(model), evaluating(reference):
        for row in plan_rows([tree.num_tokens for tree in trees], row_tokens):
            chosen = [trees[place] for place in row]
            rows.append(_compare(model, reference, chosen))
            advance(2 * sum(tree.num_tokens for tree in chosen))
    changes, variations, first_changes, firsts = zip(*rows, strict=True)
    variation, first = torch.cat(variations), torch.cat(firsts)
    return ProbabilityShift(
        change=torch.stack(changes).sum(0) / len(variation),
        first_change=torch.stack(first_changes).sum(0) / len(first),
        variation=variation,
        first_variation=first[:, 0],
        first_elsewhere=first[:, 1],
    )


def _compare(
    model: Any, reference: Any, trees: Sequence[TokenTree]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compare one row: change and variation everywhere, then those where answers begin."""
    options = ScoreOptions(hidden=True, logps=False)
    ours, theirs = (score(side, trees, options) for side in (model, reference))
    assert ours.hidden is not None
    assert theirs.hidden is not None
    states = ours.hidden, theirs.hidden

    def differences(positions: Tensor) -> Iterator[Tensor]:
        """Yield p - q at some positions, a chunk at a time, float64 `[chunk, vocab]`."""
        # In float64: most tokens' probabilities change in digits that float32 does not have.
        for chunk in positions.split(_POSITIONS):
            p = next_token_logps(model, states[0][chunk]).double().exp()
            yield p - next_token_logps(reference, states[1][chunk]).double().exp()

    everywhere = torch.arange(len(ours.owner), device=ours.owner.device)
    whole = _sums((moved, moved.clamp(min=0).sum(1)) for moved in differences(everywhere))
    chunks = [trees[start : start + _POSITIONS] for start in range(0, len(trees), _POSITIONS)]
    first = _sums(
        (moved, _gains(moved, chunk))
        for moved, chunk in zip(differences(_beginnings(ours, trees)), chunks, strict=True)
    )
    return *whole, *first


def _sums(parts: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Sum changes `[positions, vocab]` over all positions, and join what goes with them."""
    total, beside = None, []
    for moved, other in parts:
        total = moved.sum(0) if total is None else total + moved.sum(0)
        beside.append(other)
    assert total is not None
    return total.cpu(), torch.cat(beside).cpu()


def _gains(moved: Tensor, trees: Sequence[TokenTree]) -> Tensor:
    """Sum gains where each tree's answers begin, in all and by other tokens, `[trees, 2]`."""
    gained = moved.clamp(min=0)
    whole = gained.sum(1)
    for row, tree in zip(gained, trees, strict=True):
        row[list({answer[0] for answer in tree.continuations})] = 0
    return torch.stack([whole, gained.sum(1)], dim=1)


def _beginnings(scores: Scores, trees: Sequence[TokenTree]) -> Tensor:
    """Find the position that predicts the first token of each tree's answers, int64 `[trees]`.

    All answers of a tree begin behind the same prompt, so one position speaks for them.
    """
    starts = torch.cumsum(scores.lengths, 0) - scores.lengths
    answers = torch.tensor([len(tree.continuations) for tree in trees], device=starts.device)
    return starts[torch.cumsum(answers, 0) - answers]
