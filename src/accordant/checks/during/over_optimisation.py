"""The point from which on more training makes answers worse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from accordant.checks.findings import Outcome, Scale
from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import check
from accordant.checks.run_history import RunHistory
from accordant.statistics.charts import Mark
from accordant.statistics.interval import Interval

THRESHOLD = 0.05  # share of mass
_ENTROPY_LOST = 0.05  # a twentieth of the entropy at its peak
_ERRORS = 3.0  # standard errors a fall of mass must exceed: 0.3 % false alarms in forty looks
_AFTER = 2  # measurements after the highest one before it counts as a turn


@check(
    name="over-optimisation",
    title="Over-optimisation",
    when="during",
    paper="arXiv:2410.11677 Understanding Likelihood Over-optimisation in Direct Alignment "
    "Algorithms",
    scale=Scale(
        "chosen here, above what a gentle run of the embedded model loses; that mass leaves the "
        "likeliest tokens before answers get worse is the sign of Shi et al. 2024",
        threshold=THRESHOLD,
    ),
)
def over_optimisation(history: RunHistory) -> Outcome:
    """Whether fresh answers leave the likeliest tokens, or their entropy has turned down.

    Entropy and mass of the k likeliest tokens are means over fresh answers, smoothed by medians of
    three. There are two signs, each raised two measurements after the highest one at the earliest.
    Mass has fallen: the last two measurements lie below the highest by more than the threshold and
    by more than three standard errors of the difference. Entropy has turned: its peak is not the
    start (a fall from the first step on is the learning itself), it has lost a twentieth since, and
    mass fell as well or the held-out reward did not rise.

    In the reproduction of this claim on the embedded model (`accordant reproduce
    over-optimisation`) mass falls in time and entropy says little; on a small transformer with 37
    tokens neither turned while answers got worse. Silence is no proof.
    """
    if math.isnan(history.start.entropy):
        raise NotApplicableError("no answers were sampled")
    masses = smooth(history.over_steps(lambda now: now.top_mass))
    highest = _highest(masses)
    top, fall = history.snapshots[highest], masses[highest] - masses[-1]
    half = 1.96 * math.hypot(top.mass_error, history.last.mass_error)
    signs = (_thinned(history, masses, highest), _turned(history))
    turns = [turn for turn in signs if turn is not None]
    first = min(turns, key=lambda turn: turn.step, default=None)
    return Outcome(
        f"fall of the mass on the {history.top_k} likeliest tokens since step {top.step}",
        Interval(fall, fall - half, fall + half, len(masses)),
        f"{' '.join(turn.sentence for turn in turns)} It is a sign that further training makes "
        "answers worse, which held-out rewards need not show (Shi et al. 2024)."
        if first
        else f"{_held(fall)}, and their entropy has not turned together with a falling mass or a "
        "stalled reward.",
        f"Compare answers with those of a checkpoint near step {first.step}, and go back to it if "
        "they are better."
        if first
        else "",
        unit="share",
        severity="warning" if first else "ok",
        charts=(
            history.chart(
                f"The {history.top_k} likeliest tokens of fresh answers",
                "Mass that leaves them, or entropy that turns down meanwhile, is a sign of too "
                "much.",
                "mean over tokens",
                {
                    "entropy, nats": lambda now: now.entropy,
                    "entropy, made to sum to one, nats": lambda now: now.renormalised_entropy,
                    "mass": lambda now: now.top_mass,
                },
                *((Mark(float(first.step), "turn"),) if first else ()),
            ),
        ),
    )


def _held(fall: float) -> str:
    """Say what a fall that raises nothing is: none, a small one, or one that may be chance."""
    if fall <= 0:
        return "Mass has not left the likeliest tokens of fresh answers"
    than = "not more than" if fall <= THRESHOLD else "not surely or not lastingly more than"
    return (
        f"Mass has left the likeliest tokens of fresh answers by {fall:.1%}, {than} {THRESHOLD:.0%}"
    )


@dataclass(frozen=True, slots=True)
class _Turn:
    """From which step on a series goes down, in words."""

    step: int
    sentence: str


def _highest(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)


def _thinned(history: RunHistory, masses: Sequence[float], place: int) -> _Turn | None:
    """Find mass that has left the likeliest tokens, beyond chance, since its highest at `place`."""
    if len(masses) - 1 - place < _AFTER:
        return None
    top = history.snapshots[place]
    falls = [masses[place] - mass for mass in masses[-_AFTER:]]
    errors = [math.hypot(top.mass_error, now.mass_error) for now in history.snapshots[-_AFTER:]]
    # A standard error that is not known (NaN) exceeds every fall.
    if not all(
        fall > THRESHOLD and fall > _ERRORS * error
        for fall, error in zip(falls, errors, strict=True)
    ):
        return None
    return _Turn(
        top.step,
        f"Since step {top.step} the mass on the {history.top_k} likeliest tokens of fresh answers "
        f"has fallen by {falls[-1]:.3f} from {masses[place]:.3f}.",
    )


def _turned(history: RunHistory) -> _Turn | None:
    """Find entropy that turned down while mass fell or the held-out reward did not rise."""
    entropies = smooth(history.over_steps(lambda now: now.entropy))
    place = _highest(entropies)
    at, last = history.snapshots[place], history.last
    fall = 1 - entropies[-1] / entropies[place] if entropies[place] else 0.0
    reasons = {
        "the mass on them fell": last.top_mass < at.top_mass,
        # NaN where no reward is logged: it then says nothing.
        "the reward stalled": last.held_out_reward <= at.held_out_reward,
    }
    late_enough = len(entropies) - 1 - place >= _AFTER
    if not (place > 0 and late_enough and fall > _ENTROPY_LOST and any(reasons.values())):
        return None
    why = " and ".join(reason for reason, holds in reasons.items() if holds)
    return _Turn(
        at.step,
        f"Entropy over the likeliest tokens turned at step {at.step} and has fallen by {fall:.0%} "
        f"since, while {why}.",
    )


def smooth(values: tuple[float, ...]) -> tuple[float, ...]:
    """Smooth by medians of three; the ends are left as they are."""
    inner = (median(values[i - 1 : i + 2]) for i in range(1, len(values) - 1))
    return values if len(values) < 3 else (values[0], *inner, values[-1])
