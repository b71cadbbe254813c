"""The passes of the models that checks of pairs share, and rows of their findings.

Knows pairs, their readings and the records they come from. Knows no check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.checks.findings import FindingRow
from accordant.checks.inputs import CheckInputs, NotApplicableError, count_tokens
from accordant.checks.texts import preference_row
from accordant.feedback.records import Origin

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.checks.pairs import Pair
    from accordant.checks.ranking import PairLogps
    from accordant.tokens.examples import Example

NAME = "pairs"
REFERENCE = "pairs, by the reference"


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


def cost_of_pass(inputs: CheckInputs) -> Mapping[str, float]:
    """Tokens of the shared pass."""
    return {NAME: float(count_tokens(inputs))}


def pair_pass(inputs: CheckInputs) -> PairPass:
    """The shared pass, made when the first check asks for it.

    Raises:
        NotApplicableError: no record states a preference.
    """
    return inputs.once(NAME, lambda: _walk(inputs))


def cost_of_both(inputs: CheckInputs) -> Mapping[str, float]:
    """Tokens of the shared passes of the model and of its reference."""
    tokens = float(count_tokens(inputs))
    return {NAME: tokens, REFERENCE: tokens}


def cost_of_gaps(inputs: CheckInputs) -> Mapping[str, float]:
    """Tokens of the passes behind `preference_gaps`; none without a model."""
    if inputs.encoded is None:
        return {}
    return cost_of_both(inputs) if inputs.with_reference else cost_of_pass(inputs)


def reference_logps(inputs: CheckInputs) -> PairLogps:
    """Log-probabilities of the same pairs under the reference, made when first asked for.

    Raises:
        NotApplicableError: no record states a preference.
    """
    return inputs.once(REFERENCE, lambda: _walk_reference(inputs))


def preference_gaps(inputs: CheckInputs) -> Tensor:
    """How much the model prefers the chosen answer of every pair, float64 `[pairs]`.

    With a reference it is the difference of implicit rewards over beta (Rafailov et al. 2023,
    equation 5), in nats: what training made of the model's taste. Without one it is the difference
    of log-probabilities per token: what the model would rather say, whatever the lengths.

    Raises:
        NotApplicableError: no record states a preference.
    """
    found = pair_pass(inputs).logps
    if inputs.reference is None:
        return found.gaps_per_token
    return found.gaps - reference_logps(inputs).gaps


def _walk(inputs: CheckInputs) -> PairPass:
    from accordant.checks.pairs import LOGPS, read_pairs
    from accordant.checks.ranking import PairLogps
    from accordant.checks.similarity import CHES

    pairs = _pairs_of(inputs)
    found = read_pairs(
        inputs.model,
        examples_of(inputs),
        {"logps": LOGPS, "ches": CHES},
        row_tokens=inputs.token_budget,
        advance=inputs.advance,
    )
    return PairPass(pairs, PairLogps.of(found["logps"]), found["ches"])


def _walk_reference(inputs: CheckInputs) -> PairLogps:
    from accordant.checks.pairs import LOGPS, read_pairs
    from accordant.checks.ranking import PairLogps

    _pairs_of(inputs)
    found = read_pairs(
        inputs.reference,
        examples_of(inputs),
        {"logps": LOGPS},
        row_tokens=inputs.token_budget,
        advance=inputs.advance,
    )
    return PairLogps.of(found["logps"])


def _pairs_of(inputs: CheckInputs) -> tuple[Pair, ...]:
    from accordant.checks.pairs import list_pairs

    pairs = tuple(list_pairs(examples_of(inputs)))
    if not pairs:
        raise NotApplicableError("no record prefers one answer to another")
    return pairs


def examples_of(inputs: CheckInputs) -> Sequence[Example]:
    """The feedback in tokens."""
    assert inputs.encoded is not None
    return inputs.encoded.examples


def pair_row(inputs: CheckInputs, pair: Pair, value: float, note: str = "") -> FindingRow:
    """The row of a finding that shows one pair; of a ranking it names the two answers."""
    example = examples_of(inputs)[pair.example]
    record = inputs.feedback.records[example.index]
    return preference_row(record, pair.chosen, pair.rejected, value, note)


def origins_of(inputs: CheckInputs, pairs: Sequence[Pair]) -> tuple[Origin, ...]:
    """Rows that state any of these pairs, each once, in order."""
    records = inputs.feedback.records
    examples = examples_of(inputs)
    origins = (records[examples[pair.example].index].origin for pair in pairs)
    return tuple(dict.fromkeys(origin for origin in origins if origin is not None))
