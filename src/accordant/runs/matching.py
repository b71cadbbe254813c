"""Weighing prompts before training, for objectives that ask for it.

Knows the prepared run and the model it starts from. Composes the engine's vectors of prompts with
the classifier of `training.matching`; adds no mechanism.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from accordant.models.adapters import reference_mode
from accordant.models.precision import arithmetic
from accordant.runs.align import Prepared
from accordant.runs.settings import AlignConfig
from accordant.scoring.pooling import prompt_states
from accordant.tokens.examples import Example
from accordant.training.matching import DensityRatios, density_ratios
from accordant.training.processes import process_count, process_number, sum_over_processes
from accordant.training.progress import phase

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor, nn

Prompt = tuple[int, ...]


def weigh_prompts(
    config: AlignConfig, ready: Prepared, model: nn.Module, console: Console
) -> Prepared:
    """`ready` with density ratios of prompts as the examples' weights, if the objective asks.

    Args:
        config: settings of the run.
        ready: what is to be trained on.
        model: as it stands before training, prepared for scoring.
        console: where the outcome is told.

    Raises:
        UserError: too few prompts of one label.
    """
    option = ready.objective.matching
    if option is None or not ready.options[option]:
        return ready
    held_out = () if ready.encoded_held_out is None else ready.encoded_held_out.examples
    examples = (*ready.encoded.examples, *held_out)
    numbers = {prompt: n for n, prompt in enumerate(dict.fromkeys(map(_prompt, examples)))}
    vectors = _vectors(config, model, list(numbers), console).double().numpy()
    rows, further = (
        [numbers[_prompt(example)] for example in part]
        for part in (ready.encoded.examples, held_out)
    )
    ratios = density_ratios(
        vectors[rows],
        [bool(example.label) for example in ready.encoded.examples],
        rows,
        vectors[further],
        seed=config.seed,
    )
    console.print(_told(ratios), markup=False, highlight=False)
    encoded = replace(ready.encoded, examples=_weighed(ready.encoded.examples, ratios.train))
    if ready.encoded_held_out is None:
        return replace(ready, encoded=encoded)
    weighed = replace(ready.encoded_held_out, examples=_weighed(held_out, ratios.others))
    return replace(ready, encoded=encoded, encoded_held_out=weighed)


def _prompt(example: Example) -> Prompt:
    return example.trees[0].prompt


def _vectors(
    config: AlignConfig, model: nn.Module, prompts: Sequence[Prompt], console: Console
) -> Tensor:
    """Vectors of all prompts, `[prompts, width]`; every process computes its share."""
    share = list(range(process_number(), len(prompts), process_count()))
    # One without a share scores a prompt all the same: it must know the width.
    mine = [prompts[index] for index in share or [0]]
    with (
        phase(console, f"weighing {len(prompts):,} prompts") as show,
        reference_mode(model),
        arithmetic(model, config.precision),
    ):
        states = prompt_states(
            model,
            mine,
            config.token_budget,
            progress=lambda done: show(f"weighing prompts {done:,}/{len(mine):,}"),
        )
    whole = states.new_zeros(len(prompts), states.shape[1])
    if share:
        whole[share] = states
    return sum_over_processes(whole)


def _weighed(examples: Iterable[Example], ratios: Sequence[float]) -> tuple[Example, ...]:
    return tuple(
        replace(example, weight=ratio) for example, ratio in zip(examples, ratios, strict=True)
    )


def _told(ratios: DensityRatios) -> str:
    if ratios.accuracy == 0.5:
        return (
            "Prompts matched: nothing tells prompts of wanted from those of unwanted answers, so "
            "all weigh 1."
        )
    ordered = sorted(ratios.train)
    low, high = (ordered[round(q * (len(ordered) - 1))] for q in (0.05, 0.95))
    return (
        f"Prompts matched: a classifier tells prompts of wanted from those of unwanted answers "
        f"{ratios.accuracy:.0%} of the time (half is chance); density ratios {low:.2g} to "
        f"{high:.2g} (5 % to 95 %)."
    )
