"""Records to text, and text to token trees: the one place where the two are joined.

Knows records, chat templates and tokenizers. Knows nothing of models, losses or files.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.feedback.kinds import kind_of_record
from accordant.feedback.records import Message, Record, Text, flat
from accordant.tokens.examples import Example
from accordant.tokens.lengths import Lengths
from accordant.tokens.limits import (
    Truncation,
    example_length,
    limit_examples,
)
from accordant.tokens.template import (
    Format,
    Rendering,
    applies_template,
    apply_template,
    end_of_turn_ids,
    no_template,
    read_format,
    rewrites_history,
)
from accordant.tokens.tokenizing import RenderedTree, begin_prompt, join_trees, prompt_ids
from accordant.tokens.trees import TokenTree

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "Encoded",
    "RenderedTree",
    "Rendering",
    "Truncation",
    "applies_template",
    "encode",
    "encode_prompt",
    "end_of_turn_ids",
    "render",
]

CHUNK = 512


@dataclass(frozen=True, slots=True)
class Encoded:
    """Records in tokens, and what happened to them on the way.

    Args:
        examples: in the order of the records; `Example.index` is the record's place.
        lengths: tokens of all records, before truncation.
        truncated: places of records whose prompt was cut.
        dropped: places of records that were left out.
        truncated_first: first rows that were cut, named for people.
        dropped_first: first rows that were left out, named for people.
        end_of_turn_ids: the first ends every continuation; generation stops at any of them.
        notes: what a user should know about the template.
    """

    examples: tuple[Example, ...]
    lengths: Lengths
    truncated: tuple[int, ...]
    dropped: tuple[int, ...]
    truncated_first: tuple[str, ...]
    dropped_first: tuple[str, ...]
    end_of_turn_ids: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def describe_limits(self) -> list[str]:
        """Say how many records were cut or left out for their length; empty when none was."""
        total = len(self.lengths.sequences)
        lines = []
        for done, places, first in (
            ("Cut the prompt of", self.truncated, self.truncated_first),
            ("Dropped for their length", self.dropped, self.dropped_first),
        ):
            if places:
                more = "; ..." if len(places) > len(first) else ""
                shown = "; ".join(first)
                lines.append(f"{done} {len(places):,} of {total:,} records: {shown}{more}")
        return lines


def render(
    record: Record, tokenizer: PreTrainedTokenizerBase, rendering: Rendering
) -> tuple[RenderedTree, ...]:
    """Write a record as text: one tree, or two.

    A joint pair gives one for the chosen and one for the rejected side, a judgment one with the
    judgment in the prompt and one without.

    Raises:
        UserError: conversations without a chat template, or a template that refuses them.
    """
    return _render(record, tokenizer, rendering, read_format(tokenizer, rendering))


def encode_prompt(
    prompt: Text, tokenizer: PreTrainedTokenizerBase, rendering: Rendering
) -> tuple[int, ...]:
    """Return token ids of a prompt, ready for generation: those the trees of `encode` begin with.

    Raises:
        UserError: a conversation without a chat template, or a template that refuses it.
    """
    form = read_format(tokenizer, rendering)
    text = _prompt_text(_as_messages(prompt, form, rendering), tokenizer, rendering, form)
    return begin_prompt(tuple(prompt_ids([text], tokenizer)[0]), form)


def encode(
    records: Sequence[Record],
    tokenizer: PreTrainedTokenizerBase,
    rendering: Rendering,
    *,
    max_tokens: int | None,
    truncation: Truncation = "error",
    progress: Callable[[int, int], None] | None = None,
) -> Encoded:
    """Turn records into token trees.

    Args:
        records: validated records.
        tokenizer: a tokenizer of transformers; no model is needed.
        rendering: how records become text.
        max_tokens: tokens a prompt and one continuation may have together; None for no limit.
        truncation: what to do with longer ones; `truncate-prompt-left` cuts prompts from the left,
            never answers, and drops records whose answer alone is too long.
        progress: called with records done and records in all.

    Raises:
        UserError: a record the template or the limit refuses, or one whose answer holds the
            end-of-turn token; names its row.
    """
    form = read_format(tokenizer, rendering)

    names = _name_records(records)
    place = names.__getitem__
    examples: list[Example] = []
    # One object per token id: a token of a tuple then takes 8 bytes and not 40.
    vocabulary = list(range(len(tokenizer)))
    for start in range(0, len(records), CHUNK):
        indices = range(start, min(start + CHUNK, len(records)))
        texts = [_render_at(records[i], tokenizer, rendering, form, place(i)) for i in indices]
        trees = join_trees(list(itertools.chain.from_iterable(texts)), tokenizer, form)
        for index, rendered in zip(indices, texts, strict=True):
            own = [next(trees) for _ in rendered]
            examples.append(_example(records[index], index, own, vocabulary, form, place(index)))
        if progress is not None:
            progress(len(examples), len(records))
    lengths = _lengths(examples)
    limited = limit_examples(examples, max_tokens, truncation, tokenizer.bos_token_id)
    return Encoded(
        examples=limited.examples,
        lengths=lengths,
        truncated=limited.truncated,
        dropped=limited.dropped,
        truncated_first=tuple(map(place, limited.truncated[:3])),
        dropped_first=tuple(map(place, limited.dropped[:3])),
        end_of_turn_ids=end_of_turn_ids(tokenizer, rendering),
        notes=_notes(form),
    )


def _name_records(records: Sequence[Record]) -> list[str]:
    """Return where each record was read, told apart where several come from one row."""
    counts: dict[str, int] = {}
    names = []
    for number, record in enumerate(records, 1):
        name = str(record.origin or f"record {number}")
        counts[name] = counts.get(name, 0) + 1
        names.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return names


# --- text ---------------------------------------------------------------------------------------


def _render_at(
    record: Record,
    tokenizer: PreTrainedTokenizerBase,
    rendering: Rendering,
    form: Format,
    where: str,
) -> tuple[RenderedTree, ...]:
    try:
        return _render(record, tokenizer, rendering, form)
    except UserError as error:
        raise UserError(error.message, where=where, mend=error.mend) from None


def _render(
    record: Record, tokenizer: PreTrainedTokenizerBase, rendering: Rendering, form: Format
) -> tuple[RenderedTree, ...]:
    return tuple(
        _render_tree(prompt, answers, tokenizer, rendering, form)
        for prompt, answers in _prompts_and_answers(record, rendering)
    )


def _prompts_and_answers(
    record: Record, rendering: Rendering
) -> Iterator[tuple[Text, tuple[Text, ...]]]:
    kind = kind_of_record(record)
    for asked in kind.asked(record):
        answers = tuple(text for _, text in asked.answers)
        if kind.separator is not None:
            whole = kind.separator.join(map(flat, answers))
            plain = isinstance(asked.prompt, str)
            answers = (whole if plain else (Message("assistant", whole),),)
        if kind.reread is not None:
            yield kind.reread(record, rendering.judgment_prompt), answers
        yield asked.prompt, answers


def _render_tree(
    prompt: Text,
    answers: tuple[Text, ...],
    tokenizer: PreTrainedTokenizerBase,
    rendering: Rendering,
    form: Format,
) -> RenderedTree:
    messages = _as_messages(prompt, form, rendering)
    text = _prompt_text(messages, tokenizer, rendering, form)
    continuations = []
    for answer in answers:
        if isinstance(messages, str):
            continuations.append(str(answer))
            continue
        turn = (Message("assistant", answer),) if isinstance(answer, str) else answer
        whole = apply_template((*messages, *turn), tokenizer, rendering, for_answer=False)
        if not whole.startswith(text):
            raise rewrites_history()
        continuations.append(_answer_text(whole[len(text) :], form))
    return RenderedTree(text, tuple(continuations))


def _as_messages(prompt: Text, form: Format, rendering: Rendering) -> Text:
    """Make a plain prompt a user message where a template is applied."""
    if not form.chat:
        if isinstance(prompt, str):
            return prompt
        if rendering.chat == "never":
            raise UserError(
                "conversations cannot be kept as plain text.",
                mend="Leave out `--chat never`, or give prompt and completion as strings.",
            )
        raise no_template("")
    if not isinstance(prompt, str):
        return prompt
    if form.end_text in prompt:
        raise UserError(
            f"the prompt already holds the chat template's '{form.end_text}'.",
            mend="Keep text that was rendered before with `--chat never`, or give its messages.",
        )
    return (Message("user", prompt),)


def _prompt_text(
    prompt: Text, tokenizer: PreTrainedTokenizerBase, rendering: Rendering, form: Format
) -> str:
    if isinstance(prompt, str):
        return prompt
    text = apply_template(prompt, tokenizer, rendering, for_answer=True)
    return text.removesuffix(form.surplus)


def _answer_text(text: str, form: Format) -> str:
    """Cut what the template writes after the answer: the end-of-turn token and what follows it."""
    end = text.rfind(form.end_text)
    text = text[:end] if end >= 0 else text.removesuffix(form.tail)
    return text.rstrip() if form.end_strips_left else text


# --- tokens -------------------------------------------------------------------------------------


def _example(
    record: Record,
    index: int,
    trees: Sequence[TokenTree],
    vocabulary: Sequence[int],
    form: Format,
    where: str,
) -> Example:
    for tree in trees:
        if any(form.end_id in continuation[:-1] for continuation in tree.continuations):
            raise UserError(
                f"the answer holds the end-of-turn token '{form.end_text}' before its end.",
                where=where,
                mend="Remove it from the text: the model would learn to stop there.",
            )
    kind = kind_of_record(record)
    if kind.reread is not None and trees[0].continuations != trees[1].continuations:
        raise UserError(
            "the answer is tokenised in another way after the prompt with its judgment than "
            "after the prompt alone, so the two cannot be compared token by token.",
            where=where,
            mend="Let `{prompt}` stand at the end of --judgment-prompt, or begin the answer "
            "with a word.",
        )
    return Example(
        kind=kind.name,
        trees=tuple(_intern(tree, vocabulary) for tree in trees),
        index=index,
        label=kind.label(record),
        rewards=kind.rewards(record),
        numbers=kind.numbers(record),
        id=where,
    )


def _intern(tree: TokenTree, vocabulary: Sequence[int]) -> TokenTree:
    def shared(ids: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(map(vocabulary.__getitem__, ids))

    return TokenTree(shared(tree.prompt), tuple(map(shared, tree.continuations)))


def _lengths(examples: Sequence[Example]) -> Lengths:
    trees = [tree for example in examples for tree in example.trees]
    return Lengths(
        prompts=tuple(len(tree.prompt) for tree in trees),
        continuations=tuple(len(c) for tree in trees for c in tree.continuations),
        sequences=tuple(map(example_length, examples)),
    )


def _notes(form: Format) -> tuple[str, ...]:
    notes = []
    if form.surplus:
        notes.append(
            f"The template's generation prompt ends in {form.surplus!r}, which its text of whole "
            "conversations lacks: answers are trained, and generated here, without it."
        )
    if form.chat and not form.writes_end:
        notes.append(
            f"The template ends answers with no special token: '{form.end_text}' is put there."
        )
    return tuple(notes)
