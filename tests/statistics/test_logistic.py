"""Bayesian logistic regression: against slow exact references, and planted weights recovered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from accordant.statistics.logistic import (
    draw_sparse_weights,
    draw_weights,
    fit_grouped,
    fit_logistic,
    probability_draws,
    sigmoid,
)


def rows(seed: int, count: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], size=(count, columns))


def labels(seed: int, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    draw = np.random.default_rng(seed + 1000)
    return (draw.random(len(x)) < sigmoid((x * weights).sum(axis=1))).astype(float)


def height(w: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Log joint density of the model as its docstring states it, up to a constant."""
    scales = np.sqrt((x**2).mean(axis=0))
    margins = x @ w
    likelihood = np.sum(y * margins - np.logaddexp(0, margins))
    return float(likelihood - 0.5 * np.sum((w * scales) ** 2))


def test_the_mode_is_an_optimisers() -> None:
    x = rows(0, 120, 4)
    y = labels(0, x, np.array([1.0, -0.5, 0.0, 2.0]))
    found = minimize(lambda w: -height(w, x, y), np.zeros(4), tol=1e-12)
    assert fit_logistic(x, y).mean == pytest.approx(found.x, abs=1e-4)


def test_one_weight_has_the_moments_of_quadrature() -> None:
    x = rows(1, 400, 1)
    y = labels(1, x, np.array([0.7]))
    grid = np.linspace(-3, 4, 20_001)
    density = np.array([height(np.array([w]), x, y) for w in grid])
    mass = np.exp(density - density.max())
    step = grid[1] - grid[0]
    total = mass.sum() * step
    mean = float((grid * mass).sum() / mass.sum())
    spread = float(np.sqrt(((grid - mean) ** 2 * mass).sum() / mass.sum()))
    fitted = fit_logistic(x, y)
    assert fitted.mean[0] == pytest.approx(mean, abs=0.02)
    assert fitted.deviations[0] == pytest.approx(spread, rel=0.02)
    # The prior is Normal(0, 1 / s^2), so the integral wants its constant.
    scale = float(np.sqrt((x**2).mean()))
    evidence = np.log(total * scale / np.sqrt(2 * np.pi)) + density.max()
    assert fitted.log_evidence == pytest.approx(evidence, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 5))
def test_swapping_the_two_of_a_pair_changes_nothing(seed: int, count: int, columns: int) -> None:
    x = rows(seed, count, columns)
    y = labels(seed, x, np.ones(columns))
    swap = np.random.default_rng(seed).choice([-1.0, 1.0], size=count)
    one = fit_logistic(x, y)
    other = fit_logistic(x * swap[:, None], np.where(swap < 0, 1 - y, y))
    assert other.mean == pytest.approx(one.mean, abs=1e-9)
    assert other.covariance == pytest.approx(one.covariance, abs=1e-9)


def test_no_data_gives_one_half_and_separation_stays_finite() -> None:
    for empty in (np.zeros((5, 2)), np.zeros((0, 2))):
        found = fit_logistic(empty, np.ones(len(empty)))
        assert [one.estimate for one in found.probabilities()] == [0.5, 0.5]
        assert found.deviations == pytest.approx(1)
    split = fit_logistic(np.ones((50, 1)), np.ones(50))
    assert 1 < split.mean[0] < 10
    assert np.isfinite(split.covariance).all()


def test_weights_count_rows() -> None:
    x = rows(2, 40, 3)
    y = labels(2, x, np.array([1.0, 0.0, -1.0]))
    twice = fit_logistic(np.vstack([x, x]), np.hstack([y, y]))
    assert fit_logistic(x, y, np.full(40, 2.0)).mean == pytest.approx(twice.mean)
    first = fit_logistic(x, y, np.repeat([1.0, 0.0], 20))
    assert first.mean == pytest.approx(fit_logistic(x[:20], y[:20]).mean)


def test_standardising_makes_units_no_matter() -> None:
    x = rows(3, 100, 3)
    y = labels(3, x, np.array([1.0, 0.5, -1.0]))
    scaled = fit_logistic(x * [1.0, 10.0, 0.1], y)
    assert scaled.mean * [1.0, 10.0, 0.1] == pytest.approx(fit_logistic(x, y).mean)


@pytest.mark.parametrize("count", [60, 400])
def test_laplace_is_near_exact_draws(count: int) -> None:
    x = rows(4, count, 4)
    y = labels(4, x, np.array([1.0, -0.5, 0.0, 0.3]))
    laplace = fit_logistic(x, y).probabilities()
    exact = probability_draws(draw_weights(x, y, draws=6000), count)
    near = 0.03 if count < 100 else 0.012
    for one, other in zip(laplace, exact, strict=True):
        assert one.low == pytest.approx(other.low, abs=near)
        assert one.high == pytest.approx(other.high, abs=near)


def test_draws_of_one_weight_have_the_quantiles_of_quadrature() -> None:
    # Few and one-sided rows: the posterior is skewed, and Laplace's is not.
    x, y = np.ones((6, 1)), np.ones(6)
    grid = np.linspace(-4, 8, 20_001)
    mass = np.exp([height(np.array([w]), x, y) for w in grid])
    share = np.cumsum(mass) / mass.sum()
    draws = draw_weights(x, y, draws=20_000)[:, 0]
    for quantile in (0.025, 0.5, 0.975):
        exact = grid[np.searchsorted(share, quantile)]
        assert np.quantile(draws, quantile) == pytest.approx(exact, abs=0.08)


def test_intervals_cover_weights_drawn_from_the_prior() -> None:
    draw, covered, all_of_them = np.random.default_rng(5), 0, 0
    for seed in range(100):
        x = rows(seed, 150, 4)
        planted = draw.normal(size=4) / np.sqrt((x**2).mean(axis=0))
        found = fit_logistic(x, labels(seed, x, planted)).probabilities()
        truth = sigmoid(planted)
        covered += sum(one.low <= t <= one.high for one, t in zip(found, truth, strict=True))
        all_of_them += 4
    assert 0.92 < covered / all_of_them < 0.98


def test_groups_without_deviation_are_one_fit() -> None:
    x = rows(6, 200, 3)
    y = labels(6, x, np.array([1.0, 0.0, -1.0]))
    groups = np.arange(200) % 4
    once, tied = fit_logistic(x, y), fit_grouped(x, y, groups, scale=1e-6)
    for own in (tied.shared, *tied.groups):
        assert own.mean == pytest.approx(once.mean, abs=1e-5)
        assert own.covariance == pytest.approx(once.covariance, abs=1e-5)
    assert tied.shared.log_evidence == pytest.approx(once.log_evidence, abs=1e-4)
    assert [one.count for one in tied.groups] == [50] * 4


def test_groups_are_one_regression_with_more_columns() -> None:
    x, t = rows(7, 90, 2), 0.7
    x /= np.sqrt((x**2).mean(axis=0))  # so that columns are in units of their scale
    y = labels(7, x, np.array([1.0, -1.0]))
    groups = np.arange(90) % 3
    found = fit_grouped(x, y, groups, scale=t)
    wide = np.hstack([x, *(t * x * (groups == g)[:, None] for g in range(3))])

    def cost(v: np.ndarray) -> float:
        margins = (2 * y - 1) * (wide @ v)
        return float(np.logaddexp(0, -margins).sum() + 0.5 * v @ v)

    mode = minimize(cost, np.zeros(8), tol=1e-12).x
    assert found.shared.mean == pytest.approx(mode[:2], abs=1e-4)
    assert found.groups[2].mean == pytest.approx(mode[:2] + t * mode[6:], abs=1e-4)
    # Covariance of w + t z by the numbers: the transform of the inverse Hessian.
    wrong = sigmoid(-(2 * y - 1) * (wide @ mode))
    spread = np.linalg.inv((wide * (wrong * (1 - wrong))[:, None]).T @ wide + np.eye(8))
    mix = np.hstack([np.eye(2), np.zeros((2, 4)), t * np.eye(2)])
    assert found.groups[2].covariance == pytest.approx(mix @ spread @ mix.T, abs=1e-4)


def test_partial_pooling_errs_less_than_either_extreme() -> None:
    errors = []
    for seed in range(12):
        draw = np.random.default_rng(seed)
        x, groups = rows(seed, 400, 5), np.arange(400) % 5
        planted = draw.normal(size=5) + draw.normal(0, 0.4, (5, 5))
        y = labels(seed, x, planted[groups])
        pooled = fit_grouped(x, y, groups)
        assert 0.01 < pooled.scale < 2
        alone = [fit_logistic(x[groups == g], y[groups == g]).mean for g in range(5)]
        ways = ([one.mean for one in pooled.groups], alone, [fit_logistic(x, y).mean] * 5)
        errors.append([float(((np.stack(way) - planted) ** 2).mean()) for way in ways])
    partial, apart, together = np.mean(errors, axis=0)
    assert partial < apart
    assert partial < together


def test_the_scale_follows_the_groups() -> None:
    x, groups = rows(9, 1200, 6), np.arange(1200) % 6
    same = fit_grouped(x, labels(9, x, np.full(6, 0.5)), groups).scale
    planted = np.full(6, 0.5) + np.random.default_rng(9).normal(0, 1, (6, 6))
    apart = fit_grouped(x, labels(9, x, planted[groups]), groups).scale
    assert same < 0.2 < 0.5 < apart < 1.5


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        fit_logistic(np.ones((3, 2)), np.ones(2))
    with pytest.raises(ValueError, match="groups"):
        fit_grouped(np.ones((3, 2)), np.ones(3), np.zeros(2, int))
    with pytest.raises(ValueError, match="0 or 1"):
        fit_logistic(np.ones((3, 2)), np.array([0.0, 1.0, 2.0]))
    with pytest.raises(ValueError, match="negative"):
        fit_logistic(np.ones((1, 1)), np.ones(1), [-1.0])


def test_draws_under_the_published_prior_have_the_moments_of_quadrature() -> None:
    """Laplace(0, 0.1) on columns as they are is the posterior that the authors draw from."""
    x = rows(3, 60, 2)
    y = labels(3, x, np.array([0.8, 0.0]))
    axis = np.linspace(-1.2, 1.8, 401)
    first, second = np.meshgrid(axis, axis, indexing="ij")
    margins = first[..., None] * x[:, 0] + second[..., None] * x[:, 1]
    density = (y * margins - np.logaddexp(0, margins)).sum(-1)
    density -= (np.abs(first) + np.abs(second)) / 0.1
    mass = np.exp(density - density.max())
    mass /= mass.sum()
    drawn = draw_sparse_weights(x, y, scale=0.1, draws=20_000, seed=0)
    for column, grid in enumerate((first, second)):
        mean = float((mass * grid).sum())
        spread = float(np.sqrt((mass * (grid - mean) ** 2).sum()))
        assert drawn[:, column].mean() == pytest.approx(mean, abs=0.01)
        assert drawn[:, column].std() == pytest.approx(spread, rel=0.06)
    # The prior pulls a weight of 0.8 far in on 60 rows, and alone has its own deviation.
    alone = draw_sparse_weights(np.zeros((5, 1)), np.ones(5), scale=0.1, draws=20_000)
    assert alone.std() == pytest.approx(0.1 * 2**0.5, rel=0.06)


def test_swapping_the_two_things_negates_nothing_but_the_row() -> None:
    x = rows(4, 80, 3)
    y = labels(4, x, np.array([0.5, -0.5, 0.0]))
    turned = np.where(np.arange(80) % 2, -1.0, 1.0)
    swapped = draw_sparse_weights(x * turned[:, None], np.where(turned < 0, 1 - y, y))
    np.testing.assert_allclose(swapped, draw_sparse_weights(x, y), atol=1e-12)
