"""Results on held-out records, from the log-probabilities of their completions.

Knows summed log-probabilities, lengths and labels. Knows nothing of models, text or files.
Log-probabilities are in nats. An implicit reward is beta (log policy - log reference), as in
Rafailov et al. 2023 (DPO), equation 5 without the term of the prompt, which cancels in a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accordant.reports.results import (
    BinaryResults,
    ComparisonResults,
    DemonstrationResults,
    Distribution,
    LogpChange,
    RankingResults,
)
from accordant.statistics.estimates import (
    area_under_curve,
    bootstrap_mean,
    bootstrap_ratio,
    proportion,
    to_floats,
)
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    Floats = NDArray[np.float64]
    Values = ArrayLike | Tensor


@dataclass(frozen=True, slots=True)
class HeldOutLogps:
    """Log-probabilities of `n` held-out completions, each summed over its tokens.

    Args:
        policy: under the trained model, `[n]`, nats.
        start: under the model before the first step, `[n]`, nats.
        lengths: tokens of every completion, `[n]`, at least 1.
        reference: under the reference, `[n]`, nats; None when it is the start.
    """

    policy: Values
    start: Values
    lengths: Values
    reference: Values | None = None

    def rewards(self, beta: float) -> Floats:
        """Implicit rewards beta (policy - reference), float64 `[n]`."""
        base = self.start if self.reference is None else self.reference
        policy, against = _aligned(policy=self.policy, reference=base)
        return beta * (policy - against)


def reward_accuracy(
    policy_chosen: Values, policy_rejected: Values, ref_chosen: Values, ref_rejected: Values
) -> Interval:
    """Share of comparisons whose chosen completion has the higher implicit reward, ties half.

    All are summed log-probabilities, `[n]`. The interval is Wilson's.
    """
    return proportion(
        _wins(_log_ratio_margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected))
    )


def margins(
    policy_chosen: Values,
    policy_rejected: Values,
    ref_chosen: Values,
    ref_rejected: Values,
    beta: float = 1.0,
) -> Distribution:
    """Implicit-reward margins: beta ((policy - ref) of chosen - (policy - ref) of rejected)."""
    values = beta * _log_ratio_margins(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    return _distribution("implicit reward margin", values)


def logp_changes(name: str, before: Values, after: Values, lengths: Values) -> LogpChange:
    """How far the log-probabilities of one group of completions moved; did they fall?

    Args:
        name: the group, such as `chosen`.
        before: summed log-probabilities at the start (or under the reference), `[n]`.
        after: the same at the end, `[n]`.
        lengths: tokens of every completion, `[n]`.
    """
    old, new, tokens = _aligned(before=before, after=after, lengths=lengths)
    moved = new - old
    return LogpChange(
        name=name,
        before=_mean(old),
        after=_mean(new),
        change=bootstrap_mean(moved),
        change_per_token=bootstrap_mean(moved / tokens),
        fell=proportion(_wins(-moved)),
    )


def evaluate_comparisons(
    chosen: HeldOutLogps, rejected: HeldOutLogps, beta: float = 1.0
) -> ComparisonResults:
    """Results on `n` comparisons; `chosen` and `rejected` are in the same order.

    Args:
        chosen: log-probabilities of the preferred completions.
        rejected: those of the others.
        beta: the objective's factor from log-ratios to implicit rewards.
    """
    reward_margins = np.subtract(
        *_aligned(chosen=chosen.rewards(beta), rejected=rejected.rewards(beta))
    )
    after = np.subtract(*_aligned(chosen=chosen.policy, rejected=rejected.policy))
    before = np.subtract(*_aligned(chosen=chosen.start, rejected=rejected.start))
    return ComparisonResults(
        count=len(after),
        beta=beta,
        accuracy=proportion(_wins(reward_margins)),
        ranked_before=proportion(_wins(before)),
        ranked_after=proportion(_wins(after)),
        reward_margins=_distribution("implicit reward margin", reward_margins),
        logp_margins_before=_distribution("log-probability margin at the start", before),
        logp_margins_after=_distribution("log-probability margin after training", after),
        chosen=logp_changes("chosen", chosen.start, chosen.policy, chosen.lengths),
        rejected=logp_changes("rejected", rejected.start, rejected.policy, rejected.lengths),
    )


def evaluate_binary(
    completions: HeldOutLogps, desirable: Values, beta: float = 1.0
) -> BinaryResults:
    """Results on `n` completions with thumbs.

    Args:
        completions: their log-probabilities.
        desirable: True or 1 for a thumb up, `[n]`.
        beta: the objective's factor from log-ratios to implicit rewards.
    """
    rewards, good = completions.rewards(beta), to_floats(desirable, "desirable") != 0
    if rewards.shape != good.shape:
        raise ValueError(f"{len(rewards)} completions but {len(good)} labels")
    return BinaryResults(
        count=len(rewards),
        beta=beta,
        accuracy=proportion(_wins(np.where(good, rewards, -rewards))),
        auc=area_under_curve(rewards[good], rewards[~good]),
        rewards_desirable=_distribution("implicit reward of desirable", rewards[good]),
        rewards_undesirable=_distribution("implicit reward of undesirable", rewards[~good]),
        desirable=_change_of("desirable", completions, good) if good.any() else None,
        undesirable=_change_of("undesirable", completions, ~good) if (~good).any() else None,
    )


def evaluate_rankings(
    completions: HeldOutLogps, ranking: Values, labels: Values, beta: float = 1.0
) -> RankingResults:
    """Results on rankings of any length, flat over their `m` completions.

    A ranking whose labels are all tied orders nothing: it is left out of the accuracies and of tau.

    Args:
        completions: their log-probabilities, ranking by ranking.
        ranking: ranking every completion belongs to, whole numbers, `[m]`.
        labels: the higher the better, `[m]`; equal labels within a ranking are ties.
        beta: the objective's factor from log-ratios to implicit rewards.

    Raises:
        ValueError: a ranking has one completion only.
    """
    rewards = completions.rewards(beta)
    owner, worth = to_floats(ranking, "ranking"), to_floats(labels, "labels")
    if not rewards.shape == owner.shape == worth.shape:
        raise ValueError(f"{len(rewards)} completions, {len(owner)} owners, {len(worth)} labels")
    rows = [np.flatnonzero(owner == one) for one in np.unique(owner)]
    if any(len(row) < 2 for row in rows):
        raise ValueError("a ranking needs at least two completions")
    orders = [_order_of(rewards[row], worth[row]) for row in rows]
    ordered = [order for order in orders if order.pairs]
    tops = np.array([row[np.argmax(worth[row])] for row in rows], dtype=np.int64)
    best = np.zeros(len(rewards), dtype=bool)
    best[tops] = True
    gaps = [
        rewards[top] - rewards[row[row != top]].mean() for row, top in zip(rows, tops, strict=True)
    ]
    return RankingResults(
        count=len(rows),
        pairs=sum(order.pairs for order in orders),
        beta=beta,
        pair_accuracy=bootstrap_mean([order.accuracy for order in ordered]),
        kendall_tau=bootstrap_mean([order.tau for order in ordered]),
        top_accuracy=proportion([order.top for order in ordered]),
        reward_margins=_distribution(
            "implicit reward of the best minus the others", np.array(gaps)
        ),
        best=_change_of("best", completions, best),
        others=_change_of("others", completions, ~best),
    )


def evaluate_demonstrations(completions: HeldOutLogps) -> DemonstrationResults:
    """Results on `n` answers to imitate.

    Negative log-likelihoods are per token over all tokens (summed, then divided), as perplexity is
    defined; their intervals resample whole answers.
    """
    new, old, tokens = _aligned(
        policy=completions.policy, start=completions.start, lengths=completions.lengths
    )
    before, after = bootstrap_ratio(-old, tokens), bootstrap_ratio(-new, tokens)
    return DemonstrationResults(
        count=len(new),
        tokens=int(tokens.sum()),
        nll_before=before,
        nll_after=after,
        nll_change=bootstrap_ratio(old - new, tokens),
        perplexity_before=_exponential(before),
        perplexity_after=_exponential(after),
        completion=logp_changes("completion", old, new, tokens),
    )


@dataclass(frozen=True, slots=True)
class _Order:
    """How well one ranking is ordered; `pairs` counts pairs that the labels do not tie."""

    pairs: int
    accuracy: float
    tau: float
    top: float


def _order_of(rewards: Floats, labels: Floats) -> _Order:
    """Compare the order of `rewards` with that of `labels`, both `[k]` of one ranking."""
    first, second = np.triu_indices(len(labels), 1)
    wanted = np.sign(labels[first] - labels[second])
    given = np.sign(rewards[first] - rewards[second])
    agreement = (wanted * given)[wanted != 0]
    pairs = len(agreement)
    if pairs == 0:
        return _Order(0, np.nan, np.nan, np.nan)
    # Kendall's tau-b; a constant reward orders nothing, which is a correlation of 0.
    spread = np.sqrt(pairs * np.count_nonzero(given))
    tau = float(agreement.sum() / spread) if spread else 0.0
    return _Order(pairs, float((agreement.mean() + 1) / 2), tau, _top_share(rewards, labels))


def _top_share(rewards: Floats, labels: Floats) -> float:
    """Chance that a completion drawn from those with the highest reward has the highest label."""
    highest = rewards == rewards.max()
    return float((labels[highest] == labels.max()).mean())


def _change_of(name: str, completions: HeldOutLogps, members: NDArray[np.bool_]) -> LogpChange:
    start, policy, lengths = _aligned(
        start=completions.start, policy=completions.policy, lengths=completions.lengths
    )
    return logp_changes(name, start[members], policy[members], lengths[members])


def _log_ratio_margins(
    policy_chosen: Values, policy_rejected: Values, ref_chosen: Values, ref_rejected: Values
) -> Floats:
    """(policy - reference) of the chosen minus the same of the rejected, float64 `[n]`."""
    chosen, rejected, base_chosen, base_rejected = _aligned(
        policy_chosen=policy_chosen,
        policy_rejected=policy_rejected,
        ref_chosen=ref_chosen,
        ref_rejected=ref_rejected,
    )
    return (chosen - base_chosen) - (rejected - base_rejected)


def _wins(differences: Floats) -> Floats:
    """1 where positive, 1/2 where zero, 0 where negative."""
    return (np.sign(differences) + 1) / 2


def _distribution(name: str, values: Floats) -> Distribution:
    return Distribution(name, tuple(values.tolist()), bootstrap_mean(values))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _exponential(interval: Interval) -> Interval:
    """The interval of exp(x): monotone, so the ends map to the ends."""
    ends = np.exp([interval.estimate, interval.low, interval.high]).tolist()
    return Interval(ends[0], ends[1], ends[2], interval.count, interval.level)


def _aligned(**values: Values) -> list[Floats]:
    """Float64 vectors of one length; a ValueError names those that differ."""
    floats = {name: to_floats(value, name) for name, value in values.items()}
    if len({len(one) for one in floats.values()}) > 1:
        sizes = ", ".join(f"{name} {len(one)}" for name, one in floats.items())
        raise ValueError(f"entries must match one by one, got {sizes}")
    return list(floats.values())
