"""Which record type a table of feedback holds, told from its columns.

Knows column names, their spellings in the ecosystem, and one row's values. Knows nothing of files
or records' contents.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from accordant.base.errors import UserError
from accordant.feedback.conversations import ROLES
from accordant.feedback.records import RECORD_TYPES


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns that make up one record type, by canonical name."""

    record_type: str
    columns: frozenset[str]

    def __str__(self) -> str:
        return f"{self.record_type} ({', '.join(c for c in ORDER if c in self.columns)})"


ORDER = [
    "chosen_prompt",
    "prompt",
    "messages",
    "chosen",
    "rejected_prompt",
    "rejected",
    "completion",
    "completions",
    "label",
    "labels",
    "ranks",
    "rewards",
    "scores",
    "ratings",
    "judgment",
]


def _layout(record_type: str, columns: str) -> Layout:
    return Layout(record_type, frozenset(columns.split()))


LAYOUTS = (
    _layout("demonstration", "prompt completion"),
    _layout("demonstration", "messages"),
    _layout("binary", "prompt completion label"),
    _layout("binary", "messages label"),
    _layout("comparison", "chosen rejected"),
    _layout("joint_pair", "chosen_prompt chosen rejected_prompt rejected"),
    _layout("ranking", "prompt completions"),
    _layout("ranking", "prompt completions ranks"),
    _layout("ranking", "prompt completions rewards"),
    _layout("ranking", "prompt completions scores"),
    _layout("rating", "prompt completion ratings"),
    _layout("rating", "messages ratings"),
    _layout("judgment", "prompt completion judgment"),
    _layout("judgment", "messages judgment"),
    _layout("steps", "prompt completions labels"),
)
# Columns that belong to a record without deciding its type.
OPTIONAL = ("prompt", "system", "input", "history", "is_good", "label")

# What a comparison may say beyond which answer is better, with other tools' names for it. Of
# several spellings the first is taken: who does not need them must not stumble over them.
PAIR_DETAILS = {
    "votes": (),
    "votes_chosen": ("chosen_votes",),
    "votes_rejected": ("rejected_votes",),
    "score_chosen": ("chosen_score", "chosen_rating", "rating_chosen", "chosen_reward"),
    "score_rejected": ("rejected_score", "rejected_rating", "rating_rejected", "rejected_reward"),
    "margin": (),
}

ALIASES = {
    "prompt": ("question", "query", "instruction"),
    "messages": ("conversations", "conversation"),
    "label": ("kto_tag",),
    "judgment": ("critique",),
}
COMPLETION_ALIASES = ("response", "answer", "output")
# With one of these present, a column `answer` is more likely a remark than the completion.
ANSWERS = ("completion", "chosen", "rejected", "completions", "messages")

# Attributes that are numbers in published rating sets; others need `--record-type rating`.
ATTRIBUTES = frozenset(
    [
        "helpfulness",
        "correctness",
        "coherence",
        "complexity",
        "verbosity",
        "honesty",
        "truthfulness",
        "harmlessness",
        "instruction_following",
        "safety",
        "toxicity",
        "quality",
        "overall",
        "overall_score",
        "rating",
        "score",
        "relevance",
        "fluency",
        "creativity",
        "humor",
    ]
)
NOT_ATTRIBUTES = frozenset(
    [
        "id",
        "idx",
        "index",
        "row",
        "seed",
        "turn",
        "turns",
        "length",
        "num_tokens",
        "tokens",
        "year",
        "timestamp",
    ]
)


def recognise(columns: Collection[str], first_row: Mapping[str, object]) -> str:
    """Name the record type that `columns` hold.

    Args:
        columns: column names, renamed where the user asked for it.
        first_row: a value of each column, to tell numeric attributes and where a list of messages
            ends; columns may be missing from it.

    Returns:
        a key of `RECORD_TYPES`.

    Raises:
        UserError: no record type fits, or several do and none includes the others.
    """
    present = frozenset(canonical_columns(columns, first_row))
    types = candidate_types(columns, first_row)
    if types == ["demonstration"] and "completion" in present:
        unsure = _unknown_numbers(columns, first_row)
        if len(unsure) > 1:
            raise _ambiguous(
                ["demonstration", "rating"], f"the columns {_names(unsure)} hold numbers"
            )
    if not types:
        raise _nothing_fits(columns, present)
    if len(types) > 1:
        raise _ambiguous(types, f"the columns are {_names(columns)}")
    return types[0]


def candidate_types(columns: Collection[str], first_row: Mapping[str, object]) -> list[str]:
    """List the record types that fit, without those whose columns another one includes."""
    present = frozenset(canonical_columns(columns, first_row))
    fitting = [layout for layout in LAYOUTS if layout.columns <= present]
    largest = [a for a in fitting if not any(a.columns < b.columns for b in fitting)]
    return sorted({layout.record_type for layout in largest})


def require_type(
    record_type: str, columns: Collection[str], first_row: Mapping[str, object]
) -> None:
    """Check that the record type the user named exists and can be read from `columns`."""
    if record_type not in RECORD_TYPES:
        near = difflib.get_close_matches(record_type, RECORD_TYPES, 1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise UserError(
            f"there is no record type '{record_type}'.",
            where="--record-type",
            mend=f"{hint}Choose one of {', '.join(RECORD_TYPES)}.",
        )
    present = frozenset(canonical_columns(columns, first_row))
    if record_type == "rating" and attribute_columns(columns, first_row):
        present |= {"ratings"}
    layouts = [layout for layout in LAYOUTS if layout.record_type == record_type]
    if not any(layout.columns <= present for layout in layouts):
        options = " or ".join(_names(o for o in ORDER if o in a.columns) for a in layouts)
        raise UserError(
            f"a {record_type} needs the columns {options}; found {_names(columns)}.",
            where="--record-type",
            mend="Say which column holds a field with `--columns FIELD=COLUMN`.",
        )


def canonical_columns(columns: Collection[str], first_row: Mapping[str, object]) -> dict[str, str]:
    """Map the names the builders use to the columns that hold them.

    A column under its canonical name wins over spellings of other tools. `messages` that end on
    the user's side are a prompt. Attribute columns stand under `ratings` as a whole.

    Raises:
        UserError: two columns could both be the same thing.
    """
    names = {c: c for c in (*ORDER, *OPTIONAL) if c in columns}
    for canonical, aliases in ALIASES.items():
        if canonical not in names:
            _add_alias(names, canonical, aliases, columns)
    if not any(answer in names for answer in ANSWERS):
        _add_alias(names, "completion", COMPLETION_ALIASES, columns)
    if "labels" in names and "completions" not in names:
        _add_alias(names, "completions", ("steps",), columns)
    answered = any(name in names for name in ("completion", "chosen", "completions"))
    if "messages" in names and "prompt" not in names and answered:
        last = _last_role(first_row.get(names["messages"]))
        if last in ("user", "tool"):
            names["prompt"] = names.pop("messages")
    if "ratings" not in names and any(c in ATTRIBUTES or c.startswith("ratings.") for c in columns):
        names["ratings"] = ""
    return names


def _add_alias(
    names: dict[str, str], canonical: str, aliases: tuple[str, ...], columns: Collection[str]
) -> None:
    found = [alias for alias in aliases if alias in columns]
    if len(found) > 1:
        raise UserError(
            f"the columns {_names(found)} could each be the {canonical}.",
            mend=f"Choose one, for example `--columns {canonical}={found[0]}`.",
        )
    if found:
        names[canonical] = found[0]


def pair_details(columns: Collection[str], first_row: Mapping[str, object]) -> dict[str, str]:
    """Columns of a comparison's votes, scores and margin, by the names the builders use.

    Numbers that mean something only together are taken together. A column of another kind than it
    should be is somebody else's, and left alone.
    """
    found = {}
    for name, aliases in PAIR_DETAILS.items():
        kinds = (list, tuple, dict) if name == "votes" else (int, float)
        fitting = [c for c in (name, *aliases) if c in columns and type(first_row.get(c)) in kinds]
        if fitting:
            found[name] = fitting[0]
    for one, other in (("votes_chosen", "votes_rejected"), ("score_chosen", "score_rejected")):
        if one not in found or other not in found:
            found.pop(one, None)
            found.pop(other, None)
    return found


def attribute_columns(columns: Iterable[str], first_row: Mapping[str, object]) -> list[str]:
    """List the columns that hold ratings, one attribute each.

    Columns named `ratings.ATTRIBUTE` where there are any, else attributes of published sets, else
    every column of numbers that is not an identifier.
    """
    columns = list(columns)
    named = [c for c in columns if c.startswith("ratings.")]
    known = [c for c in columns if c in ATTRIBUTES]
    return named or known or _unknown_numbers(columns, first_row)


def _unknown_numbers(columns: Iterable[str], first_row: Mapping[str, object]) -> list[str]:
    return [
        column
        for column in columns
        if type(first_row.get(column)) in (int, float)
        and column not in (*ORDER, *OPTIONAL, *ATTRIBUTES, *NOT_ATTRIBUTES)
        and not column.endswith(("_id", "_idx", "_index", "_index_level_0__"))
    ]


def _last_role(value: object) -> str | None:
    if not isinstance(value, list) or not value or not isinstance(value[-1], dict):
        return None
    role = value[-1].get("role", value[-1].get("from"))
    return ROLES.get(role) if isinstance(role, str) else None


def _names(columns: Iterable[str]) -> str:
    return ", ".join(columns) or "(none)"


def _ambiguous(types: list[str], because: str) -> UserError:
    return UserError(
        f"the record type is ambiguous between {' and '.join(types)}: {because}.",
        mend=f"Choose with `--record-type {types[0]}` (or {', '.join(types[1:])}), or say "
        "which column holds a field with `--columns FIELD=COLUMN`.",
    )


def _nothing_fits(columns: Collection[str], present: frozenset[str]) -> UserError:
    near = [layout for layout in LAYOUTS if len(layout.columns - present) == 1]
    near = [layout for layout in near if layout.columns & present]
    closest = "; ".join(
        f"for a {layout.record_type} '{next(iter(layout.columns - present))}' is missing"
        for layout in near[:3]
    )
    common = [a for a in LAYOUTS if not a.columns & {"ranks", "rewards", "scores"}]
    common = [a for a in common if "messages" not in a.columns or len(a.columns) == 1]
    return UserError(
        f"no record type fits the columns {_names(columns)}{': ' + closest if closest else ''}.",
        mend="Say which column holds a field, as in `--columns prompt=question`. Known: "
        f"{'; '.join(str(layout) for layout in common)}.",
    )
