"""Scores of demonstrations: log-likelihoods and perplexity.

Knows scores. Knows nothing of losses or models; imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.objectives.inputs import LossOutput, Sequences
from accordant.objectives.kind import ScoredKind, expect_answers
from accordant.statistics.interval import Interval
from accordant.statistics.measures import HeldOut, KeyFigure, Measure, tone_of
from accordant.statistics.wording import ends, number
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from accordant.objectives.held_out import HeldOutLogps
    from accordant.objectives.kind import Row


@dataclass(frozen=True, slots=True)
class DemonstrationScores(ScoredKind):
    """`n` answers to imitate."""

    feedback = ("demonstration",)
    completion: Sequences

    @classmethod
    def assemble(cls, scores: Sequences, examples: Sequence[Example]) -> DemonstrationScores:
        """Take one answer of every example."""
        expect_answers(1, examples)
        return cls(scores)

    def metrics(self, output: LossOutput) -> Iterator[Row]:
        """Yield `nll`, per token."""
        del output
        logps = self.completion.policy.logps
        yield "nll", -logps, logps.new_ones(logps.shape)

    @staticmethod
    def measure(logps: HeldOutLogps, examples: Sequence[Example], beta: float) -> HeldOut:
        """Measure how perplexity moved."""
        del examples, beta
        return measure_demonstrations(logps)


def measure_demonstrations(completions: HeldOutLogps) -> HeldOut:
    """Measure `n` answers to imitate.

    Negative log-likelihoods are per token over all tokens (summed, then divided), as perplexity is
    defined; their intervals resample whole answers.
    """
    from accordant.objectives.held_out import exponential, logp_change, paired
    from accordant.statistics.estimates import bootstrap_ratio

    new, old, tokens = paired(
        policy=completions.policy, start=completions.start, lengths=completions.lengths
    )
    before, after = bootstrap_ratio(-old, tokens), bootstrap_ratio(-new, tokens)
    change = bootstrap_ratio(old - new, tokens)
    lost, reached = exponential(before), exponential(after)
    figure = _perplexity_figure(lost, reached, change, len(new))
    return HeldOut(
        kind="demonstration",
        count=len(new),
        facts={"tokens": int(tokens.sum())},
        measures=(
            Measure("perplexity_before", lost, label="perplexity at the start"),
            Measure("perplexity_after", reached, label="perplexity after training", figure=figure),
            Measure("nll_before", before, "nats", "loss per token at the start"),
            Measure("nll_after", after, "nats", "loss per token after training"),
            Measure("nll_change", change, "nats", "change of the loss per token"),
        ),
        # Perplexity says the same: a second figure of it would count one improvement twice.
        changes=(logp_change("completion", old, new, tokens, in_figures=False),),
    )


def _perplexity_figure(old: Interval, new: Interval, change: Interval, count: int) -> KeyFigure:
    """Say whether perplexity fell, which the paired change in nats per token decides."""
    fall = Interval(-change.estimate, -change.high, -change.low, change.count, change.level)
    tone, improves = tone_of(fall, 0.0)
    path = f"from {number(old.estimate)} to {number(new.estimate)}"
    verb = {"good": "fell", "bad": "rose", "neutral": "did not measurably move"}[tone]
    moved = f"{number(change.estimate, '+')} nats per token"
    clause = f"{verb} {path} ({moved}, 95 % interval {ends(change, 'nats')}, n={count})"
    if tone == "neutral":
        clause = f"{verb} ({path}, n={count})"
    return KeyFigure(
        label="held-out perplexity",
        value=number(new.estimate),
        interval=ends(new, "number"),
        reading=f"{verb} {path}",
        clause=f"held-out perplexity {clause}",
        tone=tone,
        improves=improves,
    )


KIND = DemonstrationScores
