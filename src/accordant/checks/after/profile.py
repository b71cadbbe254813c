"""What the feedback prefers factor by factor, and what the model prefers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from accordant.base.options import Count
from accordant.checks.findings import (
    Chart,
    Finding,
    FindingRow,
    Mark,
    Measure,
    Series,
    Severity,
    Threshold,
)
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.pair_pass import cost_of_gaps
from accordant.checks.registry import check
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accordant.checks.factors import FactorComparison, FactorScores
    from accordant.checks.property_differences import PropertyDifferences

TITLE = "Preferences factor by factor"
# How far from 0 the whole interval of a difference must lie.
LEVELS: tuple[tuple[float, Severity], ...] = ((0.3, "serious"), (0.1, "warning"), (0.0, "info"))
SOURCE = (
    "chosen here: the whole interval clear of 0, and no chance at 5 % over all factors (exact sign "
    "test, Holm 1979); scores as in Oh et al. 2024"
)
NAMED = 4  # factors in a sentence


@dataclass(frozen=True, slots=True)
class _Factor:
    """One factor that enough pairs differ in; `severity` is of the model against the feedback."""

    name: str
    place: int
    feedback: Interval
    model: Interval | None = None
    difference: Interval | None = None
    severity: Severity = "ok"
    sure: bool = False  # the feedback's own preference is no chance

    @property
    def size(self) -> float:
        """What factors are ordered by: how far the interval lies from 0."""
        found = self.feedback if self.difference is None else self.difference
        return float(np.nan_to_num(max(found.low, -found.high), nan=-1.0))


@check(
    name="profile",
    title=TITLE,
    when="after",
    uses=("model", "reference"),
    feedback=("comparison", "ranking"),
    paper="arXiv:2410.06965 Uncovering Factor Level Preferences to Improve Human-Model Alignment",
    cost=cost_of_gaps,
)
def profile(
    inputs: CheckInputs, *, least: Count = 20, judged: bool = False, shown: Count = 50
) -> Finding:
    """Which factors the feedback rewards, and where the model's preferences differ from it.

    A factor is a property that a program measures: length, hedging, lists and others. Its score is
    tau_f = (concordant - discordant) / (concordant + discordant) over pairs: 1 where the answer
    with more of it is always preferred, -1 where it never is. Pairs whose answers have as much of
    it are left out of the denominator. The model prefers the answer whose reward training raised
    more, or without a reference the one it finds likelier per token, which longer answers often
    are: such a finding is never worse than a warning. The orders of factors are
    compared by Kendall's tau-b; intervals are bootstraps over records.

    Without a model it says what the labels reward, for information.

    Args:
        least: records that must differ in a factor for it to be judged.
        judged: whether the judge's score is one more factor.
        shown: rows to list at most.
    """
    from accordant.checks.property_differences import property_differences

    found = property_differences(inputs, judged=judged)
    if found.gaps is None:
        return _of_feedback(inputs, found, least, shown)
    return _of_model(inputs, found.take(np.isfinite(found.gaps)), least, shown)


def _of_feedback(
    inputs: CheckInputs, found: PropertyDifferences, least: int, shown: int
) -> Finding:
    """What the labels reward."""
    from accordant.checks.factors import score_factors
    from accordant.statistics.corrections import holm

    scores = score_factors(found.signs, np.ones(len(found.places)), found.records)
    places = _judged(scores, least)
    sure = holm(scores.p_values[places])
    factors = [
        _Factor(found.names[place], place, scores.scores[place], sure=bool(own))
        for place, own in zip(places, sure, strict=True)
    ]
    factors.sort(key=lambda one: (not one.sure, -one.size))
    clear = [one for one in factors if one.sure]
    wanted = np.array([np.sign(one.feedback.estimate) for one in clear])
    return Finding(
        check="profile",
        title=TITLE,
        severity="info" if clear else "ok",
        quantity=f"score of the feedback: {factors[0].name}",
        number=factors[0].feedback,
        sentence=_labels_sentence(clear, len(factors)),
        mend="Where the labels reward what you do not want, add pairs that differ in it the other "
        "way round; with a model, this check tells what training took up."
        if clear
        else "",
        threshold=Threshold(0.0, SOURCE),
        **_rows(inputs, found, clear, wanted, shown),
        measures=_measures(factors),
        charts=(_chart(factors),),
    )


def _of_model(inputs: CheckInputs, found: PropertyDifferences, least: int, shown: int) -> Finding:
    """Where the model prefers otherwise than the feedback."""
    from accordant.checks.factors import compare_factors

    assert found.gaps is not None
    trained = inputs.reference is not None
    sides = np.ones(len(found.places))
    enough = np.count_nonzero(found.signs, axis=0) >= least
    compared = compare_factors(found.signs, sides, found.gaps, found.records, ordered=enough)
    factors = _compare(found.names, compared, _judged(compared.first, least))
    factors.sort(key=lambda one: (one.severity == "ok", -one.size))
    raised = [one for one in factors if one.severity != "ok"]
    worst = factors[0]
    assert worst.difference is not None
    # Pairs that the model decides against the label, the way it leans more than the feedback.
    wanted = np.array([-np.sign(one.difference.estimate) for one in raised if one.difference])
    against = found.take(found.gaps < 0)
    return Finding(
        check="profile",
        title=TITLE,
        severity=_worst(raised, trained),
        quantity=f"score of the model minus score of the feedback: {worst.name}",
        number=worst.difference,
        sentence=_model_sentence(raised, factors, compared, trained),
        mend="Read the rows in which the model goes with the factor against the label. Add pairs "
        "that differ in it the other way round; for length, train length-normalised (`ln_dpo`, "
        "`simpo`)."
        if raised
        else "",
        threshold=Threshold(0.0, SOURCE),
        **_rows(inputs, against, raised, wanted, shown),
        measures=(
            Measure("agreement of both orders of factors, Kendall's tau", compared.agreement),
            *_measures(factors),
        ),
        charts=(_chart(factors),),
    )


def _judged(scores: FactorScores, least: int) -> list[int]:
    """Factors that enough records differ in.

    Raises:
        NotApplicableError: none.
    """
    places = [place for place, one in enumerate(scores.scores) if one.count >= least]
    if not places:
        raise NotApplicableError(f"no factor tells apart {least} preferences or more")
    return places


def _compare(
    names: Sequence[str], compared: FactorComparison, places: Sequence[int]
) -> list[_Factor]:
    from accordant.statistics.corrections import holm

    differs = holm(compared.p_values[places])
    prefers = holm(compared.second.p_values[places])
    factors = []
    for place, sure, model_sure in zip(places, differs, prefers, strict=True):
        feedback, model = compared.first.scores[place], compared.second.scores[place]
        difference = compared.differences[place]
        severity = _severity(difference, bool(sure))
        if severity == "ok" and model_sure and difference.excludes(0) and _alone(feedback, model):
            severity = "info"
        factors.append(_Factor(names[place], place, feedback, model, difference, severity))
    return factors


def _severity(difference: Interval, sure: bool) -> Severity:
    distance = max(difference.low, -difference.high)
    if not sure:
        return "ok"
    return next((severity for level, severity in LEVELS if distance > level), "ok")


def _alone(feedback: Interval, model: Interval) -> bool:
    """Whether the model prefers what the feedback is not seen to prefer."""
    return not feedback.excludes(0) or feedback.estimate * model.estimate < 0


def _worst(raised: Sequence[_Factor], trained: bool) -> Severity:
    """The worst severity, none of which is serious without a reference.

    Without one it is not known what training did, and longer answers are likelier per token.
    """
    order: tuple[Severity, ...] = ("serious", "warning", "info")
    if not trained and any(one.severity == "serious" for one in raised):
        return "warning"
    return next((level for level in order if any(o.severity == level for o in raised)), "ok")


def _share(score: Interval) -> float:
    """Share of preferences that go to the answer with more."""
    return (1 + score.estimate) / 2


def _labels_sentence(clear: Sequence[_Factor], judged: int) -> str:
    if not clear:
        return f"The labels neither reward nor avoid any of {judged} factors beyond chance."
    said = "; ".join(
        f"{one.name} (more of it is preferred in {_share(one.feedback):.0%} of "
        f"{one.feedback.count:,})"
        for one in clear[:NAMED]
    )
    return (
        f"The labels go with {len(clear)} of {judged} factors beyond chance, the clearest first: "
        f"{said}. Factors go together, so each number holds for a factor with all that comes with "
        "it; `dissection` takes them apart."
    )


def _model_sentence(
    raised: Sequence[_Factor],
    factors: Sequence[_Factor],
    compared: FactorComparison,
    trained: bool,
) -> str:
    taste = (
        "what training made the model prefer"
        if trained
        else "what the model finds likelier per token"
    )
    agreement = compared.agreement
    order = (
        ""
        if np.isnan(agreement.estimate)
        else (
            " Over all factors the two orders agree with a Kendall's tau of "
            f"{agreement.estimate:.2f} ({agreement.low:.2f} to {agreement.high:.2f})."
        )
    )
    if not raised:
        return (
            f"In none of {len(factors)} factors does {taste} differ from the labels beyond chance."
            f"{order}"
        )
    said = "; ".join(
        f"{one.name} (more of it wins {_share(one.model):.0%} of the model's preferences and "
        f"{_share(one.feedback):.0%} of the labels)"
        for one in raised[:NAMED]
        if one.model is not None
    )
    return (
        f"In {len(raised)} of {len(factors)} factors {taste} differs from the labels: {said}."
        f"{order}"
    )


def _rows(
    inputs: CheckInputs,
    found: PropertyDifferences,
    factors: Sequence[_Factor],
    wanted: NDArray[np.float64],
    shown: int,
) -> dict[str, Any]:
    """Pairs that go with most of these factors; `wanted` is the sign that follows each."""
    from accordant.checks.texts import preference_row

    if not factors:
        return {}
    follows = found.signs[:, [one.place for one in factors]] == wanted
    counts = follows.sum(axis=1)
    order = np.argsort(-counts, kind="stable")
    rows: list[FindingRow] = []
    for place in order[:shown]:
        if counts[place]:
            names = [one.name for one, own in zip(factors, follows[place], strict=True) if own]
            record, better, worse = found.places[place].tolist()
            records = inputs.feedback.records
            value, note = float(counts[place]), ", ".join(names)
            rows.append(preference_row(records[record], better, worse, value, note))
    return {"rows": tuple(rows), "row_unit": "factors", "concerned": int((counts > 0).sum())}


def _measures(factors: Sequence[_Factor]) -> tuple[Measure, ...]:
    measures = []
    for one in factors:
        name = f"{one.name} (differs in {one.feedback.count:,})"
        if one.model is None:
            measures.append(Measure(name, one.feedback))
        else:
            measures.append(Measure(f"{name}, feedback", one.feedback))
            measures.append(Measure(f"{name}, model", one.model))
    return tuple(measures)


def _chart(factors: Sequence[_Factor]) -> Chart:
    ordered = sorted(factors, key=lambda one: -one.feedback.estimate)
    series = [_series("feedback", ordered, [one.feedback for one in ordered])]
    models = [one.model for one in ordered if one.model is not None]
    if models:
        series.append(_series("model", ordered, models))
    return Chart(
        "bars",
        "What is preferred, factor by factor",
        "1: the answer with more of it is always preferred; -1: never; 0: it says nothing.",
        "",
        "score of the factor",
        tuple(series),
        (Mark(0.0, vertical=False),),
    )


def _series(name: str, factors: Sequence[_Factor], scores: Sequence[Interval]) -> Series:
    return Series(
        name,
        tuple(one.estimate for one in scores),
        low=tuple(one.low for one in scores),
        high=tuple(one.high for one in scores),
        labels=tuple(one.name for one in factors),
    )
