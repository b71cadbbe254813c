"""Losses on the margin of log-ratios of two answers, one of which was preferred.

Knows scores. Knows nothing of models, tokenizers or trainers. In formulas pi is the policy, ref the
frozen reference, L the log-probability of an answer summed over its tokens,
h = L_pi(y|x) - L_ref(y|x), and m = h(chosen) - h(rejected).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from accordant.base.options import Fraction, NonNegative, Positive
from accordant.objectives.inputs import LossOutput, Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.numerics import bounded_exp, join, log_sigmoid
from accordant.objectives.preparations import ScoredPrompts
from accordant.objectives.registry import Beta, objective

if TYPE_CHECKING:
    from torch import Tensor

# With half of the labels wrong they say nothing, and robust_dpo would divide by zero.
Smoothing = Annotated[
    float,
    Field(
        ge=0.0,
        lt=0.5,
        description="assumed share of comparisons labelled the wrong way round.",
    ),
]
# exo takes the logarithm of the share, so that it cannot be zero.
Doubt = Annotated[float, Field(gt=0.0, lt=0.5)]


@objective(
    needs_reference=True,
    paper="arXiv:2305.18290 Direct Preference Optimization: Your Language Model is Secretly a "
    "Reward Model, eq. 7",
    formula="-(1 - e) log sigmoid(beta m) - e log sigmoid(-beta m), e = label_smoothing",
)
def dpo(pairs: PairwiseScores, *, beta: Beta = 0.1, label_smoothing: Smoothing = 0.0) -> LossOutput:
    """Direct preference optimisation: logistic loss on the margin of implicit rewards.

    With label smoothing it is conservative DPO (Mitchell, 'A note on DPO with noisy preferences',
    2023): labels are taken to be wrong with probability `label_smoothing`, and the loss is least at
    a finite margin, m = log((1 - e) / e) / beta.
    """
    chosen, rejected = pairs.log_ratios()
    logits = beta * (chosen - rejected)
    # The cross-entropy with a label that is right with probability 1 - e.
    losses = -(1 - label_smoothing) * log_sigmoid(logits) - label_smoothing * log_sigmoid(-logits)
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))


@objective(
    needs_reference=True,
    paper="arXiv:2310.12036 A General Theoretical Paradigm to Understand Learning from Human "
    "Preferences, eq. 17",
    formula="(m - 1 / (2 tau))^2",
)
def ipo(
    pairs: PairwiseScores, *, tau: Positive = 0.1, length_normalised: bool = False
) -> LossOutput:
    """Identity preference optimisation: the margin is drawn to 1 / (2 tau), and not beyond.

    With `length_normalised` the same tau draws a mean per token, not a sum, to the target.

    Args:
        tau: strength of the pull towards the reference; the target margin is 1 / (2 tau) nats.
        length_normalised: divide each log-ratio by its answer's tokens.
    """
    # Sums over tokens, as the equation has them; TRL takes means, after the authors' own practice.
    chosen, rejected = pairs.log_ratios()
    if length_normalised:
        chosen, rejected = pairs.per_token(chosen, rejected)
    losses = (chosen - rejected - 1 / (2 * tau)) ** 2
    return LossOutput(losses, implicit_rewards(chosen, rejected, tau))


@objective(
    needs_reference=True,
    paper="arXiv:2405.16436 Provably Mitigating Overoptimization in RLHF: Your SFT Loss is "
    "Implicitly an Adversarial Regularizer",
    formula="-log sigmoid(beta m) - beta eta log pi(chosen)",
)
def rpo(
    pairs: PairwiseScores,
    *,
    beta: Beta = 0.1,
    eta: NonNegative = 0.005,
    sft: Literal["sum", "mean"] = "sum",
) -> LossOutput:
    """DPO with the likelihood of the chosen answer as adversarial regulariser.

    The theory's baseline distribution is that of the chosen answers, and its term a summed
    log-probability, weighed by beta times eta as in the authors' trainer. TRL's `rpo_alpha` (now
    `loss_type=["sigmoid", "sft"]`) and other libraries average it over tokens instead and weigh it
    by eta alone, around 1: the same eta is not comparable, so choose `sft=mean` for theirs. Theirs
    is averaged over all tokens of a batch, this one within each answer. Without the term (eta = 0)
    it is DPO. The gradient on the chosen answer never vanishes: it is at least beta eta per nat.

    Args:
        eta: weight of the chosen answer's negative log-likelihood, beside beta.
        sft: whether that is summed over the answer's tokens, or averaged and weighed without beta.
    """
    chosen, rejected = pairs.log_ratios()
    policy = pairs.chosen.policy
    # beta eta: in the theory the whole objective is divided by what weighs the KL term.
    likelihood = beta * policy.sum() if sft == "sum" else policy.mean()
    losses = -log_sigmoid(beta * (chosen - rejected)) - eta * likelihood
    metrics = {"nll/chosen": -policy.mean().detach()}
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta), metrics)


@objective(
    needs_reference=True,
    paper="arXiv:2407.15229 A Practical Analysis of Human Alignment with *PO",
    formula="-log sigmoid(beta (h(chosen) / |chosen| - h(rejected) / |rejected|))",
)
def ln_dpo(pairs: PairwiseScores, *, beta: Positive = 2.0) -> LossOutput:
    """Length-normalised DPO: the margin is that of mean log-ratios per token.

    For two answers of n tokens it is DPO at beta / n, so beta is larger here. TRL's name is
    `sigmoid_norm`.

    Args:
        beta: strength of the pull towards the reference, per token; larger stays nearer to it.
    """
    # The end-of-turn token counts, as every token does.
    chosen, rejected = pairs.per_token(*pairs.log_ratios())
    losses = -log_sigmoid(beta * (chosen - rejected))
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))


@objective(
    needs_reference=True,
    paper="arXiv:2403.00409 Provably Robust DPO: Aligning Language Models with Noisy Feedback",
    formula="(-(1 - e) log sigmoid(beta m) + e log sigmoid(-beta m)) / (1 - 2 e), "
    "e = label_smoothing",
)
def robust_dpo(
    pairs: PairwiseScores, *, beta: Beta = 0.1, label_smoothing: Smoothing = 0.1
) -> LossOutput:
    """Robust DPO: DPO's loss on clean labels, estimated without bias from noisy ones.

    If a share `label_smoothing` of the labels was flipped at random, its mean over the flips is
    the loss of the labels before. Unlike conservative DPO (`dpo` with label smoothing) it keeps
    DPO's minimum, at the price of a larger variance; a loss can be negative.
    """
    chosen, rejected = pairs.log_ratios()
    logits, e = beta * (chosen - rejected), label_smoothing
    # The noise mixes two losses, [1 - e, e; e, 1 - e]; this is a row of that matrix's inverse.
    losses = (-(1 - e) * log_sigmoid(logits) + e * log_sigmoid(-logits)) / (1 - 2 * e)
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))


@objective(
    needs_reference=True,
    paper="arXiv:2402.00856 Towards Efficient Exact Optimization of Language Model Alignment, "
    "eq. 16",
    formula="q log(q / (1 - e)) + (1 - q) log((1 - q) / e), q = sigmoid(beta m), "
    "e = label_smoothing",
)
def exo(pairs: PairwiseScores, *, beta: Beta = 0.1, label_smoothing: Doubt = 0.001) -> LossOutput:
    """Exact optimisation on pairs: the reverse KL from the policy's preference to the label's.

    DPO minimises the KL of the label from the policy, which covers; this one is the other way
    round, as in reinforcement learning, and seeks the mode. It is zero at
    beta m = log((1 - e) / e). Badly misordered pairs have a flat loss.

    Args:
        label_smoothing: probability that the label is wrong; the loss has no minimum at 0.
    """
    chosen, rejected = pairs.log_ratios()
    logits = beta * (chosen - rejected)
    # q log q as sigmoid times log-sigmoid: no logarithm of a q that has become 0.
    right = logits.sigmoid() * (log_sigmoid(logits) - math.log1p(-label_smoothing))
    wrong = (-logits).sigmoid() * (log_sigmoid(-logits) - math.log(label_smoothing))
    return LossOutput(right + wrong, implicit_rewards(chosen, rejected, beta))


@objective(
    feedback=("joint_pair", "comparison"),
    needs_reference=True,
    paper="arXiv:2404.00530 Comparing Bad Apples to Good Oranges: Aligning Large Language Models "
    "via Joint Preference Optimization",
    formula="-log sigmoid(beta (h(y_w | x_w) - h(y_l | x_l)))",
)
def dove(pairs: PairwiseScores, *, beta: Beta = 0.1) -> LossOutput:
    """DPO over unlike prompts: one exchange is preferred to another, answers given their prompts.

    How likely the prompts are is left out, since they are given, not written, by the model;
    `dove_joint` puts it in. Where the two prompts are the same it is DPO.
    """
    return dpo(pairs, beta=beta)


@objective(
    slug="dove",
    feedback=("joint_pair", "comparison"),
    needs_reference=True,
    prepare=(ScoredPrompts(),),
    paper="arXiv:2404.00530 Comparing Bad Apples to Good Oranges: Aligning Large Language Models "
    "via Joint Preference Optimization",
    formula="-log sigmoid(beta (H(x_w, y_w) - H(x_l, y_l))), H = log pi(x, y) - log ref(x, y)",
)
def dove_joint(pairs: PairwiseScores, *, beta: Beta = 0.1) -> LossOutput:
    """DPO over unlike prompts with the prompts' own likelihood: whole exchanges are compared.

    All tokens of prompt and answer are trained but the first, which follows nothing. Where the two
    prompts are the same their terms cancel and it is DPO.
    """
    # The preparation has put the prompts among the scored tokens: h is already that of exchanges.
    return dpo(pairs, beta=beta)


@objective(
    needs_reference=True,
    paper="arXiv:2404.11999 Token-level Direct Preference Optimization, TDPO2",
    formula="-log sigmoid(beta (m - alpha (D(rejected) - sg D(chosen)))), "
    "D = sum over tokens of r - 1 - log r, r = pi / ref",
)
def tdpo(pairs: PairwiseScores, *, beta: Beta = 0.1, alpha: Fraction = 0.5) -> LossOutput:
    """Token-level DPO: DPO that keeps the rejected answer's divergence near the chosen one's.

    This is TDPO2, whose D is the KL from the reference to the policy at every position of the
    answer, summed. It is estimated from the answers' own tokens by r - 1 - log r, which is never
    negative and, for answers sampled from the reference, unbiased; for others it is a measure of
    divergence along the answer.

    Args:
        alpha: weight of the difference in divergence; 0 is DPO.
    """
    chosen, rejected = pairs.log_ratios()
    # Without gradient through the chosen answer's divergence: TDPO2, where TDPO1 lets it flow.
    held, moving = _divergence(pairs.chosen).detach(), _divergence(pairs.rejected)
    losses = -log_sigmoid(beta * (chosen - rejected - alpha * (moving - held)))
    metrics = {"divergence/chosen": held, "divergence/rejected": moving.detach()}
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta), metrics)


def _divergence(answers: Sequences) -> Tensor:
    """Sum r - 1 - log r over tokens, r = policy / reference, `[n]`: k3 of Schulman (2020)."""
    # From the answer's tokens alone: the paper's sum over the vocabulary needs both models' logits
    # at once, which a cached reference does not have.
    ratios = answers.token_log_ratios()
    return answers.policy.sum_tokens(bounded_exp(ratios) - 1 - ratios)


def implicit_rewards(chosen: Tensor, rejected: Tensor, beta: float | Tensor) -> Tensor:
    """Join beta h of all chosen, then of all rejected answers, `[2n]`, without gradient.

    `beta` is one number or one per pair, `[n]`.
    """
    return join([beta * chosen, beta * rejected]).detach()
