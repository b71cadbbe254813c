"""What the feedback prefers factor by factor, and what the model prefers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accordant.base.options import Count
from accordant.checks.findings import FindingRow, Outcome, Scale, Severity, worst_of
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.property_differences import PROPERTY_DIFFERENCES, PropertyDifferences
from accordant.checks.registry import check
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.corrections import holm
from accordant.statistics.factors import FactorScores, compare_factors, score_factors
from accordant.statistics.interval import Interval

SCALE = Scale(
    "chosen here: the whole interval clear of 0, and no chance at 5 % over all factors (exact sign "
    "test, Holm 1979); scores as in Oh et al. 2024",
    surely_off={0.0: "info", 0.1: "warning", 0.3: "serious"},
    middle=0.0,
    threshold=0.0,
)
NAMED = 4  # factors in a sentence
LIKELIER = "the model finds likelier per token"
_LABELS_MEND = (
    "Where the labels reward what you do not want, add pairs that differ in it the other way "
    "round; with a model, this check tells what training took up."
)
_MODEL_MEND = (
    "Read the rows in which the model goes with the factor against the label. Add pairs that "
    "differ in it the other way round; for length, train length-normalised (`ln_dpo`, `simpo`)."
)


@dataclass(frozen=True, slots=True)
class _Factor:
    """One factor that enough pairs differ in.

    Args:
        name: what it is.
        place: of its column.
        feedback: its score by the labels.
        model: the same by the model's preferences; None without a model.
        difference: model minus feedback.
        severity: of the difference; without a model, of what the feedback prefers.
    """

    name: str
    place: int
    feedback: Interval
    model: Interval | None
    difference: Interval | None
    severity: Severity

    @property
    def number(self) -> Interval:
        """What it is judged by."""
        return self.feedback if self.difference is None else self.difference

    @property
    def order(self) -> tuple[bool, float]:
        """What factors are ordered by: raised ones first, then those furthest from 0."""
        size = float(np.nan_to_num(self.number.distance(0), nan=-1.0))
        return self.severity == "ok", -size


@check(
    name="profile",
    title="Preferences factor by factor",
    when="after",
    reads=(PROPERTY_DIFFERENCES,),
    feedback=("comparison", "ranking"),
    paper="arXiv:2410.06965 Uncovering Factor Level Preferences to Improve Human-Model Alignment",
    scale=SCALE,
    shown=(50, "rows to list at most."),
)
def profile(inputs: CheckInputs, differences: PropertyDifferences, *, least: Count = 20) -> Outcome:
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
    """
    trained = inputs.reference is not None
    if differences.gaps is None:
        factors, agreement, shown, side = _by_labels(differences, least), None, differences, 1.0
    else:
        differences = differences.take(np.isfinite(differences.gaps))
        factors, agreement = _by_both(differences, least)
        # Pairs that the model decides against the label, the way it leans more than the feedback.
        shown, side = differences.take(np.asarray(differences.gaps) < 0), -1.0
    factors.sort(key=lambda factor: factor.order)
    raised = [factor for factor in factors if factor.severity != "ok"]
    severity = worst_of(*(factor.severity for factor in raised))
    if severity == "serious" and not trained:
        # It is not known what training did, and longer answers are likelier per token.
        severity = "warning"
    if agreement is None:
        quantity, mend = "score of the feedback", _LABELS_MEND
        says = _labels_say(raised, len(factors))
    else:
        quantity, mend = "score of the model minus score of the feedback", _MODEL_MEND
        says = _model_says(raised, len(factors), agreement, trained)
    tau = "agreement of both orders of factors, Kendall's tau"
    return Outcome(
        f"{quantity}: {factors[0].name}",
        factors[0].number,
        says,
        mend,
        severity=severity,
        rows=_rows(inputs, shown, raised, side),
        row_unit="factors" if raised else "number",
        measures={**({} if agreement is None else {tau: agreement}), **_measures(factors)},
        charts=(_chart(factors),),
    )


def _by_labels(differences: PropertyDifferences, least: int) -> list[_Factor]:
    """Score factors by the labels, where there is no model to hold them against."""
    scores = score_factors(differences.signs, np.ones(len(differences.places)), differences.records)
    places = _judged(scores, least)
    sure = holm(scores.p_values[places])
    return [
        _Factor(differences.names[at], at, scores.scores[at], None, None, "info" if clear else "ok")
        for at, clear in zip(places, sure, strict=True)
    ]


def _by_both(differences: PropertyDifferences, least: int) -> tuple[list[_Factor], Interval]:
    """Score factors by the labels and by the model, and how far they order factors alike."""
    signs, labels, gaps = differences.signs, np.ones(len(differences.places)), differences.gaps
    assert gaps is not None
    enough = np.count_nonzero(signs, axis=0) >= least
    compared = compare_factors(signs, labels, gaps, differences.records, ordered=enough)
    places = _judged(compared.first, least)
    differs, prefers = holm(compared.p_values[places]), holm(compared.second.p_values[places])
    factors = []
    for place, sure, model_sure in zip(places, differs, prefers, strict=True):
        feedback, model = compared.first.scores[place], compared.second.scores[place]
        difference = compared.differences[place]
        severity = SCALE.severity(difference) if sure else "ok"
        # The model prefers what the feedback is not seen to prefer.
        alone = not feedback.excludes(0) or feedback.estimate * model.estimate < 0
        if severity == "ok" and model_sure and difference.excludes(0) and alone:
            severity = "info"
        name = differences.names[place]
        factors.append(_Factor(name, place, feedback, model, difference, severity))
    return factors, compared.agreement


def _judged(scores: FactorScores, least: int) -> list[int]:
    """Choose factors that enough records differ in."""
    places = [place for place, score in enumerate(scores.scores) if score.count >= least]
    if not places:
        raise NotApplicableError(f"no factor tells apart {least} preferences or more")
    return places


def _share(score: Interval) -> float:
    """Return the share of preferences that go to the answer with more."""
    # tau is wins minus losses over both, so half of it and a half are the wins.
    return (1 + score.estimate) / 2


def _labels_say(clear: Sequence[_Factor], judged: int) -> str:
    if not clear:
        return f"The labels neither reward nor avoid any of {judged} factors beyond chance."
    named = "; ".join(
        f"{factor.name} (more of it is preferred in {_share(factor.feedback):.0%} of "
        f"{factor.feedback.count:,})"
        for factor in clear[:NAMED]
    )
    return (
        f"The labels go with {len(clear)} of {judged} factors beyond chance, the clearest first: "
        f"{named}. Factors go together, so each number holds for a factor with all that comes with "
        "it; `dissection` takes them apart."
    )


def _model_says(raised: Sequence[_Factor], judged: int, agreement: Interval, trained: bool) -> str:
    taste = f"what {'training made the model prefer' if trained else LIKELIER}"
    order = (
        ""
        if np.isnan(agreement.estimate)
        else " Over all factors the two orders agree with a Kendall's tau of "
        f"{agreement.estimate:.2f} ({agreement.low:.2f} to {agreement.high:.2f})."
    )
    if not raised:
        never = f"In none of {judged} factors does {taste} differ from the labels beyond chance."
        return never + order
    named = "; ".join(
        f"{factor.name} (more of it wins {_share(factor.model):.0%} of the model's preferences and "
        f"{_share(factor.feedback):.0%} of the labels)"
        for factor in raised[:NAMED]
        if factor.model is not None
    )
    return f"In {len(raised)} of {judged} factors {taste} differs from the labels: {named}.{order}"


def _rows(
    inputs: CheckInputs, differences: PropertyDifferences, factors: Sequence[_Factor], side: float
) -> list[FindingRow]:
    """List the pairs that go with most of these factors, or on the other `side` against them."""
    wanted = side * np.array([np.sign(factor.number.estimate) for factor in factors])
    follows = differences.signs[:, [factor.place for factor in factors]] == wanted
    counts = follows.sum(axis=1)
    rows = []
    for place in np.argsort(-counts, kind="stable"):
        if counts[place]:
            names = [f.name for f, goes in zip(factors, follows[place], strict=True) if goes]
            rows.append(differences.row(inputs, place, float(counts[place]), ", ".join(names)))
    return rows


def _measures(factors: Sequence[_Factor]) -> dict[str, Interval]:
    numbers: dict[str, Interval] = {}
    for factor in factors:
        name = f"{factor.name} (differs in {factor.feedback.count:,})"
        if factor.model is None:
            numbers[name] = factor.feedback
        else:
            numbers |= {f"{name}, feedback": factor.feedback, f"{name}, model": factor.model}
    return numbers


def _chart(factors: Sequence[_Factor]) -> Chart:
    ordered = sorted(factors, key=lambda factor: -factor.feedback.estimate)
    names = [factor.name for factor in ordered]
    series = [Series.of_intervals("feedback", [factor.feedback for factor in ordered], names)]
    models = [factor.model for factor in ordered if factor.model is not None]
    if models:
        series.append(Series.of_intervals("model", models, names))
    return Chart(
        "bars",
        "What is preferred, factor by factor",
        "1: the answer with more of it is always preferred; -1: never; 0: it says nothing.",
        "",
        "score of the factor",
        tuple(series),
        (Mark(0.0, vertical=False),),
    )
