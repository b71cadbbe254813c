"""The results of an align run, put together from what the run knows.

Knows the prepared run, what training logged and what was measured. Knows nothing of pages.
"""

from __future__ import annotations

import platform
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from accordant.checks.findings import Finding
from accordant.runs.align.prepare import Prepared
from accordant.runs.align.results import (
    AlignResults,
    DataSummary,
    Environment,
    Exclusion,
    LengthHistogram,
    LengthSummary,
)
from accordant.tokens.lengths import bin_lengths
from accordant.training.run import TrainResult

LIBRARIES = ("accordant", "torch", "transformers", "peft")
_MOST_BINS = 40


def collect_results(
    ready: Prepared, result: TrainResult, change: dict[str, Any], findings: tuple[Finding, ...]
) -> AlignResults:
    """Collect everything a finished run measured; `change` is that of `measure_change`."""
    return AlignResults(
        title=f"{ready.objective.name} of {ready.config.model}",
        method=ready.objective.name,
        model=ready.config.model,
        configuration=ready.config.model_dump(mode="json"),
        data=_data(ready),
        environment=Environment(
            versions={name: version(name) for name in LIBRARIES},
            hardware=torch.cuda.get_device_name()
            if torch.cuda.is_available()
            else f"{platform.machine()} processor, {torch.get_num_threads()} threads",
            precision=ready.config.precision,
            seconds=result.seconds,
            tokens_per_second=result.tokens_per_second,
            peak_memory_bytes=result.peak_memory_bytes,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=" ".join(sys.argv),
        ),
        curves=result.history,
        findings=findings,
        **change,
    )


def summarise_lengths(name: str, lengths: Sequence[int]) -> LengthSummary | None:
    """Give quantiles and a histogram of `lengths` in tokens, `[n]`; None without any.

    Bins hold equally many whole numbers, so that none looks fuller only because it is wider.
    """
    if len(lengths) == 0:
        return None
    tokens = [int(length) for length in lengths]
    bins = bin_lengths(tokens, _MOST_BINS)
    edges = (bins[0][0], *(high for _, high, _ in bins))
    return LengthSummary(
        name=name,
        count=len(tokens),
        total=sum(tokens),
        shortest=min(tokens),
        median=float(np.median(tokens)),
        percentile_95=float(np.quantile(tokens, 0.95)),
        longest=max(tokens),
        # Half a token lower, so that a bar of one length stands over it.
        histogram=LengthHistogram(
            tuple(edge - 0.5 for edge in edges), tuple(count for *_, count in bins)
        ),
    )


def _data(ready: Prepared) -> DataSummary:
    lengths, held_out = ready.encoded.lengths, ready.encoded_held_out
    summaries = (
        summarise_lengths("prompt", lengths.prompts),
        summarise_lengths("answer", lengths.continuations),
    )
    sources = [feedback.source for feedback in (ready.train, ready.held_out) if feedback]
    return DataSummary(
        record_type=ready.train.record_type,
        sources=tuple(dict.fromkeys(sources)),
        read=sum(feedback.rows for feedback in ready.read),
        train=len(ready.encoded.examples),
        held_out=len(held_out.examples) if held_out else 0,
        exclusions=tuple(_exclusions(ready)),
        lengths=tuple(summary for summary in summaries if summary is not None),
    )


def _exclusions(ready: Prepared) -> Iterator[Exclusion]:
    """Yield what became of rows that were not used as they were, in the order of the run."""
    for feedback in ready.read:
        rows = defaultdict(list)
        for bad in feedback.skipped:
            rows[bad.reason].append(str(bad.origin))
        for reason, places in sorted(rows.items(), key=lambda item: -len(item[1])):
            yield Exclusion("skipped", reason, len(places), tuple(places[:3]))
    for each in filter(None, (ready.encoded, ready.encoded_held_out)):
        if cut := len(each.truncated):
            yield Exclusion("truncated", "prompt cut from the left", cut, each.truncated_first)
        if dropped := len(each.dropped):
            yield Exclusion("dropped", "longer than the limit", dropped, each.dropped_first)
