"""Passes of the models over all preferences of the feedback, and rows of what they find.

Knows pairs, their readings and the records they come from. Knows no check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accordant.checks.findings import FindingRow
from accordant.checks.inputs import CheckInputs, NotApplicableError
from accordant.checks.passes import TOKENS, Pass, count_tokens
from accordant.checks.ranking import PairLogps
from accordant.checks.texts import preference_row
from accordant.feedback.records import Origin

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.checks.pairs import Pair, Reading
    from accordant.tokens.examples import Example


@dataclass(frozen=True, slots=True)
class PairPass:
    """What one pass of the model over the feedback tells of its pairs.

    Args:
        pairs: every preference, example by example.
        logps: log-probabilities of their answers.
        similarities: columns of `checks.similarity.COLUMNS`, `[pairs, 3]`.
    """

    pairs: tuple[Pair, ...]
    logps: PairLogps
    similarities: Tensor


def _by_model(inputs: CheckInputs) -> PairPass:
    from accordant.checks.pairs import list_pairs, summed_logps
    from accordant.checks.similarity import read_similarities

    # Both from one walk, whichever check asks first: the states are there anyway.
    readings = {"logps": summed_logps, "ches": read_similarities}
    columns = _walk(inputs, inputs.model, readings, hidden=True)
    pairs = tuple(list_pairs(examples_of(inputs)))
    return PairPass(pairs, PairLogps.of(columns["logps"]), columns["ches"])


def _by_reference(inputs: CheckInputs) -> PairLogps:
    from accordant.checks.pairs import summed_logps

    columns = _walk(inputs, inputs.reference, {"logps": summed_logps}, hidden=False)
    return PairLogps.of(columns["logps"])


def _walk(
    inputs: CheckInputs, model: Any, readings: Mapping[str, Reading], *, hidden: bool
) -> dict[str, Tensor]:
    from accordant.checks.pairs import list_pairs, read_pairs
    from accordant.scoring.engine import ScoreOptions

    examples, options = examples_of(inputs), ScoreOptions(hidden=hidden)
    if not list_pairs(examples):
        raise NotApplicableError("no record prefers one answer to another")
    budget, advance = inputs.token_budget, inputs.advance
    return read_pairs(model, examples, readings, options, row_tokens=budget, advance=advance)


def _gaps(inputs: CheckInputs) -> Tensor:
    """Measure how much the model prefers the chosen answer of every pair, float64 `[pairs]`.

    With a reference it is the difference of implicit rewards over beta (Rafailov et al. 2023,
    equation 5), in nats: what training made of the model's taste. Without one it is the difference
    of log-probabilities per token: what the model would rather say, whatever the lengths.
    """
    logps = PAIRS.read(inputs).logps
    # Per token: summed, a longer answer would nearly always be the unlikelier one.
    if inputs.reference is None:
        return logps.gaps_per_token
    return logps.gaps - REFERENCE_LOGPS.read(inputs).gaps


PAIRS = Pass("pairs", _by_model, count_tokens, needs=("model",))
REFERENCE_LOGPS = Pass(
    "pairs, by the reference",
    _by_reference,
    lambda inputs: count_tokens(inputs) if inputs.with_reference else 0.0,
    needs=("model", "reference"),
)
GAPS = Pass("preference gaps", _gaps, uses=("model", "reference"), reads=(PAIRS, REFERENCE_LOGPS))


def examples_of(inputs: CheckInputs) -> Sequence[Example]:
    """Return the feedback in tokens."""
    return TOKENS.read(inputs).examples


def pair_row(inputs: CheckInputs, pair: Pair, value: float, note: str = "") -> FindingRow:
    """Make the row that shows one pair; of a ranking it names the two answers."""
    example = examples_of(inputs)[pair.example]
    record = inputs.feedback.records[example.index]
    return preference_row(record, pair.chosen, pair.rejected, value, note)


def origins_of(inputs: CheckInputs, pairs: Sequence[Pair]) -> list[Origin | None]:
    """Return where the records that state these pairs were read, in order."""
    examples = examples_of(inputs)
    return [inputs.feedback.records[examples[pair.example].index].origin for pair in pairs]
