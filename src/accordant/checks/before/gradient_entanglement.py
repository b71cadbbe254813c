"""Pairs whose two answers share so much gradient that they move together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accordant.checks.findings import FindingRow, Outcome, Scale
from accordant.checks.gradient_pass import GRADIENTS, TOKEN_COSTS, PairGradients, Tokens
from accordant.checks.inputs import CheckInputs
from accordant.checks.pair_pass import examples_of, pair_row
from accordant.checks.registry import check
from accordant.statistics.charts import Chart, Mark, Series
from accordant.statistics.estimates import bootstrap_mean, wilson_interval

if TYPE_CHECKING:
    from accordant.checks.gradients import Changes
    from accordant.tokens.examples import Example

_NAMED = 3  # tokens named in a row


@check(
    name="gradient-entanglement",
    title="Gradient entanglement",
    when="before",
    reads=(GRADIENTS,),
    feedback=("comparison", "joint_pair"),
    paper="arXiv:2410.13828 A Common Pitfall of Margin-based Language Model Alignment: Gradient "
    "Entanglement",
    scale=Scale(
        "more than half of the pairs: the usual pair then moves the wrong way. The conditions are "
        "those of Yuan et al. 2024",
        above={0.5: "warning"},
        surely_above={0.5: "serious"},
    ),
    shown=(8, "pairs to list at most."),
)
def gradient_entanglement(
    inputs: CheckInputs, gradients: PairGradients, *, tokens: Tokens = "last-layer"
) -> Outcome:
    """Pairs on which a small step would lower the chosen answer, or raise the rejected one.

    With g the gradients of both answers' log-probabilities and d the slopes of the loss, the chosen
    answer rises where d_w |g_w|^2 > d_l <g_w, g_l> and the rejected one falls where
    d_l |g_l|^2 > d_w <g_w, g_l>; for DPO, whose slopes are equal, where the inner product is less
    than each squared norm. Slopes are those of the objective at its first step, with the model as
    its own reference. Conditions are about plain steps on the pair alone; Adam and other pairs of a
    batch change sizes, and sometimes signs. As each pair takes two backward passes, a sample is
    looked at.

    Args:
        tokens: how the tokens of listed pairs are told apart: by the gradients of the last layer
            (the head), of all weights (float32 alone, slower), or none.
    """
    broken = sum(map(bool, gradients.notes()))
    number = wilson_interval(broken, len(gradients.places))
    sides = (gradients.changes.breaks_chosen, gradients.changes.breaks_rejected)
    chosen, rejected = (wilson_interval(int(side.sum()), len(side)) for side in sides)
    products, cosines = gradients.products, gradients.products.cosines
    xs, ys = (products.inner / norms for norms in (products.chosen, products.rejected))
    chart = Chart(
        "points",
        "Inner product over squared norms",
        "For equal slopes the chosen answer rises left of the vertical line, and the rejected one "
        "falls under the horizontal one.",
        "<g_w, g_l> / |g_w|^2",
        "<g_w, g_l> / |g_l|^2",
        (Series("pairs", tuple(ys.tolist()), tuple(xs.tolist())),),
        (Mark(1.0), Mark(1.0, vertical=False)),
    )
    return Outcome(
        f"pairs that break a condition, gradients of {gradients.weights}",
        number,
        f"Of {number.count:,} pairs, a small plain step on the pair's own loss would not raise the "
        f"chosen answer in {int(sides[0].sum()):,} and not lower the rejected one in "
        f"{int(sides[1].sum()):,}, by the gradients of {gradients.weights}; the two gradients have "
        f"a mean cosine of {float(cosines.mean()):+.2f}.",
        "Make the answers of a pair less alike, add the likelihood of the chosen answer to the "
        "loss (`cpo`), or weigh the rejected one less; then look again with `--option "
        "gradient-entanglement.method=cpo`.",
        unit="share",
        rows=_rows(inputs, gradients, tokens),
        row_unit="cosine",
        concerned=broken,
        measures={
            "chosen answer would not rise": chosen,
            "rejected answer would not fall": rejected,
            "cosine of the two gradients": (bootstrap_mean(cosines), "number"),
        },
        charts=(chart,),
    )


def _rows(inputs: CheckInputs, gradients: PairGradients, tokens: Tokens) -> Iterator[FindingRow]:
    """List the broken pairs; each takes passes of its own where its tokens are told apart."""
    from accordant.checks.gradients import last_layer_token_changes, token_changes
    from accordant.checks.pairs import Pair

    examples, cosines = examples_of(inputs), gradients.products.cosines.tolist()
    listed = [(at, notes) for at, notes in enumerate(gradients.notes()) if notes]
    # Those that break both conditions, and are most alike, come first.
    for place, notes in sorted(listed, key=lambda pair: (-len(pair[1]), -cosines[pair[0]])):
        example, slopes = examples[gradients.places[place]], gradients.slopes[place]
        if tokens != "none":
            if tokens == "all":
                moved = token_changes(inputs.model, example, gradients.parameters, slopes)
            else:
                moved = last_layer_token_changes(inputs.model, example, slopes)
            inputs.advance(int(TOKEN_COSTS[tokens] * example.num_tokens))
            notes.append(_tokens_note(inputs.tokenizer, example, moved))
        # Of comparisons and joint pairs, whose only pair this is.
        pair = Pair(gradients.places[place], 0, 1)
        yield pair_row(inputs, pair, cosines[place], "; ".join(notes))


def _tokens_note(tokenizer: Any, example: Example, moved: Changes) -> str:
    """Say how many of the chosen answer's tokens fall, and which of them fall most."""
    from accordant.checks.pairs import tokens_of

    falling = int((moved.chosen < 0).sum())
    order: list[int] = moved.chosen.argsort(stable=True).tolist()
    ids = tokens_of(example, 0)
    names = [repr(tokenizer.decode([ids[place]])) for place in order[: min(_NAMED, falling)]]
    most = f", most of all {', '.join(names)}" if names else ""
    return f"{falling:,} of {len(ids):,} chosen tokens fall{most}"
