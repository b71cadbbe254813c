"""The pass of the model that checks of pairs share, and rows of their findings.

Knows pairs, their readings and the records they come from. Knows no check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.data.records import Origin
from accordant.diagnostics.findings import FindingRow
from accordant.diagnostics.material import Material, NotApplicableError, count_tokens
from accordant.diagnostics.texts import passages_of

if TYPE_CHECKING:
    from torch import Tensor

    from accordant.data.examples import Example
    from accordant.diagnostics.pairs import Pair
    from accordant.diagnostics.ranking import PairLogps

NAME = "pairs"


@dataclass(frozen=True, slots=True)
class PairPass:
    """What one pass of the model over the feedback tells of its pairs.

    Args:
        pairs: every preference, example by example.
        logps: log-probabilities of their answers.
        similarities: columns of `diagnostics.similarity.COLUMNS`, `[pairs, 3]`.
    """

    pairs: tuple[Pair, ...]
    logps: PairLogps
    similarities: Tensor


def cost_of_pass(material: Material) -> Mapping[str, float]:
    """Tokens of the shared pass."""
    return {NAME: float(count_tokens(material))}


def pair_pass(material: Material) -> PairPass:
    """The shared pass, made when the first check asks for it.

    Raises:
        NotApplicableError: no record states a preference.
    """
    return material.once(NAME, lambda: _walk(material))


def _walk(material: Material) -> PairPass:
    from accordant.diagnostics.pairs import LOGPS, list_pairs, read_pairs
    from accordant.diagnostics.ranking import PairLogps
    from accordant.diagnostics.similarity import CHES

    examples = examples_of(material)
    pairs = tuple(list_pairs(examples))
    if not pairs:
        raise NotApplicableError("no record prefers one answer to another")
    found = read_pairs(
        material.model,
        examples,
        {"logps": LOGPS, "ches": CHES},
        row_tokens=material.token_budget,
        advance=material.advance,
    )
    return PairPass(pairs, PairLogps.of(found["logps"]), found["ches"])


def examples_of(material: Material) -> Sequence[Example]:
    """The feedback in tokens."""
    assert material.encoded is not None
    return material.encoded.examples


def pair_row(material: Material, pair: Pair, value: float, note: str = "") -> FindingRow:
    """The row of a finding that shows one pair; of a ranking it names the two answers."""
    example = examples_of(material)[pair.example]
    record = material.feedback.records[example.index]
    if example.kind == "ranking":
        places = f"answer {pair.chosen + 1} over {pair.rejected + 1}"
        note = f"{places}; {note}" if note else places
    return FindingRow(value, passages_of(record), record.origin, note=note)


def origins_of(material: Material, pairs: Sequence[Pair]) -> tuple[Origin, ...]:
    """Rows that state any of these pairs, each once, in order."""
    records = material.feedback.records
    examples = examples_of(material)
    origins = (records[examples[pair.example].index].origin for pair in pairs)
    return tuple(dict.fromkeys(origin for origin in origins if origin is not None))
