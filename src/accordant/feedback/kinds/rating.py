"""Ratings: one answer rated on named attributes.

Knows rows and texts. Knows nothing of tokens or losses.
"""

from __future__ import annotations

from collections.abc import Mapping

from accordant.feedback.kind import Kind, SpreadField
from accordant.feedback.records import Origin, Rating
from accordant.feedback.row_texts import read_prompt_and_completion
from accordant.feedback.rows import Row, RowError
from accordant.feedback.values import parse_number

# Attributes that are numbers in published rating sets; others need `--record-type rating`.
ATTRIBUTES = (
    "helpfulness correctness coherence complexity verbosity honesty truthfulness harmlessness "
    "instruction_following safety toxicity quality overall overall_score rating score relevance "
    "fluency creativity humor"
)
NOT_ATTRIBUTES = "id idx index row seed turn turns length num_tokens tokens year timestamp"


def build(row: Row, origin: Origin) -> tuple[Rating, ...]:
    """Make the record of a rated answer: an object `ratings`, or one column per attribute."""
    prompt, completion = read_prompt_and_completion(row)
    value = row.require("ratings")
    column = row.name("ratings")
    if not isinstance(value, Mapping):
        ratings = {"rating": parse_number(value, column)}
    elif column:
        # One object in one column: tables write attributes that were not rated as null.
        items = {str(k): v for k, v in value.items() if v is not None}
        ratings = {k: parse_number(v, column, f"of {k} ") for k, v in items.items()}
    else:
        ratings = {str(k): parse_number(v, str(k)) for k, v in value.items()}
    if not ratings:
        raise RowError("missing value", "no attribute is rated.", column=column)
    ratings = {name.removeprefix("ratings."): number for name, number in ratings.items()}
    return (Rating(prompt, completion, ratings, origin),)


def remarks(record: Rating) -> tuple[tuple[str, str], ...]:
    """Return the ratings in words."""
    return (("ratings", ", ".join(f"{name} {rate:g}" for name, rate in record.ratings.items())),)


KIND = Kind(
    name="rating",
    record=Rating,
    layouts=("prompt completion ratings", "messages ratings"),
    build=build,
    spread=SpreadField("ratings", frozenset(ATTRIBUTES.split()), frozenset(NOT_ATTRIBUTES.split())),
    remarks=remarks,
    becomes={
        "demonstration": "keep the rows rated highly and drop the ratings",
        "binary": "set `label` by a threshold on one rated attribute",
        "comparison": "join two rows that share a prompt, the higher rated as `chosen`, the other "
        "as `rejected`",
        "ranking": "collect the rows of every prompt into `completions`, sorted by the rating, "
        "best first, and keep the ratings as `rewards`",
    },
)
