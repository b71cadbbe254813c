"""Exact numbers of policies over a world: optimum, divergence, expected reward, win rate.

Knows log-probabilities and rewards of all answers, `[contexts, answers]`, float64. Knows nothing of
data, losses or training. Contexts weigh the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor


def optimum(reference: Tensor, rewards: Tensor, beta: float) -> Tensor:
    """Return log pi*, the maximiser of E[R] - beta KL(pi || ref): pi* = ref exp(R / beta) / Z."""
    return (reference + rewards / beta).log_softmax(-1)


def expectation(logps: Tensor, values: Tensor) -> float:
    """Return the mean of `values` (rewards, lengths, ...) over a policy's own answers."""
    return float((logps.exp() * values).sum(-1).mean().detach())


def kl(first: Tensor, second: Tensor) -> float:
    """Return KL(first || second) in nats; 0 log 0 is 0."""
    terms = torch.where(first > -float("inf"), first.exp() * (first - second), 0.0)
    return float(terms.sum(-1).mean().detach())


def regularised_reward(logps: Tensor, reference: Tensor, rewards: Tensor, beta: float) -> float:
    """Return E[R] - beta KL(pi || ref), what pi* maximises."""
    return expectation(logps, rewards) - beta * kl(logps, reference)


def preference(rewards: Tensor, temperature: float = 1.0) -> Tensor:
    """Return Bradley-Terry's P(first preferred to second), `[contexts, answers, answers]`.

    Args:
        rewards: `[contexts, answers]`.
        temperature: rewards are divided by it; 0 prefers the higher reward, ties half.
    """
    gaps = rewards.unsqueeze(-1) - rewards.unsqueeze(-2)
    if temperature == 0:
        return (gaps.sign() + 1) / 2
    return (gaps / temperature).sigmoid()


def chances_against(logps: Tensor, preferences: Tensor) -> Tensor:
    """Return each answer's chance against one drawn from a policy, `[contexts, answers]`.

    Args:
        logps: of the policy, `[contexts, answers]`.
        preferences: from `preference`.
    """
    return torch.einsum("cij,cj->ci", preferences, logps.exp())


def win_rate(first: Tensor, second: Tensor, preferences: Tensor) -> float:
    """Return the chance that an answer of the first policy is preferred to the second's."""
    return expectation(first, chances_against(second, preferences))


def best_reply(logps: Tensor, reference: Tensor, preferences: Tensor, tau: float) -> Tensor:
    """Return what wins most against a policy, less tau KL to the reference: log-probs.

    It is ref exp(P pi / tau) / Z (Calandriello et al. 2024, section 4).
    """
    return optimum(reference, chances_against(logps, preferences), tau)


def nash(reference: Tensor, preferences: Tensor, tau: float) -> Tensor:
    """Return the Nash policy of the game regularised by tau KL(pi || ref): its own best reply."""
    logps = reference
    for _ in range(4000):
        # Damped: on a cyclic preference undamped replies go round for ever.
        reply = best_reply(logps, reference, preferences, tau)
        logps = (0.98 * logps + 0.02 * reply).log_softmax(-1)
    return logps


def exploitability(logps: Tensor, reference: Tensor, preferences: Tensor, tau: float) -> float:
    """Return what the best reply gains on a policy; 0 at the Nash policy, and above elsewhere.

    It is tau log E_ref[exp(P pi / tau)] - 1/2 + tau KL(pi || ref).
    """
    weights = reference + chances_against(logps, preferences) / tau
    gain = float(tau * weights.logsumexp(-1).mean())
    return gain - 0.5 + tau * kl(logps, reference)


def centred(values: Tensor) -> Tensor:
    """Centre `values` over answers: rewards are known up to a constant per context."""
    return values - values.mean(-1, keepdim=True)


def at_distance(frontier: Iterable[tuple[float, float]], distance: float) -> float:
    """Return the gold at a distance from the start, read off a line through a frontier's points.

    Args:
        frontier: points of distance and gold, in any order.
        distance: where to read; NaN where the frontier does not reach, so that no claim holds.
    """
    distances, golds = zip(*sorted(frontier), strict=True)
    return float(np.interp(distance, distances, golds, left=np.nan, right=np.nan))
