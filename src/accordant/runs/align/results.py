"""What an align run measured: frozen records, nothing else.

Knows numbers, texts and their units. Knows nothing of models, files, plots or how the numbers came
about. `report.json` is these records field by field, so a renamed field is a new SCHEMA_VERSION.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from accordant.checks.findings import Finding
from accordant.reports.report import ComparedPair
from accordant.statistics.interval import Interval
from accordant.statistics.measures import HeldOut

SCHEMA_VERSION = 2
OUTCOME_WORTH = {"win": 1.0, "tie": 0.5, "loss": 0.0}


@dataclass(frozen=True, slots=True)
class Distribution:
    """Values of one quantity over the held-out examples, in their order, with their mean."""

    name: str
    values: tuple[float, ...]
    mean: Interval


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
    rows: tuple[ComparedPair, ...] = ()


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
class LengthHistogram:
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
    histogram: LengthHistogram


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
class AlignResults:
    """Everything a run measured.

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
    held_out: HeldOut | None = None
    win_rates: tuple[WinRate, ...] = ()
    kl: KlEstimate | None = None
    findings: tuple[Finding, ...] = field(default=())
