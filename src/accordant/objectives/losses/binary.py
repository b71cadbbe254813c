"""Losses on single answers with a thumb up or down.

Knows scores. Knows nothing of models, tokenizers or trainers. In formulas
h = log pi(y|x) - log ref(y|x), summed over the answer's tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from accordant.base.options import Count, NonNegative, Positive
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.binary import BinaryScores
from accordant.objectives.numerics import join, log_sigmoid, where
from accordant.objectives.preparations import Mismatched, PromptWeights, SelfSamples
from accordant.objectives.registry import Beta, objective

if TYPE_CHECKING:
    from torch import Tensor


def mismatched_log_ratios(answers: BinaryScores, **options: object) -> Tensor:
    """Take h of every prompt with another example's answer, `[n, 1]`: it estimates KL(pi || ref).

    Raises:
        ValueError: the mismatched answers were not scored.
    """
    del options  # the same whatever the options are
    return answers.attached.extra("mismatched").answers.log_ratio().detach().unsqueeze(1)


@objective(
    needs_reference=True,
    prepare=(Mismatched(),),
    batch_means=mismatched_log_ratios,
    paper="arXiv:2402.01306 KTO: Model Alignment as Prospect Theoretic Optimization, eq. 8",
    formula="up: desirable_weight (1 - sigmoid(beta (h - z0))); "
    "down: undesirable_weight (1 - sigmoid(beta (z0 - h))); "
    "z0 = max(0, mean over the batch of h(x_i, y_j), j != i), without gradient",
)
def kto(
    answers: BinaryScores,
    *,
    means: Tensor,
    beta: Beta = 0.1,
    desirable_weight: NonNegative = 1.0,
    undesirable_weight: NonNegative = 1.0,
) -> LossOutput:
    """Kahneman-Tversky optimisation: raise wanted and lower unwanted answers past a zero point.

    The zero point z0 estimates how far the policy is from the reference on unrelated answers, so
    that only what exceeds a general drift counts as a gain or a loss. Each kind of answer weighs
    with its own weight; the losses are averaged over all answers, whatever their weight.

    Args:
        means: mean mismatched log-ratio over the global batch, `[1]`.
        desirable_weight: weight of wanted answers.
        undesirable_weight: weight of unwanted answers.
    """
    # Below zero a KL is an error of the estimate; NaN where no process had a mismatched answer.
    zero_point = means[0].detach().nan_to_num(0.0).clamp(min=0)
    log_ratios = answers.completion.log_ratio()
    gains = desirable_weight * (beta * (zero_point - log_ratios)).sigmoid()
    pains = undesirable_weight * (beta * (log_ratios - zero_point)).sigmoid()
    losses = where(answers.desirable, gains, pains)
    return LossOutput(losses, beta * log_ratios.detach(), metrics={"kl": zero_point})


def rewards_by_label(answers: BinaryScores, *, beta: float, **options: object) -> Tensor:
    """Lay beta h out by label, `[n, 2]`: wanted answers in the first column, unwanted last."""
    del options  # the same whatever they are
    rewards = beta * answers.completion.log_ratio().detach()
    groups = (answers.desirable, ~answers.desirable)
    # NaN is left out of means, so that each label has a mean of its own.
    return join([rewards.masked_fill(~group, float("nan")) for group in groups]).reshape(2, -1).t()


@objective(
    needs_reference=True,
    batch_means=rewards_by_label,
    prepare=(PromptWeights("match_prompts"),),
    paper="arXiv:2404.04656 Binary Classifier Optimization for Large Language Model Alignment",
    formula="up: -desirable_weight log sigmoid(beta h - d); "
    "down: -undesirable_weight w(x) log sigmoid(d - beta h); "
    "d = (mean of beta h over the batch's up + mean over its down) / 2, without gradient; "
    "w(x) = p(x | up) / p(x | down), or 1",
)
def bco(
    answers: BinaryScores,
    *,
    means: Tensor,
    beta: Beta = 0.1,
    shift: bool = True,
    match_prompts: bool = False,
    min_density_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1,
    max_density_ratio: Annotated[float, Field(ge=1.0)] = 10.0,
    desirable_weight: NonNegative = 1.0,
    undesirable_weight: NonNegative = 1.0,
) -> LossOutput:
    """Binary classifier optimisation: tell wanted from unwanted answers by their implicit reward.

    The reward shift d lies halfway between the mean rewards of the two labels: with it the loss
    bounds the preference loss tightly, and what both labels have in common cancels. It is the mean
    of the global batch, without memory of earlier ones: the loss of a batch then depends on that
    batch alone, so a resumed run needs no hidden state and an evaluation has the same meaning at
    every step; accumulate to larger batches to make it steadier. (The authors keep a running mean;
    TRL 1.16 has no BCO trainer any more, and its `bco_pair` has no shift at all.)

    Where thumbs up and thumbs down came for different kinds of prompts, the label can be told from
    the prompt alone and the classifier learns that. Prompt weights multiply every unwanted answer's
    loss by how much commoner its prompt is among wanted answers; the density ratios are estimated
    before training by logistic regression on mean hidden states of the start model, every prompt's
    by a classifier that has not seen it. The smallest ratio lets a mismatch of ten to one through:
    with the usual one half, matching did not measurably help at nine to one. The losses are
    averaged over all answers, whatever their weight.

    Args:
        means: mean reward of wanted and of unwanted answers over the global batch, `[2]`.
        shift: whether to subtract d; without it and without prompt weights this is binary
            cross-entropy.
        match_prompts: whether to weigh unwanted answers by the density ratio of their prompts.
        min_density_ratio: smallest density ratio; what is less counts as this.
        max_density_ratio: largest density ratio; what is more counts as this.
        desirable_weight: weight of wanted answers.
        undesirable_weight: weight of unwanted answers.
    """
    rewards = beta * answers.completion.log_ratio()
    # A label that the batch lacks counts as a mean of 0, which is where both begin. TRL keeps a
    # running mean over all answers, whatever their label, from the first step on.
    delta = means.detach().nan_to_num(0.0).mean() * float(shift)
    gains = -desirable_weight * log_sigmoid(rewards - delta)
    pains = -undesirable_weight * log_sigmoid(delta - rewards)
    if match_prompts:
        weights = answers.attached.number("prompt_weight")
        pains = pains * weights.clamp(min_density_ratio, max_density_ratio)
    losses = where(answers.desirable, gains, pains)
    return LossOutput(losses, rewards.detach(), metrics={"delta": delta})


@objective(
    needs_reference=True,
    labels=(False,),
    prepare=(SelfSamples("samples"),),
    paper="arXiv:2403.03419 Negating Negatives: Alignment with Human Negative Samples via "
    "Distributional Dispreference Optimization",
    formula="-log sigmoid(beta mean_k h(s_k) - alpha h(y)), y unwanted, s_k what the start model "
    "answers itself",
)
def d2o(
    answers: BinaryScores, *, beta: Positive = 0.1, alpha: Positive = 0.1, samples: Count = 11
) -> LossOutput:
    """Distributional dispreference optimisation: away from unwanted answers, without wanted ones.

    What the start model answers itself, mostly harmless and helpful, takes the place of chosen
    answers: an anchor that keeps the policy from collapsing. With one sample and alpha = beta it is
    DPO. All log-ratios are taken against the start model; sources differ on
    which reference belongs to which term. Samples are drawn once, before training.

    Args:
        beta: weight of the self-samples' mean log-ratio.
        alpha: weight of the unwanted answer's log-ratio; larger drives it out harder.
        samples: answers the start model gives to every prompt before training.
    """
    del samples  # seen to by whoever draws them
    drawn = answers.attached.extra("self_samples")
    anchors = beta * drawn.mean(drawn.answers.log_ratio())
    unwanted = alpha * answers.completion.log_ratio()
    # The mean is inside the sigmoid: the loss is at most the average of DPO's over the samples.
    losses = -log_sigmoid(anchors - unwanted)
    return LossOutput(losses, unwanted.detach(), {"rewards/self_samples": anchors.detach()})
