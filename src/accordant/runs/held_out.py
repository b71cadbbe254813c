"""Results on held-out records, from the log-probabilities of their completions.

Knows summed log-probabilities, lengths and labels. Knows nothing of models, text or files.
Log-probabilities are in nats. An implicit reward is beta (log policy - log reference), as in
Rafailov et al. 2023 (DPO), equation 5 without the term of the prompt, which cancels in a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.estimates import (
    area_under_curve,
    bootstrap_mean,
    bootstrap_ratio,
    proportion,
    to_floats,
)
from accordant.statistics.interval import Interval
from accordant.statistics.measures import (
    HeldOut,
    KeyFigure,
    LogpChange,
    Measure,
    Tone,
    chance_figure,
    key_figure,
    tone_of,
)
from accordant.statistics.wording import ends, number

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
        policy, against = _paired(policy=self.policy, reference=base)
        return beta * (policy - against)


def measure_comparisons(chosen: HeldOutLogps, rejected: HeldOutLogps, beta: float = 1.0) -> HeldOut:
    """Measure `n` comparisons; `chosen` and `rejected` are in the same order.

    Args:
        chosen: log-probabilities of the preferred completions.
        rejected: those of the others.
        beta: the objective's factor from log-ratios to implicit rewards.
    """
    gaps = np.subtract(*_paired(chosen=chosen.rewards(beta), rejected=rejected.rewards(beta)))
    new = np.subtract(*_paired(chosen=chosen.policy, rejected=rejected.policy))
    old = np.subtract(*_paired(chosen=chosen.start, rejected=rejected.start))
    likelier = "chosen answer is the likelier one"
    margin = "log-probability margin"
    return HeldOut(
        kind="comparison",
        count=len(new),
        facts={"beta": beta},
        measures=(
            _share("accuracy", "implicit reward accuracy", gaps, "held-out reward accuracy"),
            _share("ranked_before", f"{likelier}, at the start", old),
            _share("ranked_after", f"{likelier}, after training", new),
            _mean_of("reward_margins", "implicit reward margin", gaps),
            _mean_of("logp_margins_before", f"{margin} at the start", old, "nats"),
            _mean_of("logp_margins_after", f"{margin} after training", new, "nats"),
        ),
        changes=(
            logp_change("chosen", chosen.start, chosen.policy, chosen.lengths),
            logp_change(
                "rejected", rejected.start, rejected.policy, rejected.lengths, wanted=False
            ),
        ),
        charts=(
            _histogram(
                "Held-out reward margins",
                "Right of zero the trained model prefers the chosen answer more than the reference "
                "does.",
                ("implicit reward of chosen minus rejected", "comparisons"),
                ("ordered right", gaps[gaps > 0]),
                ("ordered wrong", gaps[gaps < 0]),
                ("tied", gaps[gaps == 0]),
            ),
            _histogram(
                "Held-out log-prob margins",
                "Right of zero the chosen answer is the likelier one of the two.",
                ("log-probability of chosen minus rejected, nats", "comparisons"),
                ("at the start", old),
                ("after training", new),
            ),
        ),
    )


def measure_thumbs(completions: HeldOutLogps, desirable: Values, beta: float = 1.0) -> HeldOut:
    """Measure `n` completions with thumbs.

    Args:
        completions: their log-probabilities.
        desirable: True or 1 for a thumb up, `[n]`.
        beta: the objective's factor from log-ratios to implicit rewards.
    """
    rewards, good = completions.rewards(beta), to_floats(desirable, "desirable") != 0
    if rewards.shape != good.shape:
        raise ValueError(f"{len(rewards)} completions but {len(good)} labels")
    accuracy = proportion(_wins(np.where(good, rewards, -rewards)))
    # NaN where one of the two kinds is missing: there is nothing to tell apart.
    auc = area_under_curve(rewards[good], rewards[~good])
    groups = {"desirable": good, "undesirable": ~good}
    return HeldOut(
        kind="binary",
        count=len(rewards),
        facts={"beta": beta, **{name: None for name, each in groups.items() if not each.any()}},
        measures=(
            Measure(
                "accuracy",
                accuracy,
                "share",
                "accuracy by sign of the implicit reward",
                figure=chance_figure("held-out accuracy", accuracy),
            ),
            Measure(
                "auc",
                auc,
                "share",
                "AUC of the implicit reward",
                figure=chance_figure("held-out AUC", auc, in_verdict=False),
            ),
            *(
                _mean_of(f"rewards_{name}", f"implicit reward of {name}", rewards[each])
                for name, each in groups.items()
            ),
        ),
        changes=tuple(
            _change_of(name, completions, each, wanted=name == "desirable")
            for name, each in groups.items()
            if each.any()
        ),
        charts=(
            _histogram(
                "Held-out implicit rewards",
                "The further apart the two, the better the model tells them apart.",
                ("implicit reward", "completions"),
                ("undesirable", rewards[~good]),
                ("desirable", rewards[good]),
            ),
        ),
    )


def measure_rankings(
    completions: HeldOutLogps, ranking: Values, labels: Values, beta: float = 1.0
) -> HeldOut:
    """Measure rankings of any length, flat over their `m` completions.

    A ranking whose labels are all tied orders nothing: it is left out of the accuracies and of tau.
    `pair_accuracy` is averaged within each ranking and then over rankings.

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
    rows = [np.flatnonzero(owner == number) for number in np.unique(owner)]
    if any(len(row) < 2 for row in rows):
        raise ValueError("a ranking needs at least two completions")
    orders = [_order_of(rewards[row], worth[row]) for row in rows]
    ordered = [order for order in orders if order.pairs]
    tops = [int(row[np.argmax(worth[row])]) for row in rows]
    best = np.isin(np.arange(len(rewards)), tops)
    gaps = np.array(
        [
            rewards[top] - rewards[row[row != top]].mean()
            for row, top in zip(rows, tops, strict=True)
        ]
    )
    accuracy = bootstrap_mean([order.accuracy for order in ordered])
    top_accuracy = proportion([order.top for order in ordered])
    tau = bootstrap_mean([order.tau for order in ordered])
    return HeldOut(
        kind="ranking",
        count=len(rows),
        facts={"pairs": sum(order.pairs for order in orders), "beta": beta},
        measures=(
            Measure(
                "pair_accuracy",
                accuracy,
                "share",
                "pair accuracy within rankings",
                figure=chance_figure("held-out pair accuracy", accuracy),
            ),
            Measure("top_accuracy", top_accuracy, "share", "best answer has the highest reward"),
            Measure(
                "kendall_tau",
                tau,
                label="Kendall tau",
                figure=key_figure("held-out Kendall tau", tau, "number", _TAU_READINGS),
            ),
            _mean_of("reward_margins", "implicit reward of the best minus the others", gaps),
        ),
        changes=(
            _change_of("best", completions, best),
            _change_of("others", completions, ~best, wanted=False),
        ),
        charts=(
            _histogram(
                "Held-out margins of the best",
                "Right of zero the best answer has the higher implicit reward.",
                ("implicit reward of the best minus the mean of the others", "rankings"),
                ("rankings", gaps),
            ),
        ),
    )


def measure_demonstrations(completions: HeldOutLogps) -> HeldOut:
    """Measure `n` answers to imitate.

    Negative log-likelihoods are per token over all tokens (summed, then divided), as perplexity is
    defined; their intervals resample whole answers.
    """
    new, old, tokens = _paired(
        policy=completions.policy, start=completions.start, lengths=completions.lengths
    )
    before, after = bootstrap_ratio(-old, tokens), bootstrap_ratio(-new, tokens)
    change = bootstrap_ratio(old - new, tokens)
    lost, reached = _exponential(before), _exponential(after)
    figure = _perplexity_figure(lost, reached, change, len(new))
    return HeldOut(
        kind="demonstration",
        count=len(new),
        facts={"tokens": int(tokens.sum())},
        measures=(
            Measure("perplexity_before", lost, label="perplexity at the start"),
            Measure("perplexity_after", reached, label="perplexity after training", figure=figure),
            Measure("nll_before", before, "nats", "loss per token at the start"),
            Measure("nll_after", after, "nats", "loss per token after training"),
            Measure("nll_change", change, "nats", "change of the loss per token"),
        ),
        # Perplexity says the same: a second figure of it would count one improvement twice.
        changes=(logp_change("completion", old, new, tokens, in_figures=False),),
    )


_TAU_READINGS: dict[Tone, str] = {
    "good": "implicit rewards follow the labels",
    "bad": "implicit rewards run against the labels",
    "neutral": "no measurable relation to the labels",
}


def _perplexity_figure(old: Interval, new: Interval, change: Interval, count: int) -> KeyFigure:
    """Say whether perplexity fell, which the paired change in nats per token decides."""
    fall = Interval(-change.estimate, -change.high, -change.low, change.count, change.level)
    tone, improves = tone_of(fall, 0.0)
    path = f"from {number(old.estimate)} to {number(new.estimate)}"
    verb = {"good": "fell", "bad": "rose", "neutral": "did not measurably move"}[tone]
    moved = f"{number(change.estimate, '+')} nats per token"
    clause = f"{verb} {path} ({moved}, 95 % interval {ends(change, 'nats')}, n={count})"
    if tone == "neutral":
        clause = f"{verb} ({path}, n={count})"
    return KeyFigure(
        label="held-out perplexity",
        value=number(new.estimate),
        interval=ends(new, "number"),
        reading=f"{verb} {path}",
        clause=f"held-out perplexity {clause}",
        tone=tone,
        improves=improves,
    )


def logp_change(
    name: str,
    before: Values,
    after: Values,
    lengths: Values,
    *,
    wanted: bool = True,
    in_figures: bool = True,
) -> LogpChange:
    """Measure how far the log-probabilities of one group of completions moved; did they fall?

    Args:
        name: the group, such as `chosen`.
        before: summed log-probabilities at the start (or under the reference), `[n]`.
        after: the same at the end, `[n]`.
        lengths: tokens of every completion, `[n]`.
        wanted: whether people prefer them.
        in_figures: whether the movement stands among the key figures.
    """
    old, new, tokens = _paired(before=before, after=after, lengths=lengths)
    moved = new - old
    return LogpChange(
        name,
        before=_mean(old),
        after=_mean(new),
        change=bootstrap_mean(moved),
        change_per_token=bootstrap_mean(moved / tokens),
        fell=proportion(_wins(-moved)),
        wanted=wanted,
        in_figures=in_figures,
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


def _change_of(
    name: str, completions: HeldOutLogps, members: NDArray[np.bool_], *, wanted: bool = True
) -> LogpChange:
    start, policy, lengths = _paired(
        start=completions.start, policy=completions.policy, lengths=completions.lengths
    )
    return logp_change(name, start[members], policy[members], lengths[members], wanted=wanted)


def _wins(differences: Floats) -> Floats:
    """1 where positive, 1/2 where zero, 0 where negative."""
    return (np.sign(differences) + 1) / 2


def _share(name: str, label: str, differences: Floats, headline: str = "") -> Measure:
    """The share of differences above zero, ties half; with a headline it is held against chance."""
    wins = _wins(differences)
    share = proportion(wins)
    figure = chance_figure(headline, share) if headline else None
    return Measure(name, share, "share", label, tuple(wins.tolist()), figure)


def _mean_of(name: str, label: str, values: Floats, unit: str = "number") -> Measure:
    """The mean of values, which are kept."""
    return Measure(name, bootstrap_mean(values), unit, label, tuple(values.tolist()))


def _histogram(title: str, note: str, axes: tuple[str, str], *groups: tuple[str, Floats]) -> Chart:
    """Values of named groups, with a line at zero."""
    series = tuple(Series(name, tuple(values.tolist())) for name, values in groups)
    return Chart("histogram", title, note, *axes, series, (Mark(0.0),))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _exponential(interval: Interval) -> Interval:
    """The interval of exp(x): monotone, so the ends map to the ends."""
    ends = np.exp([interval.estimate, interval.low, interval.high]).tolist()
    return Interval(ends[0], ends[1], ends[2], interval.count, interval.level)


def _paired(**values: Values) -> list[Floats]:
    """Float64 vectors of one length; a ValueError names those that differ."""
    floats = {name: to_floats(value, name) for name, value in values.items()}
    if len({len(vector) for vector in floats.values()}) > 1:
        sizes = ", ".join(f"{name} {len(vector)}" for name, vector in floats.items())
        raise ValueError(f"entries must match one by one, got {sizes}")
    return list(floats.values())
