"""A policy that goes far from the model it came from."""

from __future__ import annotations

from accordant.checks.findings import Outcome, Scale
from accordant.checks.inputs import NotApplicableError
from accordant.checks.registry import check
from accordant.checks.run_history import RunHistory, changes
from accordant.statistics.charts import Mark
from accordant.statistics.divergence import withhold_impossible
from accordant.statistics.estimates import bootstrap_ratio

TITLE, LIMIT = "Distance from the start", 0.1


@check(
    name="drift",
    title=TITLE,
    when="during",
    scale=Scale(
        "chosen here: from about this distance a token on, answers of small models fall apart; "
        "serious from five times as much",
        above={LIMIT: "warning", 5 * LIMIT: "serious"},
    ),
)
def drift(history: RunHistory) -> Outcome:
    """KL of the start model from the policy, on the answers the start model gave.

    The estimate is the mean of log start - log policy over those answers, for KL(start || policy).
    The report's KL(policy || start) is on the policy's own answers.
    """
    start = history.start.start_answers
    if not start:
        raise NotApplicableError("no answers were sampled at the start")
    # On the start's own answers: KL(policy || start) would take the start's weights beside these.
    lost = changes(start, history.last.start_answers)
    number = withhold_impossible(bootstrap_ratio(lost, history.start_tokens))
    tokens = sum(history.start_tokens)
    return Outcome(
        "KL(start || policy) a token",
        number,
        f"The policy is {number.estimate:.4f} nats a token away from the start, on {len(start)} "
        f"answers of {tokens:,} tokens that the start gave.",
        "Lower the learning rate, train for fewer steps, or raise beta.",
        unit="nats",
        charts=(
            history.chart(
                TITLE,
                "Read answers where it rises fast.",
                "KL(start || policy), nats a token",
                {"KL": lambda now: sum(changes(start, now.start_answers)) / tokens},
                Mark(LIMIT, "threshold", vertical=False),
            ),
        ),
    )
