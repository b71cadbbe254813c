"""What a comparison says beyond which answer is better: votes, scores and a margin.

Knows canonical rows. Knows nothing of files or tokens. Every mistake is a `RowError`.
"""

from __future__ import annotations

from collections.abc import Mapping

from accordant.feedback.rows import Row, RowError
from accordant.feedback.values import parse_count, parse_list, parse_number


def parse_pair_details(
    row: Row,
) -> tuple[tuple[int, int] | None, tuple[float, float] | None, float | None]:
    """Read votes, rewards and margin of a comparison; None where the row does not give them."""
    scores = _both(row, "score_chosen", "score_rejected")
    rewards = None
    if scores is not None:
        numbers = [parse_number(value, column) for value, column in scores]
        rewards = (numbers[0], numbers[1])
    margin = row.values.get("margin")
    return (
        _votes(row),
        rewards,
        None if margin is None else parse_number(margin, row.name("margin")),
    )


def _votes(row: Row) -> tuple[int, int] | None:
    """Read how many preferred the chosen and the rejected answer: a list, an object or two columns.

    Votes against the choice are refused: the two counts were most likely exchanged.
    """
    column = row.name("votes")
    value = row.values.get("votes")
    if isinstance(value, Mapping):
        value = [value.get("chosen"), value.get("rejected")]
    if value is not None:
        given = parse_list(value, column)
        if len(given) != 2:
            raise RowError(
                "lengths do not match",
                f"found {len(given)} numbers, expected votes for chosen and for rejected.",
                column=column,
            )
        pair = [(number, column) for number in given]
    else:
        pair = _both(row, "votes_chosen", "votes_rejected") or []
    if not pair:
        return None
    chosen, rejected = (parse_count(number, where) for number, where in pair)
    if chosen < rejected or chosen == 0:
        raise RowError(
            "votes do not support the choice",
            f"{chosen} voted for chosen and {rejected} for rejected.",
            column=pair[1][1],
            mend="Exchange the two counts, or chosen and rejected, or remove the row.",
        )
    return chosen, rejected


def _both(row: Row, one: str, other: str) -> list[tuple[object, str]] | None:
    """Read two values that mean something together; None where the row has neither."""
    if row.values.get(one) is None and row.values.get(other) is None:
        return None
    return [(row.require(name), row.name(name)) for name in (one, other)]
