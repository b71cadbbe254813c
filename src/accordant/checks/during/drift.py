"""A policy that goes far from the model it came from."""

from __future__ import annotations

from accordant.checks.findings import Chart, Finding, Mark, Series, Threshold
from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import check
from accordant.checks.run_history import RunHistory, changes
from accordant.statistics.estimates import bootstrap_ratio

TITLE = "Distance from the start"
THRESHOLD = Threshold(
    0.1,
    "chosen here: from about this distance a token on, answers of small models fall apart; serious "
    "from five times as much",
)


@check(name="drift", title=TITLE, when="during")
def drift(history: RunHistory) -> Finding:
    """KL of the start model from the policy, on the answers the start model gave.

    The estimate is the mean of log start - log policy over those answers, for KL(start || policy):
    it needs no second copy of the weights, so that it can be had in any trainer. The report's
    KL(policy || start) is on the policy's own answers.

    Args:
        history: with answers of the start.

    Raises:
        NotApplicableError: there are no answers.
    """
    start = history.start.start_answers
    if not start:
        raise NotApplicableError("no answers were sampled at the start")
    lost = changes(start, history.last.start_answers)
    number = bootstrap_ratio(lost, history.start_tokens)
    raised = number.estimate > THRESHOLD.value
    serious = number.estimate > 5 * THRESHOLD.value
    tokens = sum(history.start_tokens)
    return Finding(
        check="drift",
        title=TITLE,
        severity="serious" if serious else "warning" if raised else "ok",
        quantity="KL(start || policy) a token",
        number=number,
        unit="nats",
        sentence=f"The policy is {number.estimate:.4f} nats a token away from the start, on "
        f"{len(start)} answers of {tokens:,} tokens that the start gave.",
        mend="Lower the learning rate, train for fewer steps, or raise beta." if raised else "",
        threshold=THRESHOLD,
        charts=(
            Chart(
                "lines",
                TITLE,
                "Read answers where it rises fast.",
                "step",
                "KL(start || policy), nats a token",
                (
                    Series(
                        "KL",
                        history.over_steps(
                            lambda one: sum(changes(start, one.start_answers)) / tokens
                        ),
                        history.steps,
                    ),
                ),
                (Mark(THRESHOLD.value, "threshold", vertical=False),),
            ),
        ),
        step=history.last.step,
    )
