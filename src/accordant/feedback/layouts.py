"""Layouts of published data sets, rewritten into the columns that kinds read: one table.

Knows columns, and how their values name the better of two answers. Knows nothing of files, kinds
or records. A layout that only calls a column otherwise belongs in `recognition.ALIASES`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from accordant.feedback.records import Origin
from accordant.feedback.rows import TIE, BadRow, RawRow, Row, RowError, excerpt, kind_of
from accordant.feedback.values import parse_list, parse_number

Values = Mapping[str, object]

PAIR = frozenset({"chosen", "rejected"})
# Who won: positive for the first answer, negative for the second, 0 for neither.
WINNERS = {
    **dict.fromkeys(("a", "model_a", "response_a"), 1.0),
    **dict.fromkeys(("b", "model_b", "response_b"), -1.0),
    **dict.fromkeys(("tie", "tie (bothbad)", "bothbad", "both_bad"), 0.0),
}


Rewriting = Callable[[Iterable[RawRow | BadRow]], Iterator[RawRow | BadRow]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns that say in another way what those of a kind say.

    Args:
        data: data sets that come in it, for people.
        columns: names that are all there in it; the record is made of them.
        rewrite: makes rows in the columns of a kind of all rows.
        without: names that are not there in it.
        when: tells it further by the first values of its columns.
        shown: what users are told of a column that the rewriting makes.
        verdict: columns in whose place users may name others with `--columns`.
    """

    data: str
    columns: frozenset[str]
    rewrite: Rewriting
    without: frozenset[str] = PAIR
    when: Callable[[Values], bool] = lambda _: True
    shown: Mapping[str, str] = field(default_factory=dict)
    verdict: tuple[str, ...] = ()

    def fits(self, firsts: Values) -> bool:
        """Tell whether a table has this layout, by a value of each of its columns."""
        names = firsts.keys()
        return names >= self.columns and not names & self.without and self.when(firsts)


def each(columns: frozenset[str], make: Callable[[Row], dict[str, object]]) -> Rewriting:
    """Make a rewriting row by row: `make` gives columns of a kind in the place of `columns`."""

    def rewrite(rows: Iterable[RawRow | BadRow]) -> Iterator[RawRow | BadRow]:
        for row in rows:
            if isinstance(row, BadRow):
                yield row
                continue
            try:
                made = make(Row(row.values, {}))
            except RowError as error:
                yield BadRow.of(row.origin, error)
                continue
            others = {name: v for name, v in row.values.items() if name not in columns}
            yield RawRow(row.origin, others | made)

    return rewrite


def two_answers(
    data: str,
    columns: str,
    judge: Callable[..., float],
    *,
    prompt: str = "prompt",
    is_margin: bool = False,
    read_whole: Callable[[Row, str], object] | None = None,
) -> Layout:
    """Make the layout of two answers and a verdict; ties are left out and counted.

    Args:
        data: data sets that come in it.
        columns: names of those of both answers, then of those that `judge` takes the values of.
        judge: gives a positive number where the first answer is better, negative for the second.
        prompt: its column; empty where both answers are whole conversations.
        is_margin: whether the size of that number says by how much.
        read_whole: makes an answer's column, with the prompt, a whole conversation.
    """
    first, second, *verdict = columns.split()
    either = f"{first} or {second}"

    def make(row: Row) -> dict[str, object]:
        read = read_whole or Row.require
        texts = [read(row, column) for column in (first, second)]
        with row.at(verdict[0]):
            lead = judge(*(row.require(column) for column in verdict))
            if not lead:
                raise RowError(TIE, "neither answer was judged to be better.")
        asked = None if read_whole or not prompt else row.require(prompt)
        if isinstance(asked, list):
            # HelpSteer 3 answers a conversation in plain text.
            texts = [{"role": "assistant", "content": text} for text in texts]
        made = {"chosen": texts[lead < 0], "rejected": texts[lead > 0]}
        if asked is not None:
            # WebGPT's question is an object.
            made["prompt"] = asked.get("full_text") if isinstance(asked, dict) else asked
        return made | ({"margin": abs(lead)} if is_margin else {})

    shown = {"prompt": prompt or either, "chosen": either, "rejected": either}
    names = frozenset(f"{prompt} {columns}".split())
    return Layout(data, names, each(names, make), shown=shown, verdict=tuple(verdict))


def renamed(data: str, *, without: str = "", **columns: str) -> Layout:
    """Make the layout of columns that only in each other's company mean what a kind's mean."""

    def make(row: Row) -> dict[str, object]:
        return {name: row.values.get(column) for name, column in columns.items()}

    names = frozenset(columns.values())
    return Layout(data, names, each(names, make), frozenset(without.split()), shown=columns)


def _find_winner(value: object) -> float:
    name = str(value).strip().lower()
    if name not in WINNERS:
        shown = excerpt(value) if isinstance(value, str) else kind_of(value)
        raise RowError(
            "unknown winner",
            f"found {shown}, expected one of {', '.join(WINNERS)}.",
            "Write which answer won.",
        )
    return WINNERS[name]


def _find_index(value: object) -> float:
    if isinstance(value, bool) or value not in (0, 1):
        raise RowError("unknown winner", f"found {excerpt(str(value))}, expected 0 or 1.")
    return 1.0 if value == 0 else -1.0


def _subtract(first: object, second: object) -> float:
    return parse_number(first) - parse_number(second)


def _read_turns(row: Row, column: str) -> list[dict[str, str]]:
    """Join the questions in `prompt` and the answers in a column, lists of texts or their JSON."""

    def parse(value: object) -> list[str]:
        try:
            value = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise RowError("broken JSON", "the list of turns is not JSON.") from None
        return ["" if text is None else str(text) for text in parse_list(value)]

    turns = zip(row.read("prompt", parse), row.read(column, parse), strict=False)
    return [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]


def _make_ranking(row: Row) -> dict[str, object]:
    """Read UltraFeedback's objects of an answer and what it was rated."""
    with row.at("completions"):
        answers = parse_list(row.require("completions"))
        scored = [answer for answer in answers if isinstance(answer, dict)]
        texts = [answer.get("response") for answer in scored]
        rewards = [answer.get("overall_score") for answer in scored]
    return {"prompt": row.require("instruction"), "completions": texts, "rewards": rewards}


def _holds_objects(firsts: Values) -> bool:
    answers = firsts["completions"]
    return isinstance(answers, list) and bool(answers) and isinstance(answers[0], dict)


def _make_pair(row: Row) -> dict[str, object]:
    with row.at("output"):
        answers = parse_list(row.require("output"))
        if len(answers) != 2:
            message = f"found {len(answers)} answers, expected the better one and the other."
            raise RowError("lengths do not match", message)
    return {"chosen": answers[0], "rejected": answers[1]}


def _gather_replies(rows: Iterable[RawRow | BadRow]) -> Iterator[RawRow | BadRow]:
    """Make a ranking of every message of a user that several ranked answers reply to."""
    messages: dict[object, Values] = {}
    origin: Origin | None = None
    replies: dict[object, list[RawRow]] = {}
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        messages[row.values.get("message_id")] = row.values
        origin = row.origin
        if row.values.get("role") == "assistant" and row.values.get("rank") is not None:
            replies.setdefault(row.values.get("parent_id"), []).append(row)
    if origin is not None and not any(len(answers) > 1 for answers in replies.values()):
        yield BadRow(origin, "no ranking", "no message up to here has several ranked replies.")
    for asked, answers in replies.items():
        turns: list[dict[str, object]] = []
        at = asked
        # Parents may stand behind their replies, so the path is walked when all have been read.
        while (message := messages.get(at)) is not None and len(turns) < len(messages):
            turns.insert(0, {"role": message.get("role"), "content": message.get("text")})
            at = message.get("parent_id")
        if len(answers) > 1:
            texts = [{"role": "assistant", "content": row.values.get("text")} for row in answers]
            ranks = [row.values.get("rank") for row in answers]
            made = {"prompt": turns, "completions": texts, "ranks": ranks}
            yield RawRow(answers[0].origin, made)


SCORED, OUTPUT = frozenset({"instruction", "completions"}), frozenset({"output"})
# The first that fits counts.
LAYOUTS = (
    two_answers(
        "lmsys/chatbot_arena_conversations, lmarena-ai/arena-human-preference-100k",
        "conversation_a conversation_b winner",
        _find_winner,
        prompt="",
    ),
    two_answers(
        "lmarena-ai/arena-human-preference-55k",
        "response_a response_b winner_model_a winner_model_b",
        _subtract,
        read_whole=_read_turns,
    ),
    two_answers("two answers and a winner", "response_a response_b winner", _find_winner),
    two_answers(
        "PKU-Alignment/PKU-SafeRLHF", "response_0 response_1 better_response_id", _find_index
    ),
    two_answers(
        "stanfordnlp/SHP",
        "human_ref_A human_ref_B labels",
        # There 1 means that the first answer was preferred.
        lambda label: -_find_index(label),
        prompt="history",
    ),
    two_answers(
        "nvidia/HelpSteer3",
        "response1 response2 overall_preference",
        # From -3, the first answer is much better, to 3, the second is.
        lambda preference: -parse_number(preference),
        prompt="context",
        is_margin=True,
    ),
    two_answers(
        "nvidia/HelpSteer2 (preference)",
        "response_1 response_2 preference_strength",
        lambda preference: -parse_number(preference),
        is_margin=True,
    ),
    two_answers(
        "openai/webgpt_comparisons",
        "answer_0 answer_1 score_0 score_1",
        _subtract,
        prompt="question",
        is_margin=True,
    ),
    renamed(
        "argilla/ultrafeedback-binarized-preferences",
        prompt="instruction",
        chosen="chosen_response",
        rejected="rejected_response",
        without="chosen rejected",
    ),
    renamed(
        "argilla/distilabel-intel-orca-dpo-pairs",
        prompt="input",
        chosen="chosen",
        rejected="rejected",
        without="prompt question query instruction messages conversations conversation",
    ),
    Layout(
        "openbmb/UltraFeedback",
        SCORED,
        each(SCORED, _make_ranking),
        when=_holds_objects,
        shown={"prompt": "instruction", "rewards": "completions"},
    ),
    renamed(
        "distilabel: generations and ratings",
        prompt="instruction",
        completions="generations",
        rewards="ratings",
        without="chosen rejected",
    ),
    Layout(
        "OpenAssistant/oasst1",
        frozenset({"message_id", "parent_id", "text", "role", "rank"}),
        _gather_replies,
        shown={"prompt": "text", "completions": "text", "ranks": "rank"},
    ),
    Layout(
        "LLaMA-Factory: a list of the better and the worse output",
        OUTPUT,
        each(OUTPUT, _make_pair),
        when=lambda firsts: isinstance(firsts["output"], list),
        shown={"chosen": "output", "rejected": "output"},
    ),
)


def find_layout(firsts: Values) -> Layout | None:
    """Find the layout of a table by a value of each of its columns; None where kinds read it."""
    return next((layout for layout in LAYOUTS if layout.fits(firsts)), None)
