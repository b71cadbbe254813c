"""How much commoner an example's prompt is among wanted answers than among unwanted ones (BCO).

Knows examples and the start model. Composes the engine's vectors of prompts with the estimate of
density ratios in `statistics`; adds no mechanism.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.objectives.preparations import PromptWeights
from accordant.tokens.examples import Example, with_numbers
from accordant.training.preparations.mechanism import prepares
from accordant.training.preparations.workbench import Parts, Workbench

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.statistics.density_ratios import DensityRatios

Prompt = tuple[int, ...]


def check_both_labels(need: PromptWeights, bench: Workbench, parts: Parts) -> Parts:
    """Make sure that there are prompts of both labels to compare.

    Raises:
        UserError: fewer than two different prompts of either label.
    """
    if not bench.options[need.option]:
        return parts
    up, down = (
        len({_prompt(example) for example in parts.train if bool(example.label) is label})
        for label in (True, False)
    )
    if min(up, down) < 2:
        raise UserError(
            f"matching compares the prompts of wanted and unwanted answers, and there are "
            f"{up} different prompts with a thumb up and {down} with a thumb down.",
            where=f"--option {need.option}",
            mend="Leave it false, or give thumbs of both kinds for several prompts each.",
        )
    return parts


def weigh_prompts(need: PromptWeights, bench: Workbench, parts: Parts) -> Parts:
    """Attach the density ratio of every example's prompt, if the option asks for it."""
    from accordant.statistics.density_ratios import estimate_density_ratios

    if not bench.options[need.option]:
        return parts
    # Examples that share a prompt share a row: a fold of the cross-fit must not split them.
    places = {prompt: n for n, prompt in enumerate(dict.fromkeys(map(_prompt, parts.all)))}
    vectors = _vectors(bench, list(places)).double().numpy()
    rows, further = (
        [places[_prompt(example)] for example in part] for part in (parts.train, parts.held_out)
    )
    ratios = estimate_density_ratios(
        vectors[rows],
        [bool(example.label) for example in parts.train],
        rows,
        vectors[further],
        seed=bench.settings.seed,
    )
    if bench.console is not None:
        bench.console.print(_describe(ratios), markup=False, highlight=False)
    weights = ratios.train + ratios.others
    return parts.with_examples(
        [with_numbers(e, need.attaches, (w,)) for e, w in zip(parts.all, weights, strict=True)]
    )


def _prompt(example: Example) -> Prompt:
    return example.trees[0].prompt


def _vectors(bench: Workbench, prompts: Sequence[Prompt]) -> Tensor:
    """Return vectors of all prompts, `[prompts, width]`; every process computes its share."""
    from accordant.base.processes import process_count, process_number
    from accordant.scoring.pooling import prompt_states
    from accordant.training.processes import sum_over_processes

    share = list(range(process_number(), len(prompts), process_count()))
    # One without a share scores a prompt all the same: it must know the width.
    mine = [prompts[index] for index in share or [0]]
    with bench.showing(f"weighing {len(prompts):,} prompts") as show, bench.start_model() as model:
        states = prompt_states(
            model,
            mine,
            bench.settings.token_budget,
            progress=lambda done: show(f"weighing prompts {done:,}/{len(mine):,}"),
        )
    whole = states.new_zeros(len(prompts), states.shape[1])
    if share:
        whole[share] = states
    return sum_over_processes(whole)


def _describe(ratios: DensityRatios) -> str:
    # One half exactly: the classifier was not used, as it tells nothing beyond chance.
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


prepares(PromptWeights, plan=check_both_labels, run=weigh_prompts)
