"""The point from which on more training makes answers worse."""

from __future__ import annotations

import math
from statistics import median

from accordant.diagnostics.findings import Chart, Finding, Mark, Series, Threshold
from accordant.diagnostics.material import NotApplicableError
from accordant.diagnostics.registry import check
from accordant.diagnostics.watched import NAN, Watched
from accordant.statistics.interval import Interval

TITLE = "Over-optimisation"
THRESHOLD = Threshold(
    0.05,
    "chosen here: a twentieth of the entropy at its peak. That it turns while mass or reward fall "
    "is the sign of Shi et al. 2024",
)
_AFTER = 2  # measurements after the peak before it counts as one


@check(
    name="over-optimisation",
    title=TITLE,
    when="during",
    paper="arXiv:2410.11677 Understanding Likelihood Over-optimisation in Direct Alignment "
    "Algorithms",
)
def over_optimisation(watched: Watched) -> Finding:
    """Whether the entropy over the likeliest tokens has turned down while mass or reward fell.

    Entropy and mass are means over fresh answers. The series is smoothed by medians of three; its
    peak is the turn. Raised where the peak is not the start (a fall from the first step on is
    the learning itself), at least two measurements follow it, entropy has fallen by the threshold
    since, and the mass of the k likeliest tokens fell as well or the held-out reward did not rise.
    In the reproduction of this claim (`accordant reproduce over-optimisation`) it stays silent
    while answers get worse: silence is no proof.

    Args:
        watched: with entropies of fresh answers.

    Raises:
        NotApplicableError: nothing was sampled.
    """
    entropies = smooth(watched.over_steps(lambda one: one.entropy))
    if math.isnan(entropies[0]):
        raise NotApplicableError("no answers were sampled")
    peak = max(range(len(entropies)), key=entropies.__getitem__)
    at, last = watched.measurements[peak], watched.last
    fall = 1 - entropies[-1] / entropies[peak] if entropies[peak] else 0.0
    thinner = last.top_mass < at.top_mass
    # NaN where no reward is logged: it then says nothing.
    stalled = last.held_out_reward <= at.held_out_reward
    late_enough = len(entropies) - 1 - peak >= _AFTER
    raised = peak > 0 and late_enough and fall > THRESHOLD.value and (thinner or stalled)
    why = " and ".join(
        word
        for word, holds in (("the mass on them fell", thinner), ("the reward stalled", stalled))
        if holds
    )
    return Finding(
        check="over-optimisation",
        title=TITLE,
        severity="warning" if raised else "ok",
        quantity=f"fall of the entropy over the {watched.top_k} likeliest tokens from its peak",
        number=Interval(fall, NAN, NAN, len(entropies)),
        unit="share",
        sentence=f"Entropy over the likeliest tokens turned at step {at.step} and has fallen by "
        f"{fall:.0%} since, while {why}: a sign that further training makes answers worse (Shi et "
        "al. 2024), though one that did not show in accordant's own miniature."
        if raised
        else "Entropy over the likeliest tokens shows no turn together with a falling mass or a "
        "stalled reward.",
        mend=f"Compare answers with those of a checkpoint near step {at.step}, and go back to it "
        "if they are better."
        if raised
        else "",
        threshold=THRESHOLD,
        charts=(_chart(watched, at.step if raised else None),),
        step=last.step,
    )


def smooth(values: tuple[float, ...]) -> tuple[float, ...]:
    """Medians of three; the ends are left as they are."""
    inner = (median(values[i - 1 : i + 2]) for i in range(1, len(values) - 1))
    return values if len(values) < 3 else (values[0], *inner, values[-1])


def _chart(watched: Watched, turn: int | None) -> Chart:
    named = (
        ("entropy, nats", lambda one: one.entropy),
        ("entropy, made to sum to one, nats", lambda one: one.renormalised_entropy),
        ("mass", lambda one: one.top_mass),
    )
    return Chart(
        "lines",
        f"The {watched.top_k} likeliest tokens of fresh answers",
        "Entropy turning down while mass falls or the reward stalls is a sign of too much.",
        "step",
        "mean over tokens",
        tuple(Series(name, watched.over_steps(value), watched.steps) for name, value in named),
        () if turn is None else (Mark(float(turn), "turn"),),
    )
