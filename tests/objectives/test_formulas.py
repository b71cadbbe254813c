"""Losses on comparisons are their papers' formulas, written out slowly; and what becomes of which.

A loss is pinned here by its formula, by TRL in `test_trl`, by finite differences in
`test_properties`. Other files hold what follows from no formula at a glance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.objectives.inputs import Sequences
from accordant.objectives.losses.pairwise import dove, dpo, exo, ipo, ln_dpo, robust_dpo, rpo, tdpo
from accordant.objectives.losses.pairwise_anchored import apo_down, apo_zero, nca, sppo
from accordant.objectives.losses.pairwise_links import (
    DERIVATIVES,
    LINKS,
    discopo,
    f_dpo,
    gpo,
    hinge,
)
from accordant.objectives.losses.pairwise_reference_free import cpo, mapo, orpo, simpo, slic
from tests.objectives.pairs import of_log_ratios, random_pairs


@dataclass(frozen=True)
class Answer:
    """One answer by its tokens' log-probabilities, in floats."""

    policy: list[float]
    reference: list[float]

    @property
    def h(self) -> float:
        return sum(self.policy) - sum(self.reference)

    @property
    def per_token(self) -> float:
        return self.h / len(self.policy)

    @property
    def likelihood(self) -> float:
        return sum(self.policy)

    @property
    def mean(self) -> float:
        return sum(self.policy) / len(self.policy)

    @property
    def divergence(self) -> float:
        ratios = [p - r for p, r in zip(self.policy, self.reference, strict=True)]
        return sum(math.exp(x) - 1 - x for x in ratios)

    @property
    def odds(self) -> float:
        return self.mean - math.log(1 - math.exp(self.mean))

    @property
    def bosons(self) -> float:
        return -self.mean / (math.exp(-self.mean) - 1)


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def logistic(z: float) -> float:
    return -math.log(sigmoid(z))


def smoothed(z: float, e: float) -> float:
    return (1 - e) * logistic(z) + e * logistic(-z)


def kl(q: float, p: float) -> float:
    return q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))


SLOW_LINKS = {
    "logistic": lambda z: math.log(1 + math.exp(-z)),
    "exponential": lambda z: math.exp(-z),
    "truncated_quadratic": lambda z: max(0.0, 1 - z) ** 2,
    "squared": lambda z: (1 - z) ** 2,
    "hinge": lambda z: max(0.0, 1 - z),
    "savage": lambda z: 1 / (1 + math.exp(z)) ** 2,
}
SLOW_DERIVATIVES = {
    "reverse_kl": lambda u, _: math.log(u),
    "forward_kl": lambda u, _: -1 / u,
    "js_divergence": lambda u, _: math.log(u) - math.log(1 + u),
    "alpha_divergence": lambda u, alpha: (1 - u**-alpha) / alpha,
}


def slow_f_dpo(w: Answer, low: Answer, beta: float, divergence: str, alpha: float) -> float:
    first, second = (SLOW_DERIVATIVES[divergence](math.exp(a.h), alpha) for a in (w, low))
    return logistic(beta * (first - second))


def slow_discopo(w: Answer, low: Answer, beta: float, tau: float) -> float:
    z = beta * (w.h - low.h)
    switch = sigmoid(z / tau)
    return (1 - switch) * logistic(z) + switch * math.exp(-z)


def slow_rpo(w: Answer, low: Answer, beta: float, eta: float, sft: str) -> float:
    # The authors' trainer: losses = -logsigmoid(beta logits), then losses -= chosen beta eta.
    term = beta * eta * w.likelihood if sft == "sum" else eta * w.mean
    return logistic(beta * (w.h - low.h)) - term


def slow_ipo(w: Answer, low: Answer, tau: float, length_normalised: bool) -> float:
    margin = w.per_token - low.per_token if length_normalised else w.h - low.h
    return (margin - 1 / (2 * tau)) ** 2


def slow_robust(w: Answer, low: Answer, beta: float, label_smoothing: float) -> float:
    z, e = beta * (w.h - low.h), label_smoothing
    return ((1 - e) * logistic(z) - e * logistic(-z)) / (1 - 2 * e)


BETA, SHARE, WEIGHT = st.floats(0.02, 1), st.floats(0.001, 0.45), st.floats(0, 1)
FORMULAS: dict[Callable, tuple[dict[str, st.SearchStrategy], Callable[..., float]]] = {
    dpo: (
        {"beta": BETA, "label_smoothing": SHARE},
        lambda w, low, beta, label_smoothing: smoothed(beta * (w.h - low.h), label_smoothing),
    ),
    ipo: ({"tau": st.floats(0.02, 3), "length_normalised": st.booleans()}, slow_ipo),
    rpo: ({"beta": BETA, "eta": WEIGHT, "sft": st.sampled_from(["sum", "mean"])}, slow_rpo),
    ln_dpo: (
        {"beta": st.floats(0.1, 4)},
        lambda w, low, beta: logistic(beta * (w.per_token - low.per_token)),
    ),
    robust_dpo: ({"beta": BETA, "label_smoothing": SHARE}, slow_robust),
    exo: (
        {"beta": BETA, "label_smoothing": SHARE},
        lambda w, low, beta, label_smoothing: kl(
            sigmoid(beta * (w.h - low.h)), 1 - label_smoothing
        ),
    ),
    dove: ({"beta": BETA}, lambda w, low, beta: logistic(beta * (w.h - low.h))),
    tdpo: (
        {"beta": BETA, "alpha": WEIGHT},
        lambda w, low, beta, alpha: logistic(
            beta * (w.h - low.h - alpha * (low.divergence - w.divergence))
        ),
    ),
    apo_zero: (
        {"beta": BETA},
        lambda w, low, beta: 1 - sigmoid(beta * w.h) + sigmoid(beta * low.h),
    ),
    apo_down: (
        {"beta": BETA},
        lambda w, low, beta: sigmoid(beta * w.h) + 1 - sigmoid(beta * (w.h - low.h)),
    ),
    sppo: (
        {"beta": BETA},
        lambda w, low, beta: (w.h - 0.5 / beta) ** 2 + (low.h + 0.5 / beta) ** 2,
    ),
    nca: (
        {"beta": BETA},
        lambda w, low, beta: (
            logistic(beta * w.h) + 0.5 * logistic(-beta * w.h) + 0.5 * logistic(-beta * low.h)
        ),
    ),
    gpo: (
        {"beta": BETA, "link": st.sampled_from(sorted(LINKS))},
        lambda w, low, beta, link: SLOW_LINKS[link](beta * (w.h - low.h)),
    ),
    hinge: ({"beta": BETA}, lambda w, low, beta: max(0.0, 1 - beta * (w.h - low.h))),
    discopo: ({"beta": st.floats(0.02, 0.2), "tau": st.floats(0.05, 1)}, slow_discopo),
    f_dpo: (
        {
            "beta": st.floats(0.02, 0.3),
            "divergence": st.sampled_from(sorted(DERIVATIVES)),
            "alpha": st.floats(0.05, 1),
        },
        slow_f_dpo,
    ),
    simpo: (
        {"beta": st.floats(0.1, 4), "gamma": WEIGHT},
        lambda w, low, beta, gamma: logistic(beta * (w.mean - low.mean) - gamma),
    ),
    orpo: ({"beta": WEIGHT}, lambda w, low, beta: -w.mean + beta * logistic(w.odds - low.odds)),
    cpo: (
        {"beta": BETA, "sft_weight": WEIGHT, "label_smoothing": SHARE},
        lambda w, low, beta, sft_weight, label_smoothing: (
            smoothed(beta * (w.likelihood - low.likelihood), label_smoothing) - sft_weight * w.mean
        ),
    ),
    slic: (
        {"delta": st.floats(0, 5), "sft_weight": WEIGHT},
        lambda w, low, delta, sft_weight: (
            max(0.0, delta - w.likelihood + low.likelihood) - sft_weight * w.likelihood
        ),
    ),
    mapo: (
        {"beta": WEIGHT, "scale": st.floats(0.1, 10)},
        lambda w, low, beta, scale: -w.mean + beta * logistic(scale * (w.bosons - low.bosons)),
    ),
}


def answers_of(side: Sequences) -> list[Answer]:
    assert side.reference is not None
    policy, reference = (
        scores.logps.split(scores.lengths.tolist()) for scores in (side.policy, side.reference)
    )
    return [Answer(p.tolist(), r.tolist()) for p, r in zip(policy, reference, strict=True)]


@pytest.mark.parametrize("loss", FORMULAS, ids=lambda loss: loss.__name__)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_each_is_its_formula(loss: Callable, seed: int, data: st.DataObject):
    strategies, slow = FORMULAS[loss]
    options = data.draw(st.fixed_dictionaries(strategies))
    pairs = random_pairs(seed)
    rows = zip(answers_of(pairs.chosen), answers_of(pairs.rejected), strict=True)
    expected = [slow(w, low, **options) for w, low in rows]
    assert loss(pairs, **options).losses.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_links_and_divergences_are_those_that_are_documented():
    assert set(SLOW_LINKS) == set(LINKS)
    assert set(SLOW_DERIVATIVES) == set(DERIVATIVES)


SAME = [
    (rpo, {"eta": 0.0}, dpo, {}),
    (tdpo, {"alpha": 0.0}, dpo, {}),
    (gpo, {}, dpo, {}),
    (gpo, {"link": "hinge"}, hinge, {}),
    (f_dpo, {"divergence": "reverse_kl"}, dpo, {}),
    (f_dpo, {"divergence": "alpha_divergence", "alpha": 1.0}, f_dpo, {"divergence": "forward_kl"}),
    (robust_dpo, {"label_smoothing": 0.0}, dpo, {}),
]


@pytest.mark.parametrize(("loss", "options", "other", "others"), SAME)
@pytest.mark.parametrize("beta", [0.02, 0.1, 2.0])
def test_what_becomes_of_which(loss, options, other, others, beta: float):
    pairs = random_pairs(3)
    torch.testing.assert_close(
        loss(pairs, beta=beta, **options).losses, other(pairs, beta=beta, **others).losses
    )


@pytest.mark.parametrize(
    ("loss", "h", "options", "number"),
    [
        (dpo, (16.0, 0.0), {}, 0.183901),
        (dpo, (5.0, 0.0), {"label_smoothing": 0.1}, 0.524077),
        (dpo, (12.0, 0.0), {}, 0.263282),
        (dpo, (0.0, 0.0), {"label_smoothing": 0.3}, math.log(2)),
        (ipo, (0.8, 0.0), {"tau": 0.5}, 0.04),
        (dove, (4.0, -2.0), {}, 0.437488),
        (ln_dpo, (2 / 5, -2 / 10), {}, 0.263282),
    ],
)
def test_worked_numbers(loss, h: tuple[float, float], options: dict, number: float):
    losses = loss(of_log_ratios([h[0]], [h[1]]), **options).losses
    assert losses.item() == pytest.approx(number, abs=1e-6)
