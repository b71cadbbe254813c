"""Losses on comparisons without a reference model.

Knows scores. Knows nothing of models, tokenizers or trainers. In formulas w is the chosen and l the
rejected answer, L the log-probability of an answer summed over its tokens and |y| their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accordant.base.options import NonNegative, Positive
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.pairwise import Smoothing, implicit_rewards
from accordant.objectives.numerics import log_complement, log_sigmoid, where
from accordant.objectives.registry import objective

if TYPE_CHECKING:
    from torch import Tensor


@objective(
    needs_reference=False,
    paper="arXiv:2405.14734 SimPO: Simple Preference Optimization with a Reference-Free Reward, "
    "eq. 6",
    formula="-log sigmoid(beta (L(w) / |w| - L(l) / |l|) - gamma)",
)
def simpo(pairs: PairwiseScores, *, beta: Positive = 2.0, gamma: NonNegative = 1.0) -> LossOutput:
    """SimPO: the chosen answer's mean log-probability leads by a margin, without a reference.

    The paper tunes beta in 2 to 2.5 and gamma / beta in 0.3 to 0.8.

    Args:
        beta: scale of mean token log-probabilities.
        gamma: lead at which a pair counts as even, in units of the scaled margin.
    """
    chosen, rejected = pairs.chosen.policy.mean(), pairs.rejected.policy.mean()
    losses = -log_sigmoid(beta * (chosen - rejected) - gamma)
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))


@objective(
    needs_reference=False,
    paper="arXiv:2403.07691 ORPO: Monolithic Preference Optimization without Reference Model, "
    "eq. 6 and 7",
    formula="-p(w) - beta log sigmoid(log odds(w) - log odds(l)), p = L / |y|, "
    "odds = exp(p) / (1 - exp(p))",
)
def orpo(pairs: PairwiseScores, *, beta: NonNegative = 0.1) -> LossOutput:
    """Odds-ratio preference optimisation: fine-tuning on the chosen answer plus the odds ratio.

    Args:
        beta: weight of the odds-ratio term, the paper's lambda.
    """
    chosen, rejected = pairs.chosen.policy.mean(), pairs.rejected.policy.mean()
    # Odds of means per token: of whole answers 1 - p would be 1 to the last bit.
    log_odds = _log_odds(chosen) - _log_odds(rejected)
    # TRL's first term is over prompt and answer, averaged over all tokens of the batch.
    losses = -chosen - beta * log_sigmoid(log_odds)
    metrics = {"nll/chosen": -chosen.detach(), "log_odds": log_odds.detach()}
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta), metrics)


@objective(
    needs_reference=False,
    paper="arXiv:2401.08417 Contrastive Preference Optimization: Pushing the Boundaries of LLM "
    "Performance in Machine Translation, eq. 3",
    formula="-(1 - e) log sigmoid(beta (L(w) - L(l))) - e log sigmoid(-beta (L(w) - L(l))) "
    "- sft_weight L(w) / |w|, e = label_smoothing",
)
def cpo(
    pairs: PairwiseScores,
    *,
    beta: Positive = 0.1,
    sft_weight: NonNegative = 1.0,
    label_smoothing: Smoothing = 0.0,
) -> LossOutput:
    """Contrastive preference optimisation: DPO with a uniform reference, and fine-tuning.

    TRL calls the weight of the second term `cpo_alpha`.

    Args:
        beta: scale of log-probabilities.
        sft_weight: weight of the chosen answer's negative log-likelihood per token.
    """
    chosen, rejected = pairs.chosen.policy.sum(), pairs.rejected.policy.sum()
    logits, likelihood = beta * (chosen - rejected), pairs.chosen.policy.mean()
    losses = -(1 - label_smoothing) * log_sigmoid(logits) - label_smoothing * log_sigmoid(-logits)
    # A mean, as in public code, where the paper writes a sum; TRL's is over the batch's tokens.
    losses = losses - sft_weight * likelihood
    metrics = {"nll/chosen": -likelihood.detach()}
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta), metrics)


@objective(
    needs_reference=False,
    paper="arXiv:2305.10425 SLiC-HF: Sequence Likelihood Calibration with Human Feedback",
    formula="max(0, delta - L(w) + L(l)) - sft_weight L(w)",
)
def slic(
    pairs: PairwiseScores, *, delta: NonNegative = 1.0, sft_weight: NonNegative = 0.1
) -> LossOutput:
    """Sequence likelihood calibration: a hinge on log-probabilities, with fine-tuning as anchor.

    The paper's anchor is the target of fine-tuning; a comparison holds no other than its chosen
    answer. The paper leaves the anchor's weight open: 0.1 is our choice. `hinge` is the form with a
    reference in place of the anchor.

    Args:
        delta: lead at which the hinge ends, nats.
        sft_weight: weight of the chosen answer's negative log-likelihood, summed over tokens.
    """
    chosen, rejected = pairs.chosen.policy.sum(), pairs.rejected.policy.sum()
    # Sums, as the paper has sequence log-likelihoods; a pair beyond delta trains the anchor alone.
    losses = (delta - chosen + rejected).clamp(min=0) - sft_weight * chosen
    metrics = {"nll/chosen": -pairs.chosen.policy.mean().detach()}
    return LossOutput(losses, implicit_rewards(chosen, rejected, 1.0), metrics)


@objective(
    needs_reference=False,
    paper="arXiv:2406.06424 Margin-aware Preference Optimization for Aligning Diffusion Models "
    "without Reference",
    formula="e(w) - beta log sigmoid(scale (phi(w) - phi(l))), e = -L / |y|, "
    "phi = e / (exp(e) - 1)",
)
def mapo(pairs: PairwiseScores, *, beta: NonNegative = 0.1, scale: Positive = 10.0) -> LossOutput:
    """Margin-aware preference optimisation, on text: fine-tuning plus a bounded margin.

    The loss of diffusion models with the error of an image replaced by an answer's negative
    log-likelihood per token, e. phi falls from 1 where every token is certain to 0, so answers the
    model finds impossible stop counting. beta stands outside the sigmoid: without it this is
    fine-tuning on the chosen answer.

    Args:
        beta: weight of the margin.
        scale: scale of phi within the sigmoid.
    """
    chosen, rejected = -pairs.chosen.policy.mean(), -pairs.rejected.policy.mean()
    good, bad = bose(chosen), bose(rejected)
    # The scale of diffusion is its 1000 steps; for text, whose e is around 1 and not around 0.001,
    # 10 is our choice.
    losses = chosen - beta * log_sigmoid(scale * (good - bad))
    metrics = {"nll/chosen": chosen.detach()}
    return LossOutput(losses, implicit_rewards(good, bad, scale), metrics)


def bose(u: Tensor) -> Tensor:
    """Compute u / (exp(u) - 1) of numbers not below 0: 1 at 0, falling to 0, exact at both ends."""
    series = 1 - u / 2 + u**2 / 12 - u**4 / 720  # exact to float64 where it is used
    # Each branch sees only numbers it is finite on: a NaN that `where` drops still has a gradient.
    away = u.clamp(min=0.01)
    return where(u < 0.01, series, away * (-away).exp() / -(-away).expm1())


def _log_odds(log_p: Tensor) -> Tensor:
    return log_p - log_complement(log_p)
