"""Which of two answers a model finds likelier, which it could, and how hard the change is.

Knows log-probabilities, lengths and votes. Knows nothing of models, data or verdicts, and loads
torch only where it makes tensors, as checks that are merely listed import it. All numbers are
float64; log-probabilities are in nats. After Chen et al. 2024, 'Preference Learning Algorithms
Do Not Learn Preference Rankings'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class PairLogps:
    """Log-probabilities of both answers of `n` pairs, and their tokens, float64 `[n]` each."""

    chosen: Tensor
    rejected: Tensor
    chosen_lengths: Tensor
    rejected_lengths: Tensor

    @classmethod
    def of(cls, columns: Tensor) -> PairLogps:
        """Make it from what `pairs.summed_logps` reads, `[n, 4]`."""
        return cls(*columns.double().unbind(1))

    @property
    def gaps(self) -> Tensor:
        """Log-probability of the chosen answer minus that of the rejected one, nats."""
        return self.chosen - self.rejected

    @property
    def right(self) -> Tensor:
        """`ranked_right` of the gaps."""
        return ranked_right(self.gaps)

    @property
    def gaps_per_token(self) -> Tensor:
        """The same with each divided by its answer's tokens first."""
        return self.chosen / self.chosen_lengths - self.rejected / self.rejected_lengths


def ranked_right(gaps: Tensor) -> Tensor:
    """Return 1 where the chosen answer is the likelier one, 1/2 at a tie, 0 elsewhere, `[n]`."""
    return (gaps.sign() + 1) / 2


def ideal_gaps(gaps: Tensor, preferred: Tensor, beta: float) -> Tensor:
    """Return gaps at DPO's optimum: pi*(w) / pi*(l) = ref(w) / ref(l) (a / (1 - a))^(1 / beta).

    With gaps per token it is the optimum of DPO on log-ratios per token, whose logarithms replace
    those of the whole answers on both sides.

    Args:
        gaps: of the reference, nats, `[n]`.
        preferred: a, the share of people who prefer the chosen answer, in [0, 1], `[n]`; at 1 the
            gap is infinite.
        beta: of the objective.
    """
    import torch

    # Infinite where all votes agree: the optimum then ranks the pair as they do.
    return gaps + torch.logit(preferred.double()) / beta


@dataclass(frozen=True, slots=True)
class Optimum:
    """DPO's optimum: its beta, and the share of people who prefer each chosen answer, `[pairs]`.

    `shares` is NaN where nobody counted, and the assumed share stands there.
    """

    beta: float
    shares: Tensor
    assumed: float

    @property
    def unknown(self) -> int:
        """Pairs whose share is assumed."""
        return int(self.shares.isnan().sum())

    def right(self, gaps: Tensor, assumed: float | None = None) -> Tensor:
        """Tell which pairs it ranks right, from the gaps of the model now, `[pairs]`."""
        filled = self.shares.nan_to_num(nan=self.assumed if assumed is None else assumed)
        return ranked_right(ideal_gaps(gaps, filled, self.beta))


def needed_loss(gaps: Tensor, beta: float) -> Tensor:
    """Return DPO's loss under which a pair is ranked right: -log sigmoid(beta c), `[n]`.

    c = log ref(l) - log ref(w) is minus the reference's gap. It is log 2, the loss at the start,
    for a pair the reference ranks equal, and the lower the worse the reference ranks the pair.
    """
    import torch

    # softplus(x) is -log sigmoid(-x), and does not overflow where a pair is very wrong.
    return torch.nn.functional.softplus(beta * gaps)


def vote_shares(votes: Sequence[tuple[float, ...] | None]) -> Tensor:
    """Return the share of votes for the chosen answer, float64 `[n]`; NaN where nobody counted."""
    import torch

    # NaN and not one half: whoever asks assumes a share where nobody counted, and says so.
    counted = [(0, 0) if pair is None else pair for pair in votes]
    shares = [won / (won + lost) if won + lost else float("nan") for won, lost in counted]
    return torch.tensor(shares, dtype=torch.float64)
