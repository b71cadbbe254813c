"""Answers of the start model to the prompts of a run, for objectives that read them.

Composes the sampler's cache and the prepared run; adds no mechanism.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.models.adapters import reference_mode
from accordant.models.identity import weights_identity
from accordant.sampling.sampling import SamplingOptions
from accordant.sampling.self_samples import SampleKey, cached_samples, with_self_samples
from accordant.tokens.examples import Example
from accordant.training.progress import phase
from accordant.training.reference import arithmetic
from accordant.training.settings import AlignConfig

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn

    from accordant.objectives.registry import Objective
    from accordant.runs.align import Prepared


def planned_examples(
    config: AlignConfig,
    objective: Objective,
    options: Mapping[str, Any],
    examples: Sequence[Example],
    limit: int | None,
) -> tuple[Example, ...]:
    """The examples as large as they can become once the start model has answered.

    Args:
        config: settings of the run.
        objective: what is trained on.
        options: its options.
        examples: records in tokens, without the answers.
        limit: positions of the model; None where it names no limit.

    Raises:
        UserError: a prompt leaves no room for an answer of full length.
    """
    if not objective.self_samples:
        return tuple(examples)
    room = config.self_sample_tokens
    longest = max((len(tree.prompt) for one in examples for tree in one.trees), default=0)
    if limit is not None and longest + room > limit:
        raise UserError(
            f"the longest prompt has {longest:,} tokens; with answers of {room:,} it exceeds the "
            f"model's {limit:,} positions.",
            where="--self-sample-tokens",
            mend=f"Ask for at most {max(limit - longest, 0):,}, or limit --max-length with "
            "`--truncation drop`.",
        )
    placeholder = ((0,) * room,) * int(options["samples"])
    prompts = {tree.prompt: placeholder for one in examples for tree in one.trees}
    return with_self_samples(examples, prompts)


def draw_self_samples(
    config: AlignConfig, ready: Prepared, model: nn.Module, console: Console
) -> Prepared:
    """`ready` with the model's own answers in every example's tree, if the objective asks.

    The answers are sampled at temperature 1 from the model as it stands, with its adapter off:
    they stand for what it says of itself.

    Args:
        config: settings of the run.
        ready: what is to be trained on.
        model: as it stands before training.
        console: where the outcome is told.
    """
    if not ready.objective.self_samples:
        return ready
    parts = [ready.encoded, *([ready.encoded_held_out] if ready.encoded_held_out else [])]
    examples = [example for part in parts for example in part.examples]
    count = int(ready.options["samples"])
    options = SamplingOptions(
        max_new_tokens=config.self_sample_tokens,
        seed=config.seed,
        stop_ids=ready.encoded.end_of_turn_ids,
        samples_per_prompt=count,
    )
    key = SampleKey(weights_identity(model, base_only=True), config.precision, options)
    what = f"{count} answers of the start model to every prompt"
    with (
        phase(console, what) as show,
        reference_mode(model),
        arithmetic(model, config.precision),
    ):
        samples = cached_samples(
            model,
            examples,
            folder=config.cache_dir or config.output_dir / "cache",
            key=key,
            progress=lambda done: show(f"{what}: {done:,} prompts"),
        )
    drawn = [replace(p, examples=with_self_samples(p.examples, samples)) for p in parts]
    held_out = drawn[1] if len(drawn) > 1 else None
    return replace(ready, encoded=drawn[0], encoded_held_out=held_out)
