"""Further frozen models beside the policy (`--aligned-model`): read, checked, and scored once.

Composes the data room, the loaders and the reference cache; adds no mechanism. Each model reads the
records through its own tokenizer and chat template, so one with other tokens than the policy's can
be compared with, answer by answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.feedback.loading import Feedback
from accordant.models.facts import read_facts
from accordant.models.loading import load
from accordant.objectives.registry import Objective
from accordant.runs.settings import AlignConfig
from accordant.tokens.examples import Example
from accordant.tokens.fingerprint import fingerprint_tokenizer
from accordant.tokens.rendering import Encoded, Rendering, encode

if TYPE_CHECKING:
    from rich.console import Console
    from transformers import PreTrainedTokenizerBase

    from accordant.scoring.score_cache import ScoreCache
    from accordant.scoring.scores import Scores


@dataclass(frozen=True, slots=True)
class AlignedModel:
    """A frozen model and the records as it reads them.

    Args:
        name: as the user wrote it.
        tokenizer: fingerprint of its tokenizer.
        rendering: how records become text for it.
        examples: the policy's examples in its own tokens, by `Example.index`, held-out ones
            numbered on behind the training ones.
    """

    name: str
    tokenizer: str
    rendering: Rendering
    examples: Mapping[int, Example]


@dataclass(frozen=True, slots=True)
class AlignedScores:
    """A frozen model's scores, asked for with the policy's examples."""

    cached: ScoreCache
    examples: Mapping[int, Example]

    def scores(self, examples: Sequence[Example]) -> Scores:
        """Scores of all continuations of `examples`, in order, on the model's own tokens."""
        return self.cached.scores([self.examples[example.index] for example in examples])


def check_aligned(config: AlignConfig, objective: Objective) -> None:
    """Raise unless aligned models are named where the objective reads them, and nowhere else."""
    if objective.aligned and not config.aligned_model:
        raise UserError(
            f"objective {objective.name!r} compares the policy with aligned models, and none is "
            "named.",
            where="--aligned-model",
            mend="Name one, or several by repeating the option: a folder, a GGUF file, a hub id "
            "or `embedded`.",
        )
    if config.aligned_model and not objective.aligned:
        raise UserError(
            f"objective {objective.name!r} does not read scores of aligned models.",
            where="--aligned-model",
            mend="Leave the option out, or choose an objective that does, such as poft.",
        )


def read_aligned(
    config: AlignConfig,
    tokenizer: PreTrainedTokenizerBase,
    rendering: Rendering,
    parts: Sequence[tuple[Feedback, Encoded]],
) -> tuple[AlignedModel, ...]:
    """The aligned models of a run, with the records in their tokens; loads no weights.

    Args:
        config: settings of the run.
        tokenizer: the policy's.
        rendering: the policy's.
        parts: training and held-out records, with the policy's examples of them.

    Raises:
        UserError: a model that cannot be found, or that cannot read a record.
    """
    return tuple(
        _read_one(config, name, tokenizer, rendering, parts) for name in config.aligned_model
    )


def _read_one(
    config: AlignConfig,
    name: str,
    policy: PreTrainedTokenizerBase,
    rendering: Rendering,
    parts: Sequence[tuple[Feedback, Encoded]],
) -> AlignedModel:
    facts = read_facts(config, name)
    tokenizer = facts.tokenizer
    if fingerprint_tokenizer(tokenizer) != fingerprint_tokenizer(policy):
        # A template and its end of turn belong to the tokenizer they were given for.
        rendering = replace(rendering, chat_template=None, end_of_turn=None)
    examples: dict[int, Example] = {}
    behind = 0
    for feedback, encoded in parts:
        kept = [example.index for example in encoded.examples]
        records = [feedback.records[index] for index in kept]
        try:
            own = encode(records, tokenizer, rendering, max_tokens=facts.positions).examples
        except UserError as error:
            raise UserError(
                f"aligned model {name} cannot read this row: {error.message}",
                where=error.where,
                mend="Leave the row out, or compare with a model that can read it.",
            ) from None
        for index, example in zip(kept, own, strict=True):
            examples[behind + index] = replace(example, index=behind + index)
        behind += 1 + max(kept, default=-1)
    return AlignedModel(name, fingerprint_tokenizer(tokenizer), rendering, examples)


def score_aligned(
    config: AlignConfig, models: Sequence[AlignedModel], console: Console
) -> tuple[AlignedScores, ...]:
    """Scores of all records under the aligned models, one model in memory at a time."""
    return tuple(_score_one(config, model, console) for model in models)


def _score_one(config: AlignConfig, aligned: AlignedModel, console: Console) -> AlignedScores:
    from accordant.scoring.frozen import cache_scores
    from accordant.scoring.installation import install
    from accordant.training.progress import phase

    loaded = load(config, aligned.name)
    examples = list(aligned.examples.values())
    what = f"scores of {aligned.name}"
    with phase(console, f"{what}: {len(examples):,} records") as show:
        cached = cache_scores(
            install(loaded.model),
            examples,
            folder=config.cache_folder,
            tokenizer=aligned.tokenizer,
            rendering=aligned.rendering.fingerprint,
            precision=config.precision,
            token_budget=config.token_budget,
            adapter=True,
            progress=lambda done: show(f"{what} {done:,}/{len(examples):,}"),
        )
    return AlignedScores(cached, aligned.examples)
