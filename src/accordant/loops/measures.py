"""What is measured of a round: what was kept, how long answers are, how far the policy has moved.

Knows drawn answers and frozen models. Knows no recipe and no trainer.
"""

from __future__ import annotations

from collections import Counter
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

import numpy as np

from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accordant.loops.drawn import Drawn, Round
    from accordant.scoring.frozen import Frozen

MEASURED = 64
"""Answers of a round that the divergence is estimated on: scoring all would cost a pass more."""


def measure_round(begun: Round, start: Frozen) -> dict[str, float]:
    """Return numbers of a round by name.

    `kept` of `drawn` prompts gave a record (`keep_rate`), `dropped: REASON` did not. `length` is
    the mean answer in tokens, `ended` the share that ended by itself, `reward` and `reward_sd` of
    what the labeller gave, `kl` the divergence from the start in nats.
    """
    labelled = begun.labelled
    reasons = Counter(item.dropped for item in labelled if item.dropped)
    row = {
        "round": float(begun.number),
        "version": float(begun.version),
        "drawn": float(len(labelled)),
        "kept": float(len(begun.examples)),
        "keep_rate": len(begun.examples) / len(labelled),
        **{f"dropped: {reason}": float(count) for reason, count in sorted(reasons.items())},
    }
    scores = [score for item in labelled for score in item.scores]
    if scores:
        row |= {"reward": fmean(scores), "reward_sd": pstdev(scores)}
    drawn = [item.drawn for item in labelled if item.drawn is not None]
    samples = [sample for group in drawn for sample in group.samples]
    if samples:
        row["length"] = fmean(len(sample.completion) for sample in samples)
        row["ended"] = fmean(sample.finished for sample in samples)
        row |= _divergence(drawn, start)
    return row


def _divergence(drawn: Sequence[Drawn], start: Frozen) -> dict[str, float]:
    """Estimate KL(policy || start), nats, from answers that the policy or its mixture drew."""
    answers = [
        (group.prompt, sample)
        for group in drawn
        for sample, drawer in zip(group.samples, group.drawers, strict=True)
        if drawer.startswith(("policy", "mixture")) and sample.logps
    ][:MEASURED]
    if not answers:
        return {}
    examples = [
        Example("demonstration", (TokenTree(prompt, (sample.completion,)),), index)
        for index, (prompt, sample) in enumerate(answers)
    ]
    samples = [sample for _, sample in answers]
    policy = np.array([sum(sample.logps) for sample in samples])
    gaps = policy - start.scores(examples).sum().numpy()
    # Temperature and mixture bend what is drawn, so answers weigh policy / drawer, normalised.
    ratios = policy - [sum(sample.drawn_logps or sample.logps) for sample in samples]
    weights = np.exp(ratios - ratios.max())
    return {"kl": float(weights @ gaps / weights.sum())}
