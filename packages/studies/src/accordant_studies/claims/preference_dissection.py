"""S33: weights of properties that were planted in preferences are recovered, with intervals.

Knows the bundled answers and the check's regression. Which answer of a pair has more of a property
is read from the bundled answers, so that properties go together as they do in texts; the weights
and the preferences are drawn.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from accordant.checks.inputs import CheckInputs
from accordant.checks.property_differences import measure_properties
from accordant.feedback.bundled import bundled_path
from accordant.feedback.loading import load_feedback
from accordant.statistics.interval import Interval
from accordant.statistics.logistic import (
    draw_sparse_weights,
    draw_weights,
    fit_grouped,
    fit_logistic,
    probability_draws,
    sigmoid,
)
from accordant.statistics.rank_correlation import kendall_tau
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

Floats = NDArray[np.float64]

SEEDS = fresh_seeds(5)
REPEATS = 20  # drawn weights and preferences a seed
PAIRS = 1500
FEW = 300  # pairs of small data
DRAWS, MANY_DRAWS = 2000, 8000  # of the exact posterior, repeatedly and once a seed
SPREAD = 0.5  # of planted weights, standardised; the prior has 1
SCENARIOS, EACH, DEVIATION = 4, 150, 0.3
LEAST, TWIN = 20, 0.95
LOW, HIGH = 0.93, 0.97  # what is near 95 %
NEAR = 0.02  # of a probability

WHOLE, GROUPS, SMALL = "one scenario", "four scenarios", f"one scenario, {FEW} pairs"
SPARSE, SCALE = "the published prior", 0.1  # Laplace's, which weights are planted from
APART = "Laplace against exact, {} pairs"


def study() -> Study:
    """Plant weights, fit, and compare."""
    cover, pooled = "95 % intervals that cover", "error, partial pooling"
    return Study(
        _measure,
        SEEDS,
        (
            Claim(f"published prior: they cover over {LOW:.0%}", cover, SPARSE, than=LOW),
            Claim(f"published prior: they cover under {HIGH:.0%}", cover, "", SPARSE, HIGH),
            Claim(f"95 % intervals cover more than {LOW:.0%}", cover, higher=WHOLE, than=LOW),
            Claim(f"95 % intervals cover less than {HIGH:.0%}", cover, lower=WHOLE, than=HIGH),
            Claim(
                "the order of weights is recovered: Kendall's tau over 0.7",
                "order, Kendall's tau",
                higher=WHOLE,
                than=0.7,
            ),
            Claim(
                "of the weights that are clear of 0, over 95 % have the planted sign",
                "right signs of clear weights",
                higher=WHOLE,
                than=0.95,
            ),
            Claim(
                "swapping the answers of pairs changes nothing (to 1e-9)",
                lambda seed: 1e-9 - seed[WHOLE]["change by swapping"],
            ),
            Claim(
                f"on {PAIRS} pairs Laplace's intervals end within {NEAR} of the exact ones, on "
                "average",
                lambda seed: NEAR - seed[APART.format(PAIRS)]["mean over ends"],
            ),
            Claim(
                f"on {FEW} pairs Laplace's intervals cover as often as the exact ones, to "
                f"{NEAR:.0%}",
                "Laplace's intervals that cover",
                higher=SMALL,
                than=(SMALL, "exact intervals that cover"),
                by=-NEAR,
            ),
            Claim(
                "partial pooling errs less than a fit of each scenario alone",
                pooled,
                lower=GROUPS,
                than=(GROUPS, "error, each alone"),
            ),
            Claim(
                "partial pooling errs less than one fit of all",
                pooled,
                lower=GROUPS,
                than=(GROUPS, "error, one for all"),
            ),
        ),
        untested=("scores of judges are raised by changing the properties they like",),
        note=f"{len(_signs().T)} properties of {len(_signs())} bundled pairs, drawn with "
        f"replacement: {PAIRS} pairs of one scenario, and {SCENARIOS} scenarios of {EACH} pairs "
        f"whose weights deviate by {DEVIATION} from a shared mean. {REPEATS} draws of weights and "
        "preferences a seed. The published prior is Laplace(0, 0.1), "
        f"its weights planted and found on {FEW} pairs; all other rows have the Normal prior. "
        "Laplace's intervals are held against draws of the exact posterior, in "
        f"points of probability: on {FEW} pairs the two are apart where few pairs differ, as the "
        "prior, twice as wide as what was planted, draws the exact posterior out further.",
    )


@cache
def _signs() -> Floats:
    """Return which answer of a pair has more, `[pairs, k]`, without rare or twin columns."""
    parts = []
    for part in ("train", "held_out"):
        feedback = load_feedback(str(bundled_path(part)))
        parts.append(measure_properties(CheckInputs(feedback)).signs)
    signs = np.vstack(parts)
    kept: list[int] = []
    for place, column in enumerate(signs.T):
        others = (signs[:, one] for one in kept)
        if np.count_nonzero(column) >= LEAST and not any(_twins(column, one) for one in others):
            kept.append(place)
    return signs[:, kept]


def _twins(column: Floats, other: Floats) -> bool:
    return bool(abs(column @ other) > TWIN * np.sqrt((column @ column) * (other @ other)))


def _measure(seed: int) -> Measured:
    draw = np.random.default_rng(seed)
    return {
        WHOLE: _mean([_one_scenario(draw) for _ in range(REPEATS)]),
        GROUPS: _mean([_scenarios(draw) for _ in range(REPEATS)]),
        SPARSE: _mean([_sparse(draw, seed + place) for place in range(REPEATS)]),
        SMALL: _mean([_small(draw, seed + place) for place in range(REPEATS)]),
        **{APART.format(n): _against_draws(draw, n, seed) for n in (FEW, PAIRS)},
    }


def _mean(measured: list[dict[str, float]]) -> dict[str, float]:
    """Return means of every quantity; a repeat that has none of it is left out."""
    return {
        name: float(np.nanmean([numbers[name] for numbers in measured])) for name in measured[0]
    }


def _draw_rows(draw: np.random.Generator, count: int) -> Floats:
    """Return pairs drawn with replacement, their answers in random order."""
    signs = _signs()
    rows = signs[draw.integers(0, len(signs), count)]
    return rows * draw.choice([-1.0, 1.0], size=(count, 1))


def _plant(draw: np.random.Generator) -> Floats:
    """Return weights in units of the columns."""
    signs = _signs()
    return draw.normal(0, SPREAD, signs.shape[1]) / np.sqrt((signs**2).mean(axis=0))


def _prefer(draw: np.random.Generator, rows: Floats, weights: Floats) -> Floats:
    """Return 1 where the first answer is preferred; `weights` `[k]` or one row each `[n, k]`."""
    return (draw.random(len(rows)) < sigmoid((rows * weights).sum(axis=1))).astype(np.float64)


def _one_scenario(draw: np.random.Generator) -> dict[str, float]:
    planted, rows = _plant(draw), _draw_rows(draw, PAIRS)
    labels = _prefer(draw, rows, planted)
    fitted = fit_logistic(rows, labels)
    swap = draw.choice([-1.0, 1.0], size=PAIRS)
    swapped = fit_logistic(rows * swap[:, None], np.where(swap < 0, 1 - labels, labels))
    chances = fitted.probabilities()
    clear = np.array([chance.excludes(0.5) for chance in chances])
    signs = (np.sign(fitted.mean) == np.sign(planted))[clear]
    return {
        "95 % intervals that cover": _covered(chances, planted),
        "order, Kendall's tau": float(kendall_tau(planted, fitted.mean)),
        "clear weights": float(clear.mean()),
        "right signs of clear weights": float(signs.mean()) if clear.any() else float("nan"),
        "change by swapping": float(np.abs(swapped.mean - fitted.mean).max()),
    }


def _covered(intervals: tuple[Interval, ...], planted: Floats) -> float:
    ends = np.array([(interval.low, interval.high) for interval in intervals])
    truth = sigmoid(planted)
    return float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())


def _sparse(draw: np.random.Generator, seed: int) -> dict[str, float]:
    """Plant weights from the published prior, of columns as they are, and draw the posterior."""
    planted = np.asarray(draw.laplace(0, SCALE, _signs().shape[1]))
    rows = _draw_rows(draw, FEW)
    drawn = draw_sparse_weights(
        rows, _prefer(draw, rows, planted), scale=SCALE, draws=DRAWS, seed=seed
    )
    return {
        "95 % intervals that cover": _covered(probability_draws(drawn, FEW), planted),
        "order, Kendall's tau": float(kendall_tau(planted, drawn.mean(0))),
    }


def _scenarios(draw: np.random.Generator) -> dict[str, float]:
    """Return the mean squared error of scenarios' weights, standardised, by three ways to fit."""
    shared, scales = _plant(draw), np.sqrt((_signs() ** 2).mean(axis=0))
    planted = shared + draw.normal(0, DEVIATION, (SCENARIOS, len(shared))) / scales
    groups = np.repeat(np.arange(SCENARIOS), EACH)
    rows = _draw_rows(draw, SCENARIOS * EACH)
    labels = _prefer(draw, rows, planted[groups])
    pooled = fit_grouped(rows, labels, groups)
    alone = [fit_logistic(rows[groups == g], labels[groups == g]) for g in range(SCENARIOS)]
    once = fit_logistic(rows, labels)

    def error(means: Floats) -> float:
        return float((((means - planted) * scales) ** 2).mean())

    covered = [
        _covered(fit.probabilities(), weights)
        for fit, weights in zip(pooled.groups, planted, strict=True)
    ]
    return {
        "error, partial pooling": error(np.stack([fit.mean for fit in pooled.groups])),
        "error, each alone": error(np.stack([fit.mean for fit in alone])),
        "error, one for all": error(np.broadcast_to(once.mean, planted.shape)),
        "95 % intervals that cover": float(np.mean(covered)),
        "found deviation": pooled.scale,
    }


def _small(draw: np.random.Generator, seed: int) -> dict[str, float]:
    planted, rows = _plant(draw), _draw_rows(draw, FEW)
    labels = _prefer(draw, rows, planted)
    exact = probability_draws(draw_weights(rows, labels, draws=DRAWS, seed=seed), FEW)
    return {
        "Laplace's intervals that cover": _covered(
            fit_logistic(rows, labels).probabilities(), planted
        ),
        "exact intervals that cover": _covered(exact, planted),
    }


def _against_draws(draw: np.random.Generator, count: int, seed: int) -> dict[str, float]:
    rows = _draw_rows(draw, count)
    labels = _prefer(draw, rows, _plant(draw))
    laplace = fit_logistic(rows, labels).probabilities()
    exact = probability_draws(draw_weights(rows, labels, draws=MANY_DRAWS, seed=seed), count)
    apart = [
        abs(a - b)
        for approximate, drawn in zip(laplace, exact, strict=True)
        for a, b in ((approximate.low, drawn.low), (approximate.high, drawn.high))
    ]
    return {"furthest end": max(apart), "mean over ends": sum(apart) / len(apart)}
