"""Further frozen models beside the policy (`--baseline-model`): read, checked, and scored once.

Knows records, loaders and the cache of scores. Each baseline reads the records through its own
tokenizer and chat template, so that one with other tokens than the policy's can be compared with,
answer by answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.objectives.preparations import Baselines
from accordant.tokens.examples import Example, with_numbers
from accordant.training.preparations.mechanism import Parts, Workbench, prepares

if TYPE_CHECKING:
    from accordant.scoring.score_cache import ScoreCache
    from accordant.scoring.scores import Scores
    from accordant.tokens.rendering import Rendering

CHUNK = 1024  # examples whose tokens' scores are held at a time


@dataclass(frozen=True, slots=True)
class Baseline:
    """A frozen model and the records as it reads them.

    Args:
        name: as the user wrote it.
        tokenizer: fingerprint of its tokenizer.
        rendering: how records become text for it.
        examples: training and held-out records in its own tokens, in the policy's order.
    """

    name: str
    tokenizer: str
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

    facts = read_facts(bench.settings, name)
    tokenizer = facts.tokenizer
    assert bench.rendering is not None
    assert bench.tokenizer is not None
    rendering = bench.rendering
    if fingerprint_tokenizer(tokenizer) != fingerprint_tokenizer(bench.tokenizer):
        # A template and its end of turn belong to the tokenizer they were given for.
        rendering = replace(rendering, chat_template=None, end_of_turn=None)
    examples: list[Example] = []
    for feedback, part in zip(bench.feedback, (parts.train, parts.held_out), strict=False):
        records = [feedback.records[example.index] for example in part]
        try:
            examples += encode(records, tokenizer, rendering, max_tokens=facts.positions).examples
        except UserError as error:
            raise UserError(
                f"baseline {name} cannot read this row: {error.message}",
                where=error.where,
                mend="Leave the row out, or compare with a model that can read it.",
            ) from None
    return Baseline(name, fingerprint_tokenizer(tokenizer), rendering, tuple(examples))


def score_records(need: Baselines, bench: Workbench, parts: Parts) -> Parts:
    """Score all records under the baselines, one model in memory at a time."""
    baselines: list[Baseline] = bench.memory[need]
    cached = [score_baseline(baseline, bench) for baseline in baselines]
    examples: list[Example] = []
    for start in range(0, len(parts.all), CHUNK):
        chunk = slice(start, start + CHUNK)
        scores = [
            own.scores(baseline.examples[chunk])
            for own, baseline in zip(cached, baselines, strict=True)
        ]
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
    counts = [sum(len(tree.continuations) for tree in example.own_trees) for example in examples]
    if not baselines or any(scores.count != sum(counts) for scores in baselines):
        raise ValueError(f"no scores of baselines, or not of {sum(counts)} answers")
    means = iter(zip(*(scores.mean().tolist() for scores in baselines), strict=True))
    rows = [[mean for _ in range(count) for mean in next(means)] for count in counts]
    return tuple(
        with_numbers(example, Baselines.attaches, row)
        for example, row in zip(examples, rows, strict=True)
    )


def score_baseline(baseline: Baseline, bench: Workbench) -> ScoreCache:
    """Return the baseline's scores of all records, computed as far as the cache lacks them."""
    from accordant.models.loading import load
    from accordant.scoring.frozen import cache_scores
    from accordant.scoring.installation import install
    from accordant.training.progress import phase

    assert bench.console is not None
    settings, count = bench.settings, len(baseline.examples)
    loaded = load(settings, baseline.name)
    what = f"scores of {baseline.name}"
    with phase(bench.console, f"{what}: {count:,} records") as show:
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
