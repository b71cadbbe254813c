"""Losses on comparisons that bend the margin or the log-ratios: other links, other divergences.

Knows scores. Knows nothing of models, tokenizers or trainers. In formulas
h = log pi(y|x) - log ref(y|x), summed over the answer's tokens, u = exp(h) and
m = h(chosen) - h(rejected).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from accordant.base.options import Positive
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.losses.pairwise import implicit_rewards
from accordant.objectives.numerics import bounded_exp, log_sigmoid
from accordant.objectives.registry import Beta, objective

if TYPE_CHECKING:
    from torch import Tensor

Link = Literal["logistic", "exponential", "truncated_quadratic", "squared", "hinge", "savage"]
Divergence = Literal["js_divergence", "reverse_kl", "forward_kl", "alpha_divergence"]
Order = Annotated[float, Field(gt=0.0, le=1.0)]

# Their slopes at 0 differ, so that the same beta is not comparable across links.
LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "logistic": lambda z: -log_sigmoid(z),
    "exponential": lambda z: bounded_exp(-z),  # a line beyond exp(30), whose gradient is finite
    "truncated_quadratic": lambda z: (1 - z).clamp(min=0) ** 2,
    "squared": lambda z: (1 - z) ** 2,
    "hinge": lambda z: (1 - z).clamp(min=0),
    "savage": lambda z: (-z).sigmoid() ** 2,
}

# f'(u) as a function of log u, without constants (they cancel between the two answers).
DERIVATIVES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "reverse_kl": lambda h, _: h,
    # As the limit of the last at alpha = 1; powers of u are lines beyond exp(30).
    "forward_kl": lambda h, _: 1 - bounded_exp(-h),
    "js_divergence": lambda h, _: math.log(2) + log_sigmoid(h),
    "alpha_divergence": lambda h, alpha: (1 - bounded_exp(-alpha * h)) / alpha,
}


@objective(
    needs_reference=True,
    paper="arXiv:2402.05749 Generalized Preference Optimization: A Unified Approach to Offline "
    "Alignment, table 1",
    formula="f(beta m), f(z) = log(1 + exp(-z)) or exp(-z), max(0, 1 - z)^2, (1 - z)^2, "
    "max(0, 1 - z), sigmoid(-z)^2",
)
def gpo(pairs: PairwiseScores, *, link: Link = "logistic", beta: Beta = 0.1) -> LossOutput:
    """Generalised preference optimisation: any decreasing convex link of the margin, and Savage.

    In the order of the formula the links are logistic (DPO), exponential, truncated_quadratic,
    squared (beta^2 times IPO at tau = beta / 2), hinge (SLiC with a reference) and savage, which is
    bounded: pairs that are badly misordered lose their influence.

    Args:
        link: which function of the scaled margin is minimised.
    """
    chosen, rejected = pairs.log_ratios()
    losses = LINKS[link](beta * (chosen - rejected))
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))


@objective(
    needs_reference=True,
    paper="arXiv:2309.06657 Statistical Rejection Sampling Improves Preference Optimization, "
    "hinge-norm",
    formula="max(0, 1 - beta m)",
)
def hinge(pairs: PairwiseScores, *, beta: Positive = 0.1) -> LossOutput:
    """SLiC's hinge on log-ratios: the margin is raised to 1 / beta, and left alone beyond.

    TRL's name is `hinge` as well; `slic` is the loss without a reference.

    Args:
        beta: strength of the pull towards the reference; the wanted lead is 1 / beta nats.
    """
    return gpo(pairs, link="hinge", beta=beta)


@objective(
    needs_reference=True,
    paper="arXiv:2406.08414 Discovering Preference Optimization Algorithms with and for Large "
    "Language Models, eq. 5",
    formula="-(1 - g) log sigmoid(z) + g exp(-z), z = beta m, g = sigmoid(z / tau)",
)
def discopo(pairs: PairwiseScores, *, beta: Beta = 0.1, tau: Positive = 0.05) -> LossOutput:
    """DiscoPOP's log-ratio modulated loss: logistic for misordered pairs, exponential for others.

    A language model proposed it in a search over losses. It is not convex: around z = 0 the switch
    from the logistic to the larger exponential makes a bump, on whose left side the loss rises
    with the margin, so that small leads of the wrong answer are first held back. TRL's name is
    `discopop`.

    Args:
        tau: width of the switch between the two parts, in units of z.
    """
    chosen, rejected = pairs.log_ratios()
    logits = beta * (chosen - rejected)
    # 1 - g, the switch, as a sigmoid of its own: exact where g is 1 to the last bit.
    logistic = -log_sigmoid(logits) * (-logits / tau).sigmoid()
    # One exponent: exp(-z) alone overflows where the switch has long closed.
    exponential = bounded_exp(log_sigmoid(logits / tau) - logits)
    return LossOutput(logistic + exponential, implicit_rewards(chosen, rejected, beta))


@objective(
    needs_reference=True,
    paper="arXiv:2309.16240 Beyond Reverse KL: Generalizing Direct Preference Optimization with "
    "Diverse Divergence Constraints",
    formula="-log sigmoid(beta (f'(u(chosen)) - f'(u(rejected)))), f' = log u - log(1 + u) "
    "(Jensen-Shannon), log u (reverse KL), -1 / u (forward KL), (1 - u^-alpha) / alpha",
)
def f_dpo(
    pairs: PairwiseScores,
    *,
    beta: Beta = 0.1,
    divergence: Divergence = "js_divergence",
    alpha: Order = 0.5,
) -> LossOutput:
    """DPO with another divergence from the reference than the reverse KL.

    The implicit reward of an answer is beta f'(u), where f generates the divergence that holds the
    policy to the reference. reverse_kl is DPO. The alpha-divergence lies between: towards 0 it is
    the reverse KL, at 1 the forward KL. TRL's coefficient is 1 - alpha.

    Args:
        divergence: which divergence; the names are TRL's.
        alpha: order of the alpha-divergence; without effect on the others.
    """
    # At the optimum f'(u) = (r - l) / beta, with an l of the prompt that cancels between answers.
    derivative = DERIVATIVES[divergence]
    chosen = derivative(pairs.chosen.log_ratio(), alpha)
    rejected = derivative(pairs.rejected.log_ratio(), alpha)
    losses = -log_sigmoid(beta * (chosen - rejected))
    return LossOutput(losses, implicit_rewards(chosen, rejected, beta))
