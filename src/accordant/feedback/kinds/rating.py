"""Ratings: one answer rated on named attributes."""

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
    # Of a field over several columns the name is empty, and each attribute has a column of its own.
    ratings: dict[str, float] = {}
    if isinstance(value, Mapping):
        for key, rate in value.items():
            # An object in one column: tables write attributes that were not rated as null.
            if rate is not None or not column:
                of = f"of {key} " if column else ""
                with row.at(column or str(key)):
                    ratings[str(key).removeprefix("ratings.")] = parse_number(rate, of)
    else:
        ratings["rating"] = row.read("ratings", parse_number)
    if not ratings:
        raise RowError("missing value", "no attribute is rated.", column=column)
    return (Rating(prompt, completion, ratings, origin),)


KIND = Kind(
    name="rating",
    record=Rating,
    layouts=("prompt completion ratings", "messages ratings"),
    build=build,
    spread=SpreadField("ratings", frozenset(ATTRIBUTES.split()), frozenset(NOT_ATTRIBUTES.split())),
    remarks=lambda record: (
        ("ratings", ", ".join(f"{name} {rate:g}" for name, rate in record.ratings.items())),
    ),
    attributes=lambda record: record.ratings,
    becomes={
        "demonstration": "keep the rows rated highly and drop the ratings",
        "binary": "set `label` by a threshold on one rated attribute",
        "comparison": "join two rows that share a prompt, the higher rated as `chosen`, the other "
        "as `rejected`",
        "ranking": "collect the rows of every prompt into `completions`, sorted by the rating, "
        "best first, and keep the ratings as `rewards`",
    },
)
