"""What is known of a kind of feedback: one frozen record, which every room reads.

Knows rows, texts and records. Knows nothing of tokens, scores or of the kinds there are: each is a
file of `feedback.kinds`, and a branch on the kind elsewhere is a field that is missing here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from accordant.feedback.records import Origin, Record, Text
from accordant.feedback.rows import Row

R = TypeVar("R", bound=Record)

# Columns that many kinds share; the others of a layout tell kinds apart.
SHARED_COLUMNS = frozenset({"prompt", "messages", "completion"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt and its answers.

    Args:
        prompt: plain or conversational.
        answers: with what each is called, in the order of the record.
        name: what the prompt is called.
    """

    prompt: Text
    answers: tuple[tuple[str, Text], ...]
    name: str = "prompt"


@dataclass(frozen=True, slots=True)
class SpreadField:
    """A field whose object may be spread over several columns, one for each of its keys.

    Args:
        name: of the field; a column `NAME.KEY` always belongs to it.
        known: keys that are columns of this field wherever they occur.
        foreign: columns of numbers that never belong to it.
    """

    name: str
    known: frozenset[str]
    foreign: frozenset[str]

    def holds(self, column: str) -> bool:
        """Tell whether a column belongs to the field by its name."""
        return column in self.known or column.startswith(f"{self.name}.")


def asked_once(record: Record) -> tuple[Asked, ...]:
    """Return the prompt and the one answer of a record that has a `prompt` and a `completion`."""
    return (Asked(record.prompt, (("answer", record.completion),)),)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Kind(Generic[R]):
    """A kind of feedback.

    Args:
        name: as users write it, `--record-type NAME`.
        record: class of its records.
        layouts: columns a row may give it in, canonical names, `"prompt completion"`; those that
            include another kind's columns win.
        build: one row to its records, values checked; raises `RowError`.
        asked: prompts and answers of a record; each prompt becomes a token tree.
        usual: the objective that is taken when none is named; empty where there is none.
        becomes: how to rewrite records of this kind as those of another, by its name.
        optional: columns that belong to a record without deciding its kind.
        aliases: other tools' names of a column. They count where the columns that tell this kind
            from others are there.
        details: fields that say more of a record.
        find_details: columns that hold them, by field: `find_details(columns, first_row)`.
        spread: a field that may be spread over several columns.
        separator: what joins the answers where they are parts of one; None where each stands alone.
        reread: the prompt an answer is read with once more, before its own; takes a record and the
            wording of the prompt. Both readings must be of the same tokens.
        preferred: places (better, worse) in the answers of a record, for each preference it tells.
        empty: why records as a whole tell no answer from another, beyond their preferences; empty
            where they do.
        remarks: what a record says of its answers, as (name, text).
        label: thumb or verdict of a record.
        label_column: what users call it.
        attributes: how its answer was rated, by what was rated of it.
        rewards: numbers that the answers were ordered by, in their order.
        numbers: what a record says in numbers beyond its kind, by name.
    """

    name: str
    record: type[R]
    layouts: tuple[str, ...]
    build: Callable[[Row, Origin], tuple[R, ...]]
    asked: Callable[[R], tuple[Asked, ...]] = asked_once
    usual: str = ""
    becomes: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    details: tuple[str, ...] = ()
    find_details: Callable[[Collection[str], Mapping[str, object]], Mapping[str, str]] = (
        lambda _columns, _first_row: {}
    )
    spread: SpreadField | None = None
    separator: str | None = None
    reread: Callable[[R, str], Text] | None = None
    preferred: Callable[[R], tuple[tuple[int, int], ...]] = lambda _: ()
    empty: Callable[[Sequence[R]], str] = lambda _: ""
    remarks: Callable[[R], tuple[tuple[str, str], ...]] = lambda _: ()
    label: Callable[[R], bool | None] = lambda _: None
    label_column: str = "label"
    attributes: Callable[[R], Mapping[str, float]] = lambda _: {}
    rewards: Callable[[R], tuple[float, ...] | None] = lambda _: None
    numbers: Callable[[R], dict[str, tuple[float, ...]]] = lambda _: {}
