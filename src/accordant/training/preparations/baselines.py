"""Further frozen models beside the policy (`--baseline-model`): read, checked, and scored once.

Knows records, loaders and the cache of scores. Each baseline reads the records through its own
tokenizer and chat template, so that one with other tokens than the policy's can be compared with,
answer by answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.objectives.kind import answer_counts
from accordant.objectives.preparations import Baselines
from accordant.tokens.examples import Example, with_numbers
from accordant.training.preparations.mechanism import prepares
from accordant.training.preparations.workbench import Parts, Workbench

if TYPE_CHECKING:
    from accordant.scoring.score_cache import ScoreCache
    from accordant.scoring.scores import Scores
    from accordant.tokens.rendering import Rendering

CHUNK = 1024  # examples whose tokens' scores are held at a time


@dataclass(frozen=True, slots=True)
class Baseline:
    """A frozen model, and training and held-out records as it reads them, in order."""

    name: str  # as the user wrote it
    tokenizer: str  # fingerprint
    rendering: Rendering
    examples: tuple[Example, ...]


def check_named(_: Baselines, bench: Workbench) -> None:
    """Make sure that a baseline is named."""
    if not bench.settings.baseline_model:
        raise UserError(
            f"objective {bench.objective.name!r} compares the policy with baselines, and none is "
            "named.",
            where="--baseline-model",
            mend="Name one, or several by repeating the option: a folder, a GGUF file, a hub id "
            "or `embedded`.",
        )


def refuse_unused(bench: Workbench) -> None:
    """Refuse baselines that no loss would read."""
    if bench.settings.baseline_model:
        raise UserError(
            f"objective {bench.objective.name!r} does not read scores of baselines.",
            where="--baseline-model",
            mend="Leave the option out, or choose an objective that does, such as poft.",
        )


def read_records(need: Baselines, bench: Workbench, parts: Parts) -> Parts:
    """Read the records as every baseline does; loads no weights.

    Raises:
        UserError: a model that cannot be found, or that cannot read a record.
    """
    bench.memory[need] = [_read(name, bench, parts) for name in bench.settings.baseline_model]
    return parts


def _read(name: str, bench: Workbench, parts: Parts) -> Baseline:
    from accordant.models.facts import read_facts
    from accordant.tokens.fingerprint import fingerprint_tokenizer
    from accordant.tokens.rendering import encode

    assert bench.rendering is not None, "known from the plan on"
    assert bench.tokenizer is not None, "known from the plan on"
    facts, rendering = read_facts(bench.settings, name), bench.rendering
    fingerprint = fingerprint_tokenizer(facts.tokenizer)
    if fingerprint != fingerprint_tokenizer(bench.tokenizer):
        # A template and its end of turn belong to the tokenizer they were given for.
        rendering = replace(rendering, chat_template=None, end_of_turn=None)
    sides = zip(bench.feedback, (parts.train, parts.held_out), strict=False)
    # In the order of the policy's examples, which may be a choice of the records, or shuffled.
    records = [feedback.records[e.index] for feedback, part in sides for e in part]
    try:
        read = encode(records, facts.tokenizer, rendering, max_tokens=facts.positions)
    except UserError as error:
        raise UserError(
            f"baseline {name} cannot read this row: {error.message}",
            where=error.where,
            mend="Leave the row out, or compare with a model that can read it.",
        ) from None
    return Baseline(name, fingerprint, rendering, tuple(read.examples))


def score_records(need: Baselines, bench: Workbench, parts: Parts) -> Parts:
    """Score all records under the baselines, one model in memory at a time."""
    baselines: list[Baseline] = bench.memory[need]
    kept = [_score(baseline, bench) for baseline in baselines]
    examples: list[Example] = []
    for start in range(0, len(parts.all), CHUNK):
        chunk = slice(start, start + CHUNK)
        pairs = zip(kept, baselines, strict=True)
        scores = [cache.scores(baseline.examples[chunk]) for cache, baseline in pairs]
        examples += with_baselines(parts.all[chunk], scores)
    return parts.with_examples(examples)


def with_baselines(examples: Sequence[Example], baselines: Sequence[Scores]) -> tuple[Example, ...]:
    """Attach mean log-probabilities per token of the records' own answers under baselines.

    Args:
        examples: records in the policy's tokens.
        baselines: scores of the same answers by each baseline, on its own tokens.

    Raises:
        ValueError: scores of other answers.
    """
    counts = answer_counts(examples)
    if not baselines or any(scores.count != sum(counts) for scores in baselines):
        raise ValueError(f"no scores of baselines, or not of {sum(counts)} answers")
    means = iter(zip(*(scores.mean().tolist() for scores in baselines), strict=True))
    rows = ([mean for _ in range(count) for mean in next(means)] for count in counts)
    return tuple(map(with_numbers, examples, repeat(Baselines.attaches), rows))


def _score(baseline: Baseline, bench: Workbench) -> ScoreCache:
    """Return the baseline's scores of all records, computed as far as the cache lacks them."""
    from accordant.models.loading import load
    from accordant.scoring.frozen import cache_scores
    from accordant.scoring.installation import install

    settings, count, what = bench.settings, len(baseline.examples), f"scores of {baseline.name}"
    # Loaded in this call and dropped at its end, so that no two baselines share the memory.
    loaded = load(settings, baseline.name)
    with bench.showing(f"{what}: {count:,} records") as show:
        return cache_scores(
            install(loaded.model),
            baseline.examples,
            folder=settings.cache_folder,
            tokenizer=baseline.tokenizer,
            rendering=baseline.rendering.fingerprint,
            precision=settings.precision,
            token_budget=settings.token_budget,
            adapter=True,  # of a baseline its adapter is a part, unlike of the reference
            progress=lambda done: show(f"{what} {done:,}/{count:,}"),
        )


prepares(Baselines, check=check_named, plan=read_records, run=score_records, unused=refuse_unused)
