"""Comparisons: two answers to one prompt, and what is said beyond which of them is better."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from accordant.feedback.conversations import (
    Messages,
    common_length,
    is_transcript,
    mixed_forms,
    parse_text,
    parse_transcript,
    role_of,
    split_conversation,
)
from accordant.feedback.kind import Asked, Kind
from accordant.feedback.records import Comparison, Origin, Text
from accordant.feedback.row_texts import check_different, read_completion, read_prompt
from accordant.feedback.rows import Row, RowError, excerpt
from accordant.feedback.values import parse_answer, parse_count, parse_list, parse_number

# What a comparison may say beyond which answer is better, with other tools' names for it. Of
# several spellings the first is taken: who does not need them must not stumble over them.
DETAILS = {
    "votes": "",
    "votes_chosen": "chosen_votes",
    "votes_rejected": "rejected_votes",
    "score_chosen": "chosen_score chosen_rating rating_chosen chosen_reward chosen-rating "
    "chosen_avg_rating",
    "score_rejected": "rejected_score rejected_rating rating_rejected rejected_reward "
    "rejected-rating rejected_avg_rating",
    "margin": "",
}
SENTENCE_END = re.compile(r"[.?!](?=\s)")


def build(row: Row, origin: Origin) -> tuple[Comparison, ...]:
    """Make a comparison; without a `prompt` column the prompt is what both answers begin with."""
    wholes = row.require("chosen"), row.require("rejected")
    # Tulu 3 and UltraFeedback repeat the first question as a string beside whole conversations.
    if "prompt" in row.values and not _repeats_prompt(row.values["prompt"], wholes):
        prompt = read_prompt(row)
        chosen, rejected = (read_completion(row, name, prompt) for name in ("chosen", "rejected"))
    else:
        prompt, chosen, rejected = _read_implicit(row)
    with row.at("rejected"):
        check_different(chosen, rejected)
    margin = row.read("margin", parse_number) if row.has("margin") else None
    return (Comparison(prompt, chosen, rejected, origin, _votes(row), _rewards(row), margin),)


def _repeats_prompt(prompt: object, wholes: tuple[object, object]) -> bool:
    """Tell whether the prompt is a string that a conversation holds as a user message."""
    if not isinstance(prompt, str) or not all(isinstance(w, list) and len(w) > 1 for w in wholes):
        return False
    messages = [m for w in wholes if isinstance(w, list) for m in w if role_of(m) == "user"]
    return any(m.get("content", m.get("value")) == prompt for m in messages)


def _read_implicit(row: Row) -> tuple[Text, Text, Text]:
    """Read the prompt that chosen and rejected share, and both without it.

    Conversations share all but their last message, other texts their common beginning.
    """
    chosen, rejected = row.read("chosen", parse_text), row.read("rejected", parse_text)
    with row.at("rejected"):
        check_different(chosen, rejected)
        if isinstance(chosen, str) and isinstance(rejected, str):
            # Turns tell where a prompt ends even where both answers begin alike.
            if not (is_transcript(chosen) and is_transcript(rejected)):
                return _split_plain(row, chosen, rejected)
            chosen, rejected = parse_transcript(chosen), parse_transcript(rejected)
        if isinstance(chosen, str) or isinstance(rejected, str):
            raise mixed_forms(
                "one of chosen and rejected is plain text and the other a list of messages."
            )
        if not chosen or not rejected:
            with row.at("rejected" if chosen else "chosen"):
                raise RowError("empty completion", "the conversation has no messages.")
        _check_same_prompt(chosen, rejected)
        with row.at("chosen"):
            prompt, answer = split_conversation(chosen)
        return prompt, answer, split_conversation(rejected)[1]


def _check_same_prompt(chosen: Messages, rejected: Messages) -> None:
    """Require that two conversations differ in their last messages only."""
    if chosen[:-1] == rejected[:-1]:
        return
    pairs = enumerate(zip(chosen[:-1], rejected[:-1], strict=False), 1)
    parting = next((n for n, (a, b) in pairs if a != b), min(len(chosen), len(rejected)))
    raise RowError(
        "chosen and rejected have different prompts",
        f"chosen ({len(chosen)} messages) and rejected ({len(rejected)} messages) part at message "
        f"{parting}, expected them to differ in the last message only.",
        "Remove the row, or compare whole conversations with the columns chosen_prompt, "
        "chosen, rejected_prompt, rejected.",
    )


def _split_plain(row: Row, chosen: str, rejected: str) -> tuple[str, str, str]:
    length = common_length(chosen, rejected)
    if length == min(len(chosen), len(rejected)):
        # One continues the other: without the cut below the shorter would have no completion.
        length = max(length - 1, 0)
    cut = _sensible_cut(chosen[:length])
    if cut == 0:
        raise RowError(
            "no common prompt",
            f"chosen and rejected share no beginning to take as the prompt: "
            f"{excerpt(chosen, 30)} and {excerpt(rejected, 30)}.",
            "Add a column `prompt` (an empty string where there is none).",
        )
    with row.at("chosen"):
        answer = parse_answer(chosen[cut:])
    return chosen[:cut], answer, parse_answer(rejected[cut:])


def _sensible_cut(shared: str) -> int:
    """Find where a common beginning is a prompt: after a line, a sentence or a word."""
    # Two answers often begin alike ("Sure, "), which is no part of what was asked.
    line = shared.rfind("\n") + 1
    if line and shared[:line].strip():
        return line
    if ends := [match.end() for match in SENTENCE_END.finditer(shared)]:
        return ends[-1]
    # The blank goes with the completion, as byte-pair tokens carry their leading blank.
    return max(len(shared.rstrip(" ")) if shared.endswith(" ") else shared.rfind(" "), 0)


def _rewards(row: Row) -> tuple[float, float] | None:
    if not row.has("score_chosen") and not row.has("score_rejected"):
        return None
    return row.read("score_chosen", parse_number), row.read("score_rejected", parse_number)


def _votes(row: Row) -> tuple[int, int] | None:
    """Read how many preferred the chosen and the rejected answer: a list, an object or two columns.

    Votes against the choice are refused: the two counts were most likely exchanged.
    """
    # What is at fault is shown at the second count, wherever it was written.
    columns = ("votes_chosen", "votes_rejected")
    if row.has("votes"):
        columns = ("votes", "votes")
        with row.at("votes"):
            chosen, rejected = map(parse_count, _parse_votes(row.require("votes")))
    elif any(map(row.has, columns)):
        chosen, rejected = (row.read(column, parse_count) for column in columns)
    else:
        return None
    if chosen < rejected or chosen == 0:
        raise RowError(
            "votes do not support the choice",
            f"{chosen} voted for chosen and {rejected} for rejected.",
            "Exchange the two counts, or chosen and rejected, or remove the row.",
            row.name(columns[1]),
        )
    return chosen, rejected


def _parse_votes(value: object) -> tuple[object, object]:
    if isinstance(value, Mapping):
        return value.get("chosen"), value.get("rejected")
    votes = parse_list(value)
    if len(votes) != 2:
        message = f"found {len(votes)} numbers, expected votes for chosen and for rejected."
        raise RowError("lengths do not match", message)
    return votes[0], votes[1]


def find_details(columns: Collection[str], first_row: Mapping[str, object]) -> dict[str, str]:
    """Find the columns of votes, scores and margin, by canonical name.

    Numbers that mean something only together are taken together. A column of another type than it
    should be is somebody else's, and left alone.
    """
    columns_of = {}
    for name, aliases in DETAILS.items():
        types = (list, tuple, dict) if name == "votes" else (int, float)
        spellings = (name, *aliases.split())
        fitting = [c for c in spellings if c in columns and type(first_row.get(c)) in types]
        if fitting:
            columns_of[name] = fitting[0]
    # One half without the other is a number of somebody else's.
    for pair in ({"votes_chosen", "votes_rejected"}, {"score_chosen", "score_rejected"}):
        if not columns_of.keys() >= pair:
            columns_of = {name: column for name, column in columns_of.items() if name not in pair}
    return columns_of


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
    asked=lambda record: (
        Asked(record.prompt, (("chosen", record.chosen), ("rejected", record.rejected))),
    ),
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
