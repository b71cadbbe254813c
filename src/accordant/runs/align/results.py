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
    """Answers after training against answers before it, prompt by prompt, by one judge."""

    judge: str
    description: str
    wins: int
    ties: int
    losses: int
    rate: Interval  # wins plus half the ties, over all prompts, in [0, 1]; bootstrap over prompts
    p_value: float  # two-sided exact sign test of wins against losses, ties left out
    score_before: Interval
    score_after: Interval
    share_finished_before: Interval  # share of the earlier answers that the model ended itself
    share_finished_after: Interval  # the same for the later ones
    rows: tuple[ComparedPair, ...] = ()


@dataclass(frozen=True, slots=True)
class KlEstimate:
    """Monte Carlo estimates of KL(policy || reference) on the policy's own samples, in nats."""

    per_sequence: Interval  # mean over samples of the summed log-ratio (unbiased, called k1)
    per_token: Interval  # summed log-ratios over summed tokens
    # mean over samples of the summed (r - 1 - log r), r = reference / policy at each token
    # (unbiased, never negative, lower variance near the reference)
    k3_per_sequence: Interval
    k3_per_token: Interval  # the same over summed tokens
    sequences: int
    tokens: int
    # log policy - log reference of every sample, summed over its tokens, nats
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
    """What the run was trained and tested on."""

    record_type: str  # `comparison`, `demonstration`, ...
    sources: tuple[str, ...]
    read: int
    train: int
    held_out: int
    # every row that was skipped, dropped or truncated, by reason
    exclusions: tuple[Exclusion, ...] = ()
    lengths: tuple[LengthSummary, ...] = ()  # lengths in tokens of each part


@dataclass(frozen=True, slots=True)
class Environment:
    """Where and how fast the run ran."""

    versions: Mapping[str, str]  # library name to version
    hardware: str  # processor or accelerator, in words
    precision: str = ""  # number format of training, such as `bfloat16`
    seconds: float = float("nan")  # wall time of training; NaN where unknown
    tokens_per_second: float = float("nan")  # training tokens per second; NaN where unknown
    peak_memory_bytes: int | None = None  # most memory held at once; None where unknown
    created: str = ""  # when the report was made, ISO 8601 with the time zone
    command: str = ""  # the command line of the run; empty where there was none


@dataclass(frozen=True, slots=True)
class AlignResults:
    """Everything a run measured."""

    title: str  # heading, such as `DPO of SmolLM2-135M-Instruct`
    method: str
    model: str  # the model that was trained, as the user named it
    configuration: Mapping[str, Any]  # options of the run, nested mappings of JSON values
    data: DataSummary
    environment: Environment
    # logged rows in the form of transformers' `log_history`: each with `step` and any metrics,
    # held-out metrics prefixed with `eval_` (`eval_logps/chosen`). A row with step 0 is the start
    curves: tuple[Mapping[str, float], ...] = ()
    held_out: HeldOut | None = None
    # comparisons of generations, one per judge; the first one's rows are shown
    win_rates: tuple[WinRate, ...] = ()
    kl: KlEstimate | None = None  # KL from the reference on the policy's samples
    findings: tuple[Finding, ...] = field(default=())
