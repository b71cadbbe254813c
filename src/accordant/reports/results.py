"""What an evaluation returns and what a report is made of: frozen records, nothing else.

Knows numbers, texts and their units. Knows nothing of models, files, plots or how the numbers came
about. The JSON report is these records field by field, so a renamed field is a new SCHEMA_VERSION.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from accordant.checks.findings import Finding
from accordant.statistics.interval import Interval

SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True)
class LogpChange:
    """How the log-probability of one group of completions moved from the start to the end.

    Args:
        name: the group: `chosen`, `rejected`, `desirable`, `best`, ...
        before: mean log-probability per sequence at the start, nats.
        after: the same at the end.
        change: mean change per sequence, nats; negative means that it fell.
        change_per_token: mean over sequences of the change per token, nats.
        fell: share of sequences whose log-probability fell, unchanged ones count half, in [0, 1].
    """

    name: str
    before: float
    after: float
    change: Interval
    change_per_token: Interval
    fell: Interval


@dataclass(frozen=True, slots=True)
class Distribution:
    """Values of one quantity over the held-out examples, in their order, with their mean."""

    name: str
    values: tuple[float, ...]
    mean: Interval


@dataclass(frozen=True, slots=True)
class ComparisonResults:
    """Held-out comparisons (pairs of a chosen and a rejected completion).

    Args:
        count: comparisons.
        beta: factor from log-ratios to implicit rewards.
        accuracy: share with a higher implicit reward for the chosen one, ties half, in [0, 1].
        ranked_before: share whose chosen completion had the higher log-probability at the start.
        ranked_after: the same at the end.
        reward_margins: implicit reward of chosen minus rejected, per comparison.
        logp_margins_before: log-probability of chosen minus rejected at the start, nats.
        logp_margins_after: the same at the end.
        chosen: how the log-probability of the chosen completions moved.
        rejected: how the log-probability of the rejected completions moved.
    """

    count: int
    beta: float
    accuracy: Interval
    ranked_before: Interval
    ranked_after: Interval
    reward_margins: Distribution
    logp_margins_before: Distribution
    logp_margins_after: Distribution
    chosen: LogpChange
    rejected: LogpChange
    kind: Literal["comparison"] = "comparison"


@dataclass(frozen=True, slots=True)
class BinaryResults:
    """Held-out single completions with a thumb up (desirable) or down.

    Args:
        count: completions.
        beta: factor from log-ratios to implicit rewards.
        accuracy: share whose implicit reward has the sign of the label, zeros count half.
        auc: probability that a desirable completion has the higher implicit reward than an
            undesirable one, ties half; NaN when one of the two kinds is missing.
        rewards_desirable: implicit rewards of the desirable completions.
        rewards_undesirable: implicit rewards of the undesirable completions.
        desirable: how the log-probability of the desirable completions moved; None without any.
        undesirable: how that of the undesirable ones moved; None without any.
    """

    count: int
    beta: float
    accuracy: Interval
    auc: Interval
    rewards_desirable: Distribution
    rewards_undesirable: Distribution
    desirable: LogpChange | None
    undesirable: LogpChange | None
    kind: Literal["binary"] = "binary"


@dataclass(frozen=True, slots=True)
class RankingResults:
    """Held-out rankings (several completions of one prompt, best first).

    Args:
        count: rankings.
        pairs: pairs of completions of one ranking that are not tied by their labels.
        beta: factor from log-ratios to implicit rewards.
        pair_accuracy: share of those pairs ordered right by implicit reward, ties half, averaged
            within each ranking and then over rankings.
        kendall_tau: rank correlation (tau-b) of implicit rewards with the labels, averaged over
            rankings, in [-1, 1].
        top_accuracy: share of rankings whose best completion has the highest implicit reward.
        reward_margins: implicit reward of the best minus the mean of the others, per ranking.
        best: how the log-probability of the best completions moved.
        others: how the log-probability of all others moved.
    """

    count: int
    pairs: int
    beta: float
    pair_accuracy: Interval
    kendall_tau: Interval
    top_accuracy: Interval
    reward_margins: Distribution
    best: LogpChange
    others: LogpChange
    kind: Literal["ranking"] = "ranking"


@dataclass(frozen=True, slots=True)
class DemonstrationResults:
    """Held-out demonstrations (answers to imitate).

    Args:
        count: demonstrations.
        tokens: tokens of all of them.
        nll_before: negative log-likelihood per token over all tokens at the start, nats.
        nll_after: the same at the end.
        nll_change: after minus before, nats per token; negative is better.
        perplexity_before: exp of `nll_before`.
        perplexity_after: exp of `nll_after`.
        completion: how the log-probability of the answers moved.
    """

    count: int
    tokens: int
    nll_before: Interval
    nll_after: Interval
    nll_change: Interval
    perplexity_before: Interval
    perplexity_after: Interval
    completion: LogpChange
    kind: Literal["demonstration"] = "demonstration"


HeldOutResults = ComparisonResults | BinaryResults | RankingResults | DemonstrationResults


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer a model gave.

    Args:
        text: the answer as a person would read it.
        finished: True when the model ended it itself (end-of-turn), False when it was cut off.
        tokens: its length in tokens, the end-of-turn token included; None where unknown.
    """

    text: str
    finished: bool
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """Two answers to one prompt with the judge's scores; `outcome` is the later answer's."""

    prompt: str
    before: Generation
    after: Generation
    score_before: float
    score_after: float
    outcome: Literal["win", "tie", "loss"]
    changed: bool


@dataclass(frozen=True, slots=True)
class WinRate:
    """Answers after training against answers before it, prompt by prompt, by one judge.

    Args:
        judge: name of the judge.
        description: what it scores, in a sentence.
        rate: wins plus half the ties, over all prompts, in [0, 1]; bootstrap over prompts.
        p_value: two-sided exact sign test of wins against losses, ties left out.
        share_finished_before: share of the earlier answers that the model ended itself.
        share_finished_after: the same for the later ones.
    """

    judge: str
    description: str
    wins: int
    ties: int
    losses: int
    rate: Interval
    p_value: float
    score_before: Interval
    score_after: Interval
    share_finished_before: Interval
    share_finished_after: Interval
    rows: tuple[GenerationRow, ...] = ()


@dataclass(frozen=True, slots=True)
class KlEstimate:
    """Monte Carlo estimates of KL(policy || reference) on the policy's own samples, in nats.

    Args:
        per_sequence: mean over samples of the summed log-ratio (unbiased, called k1).
        per_token: summed log-ratios over summed tokens.
        k3_per_sequence: mean over samples of the summed (r - 1 - log r), r = reference / policy at
            each token (unbiased, never negative, lower variance near the reference).
        k3_per_token: the same over summed tokens.
        sequences: samples.
        tokens: tokens of all samples.
        log_ratios: log policy - log reference of every sample, summed over its tokens, nats.
    """

    per_sequence: Interval
    per_token: Interval
    k3_per_sequence: Interval
    k3_per_token: Interval
    sequences: int
    tokens: int
    log_ratios: Distribution


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bin: bin i holds values in [edges[i], edges[i + 1]), the last one both ends."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LengthSummary:
    """Lengths in tokens of one part of the data (`prompt`, `chosen`, ...)."""

    name: str
    count: int
    total: int
    shortest: int
    median: float
    percentile_95: float
    longest: int
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Rows that were not used as they were: `action` says what was done, `reason` why."""

    action: Literal["skipped", "dropped", "truncated"]
    reason: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What the run was trained and tested on.

    Args:
        record_type: `comparison`, `demonstration`, ...
        sources: files or hub ids.
        read: rows read from the sources.
        train: records trained on.
        held_out: records held out from training.
        exclusions: every row that was skipped, dropped or truncated, by reason.
        lengths: lengths in tokens of each part.
    """

    record_type: str
    sources: tuple[str, ...]
    read: int
    train: int
    held_out: int
    exclusions: tuple[Exclusion, ...] = ()
    lengths: tuple[LengthSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class Environment:
    """Where and how fast the run ran.

    Args:
        versions: library name to version.
        hardware: processor or accelerator, in words.
        precision: number format of training, such as `bfloat16`.
        seconds: wall time of training; NaN where unknown.
        tokens_per_second: training tokens per second; NaN where unknown.
        peak_memory_bytes: most memory held at once; None where unknown.
        created: when the report was made, ISO 8601 with the time zone.
        command: the command line of the run; empty where there was none.
    """

    versions: Mapping[str, str]
    hardware: str
    precision: str = ""
    seconds: float = float("nan")
    tokens_per_second: float = float("nan")
    peak_memory_bytes: int | None = None
    created: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything the report of one run shows.

    Args:
        title: heading, such as `DPO of SmolLM2-135M-Instruct`.
        method: name of the objective.
        model: the model that was trained, as the user named it.
        configuration: options of the run, nested mappings of JSON values.
        data: what it was trained and tested on.
        curves: logged rows in the form of transformers' `log_history`: each with `step` and any
            metrics, held-out metrics prefixed with `eval_` (`eval_logps/chosen`). A row with step 0
            is the start.
        held_out: results on the held-out records.
        win_rates: comparisons of generations, one per judge; the first one's rows are shown.
        kl: KL from the reference on the policy's samples.
        findings: what the checks found.
        environment: versions, hardware, speed.
    """

    title: str
    method: str
    model: str
    configuration: Mapping[str, Any]
    data: DataSummary
    environment: Environment
    curves: tuple[Mapping[str, float], ...] = ()
    held_out: HeldOutResults | None = None
    win_rates: tuple[WinRate, ...] = ()
    kl: KlEstimate | None = None
    findings: tuple[Finding, ...] = field(default=())
