"""Losses on answers to imitate.

Knows scores. Knows nothing of models, tokenizers or trainers.
"""

from __future__ import annotations

import math

from accordant.base.errors import UserError
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.demonstration import DemonstrationScores
from accordant.objectives.numerics import log_sigmoid
from accordant.objectives.preparations import Baselines
from accordant.objectives.registry import objective


@objective(
    needs_reference=False,
    paper="arXiv:2203.02155 Training language models to follow instructions with human feedback",
    formula="-sum_t log pi(y_t | x, y_<t) / (tokens of the batch)",
)
def sft(demonstrations: DemonstrationScores) -> LossOutput:
    """Supervised fine-tuning: the mean negative log-probability of an answer's tokens.

    Averaged over all tokens of the global batch, as elsewhere, not over answers.
    """
    policy = demonstrations.completion.policy
    # A mean that weighs as many as it has tokens, so that neither packing nor gradient
    # accumulation changes the average over all of them.
    losses = -policy.mean()
    return LossOutput(losses, weights=policy.lengths.to(losses.dtype))


@objective(
    needs_reference=False,
    prepare=(Baselines(),),
    paper="arXiv:2412.12865 Preference-Oriented Supervised Fine-Tuning: Favoring Target Model Over "
    "Aligned Large Language Models",
    formula="-log sigmoid(S - sum_k w_k S_k), S = mean_t log pi(y_t | x, y_<t), S_k the same under "
    "baseline k",
)
def poft(demonstrations: DemonstrationScores, *, baseline_weights: str = "equal") -> LossOutput:
    """Preference-oriented fine-tuning: find an answer likelier than baselines find it.

    The baselines, aligned models named by `--baseline-model`, are frozen; the policy is preferred
    to them on the same answer, as a chosen answer is to a rejected one. An answer's gradient fades
    as the policy passes the baselines on it. Answers they hold likely keep their weight long; bad
    demonstrations, which they hold unlikely, are soon passed and then weigh little.

    Log-probabilities are averaged over tokens, each model's over its own, so that models with
    other tokenizers can be compared with. Every example weighs the same.

    Args:
        baseline_weights: weights of the baselines in their order, such as `0.7,0.3`, made to sum to
            1; or `equal`.
    """
    baselines = demonstrations.attached.row("baseline")
    shares = baselines.new_tensor(_shares(baseline_weights, baselines.shape[1]))
    # Averaged before the sigmoid, not after.
    margins = demonstrations.completion.policy.mean() - baselines @ shares
    lead = margins.detach()
    logged = {"baseline/margins": lead, "baseline/weights": (-lead).sigmoid()}
    return LossOutput(-log_sigmoid(margins), metrics=logged)


def _shares(text: str, count: int) -> list[float]:
    """Return shares of so many baselines from weights in words.

    Raises:
        UserError: they are not as many positive numbers.
    """
    if text == "equal":
        return [1 / count] * count
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        weights = []
    if len(weights) != count or min(weights) < 0 or not 0 < sum(weights) < math.inf:
        raise UserError(
            f"'{text}' are no weights of {count} baselines.",
            where="--option baseline_weights",
            mend="Give a number for each, not negative, such as "
            f"{','.join(['1'] * count)}, in the order of --baseline-model.",
        )
    return [weight / sum(weights) for weight in weights]
