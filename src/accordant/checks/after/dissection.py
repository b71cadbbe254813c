"""Which properties of answers are preferred when nothing else differs, by people and by models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from accordant.base.options import Count, Positive
from accordant.checks.findings import FindingRow, Outcome, Scale
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.property_differences import (
    PROPERTY_DIFFERENCES,
    PropertyDifferences,
    scenarios_of,
)
from accordant.checks.registry import check
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.dissection import (
    Side,
    distinct_columns,
    fit_side,
    unit_weights,
    unseen_accuracy,
)
from accordant.statistics.interval import Interval
from accordant.statistics.logistic import fit_grouped, sigmoid

if TYPE_CHECKING:
    from accordant.statistics.arrays import Integers

Probabilities = dict[str, tuple[Interval, ...]]

NAMED = 5  # properties in a sentence
BY_SCENARIO = 8  # properties in the chart by scenario
_ALONE = "How probable the answer with more of a property is to be preferred, all else equal."
_CLEAREST = "The same, for the clearest properties; few pairs of a scenario lean on all others."


@dataclass(frozen=True, slots=True)
class _Dissected:
    """All that is reported.

    Args:
        names: properties in the regression.
        people: by the labels.
        model: by the model's preferences; None without a model.
        accuracy: share of preferences that the properties tell right, on pairs left out of the fit.
        scenarios: probabilities by scenario; empty for none.
        left_out: properties that are not in the regression, and why.
    """

    names: tuple[str, ...]
    people: Side
    model: Side | None
    accuracy: Interval
    scenarios: Probabilities
    left_out: tuple[str, ...]

    @property
    def sides(self) -> Probabilities:
        """Probabilities by who prefers: people, and the model where there is one."""
        beside = {} if self.model is None else {"model": self.model.probabilities}
        return {"labels": self.people.probabilities, **beside}

    @property
    def order(self) -> list[int]:
        """Places of properties by how far their interval lies from one half, sure ones first."""
        far = [probability.distance(0.5) for probability in self.people.probabilities]
        return sorted(range(len(far)), key=lambda place: (not self.people.sure[place], -far[place]))

    @property
    def opposed(self) -> list[str]:
        """Properties that the labels prefer and the model avoids, or the other way round."""
        people, model = self.people, self.model
        if model is None:
            return []
        # Opposite signs alone are noise where either side is unsure.
        signs = np.sign(people.weights.mean) * np.sign(model.weights.mean)
        return [self.names[at] for at in np.flatnonzero((signs < 0) & people.sure & model.sure)]

    def charts(self) -> Iterator[Chart]:
        """Draw all properties, and the clearest ones by scenario where there are scenarios."""
        ranked = sorted(self.order, key=lambda place: -self.people.weights.mean[place])
        for title, note, drawn, places in (
            ("When only this differs", _ALONE, self.sides, ranked),
            ("By scenario", _CLEAREST, self.scenarios, self.order[:BY_SCENARIO]),
        ):
            labels = [self.names[place] for place in places]
            series = tuple(
                Series.of_intervals(name, [numbers[place] for place in places], labels)
                for name, numbers in drawn.items()
            )
            half = Mark(0.5, "says nothing", vertical=False)
            if series:
                yield Chart("bars", title, note, "", "probability of preferring", series, (half,))


@check(
    name="dissection",
    title="Preference dissection",
    when="after",
    reads=(PROPERTY_DIFFERENCES,),
    feedback=("comparison", "ranking"),
    paper="arXiv:2402.11296 Dissecting Human and LLM Preferences",
    scale=Scale(
        "one half says nothing; raised where the posterior leaves it out at 5 % over all "
        "properties (Holm 1979). Model, prior and exact sampling as in Li et al. 2024",
        threshold=0.5,
    ),
    shown=(50, "pairs to list at most, those the properties speak against most."),
)
def dissection(
    inputs: CheckInputs,
    differences: PropertyDifferences,
    *,
    least: Count = 20,
    by: Literal["auto", "file", "prompt", "none"] = "auto",
    prior: Literal["laplace", "normal"] = "laplace",
    scale: Positive = 0.1,
    exact: bool = False,
) -> Outcome:
    """How probable an answer is to be preferred for one property when nothing else differs.

    Every pair becomes a row of -1, 0 and 1: which answer has more of each property. A Bayesian
    logistic regression without an intercept tells the preferred answer from it, and sigmoid(w_j) is
    the probability of preferring the answer with more of property j when only this differs, with a
    95 % interval. The same is fitted to the model's own preferences. Scenarios are fitted apart, as
    published; under the Normal prior they share a mean and differ from it as far as the data ask
    for (partial pooling). The pairs of a ranking count as one together. Only what is measured can
    be told apart: a property may stand for another that is not.

    Args:
        least: records that must differ in a property for it to be in the regression.
        by: what makes a scenario: the file a record was read from, the length of its prompt in
            three classes, or none; auto takes the file where there are a few.
        prior: of the weights: the published Laplace prior, under which the posterior is drawn
            from, or Normal(0, 1) of properties divided by their root mean square.
        scale: of the Laplace prior; smaller keeps probabilities nearer to one half.
        exact: whether probabilities under the Normal prior come from draws of the posterior and not
            from its Laplace approximation; slow on large data. The two differ by a few points where
            few pairs do.
    """
    kept, left_out = _columns(differences, least)
    groups = scenarios_of(inputs.feedback.records, differences, by)
    prior_scale = scale if prior == "laplace" else None
    dissected = _dissect(differences, kept, left_out, groups, prior_scale, exact)
    order, people = dissected.order, dissected.people
    return Outcome(
        "probability of preferring the answer with more when only this differs: "
        f"{dissected.names[order[0]]}",
        people.probabilities[order[0]],
        " ".join(_says(dissected)),
        "If a property is not what you want to reward, add pairs that differ in it the other way "
        "round, and read the pairs below: a label that all properties speak against may be a slip.",
        unit="share",
        severity="warning" if dissected.opposed else "info" if people.sure.any() else "ok",
        rows=_rows(inputs, differences, kept, dissected),
        row_unit="share",
        measures={
            "preferences told by the properties, on pairs left out of the fit": dissected.accuracy,
            **{
                f"{dissected.names[place]}, {side}": numbers[place]
                for place in order
                for side, numbers in (dissected.sides | dissected.scenarios).items()
            },
        },
        charts=tuple(dissected.charts()),
    )


def _columns(differences: PropertyDifferences, least: int) -> tuple[list[int], tuple[str, ...]]:
    """Choose properties that enough records differ in, and that no other stands for.

    Of two that go together the one stays that more records differ in, and length before any.
    """
    signs, names = differences.signs, differences.names
    counts = [len(np.unique(differences.records[column != 0])) for column in signs.T]
    enough = [place for place, count in enumerate(counts) if count >= least]
    if not enough:
        raise NotApplicableError(f"no property tells apart {least} preferences or more")
    # What goes with length and cannot be told from it, most readers would put down to length.
    enough.sort(key=lambda place: (names[place] != "length", -counts[place]))
    kept, twins = distinct_columns(signs, enough)
    rare = [name for name, count in zip(names, counts, strict=True) if count < least]
    listed = ", ".join(rare) if len(rare) <= NAMED else f"{len(rare)} properties"
    few = [f"{listed}: fewer than {least} records differ"] if rare else []
    alike = (
        f"{names[place]} goes with {names[twin]} and cannot be told from it"
        for place, twin in twins.items()
    )
    return kept, (*few, *alike)


def _dissect(
    differences: PropertyDifferences,
    kept: list[int],
    left_out: tuple[str, ...],
    groups: tuple[tuple[str, ...], Integers] | None,
    scale: float | None,
    exact: bool,
) -> _Dissected:
    """Fit the regression to the labels, to the model's preferences, and by scenario."""
    fit = partial(fit_side, scale=scale, exact=exact)
    x, weights = differences.signs[:, kept], unit_weights(differences.records)
    ones, model = np.ones(len(x)), None
    gaps = np.zeros(len(x)) if differences.gaps is None else np.nan_to_num(differences.gaps)
    # A ranking that the model ties, or cannot read, says nothing of what it prefers.
    prefers = gaps != 0
    if prefers.any():
        chosen = (gaps[prefers] > 0).astype(float)
        model = fit(x[prefers], chosen, weights[prefers])
    scenarios: Probabilities = {}
    if groups is not None and scale is None:
        fits = zip(groups[0], fit_grouped(x, ones, groups[1], weights).groups, strict=True)
        scenarios = {name: group.probabilities() for name, group in fits}
    elif groups is not None:
        members = [groups[1] == number for number in range(len(groups[0]))]
        apart = [fit(x[rows], ones[rows], weights[rows]).probabilities for rows in members]
        scenarios = dict(zip(groups[0], apart, strict=True))
    return _Dissected(
        tuple(differences.names[place] for place in kept),
        fit(x, ones, weights),
        model,
        unseen_accuracy(x, weights, differences.records, scale=scale),
        scenarios,
        left_out,
    )


def _percent(share: Interval) -> str:
    return f"{share.estimate:.0%} ({100 * share.low:.0f} to {100 * share.high:.0f})"


def _says(dissected: _Dissected) -> Iterator[str]:
    people, model, names = dissected.people, dissected.model, dissected.names
    clear = []
    for place in [place for place in dissected.order if people.sure[place]][:NAMED]:
        beside = "" if model is None else f" (the model: {_percent(model.probabilities[place])})"
        clear.append(f"{_percent(people.probabilities[place])} for {names[place]}{beside}")
    yield (
        "Of two answers that differ in one property alone, the one with more of it is preferred "
        f"with a probability of {', '.join(clear)}."
        if clear
        else f"None of {len(names)} properties is preferred or avoided by itself beyond chance."
    )
    if dissected.opposed:
        listed = ", ".join(dissected.opposed[:NAMED])
        yield f"The model prefers the other way than the labels in: {listed}."
    yield (
        f"All {len(names)} properties together tell {_percent(dissected.accuracy)} of preferences "
        "right that they were not fitted to."
    )
    if dissected.left_out:
        yield f"Left out: {'; '.join(dissected.left_out)}."


def _rows(
    inputs: CheckInputs, differences: PropertyDifferences, kept: list[int], dissected: _Dissected
) -> list[FindingRow]:
    """List pairs whose label the properties speak against, by the probability they give it."""
    pulls = differences.signs[:, kept] * dissected.people.weights.mean
    chances = sigmoid(pulls.sum(axis=1))
    rows = []
    for place in np.argsort(chances, kind="stable"):
        if chances[place] < 0.5:
            against = np.argsort(pulls[place], kind="stable")[:3]
            named = [dissected.names[column] for column in against if pulls[place, column] < 0]
            note = f"against it: {', '.join(named)}"
            rows.append(differences.row(inputs, place, float(chances[place]), note))
    return rows
