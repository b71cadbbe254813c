"""Answers before and after training, compared by a judge, and how far the policy has moved.

Knows texts, scores and per-token log-probabilities of samples. Knows nothing of models: whoever
calls this has generated the answers and scored their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from accordant.base.errors import UserError
from accordant.reports.report import ComparedAnswer, ComparedPair
from accordant.rewards.reward import Answer, Reward, score_single
from accordant.runs.align.results import OUTCOME_WORTH, Distribution, KlEstimate, WinRate
from accordant.statistics.divergence import k3 as k3_terms
from accordant.statistics.divergence import withhold_impossible
from accordant.statistics.estimates import (
    bootstrap_mean,
    bootstrap_ratio,
    proportion,
    sign_test,
    to_floats,
    win_rate,
)
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor


def compare_answers(
    prompts: Sequence[str],
    before: Sequence[ComparedAnswer],
    after: Sequence[ComparedAnswer],
    judge: Reward,
) -> WinRate:
    """Let `judge` score both answers to every prompt; the later one wins where it scores higher.

    Equal scores are ties and count half. The same prompt twice counts as two.

    Args:
        prompts: what was asked, `n` texts as a person would read them.
        before: answers at the start, in that order.
        after: answers after training, in that order.
        judge: scores the answers, in two batches.

    Raises:
        UserError: no prompts, or the judge failed.
        ValueError: the three differ in length.
    """
    if not len(prompts) == len(before) == len(after):
        raise ValueError(f"{len(prompts)} prompts, {len(before)} before, {len(after)} after")
    if not prompts:
        raise UserError(
            "there are no prompts to compare answers on.",
            mend="Hold out at least one record, or turn the comparison of answers off.",
        )
    old, new = (
        score_single(
            judge, [Answer(p, a.text, a.finished) for p, a in zip(prompts, answers, strict=True)]
        ).tolist()
        for answers in (before, after)
    )
    rows = tuple(map(_pair, prompts, before, after, old, new))
    outcomes = [row.outcome for row in rows]
    wins, losses = outcomes.count("win"), outcomes.count("loss")
    return WinRate(
        judge=judge.name,
        description=judge.description,
        wins=wins,
        ties=len(rows) - wins - losses,
        losses=losses,
        rate=win_rate([OUTCOME_WORTH[outcome] for outcome in outcomes]),
        p_value=sign_test(wins, losses),
        score_before=_mean_score(old),
        score_after=_mean_score(new),
        share_finished_before=proportion([float(answer.finished) for answer in before]),
        share_finished_after=proportion([float(answer.finished) for answer in after]),
        rows=rows,
    )


def kl_from_reference(
    policy_logps: ArrayLike | Tensor,
    reference_logps: ArrayLike | Tensor,
    lengths: ArrayLike | Tensor,
) -> KlEstimate:
    """Estimate KL(policy || reference) from samples of the policy, in nats.

    With d = log policy - log reference at every token of a sample from the policy:
    k1 = sum d, k3 = sum (exp(-d) - 1 + d). Both are unbiased for the divergence of whole sequences
    up to the length limit; k3 is never negative and varies less while the two are close (Schulman
    2020, "Approximating KL divergence"). Intervals resample sequences;
    k1 has none of fewer than five, nor one below 0 altogether.

    Args:
        policy_logps: log-probabilities of the sampled tokens under the policy at temperature 1,
            flat, sample by sample, `[tokens]`.
        reference_logps: the same under the reference, `[tokens]`.
        lengths: tokens of every sample, `[n]`, each at least 1, summing to `tokens`.

    Raises:
        ValueError: the shapes do not fit or an entry is not finite.
    """
    policy = to_floats(policy_logps, "policy_logps")
    reference = to_floats(reference_logps, "reference_logps")
    sizes = to_floats(lengths, "lengths")
    if policy.shape != reference.shape or sizes.sum() != len(policy) or (sizes < 1).any():
        raise ValueError(
            f"{len(policy)} and {len(reference)} log-probabilities do not fit lengths that sum to "
            f"{sizes.sum():.0f}"
        )
    difference = policy - reference
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    # `reduceat` refuses an empty list of starts.
    k1, k3 = (
        np.add.reduceat(terms, starts) if len(sizes) else sizes
        for terms in (difference, k3_terms(difference))
    )
    per_sequence = withhold_impossible(bootstrap_mean(k1))
    return KlEstimate(
        per_sequence=per_sequence,
        per_token=withhold_impossible(bootstrap_ratio(k1, sizes)),
        k3_per_sequence=bootstrap_mean(k3),
        k3_per_token=bootstrap_ratio(k3, sizes),
        sequences=len(sizes),
        tokens=len(policy),
        log_ratios=Distribution("log-ratio of a sample", tuple(k1.tolist()), per_sequence),
    )


def _pair(
    prompt: str, before: ComparedAnswer, after: ComparedAnswer, old: float, new: float
) -> ComparedPair:
    outcome: Literal["win", "tie", "loss"] = "win" if new > old else "loss" if new < old else "tie"
    return ComparedPair(prompt, before, after, old, new, outcome, before.text != after.text)


def _mean_score(scores: Sequence[float]) -> Interval:
    """Average what can be averaged; minus infinity (no answer at all) cannot."""
    return bootstrap_mean([score for score in scores if np.isfinite(score)])
