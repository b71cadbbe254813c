"""Comparisons: two answers to one prompt, and what is said beyond which of them is better.

Knows rows and texts. Knows nothing of tokens or losses.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from accordant.feedback.conversations import ROLES, parse_text, split_implicit
from accordant.feedback.kind import Asked, Kind
from accordant.feedback.records import Comparison, Origin
from accordant.feedback.row_texts import check_different, read_completion, read_prompt
from accordant.feedback.rows import Row, RowError
from accordant.feedback.values import parse_count, parse_list, parse_number

# What a comparison may say beyond which answer is better, with other tools' names for it. Of
# several spellings the first is taken: who does not need them must not stumble over them.
DETAILS = {
    "votes": (),
    "votes_chosen": ("chosen_votes",),
    "votes_rejected": ("rejected_votes",),
    "score_chosen": ("chosen_score", "chosen_rating", "rating_chosen", "chosen_reward"),
    "score_rejected": ("rejected_score", "rejected_rating", "rating_rejected", "rejected_reward"),
    "margin": (),
}


def build(row: Row, origin: Origin) -> tuple[Comparison, ...]:
    """Make a comparison; without a `prompt` column the prompt is what both answers begin with."""
    columns = (row.name("chosen"), row.name("rejected"))
    values = (row.require("chosen"), row.require("rejected"))
    if "prompt" in row.values and not _repeats_prompt(row.values.get("prompt"), values):
        prompt = read_prompt(row)
        given = row.require("prompt")
        chosen = read_completion(values[0], prompt, given, columns[0])
        rejected = read_completion(values[1], prompt, given, columns[1])
    else:
        wholes = [parse_text(value, column) for value, column in zip(values, columns, strict=True)]
        check_different(wholes[0], wholes[1], columns[1])
        prompt, chosen, rejected = split_implicit(wholes[0], wholes[1], columns)
    check_different(chosen, rejected, columns[1])
    margin = row.values.get("margin")
    return (
        Comparison(
            prompt,
            chosen,
            rejected,
            origin,
            _votes(row),
            _rewards(row),
            None if margin is None else parse_number(margin, row.name("margin")),
        ),
    )


def _repeats_prompt(prompt: object, wholes: tuple[object, object]) -> bool:
    """Tell whether the prompt is a string that a conversation holds as a user message."""
    if not isinstance(prompt, str) or not all(isinstance(w, list) and len(w) > 1 for w in wholes):
        return False
    firsts = [m for w in wholes if isinstance(w, list) for m in w if isinstance(m, dict)]
    users = [m for m in firsts if ROLES.get(str(m.get("role", m.get("from")))) == "user"]
    return any(m.get("content", m.get("value")) == prompt for m in users)


def _rewards(row: Row) -> tuple[float, float] | None:
    scores = _both(row, "score_chosen", "score_rejected")
    if scores is None:
        return None
    chosen, rejected = (parse_number(value, column) for value, column in scores)
    return chosen, rejected


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


def _both(row: Row, first: str, second: str) -> list[tuple[object, str]] | None:
    """Read two values that mean something together; None where the row has neither."""
    if row.values.get(first) is None and row.values.get(second) is None:
        return None
    return [(row.require(name), row.name(name)) for name in (first, second)]


def find_details(columns: Collection[str], first_row: Mapping[str, object]) -> dict[str, str]:
    """Find the columns of votes, scores and margin, by canonical name.

    Numbers that mean something only together are taken together. A column of another type than it
    should be is somebody else's, and left alone.
    """
    columns_of = {}
    for name, aliases in DETAILS.items():
        types = (list, tuple, dict) if name == "votes" else (int, float)
        fitting = [c for c in (name, *aliases) if c in columns and type(first_row.get(c)) in types]
        if fitting:
            columns_of[name] = fitting[0]
    for pair in (("votes_chosen", "votes_rejected"), ("score_chosen", "score_rejected")):
        if not columns_of.keys() >= set(pair):
            for name in pair:
                columns_of.pop(name, None)
    return columns_of


def asked(record: Comparison) -> tuple[Asked, ...]:
    """Return the prompt with both answers."""
    return (Asked(record.prompt, (("chosen", record.chosen), ("rejected", record.rejected))),)


def remarks(record: Comparison) -> tuple[tuple[str, str], ...]:
    """Return the votes, where there are any."""
    if record.votes is None:
        return ()
    wanted, unwanted = record.votes
    return (("votes", f"{wanted} for the chosen, {unwanted} for the rejected answer"),)


def numbers(record: Comparison) -> dict[str, tuple[float, ...]]:
    """Return votes and the gap between the rewards, where they are known."""
    rows: dict[str, tuple[float, ...]] = {}
    if record.votes is not None:
        rows["votes"] = record.votes
    if record.reward_gap is not None:
        rows["reward_gap"] = (record.reward_gap,)
    return rows


KIND = Kind(
    name="comparison",
    record=Comparison,
    layouts=("chosen rejected",),
    build=build,
    asked=asked,
    usual="dpo",
    details=tuple(DETAILS),
    find_details=find_details,
    preferred=lambda _: ((0, 1),),
    remarks=remarks,
    numbers=numbers,
    becomes={
        "demonstration": "take `chosen` as `completion` and drop `rejected`",
        "binary": "write each comparison as two rows: `chosen` with `label` true, `rejected` with "
        "false",
        "ranking": "write `completions` as [chosen, rejected]",
        "joint_pair": "repeat the prompt as the prompt of the chosen and of the rejected answer",
    },
)
