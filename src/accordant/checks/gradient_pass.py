"""The pass that compares the gradients of both answers of a sample of pairs.

Knows gradients and the objective that a check assumes. Knows no check and no verdict.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from accordant.base.options import Count
from accordant.checks.assumed_objective import pair_objective
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.pair_pass import examples_of
from accordant.checks.passes import Pass

if TYPE_CHECKING:
    from torch import Tensor, nn

    from accordant.checks.gradients import Changes, Products

Layers = Count | None
Tokens = Literal["last-layer", "all", "none"]

# Forward passes of a listed pair per token, by how its tokens are told apart.
TOKEN_COSTS = {"last-layer": 1.0, "all": 7.0, "none": 0.0}


@dataclass(frozen=True, slots=True)
class PairGradients:
    """The pairs that were looked at, and what a step on each would do to it.

    Args:
        places: of the pairs among all examples.
        parameters: whose gradients were compared; `weights` says so in words.
        products: of the gradients.
        slopes: of the loss, `[pairs, 2]`.
        changes: that both imply.
    """

    places: tuple[int, ...]
    parameters: list[nn.Parameter]
    weights: str
    products: Products
    slopes: Tensor
    changes: Changes

    def notes(self) -> list[list[str]]:
        """Say of every pair which conditions it breaks."""
        sides = {
            "chosen would not rise": self.changes.breaks_chosen,
            "rejected would not fall": self.changes.breaks_rejected,
        }
        places = range(len(self.places))
        return [[words for words, broken in sides.items() if broken[at]] for at in places]


def _sample(inputs: CheckInputs, pairs: int) -> tuple[int, ...]:
    """Draw places of the pairs to look at, by the seed."""
    count = len(examples_of(inputs))
    # In the order of the feedback, however they were drawn.
    return tuple(sorted(random.Random(inputs.seed).sample(range(count), min(pairs, count))))


def _measure(
    inputs: CheckInputs,
    *,
    method: str | None = None,
    beta: float | None = None,
    pairs: Count = 32,
    layers: Layers = None,
) -> PairGradients:
    """Compare the gradients of both answers of a sample of pairs.

    Args:
        method: the objective that will be trained; the usual one for the feedback when none.
        beta: its beta, where it has one; its default when none.
        pairs: pairs to look at, drawn at random.
        layers: the last so many layers, whose gradients stand for all; all weights when none.
    """
    from accordant.checks.gradients import loss_slopes, pair_products, parameters_of, predict

    examples = examples_of(inputs)
    if not examples:
        raise NotApplicableError("no record became a pair in tokens")
    parameters = parameters_of(inputs.model, layers)
    objective, bound = pair_objective(method, beta, inputs.feedback.record_type)
    places = _sample(inputs, pairs)
    sample = tuple(examples[place] for place in places)
    products, scores = pair_products(inputs.model, sample, parameters, advance=inputs.advance)
    # With no reference given the model is its own, as before the first step.
    slopes = loss_slopes(objective, bound, scores, sample)
    weights = "all weights" if layers is None else f"the last {layers} layers"
    return PairGradients(places, parameters, weights, products, slopes, predict(products, slopes))


def _cost(inputs: CheckInputs, pairs: int, tokens: Tokens, shown: int) -> float:
    from accordant.checks.gradients import COST

    examples = examples_of(inputs)
    sizes = [examples[place].num_tokens for place in _sample(inputs, pairs)]
    return COST * sum(sizes) + TOKEN_COSTS[tokens] * sum(sizes[:shown])


GRADIENTS = Pass("gradients", _measure, _cost, needs=("model",))
