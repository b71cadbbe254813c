"""The results of an align run, put together from what the run knows.

Knows the prepared run, what training logged and what was measured. Knows nothing of pages.
"""

from __future__ import annotations

import platform
import sys
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version

import torch

from accordant.checks.findings import Finding
from accordant.feedback.loading import Feedback
from accordant.runs.align.lengths import summarise_lengths
from accordant.runs.align.prepare import Prepared
from accordant.runs.align.relabel import Relabelled
from accordant.runs.align.results import (
    AlignResults,
    DataSummary,
    Environment,
    Exclusion,
    KlEstimate,
    WinRate,
)
from accordant.runs.settings import AlignConfig
from accordant.statistics.measures import HeldOut
from accordant.tokens.rendering import Encoded
from accordant.training.run import TrainResult

LIBRARIES = ("accordant", "torch", "transformers", "peft")


def collect_results(
    config: AlignConfig,
    ready: Prepared,
    result: TrainResult,
    *,
    held_out: HeldOut | None,
    win_rates: tuple[WinRate, ...],
    kl: KlEstimate | None,
    findings: tuple[Finding, ...] = (),
) -> AlignResults:
    """Collect everything a finished run measured."""
    return AlignResults(
        title=f"{ready.objective.name} of {config.model}",
        method=ready.objective.name,
        model=config.model,
        configuration=config.model_dump(mode="json"),
        data=_data(ready),
        environment=_environment(config, result),
        curves=result.history,
        held_out=held_out,
        win_rates=win_rates,
        kl=kl,
        findings=findings,
    )


def _data(ready: Prepared) -> DataSummary:
    parts = [(ready.train, ready.encoded)]
    if ready.held_out is not None and ready.encoded_held_out is not None:
        parts.append((ready.held_out, ready.encoded_held_out))
    lengths = ready.encoded.lengths
    summaries = (
        summarise_lengths("prompt", lengths.prompts),
        summarise_lengths("answer", lengths.continuations),
    )
    return DataSummary(
        record_type=ready.train.record_type,
        sources=tuple(dict.fromkeys(feedback.source for feedback, _ in parts)),
        read=sum(feedback.rows for feedback in {id(f): f for f in ready.read}.values()),
        train=len(ready.encoded.examples),
        held_out=len(ready.encoded_held_out.examples) if ready.encoded_held_out else 0,
        exclusions=(
            *(one for feedback in ready.read for one in _skipped(feedback)),
            *_relabelled(ready.relabelled),
            *(one for _, encoded in parts for one in _limited(encoded)),
        ),
        lengths=tuple(one for one in summaries if one is not None),
    )


def _skipped(feedback: Feedback) -> list[Exclusion]:
    counts = Counter(bad.reason for bad in feedback.skipped)
    return [
        Exclusion(
            "skipped",
            reason,
            count,
            tuple(str(bad.origin) for bad in feedback.skipped if bad.reason == reason)[:3],
        )
        for reason, count in counts.most_common()
    ]


def _relabelled(relabelled: Relabelled) -> list[Exclusion]:
    if not relabelled.dropped:
        return []
    first = tuple(map(str, relabelled.dropped[:3]))
    return [Exclusion("dropped", relabelled.reason, len(relabelled.dropped), first)]


def _limited(encoded: Encoded) -> list[Exclusion]:
    found = []
    if encoded.truncated:
        count, first = len(encoded.truncated), encoded.truncated_first
        found.append(Exclusion("truncated", "prompt cut from the left", count, first))
    if encoded.dropped:
        count, first = len(encoded.dropped), encoded.dropped_first
        found.append(Exclusion("dropped", "longer than the limit", count, first))
    return found


def _environment(config: AlignConfig, result: TrainResult) -> Environment:
    return Environment(
        versions={name: version(name) for name in LIBRARIES},
        hardware=torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"{platform.machine()} processor, {torch.get_num_threads()} threads",
        precision=config.precision,
        seconds=result.seconds,
        tokens_per_second=result.tokens_per_second,
        peak_memory_bytes=result.peak_memory_bytes,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=" ".join(sys.argv),
    )
