"""How alike two answers are to a model and to the eye: CHES scores and their plainer rivals.

Knows hidden states and token ids. Knows nothing of models, data or verdicts.

S is the sum of an answer's last hidden states (after the final norm) over the positions that
predict its tokens: from the prompt's last token to the one before the answer's last. That is the
sum the authors' code takes, whose answers end, as ours do, with an end token that is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from accordant.scoring.scores import Scores

# The scores a model has to be asked for, in the order of `read_similarities`.
COLUMNS = ("length-normalised CHES", "CHES", "last-state similarity")


def ches_scores(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Compute the centred hidden embedding similarity <S_w, S_l> - ||S_w||^2, `[n]`.

    The higher, the more the chosen answer is expected to lose when it is preferred to the rejected
    one (Razin et al. 2024, definition 2). It is 0 where both answers have the same sum.

    Args:
        chosen: S of the preferred answers, `[n, width]`.
        rejected: S of the others, `[n, width]`.
    """
    return (chosen * (rejected - chosen)).sum(-1)


def normalised_ches_scores(
    chosen: Tensor, rejected: Tensor, chosen_lengths: Tensor, rejected_lengths: Tensor
) -> Tensor:
    """Compute CHES of mean states, <S_w, S_l> / (n_w n_l) - ||S_w||^2 / n_w^2, `[n]`.

    The plain score grows with the square of the answers' lengths, so that it ranks pairs by length
    where those vary; this one does not.

    Args:
        chosen: S of the preferred answers, `[n, width]`.
        rejected: S of the others, `[n, width]`.
        chosen_lengths: positions summed over, `[n]`.
        rejected_lengths: the same of the others, `[n]`.
    """
    return ches_scores(chosen / chosen_lengths[:, None], rejected / rejected_lengths[:, None])


def read_similarities(scores: Scores, chosen: Tensor, rejected: Tensor) -> Tensor:
    """Compute the `COLUMNS` of every pair from its hidden states, float64 `[n, 3]`."""
    assert scores.hidden is not None
    # Summed in float32: a bfloat16 sum over an answer would keep two digits.
    sums = scores.sum_tokens(scores.hidden.float()).double()
    lengths = scores.lengths.double()
    # The state from which an answer's last token, its end, is predicted.
    last = scores.last_tokens(scores.hidden).double()
    pair, lengths_of_pair = (sums[chosen], sums[rejected]), (lengths[chosen], lengths[rejected])
    columns = (
        normalised_ches_scores(*pair, *lengths_of_pair),
        ches_scores(*pair),
        (last[chosen] * last[rejected]).sum(-1),
    )
    return torch.stack(columns, dim=1)


def edit_distance(first: Sequence[int], second: Sequence[int]) -> int:
    """Count the fewest insertions, deletions and replacements of tokens between two answers.

    Myers 1999 (Journal of the ACM 46) as put by Hyyrö: a column of the usual table is two bit
    vectors, and Python's whole numbers are as long as an answer, so a column is a few operations.
    """
    if not first:
        return len(second)
    places: dict[int, int] = {}
    for place, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << place
    everything, top = (1 << len(first)) - 1, 1 << len(first) - 1
    up, down, distance = everything, 0, len(first)
    # Bit i of `up` (`down`) says that the column rises (falls) from row i to the next.
    for token in second:
        equal = places.get(token, 0)
        vertical = equal | down
        diagonal = (((equal & up) + up) ^ up) | equal
        rise, fall = down | ~(diagonal | up) & everything, up & diagonal
        # The topmost bit belongs to the whole of `first`, so it moves the distance.
        distance += bool(rise & top) - bool(fall & top)
        rise, fall = rise << 1 | 1, fall << 1
        up = (fall | ~(vertical | rise)) & everything
        down = rise & vertical
    return distance


def edit_similarity(chosen: Sequence[int], rejected: Sequence[int]) -> float:
    """Return minus the edit distance by the longer answer's tokens: in [-1, 0], 0 if equal."""
    # Minus, so that more is more alike as in the other scores.
    return -edit_distance(chosen, rejected) / max(len(chosen), len(rejected))
