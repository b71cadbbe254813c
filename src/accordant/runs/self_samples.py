"""Answers of the start model to the prompts of a run, for objectives that read them.

Composes the sampler on disk and the prepared run; adds no mechanism.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.models.adapters import reference_mode
from accordant.models.identity import weights_identity
from accordant.models.precision import arithmetic
from accordant.runs.settings import AlignConfig
from accordant.sampling.replay import Replay
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant.training.progress import phase

if TYPE_CHECKING:
    from rich.console import Console
    from torch import nn

    from accordant.objectives.registry import Objective
    from accordant.runs.align import Prepared
    from accordant.sampling.sampler import Sampler

Tokens = tuple[int, ...]


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
    what = f"{count} answers of the start model to every prompt"
    with (
        phase(console, what) as show,
        reference_mode(model),
        arithmetic(model, config.precision),
    ):
        sampler = Replay(
            LocalSampler(model),
            folder=config.cache_folder,
            model=weights_identity(model, base_only=True),
            dtype=config.precision,
            progress=lambda done: show(f"{what}: {done:,} prompts"),
        )
        samples = own_answers(sampler, examples, options)
    drawn = [replace(p, examples=with_self_samples(p.examples, samples)) for p in parts]
    held_out = drawn[1] if len(drawn) > 1 else None
    return replace(ready, encoded=drawn[0], encoded_held_out=held_out)


def own_answers(
    sampler: Sampler, examples: Sequence[Example], options: SamplingOptions
) -> Mapping[Tokens, tuple[Tokens, ...]]:
    """Draw answers to every different prompt, each with its stop token where it has one.

    Args:
        sampler: who answers.
        examples: records in tokens, each with a single tree.
        options: how, and how many to each prompt, however many examples share it.

    Raises:
        ValueError: an example with several trees.
    """
    if any(len(example.trees) != 1 for example in examples):
        raise ValueError(f"{examples[0].kind} examples have two prompts: which one to answer?")
    prompts = list(dict.fromkeys(example.trees[0].prompt for example in examples))
    rows = sampler.sample(prompts, options)
    answers = (tuple(sample.completion for sample in row) for row in rows)
    return dict(zip(prompts, answers, strict=True))


def with_self_samples(
    examples: Sequence[Example], samples: Mapping[Tokens, tuple[Tokens, ...]]
) -> tuple[Example, ...]:
    """Return the examples with the answers to their prompts as last continuations of their trees.

    Raises:
        KeyError: a prompt has no answers.
    """

    def extended(example: Example) -> Example:
        (tree,) = example.trees
        answers = samples[tree.prompt]
        tree = TokenTree(tree.prompt, tree.continuations + answers)
        return replace(example, trees=(tree,), self_samples=len(answers))

    return tuple(map(extended, examples))
