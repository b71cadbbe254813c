"""Pairs whose two answers share so much gradient that they move together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from accordant.base.options import Count
from accordant.checks.assumed_objective import pair_objective
from accordant.checks.findings import (
    Chart,
    Finding,
    FindingRow,
    Mark,
    Measure,
    Series,
    Severity,
    Threshold,
)
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.pair_pass import examples_of, pair_row
from accordant.checks.registry import check
from accordant.statistics.estimates import bootstrap_mean, wilson_interval
from accordant.statistics.interval import Interval

if TYPE_CHECKING:
    from torch import Tensor, nn

    from accordant.checks.gradients import Changes, Products, TokenChanges
    from accordant.tokens.examples import Example

Layers = Count | None
Tokens = Literal["last-layer", "all", "none"]

TITLE = "Gradient entanglement"
THRESHOLD = Threshold(
    0.5,
    "more than half of the pairs: the usual pair then moves the wrong way. The conditions are "
    "those of Yuan et al. 2024",
)
# Forward passes of a pair per token: the gradients of both answers; and the tokens of a listed one.
_GRADIENTS, _LAST_LAYER, _ALL = 5.0, 1.0, 7.0
_NAMED = 3  # tokens named in a row


@dataclass(frozen=True, slots=True)
class _Measured:
    """The pairs that were looked at, and what a step on each would do to it."""

    examples: tuple[Example, ...]
    products: Products
    slopes: Tensor
    changes: Changes
    broken: tuple[bool, ...]

    def worst_first(self) -> list[int]:
        """Places of broken pairs, those that break both conditions and are most alike first."""
        cosines = self.products.cosines
        both = self.changes.breaks_chosen & self.changes.breaks_rejected
        places = [place for place, broken in enumerate(self.broken) if broken]
        return sorted(places, key=lambda p: (not both[p], -float(cosines[p])))


def _sample(inputs: CheckInputs, pairs: int) -> tuple[int, ...]:
    """Places of the pairs to look at, drawn by the seed."""
    import random

    count = len(examples_of(inputs))
    return tuple(sorted(random.Random(inputs.seed).sample(range(count), min(pairs, count))))


def _cost(
    inputs: CheckInputs,
    *,
    pairs: int = 32,
    tokens: Tokens = "last-layer",
    shown: int = 8,
    **_: object,
) -> Mapping[str, float]:
    examples = examples_of(inputs)
    chosen = [examples[place].num_tokens for place in _sample(inputs, pairs)]
    each = {"last-layer": _LAST_LAYER, "all": _ALL, "none": 0.0}[tokens]
    return {"gradients": _GRADIENTS * sum(chosen) + each * sum(chosen[:shown])}


@check(
    name="gradient-entanglement",
    title=TITLE,
    when="before",
    needs=("model",),
    feedback=("comparison", "joint_pair"),
    paper="arXiv:2410.13828 A Common Pitfall of Margin-based Language Model Alignment: Gradient "
    "Entanglement",
    cost=_cost,
)
def gradient_entanglement(
    inputs: CheckInputs,
    *,
    method: str | None = None,
    beta: float | None = None,
    pairs: Count = 32,
    layers: Layers = None,
    tokens: Tokens = "last-layer",
    shown: Count = 8,
) -> Finding:
    """Pairs on which a small step would lower the chosen answer, or raise the rejected one.

    With g the gradients of both answers' log-probabilities and d the slopes of the loss, the chosen
    answer rises where d_w |g_w|^2 > d_l <g_w, g_l> and the rejected one falls where
    d_l |g_l|^2 > d_w <g_w, g_l>; for DPO, whose slopes are equal, where the inner product is less
    than each squared norm. Slopes are those of the objective at its first step, with the model as
    its own reference. Conditions are about plain steps on the pair alone; Adam and other pairs of a
    batch change sizes, and sometimes signs. As each pair takes two backward passes, a sample is
    looked at.

    Args:
        method: the objective that will be trained; the usual one for the feedback when none.
        beta: its beta, where it has one; its default when none.
        pairs: pairs to look at, drawn at random.
        layers: the last so many layers, whose gradients stand for all; all weights when none.
        tokens: how the tokens of listed pairs are told apart: by the gradients of the last layer
            (the head), of all weights (float32 alone, slower), or none.
        shown: pairs to list at most.
    """
    from accordant.checks.gradients import parameters_of

    if not examples_of(inputs):
        raise NotApplicableError("no record became a pair in tokens")
    parameters = parameters_of(inputs.model, layers)
    found = _measure(inputs, parameters, pairs, method, beta)
    number = wilson_interval(sum(found.broken), len(found.broken))
    severity = _severity(number)
    weights = "all weights" if layers is None else f"the last {layers} layers"
    listed = found.worst_first()[:shown]
    return Finding(
        check="gradient-entanglement",
        title=TITLE,
        severity=severity,
        quantity=f"pairs that break a condition, gradients of {weights}",
        number=number,
        unit="share",
        sentence=_sentence(found, number, weights),
        mend="Make the answers of a pair less alike, add the likelihood of the chosen answer to "
        "the loss (`rpo`), or weigh the rejected one less; then look again with `--option "
        "gradient-entanglement.method=rpo`."
        if severity != "ok"
        else "",
        threshold=THRESHOLD,
        rows=tuple(_rows(inputs, found, parameters, listed, tokens)),
        row_unit="cosine",
        concerned=sum(found.broken),
        measures=_measures(found),
        charts=(_chart(found),),
    )


def _measure(
    inputs: CheckInputs,
    parameters: Sequence[nn.Parameter],
    pairs: int,
    method: str | None,
    beta: float | None,
) -> _Measured:
    from accordant.checks.gradients import loss_slopes, pair_products, predict

    objective, bound = pair_objective(method, beta, inputs.feedback.record_type)
    everything = examples_of(inputs)
    examples = tuple(everything[place] for place in _sample(inputs, pairs))
    products, scores = pair_products(inputs.model, examples, parameters, advance=inputs.advance)
    slopes = loss_slopes(objective, bound, scores, examples)
    changes = predict(products, slopes)
    broken: list[bool] = (changes.breaks_chosen | changes.breaks_rejected).tolist()
    return _Measured(examples, products, slopes, changes, tuple(broken))


def _severity(number: Interval) -> Severity:
    if not number.estimate > THRESHOLD.value:
        return "ok"
    return "serious" if number.low > THRESHOLD.value else "warning"


def _sentence(found: _Measured, number: Interval, weights: str) -> str:
    chosen, rejected = (int(one.sum()) for one in _sides(found))
    cosine = float(found.products.cosines.mean())
    return (
        f"Of {number.count:,} pairs, a small plain step on the pair's own loss would not raise the "
        f"chosen answer in {chosen:,} and not lower the rejected one in {rejected:,}, by the "
        f"gradients of {weights}; the two gradients have a mean cosine of {cosine:+.2f}."
    )


def _sides(found: _Measured) -> tuple[Tensor, Tensor]:
    return found.changes.breaks_chosen, found.changes.breaks_rejected


def _measures(found: _Measured) -> tuple[Measure, ...]:
    chosen, rejected = (wilson_interval(int(one.sum()), len(one)) for one in _sides(found))
    return (
        Measure("chosen answer would not rise", chosen, "share"),
        Measure("rejected answer would not fall", rejected, "share"),
        Measure("cosine of the two gradients", bootstrap_mean(found.products.cosines)),
    )


def _rows(
    inputs: CheckInputs,
    found: _Measured,
    parameters: Sequence[nn.Parameter],
    places: Sequence[int],
    tokens: Tokens,
) -> Iterator[FindingRow]:
    from accordant.checks.gradients import last_layer_token_changes, token_changes
    from accordant.checks.pairs import Pair

    where = {id(example): place for place, example in enumerate(examples_of(inputs))}
    for place in places:
        example = found.examples[place]
        notes = [
            said
            for one, said in zip(
                _sides(found), ("chosen would not rise", "rejected would not fall"), strict=True
            )
            if one[place]
        ]
        if tokens != "none":
            slopes = found.slopes[place]
            if tokens == "all":
                moved = token_changes(inputs.model, example, parameters, slopes)
            else:
                moved = last_layer_token_changes(inputs.model, example, slopes)
            inputs.advance(int((_ALL if tokens == "all" else _LAST_LAYER) * example.num_tokens))
            notes.append(_tokens_note(inputs.tokenizer, example, moved))
        pair = Pair(where[id(example)], 0, 1)
        yield pair_row(inputs, pair, float(found.products.cosines[place]), "; ".join(notes))


def _tokens_note(tokenizer: Any, example: Example, moved: TokenChanges) -> str:
    """How many of the chosen answer's tokens fall, and which of them fall most."""
    from accordant.checks.pairs import tokens_of

    falling = int((moved.chosen < 0).sum())
    order: list[int] = moved.chosen.argsort(stable=True).tolist()
    ids = tokens_of(example, 0)
    names = [repr(tokenizer.decode([ids[place]])) for place in order[: min(_NAMED, falling)]]
    most = f", most of all {', '.join(names)}" if names else ""
    return f"{falling:,} of {len(ids):,} chosen tokens fall{most}"


def _chart(found: _Measured) -> Chart:
    products = found.products
    return Chart(
        "points",
        "Inner product over squared norms",
        "For equal slopes the chosen answer rises left of the vertical line, and the rejected one "
        "falls under the horizontal one.",
        "<g_w, g_l> / |g_w|^2",
        "<g_w, g_l> / |g_l|^2",
        (
            Series(
                "pairs",
                tuple((products.inner / products.rejected).tolist()),
                tuple((products.inner / products.chosen).tolist()),
            ),
        ),
        (Mark(1.0), Mark(1.0, vertical=False)),
    )
