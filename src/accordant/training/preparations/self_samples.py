"""Answers of the start model to every prompt, drawn once before training (D2O).

Knows the sampler's cache and the policy. They are sampled at temperature 1 with its adapter off:
they stand for what the start model says of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.objectives.preparations import SelfSamples
from accordant.tokens.examples import Example, with_answers
from accordant.training.preparations.mechanism import prepares
from accordant.training.preparations.workbench import Parts, Workbench

if TYPE_CHECKING:
    from accordant.sampling.sampler import Sampler
    from accordant.sampling.samples import SamplingOptions


def reserve_places(need: SelfSamples, bench: Workbench, parts: Parts) -> Parts:
    """Hold places for answers of full length.

    Raises:
        UserError: a prompt leaves no room for one.
    """
    room = bench.settings.self_sample_tokens
    longest = max((len(example.trees[-1].prompt) for example in parts.all), default=0)
    if bench.positions is not None and longest + room > bench.positions:
        raise UserError(
            f"the longest prompt has {longest:,} tokens; with answers of {room:,} it exceeds the "
            f"model's {bench.positions:,} positions.",
            where="--self-sample-tokens",
            mend=f"Ask for at most {max(bench.positions - longest, 0):,}, or limit --max-length "
            "with `--truncation drop`.",
        )
    # Which token stands there does not matter: only lengths are planned with.
    places = ((0,) * room,) * int(bench.options[need.option])
    return parts.with_examples([with_answers(e, need.attaches, places) for e in parts.all])


def draw_answers(need: SelfSamples, bench: Workbench, parts: Parts) -> Parts:
    """Put the policy's answers in those places."""
    from accordant.models.identity import weights_identity
    from accordant.sampling.replay import Replay
    from accordant.sampling.sampler import LocalSampler
    from accordant.sampling.samples import SamplingOptions

    settings = bench.settings
    count = int(bench.options[need.option])
    options = SamplingOptions(
        max_new_tokens=settings.self_sample_tokens,
        seed=settings.seed,
        stop_ids=bench.stop_ids,
        samples_per_prompt=count,
    )
    what = f"{count} answers of the start model to every prompt"
    with bench.showing(what) as show, bench.start_model() as model:
        sampler = Replay(
            LocalSampler(model),
            folder=settings.cache_folder,
            model=weights_identity(model, base_only=True),  # its adapter is off
            dtype=settings.precision,
            progress=lambda done: show(f"{what}: {done:,} prompts"),
        )
        return parts.with_examples(with_own_answers(parts.all, sampler, options))


def with_own_answers(
    examples: Sequence[Example], sampler: Sampler, options: SamplingOptions
) -> tuple[Example, ...]:
    """Attach answers to every different prompt, each with its stop token where it has one.

    Args:
        examples: records in tokens, each with a single tree.
        sampler: who answers.
        options: how, and how many to each prompt, however many examples share it.

    Raises:
        ValueError: an example with several trees.
    """
    if any(len(example.trees) != 1 for example in examples):
        raise ValueError(f"{examples[0].kind} examples have two prompts: which one to answer?")
    prompts = list(dict.fromkeys(example.trees[0].prompt for example in examples))
    rows = zip(prompts, sampler.sample(prompts, options), strict=True)
    answers = {prompt: [sample.completion for sample in row] for prompt, row in rows}
    return tuple(
        with_answers(example, SelfSamples.attaches, answers[example.trees[0].prompt])
        for example in examples
    )


prepares(SelfSamples, plan=reserve_places, run=draw_answers)
