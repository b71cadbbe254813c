"""Records to text, and text to token trees: the one place where the two are joined.

Knows records, chat templates and tokenizers. Knows nothing of models, losses or files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from accordant.base.errors import UserError
from accordant.feedback.kinds import kind_of_record
from accordant.feedback.records import Message, Record, Text, flat
from accordant.tokens.examples import Example
from accordant.tokens.lengths import Lengths
from accordant.tokens.limits import Truncation, example_length, limit_examples
from accordant.tokens.template import (
    END_OF_THOUGHT,
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
    return _render(record, read_format(tokenizer, rendering))


def encode_prompt(
    prompt: Text, tokenizer: PreTrainedTokenizerBase, rendering: Rendering
) -> tuple[int, ...]:
    """Return token ids of a prompt, ready for generation: those the trees of `encode` begin with.

    Raises:
        UserError: a conversation without a chat template, or a template that refuses it.
    """
    form = read_format(tokenizer, rendering)
    text = _prompt_text(_as_messages(prompt, form), form)
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
    examples: list[Example] = []
    # One object per token id: a token of a tuple then takes 8 bytes and not 40.
    vocabulary = list(range(len(tokenizer)))
    for start in range(0, len(records), CHUNK):
        places = range(start, min(start + CHUNK, len(records)))
        texts = [_render_at(records[place], form, names[place]) for place in places]
        trees = join_trees(list(chain.from_iterable(texts)), form)
        for place, rendered in zip(places, texts, strict=True):
            interned = [_intern(next(trees), vocabulary) for _ in rendered]
            examples.append(_example(records[place], place, interned, form, names[place]))
        if progress is not None:
            progress(len(examples), len(records))
    all_trees = [tree for example in examples for tree in example.trees]
    lengths = Lengths(
        prompts=tuple(len(tree.prompt) for tree in all_trees),
        continuations=tuple(len(ids) for tree in all_trees for ids in tree.continuations),
        sequences=tuple(map(example_length, examples)),
    )
    limited = limit_examples(examples, max_tokens, truncation, tokenizer.bos_token_id)
    return Encoded(
        examples=limited.examples,
        lengths=lengths,
        truncated=limited.truncated,
        dropped=limited.dropped,
        truncated_first=tuple(names[place] for place in limited.truncated[:3]),
        dropped_first=tuple(names[place] for place in limited.dropped[:3]),
        end_of_turn_ids=form.stop_ids,
        notes=_notes(form),
    )


def _name_records(records: Sequence[Record]) -> list[str]:
    """Return where each record was read, told apart where several come from one row."""
    counts: Counter[str] = Counter()
    names = []
    for number, record in enumerate(records, 1):
        name = str(record.origin or f"record {number}")
        counts[name] += 1
        names.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return names


# --- text ---------------------------------------------------------------------------------------


def _render_at(record: Record, form: Format, where: str) -> tuple[RenderedTree, ...]:
    try:
        return _render(record, form)
    except UserError as error:
        raise UserError(error.message, where=where, mend=error.mend) from None


def _render(record: Record, form: Format) -> tuple[RenderedTree, ...]:
    kind = kind_of_record(record)
    trees = []
    for asked in kind.asked(record):
        answers = tuple(text for _, text in asked.answers)
        if kind.separator is not None:
            whole = kind.separator.join(map(flat, answers))
            plain = isinstance(asked.prompt, str)
            answers = (whole if plain else (Message("assistant", whole),),)
        if kind.reread is not None:
            reread = kind.reread(record, form.rendering.judgment_prompt)
            trees.append(_render_tree(reread, answers, form))
        trees.append(_render_tree(asked.prompt, answers, form))
    return tuple(trees)


def _render_tree(prompt: Text, answers: tuple[Text, ...], form: Format) -> RenderedTree:
    messages = _as_messages(prompt, form)
    text = _prompt_text(messages, form)
    if isinstance(messages, str):
        return RenderedTree(text, tuple(map(str, answers)))
    continuations = []
    for answer in answers:
        turn = (Message("assistant", answer),) if isinstance(answer, str) else answer
        content = turn[-1].content
        if form.drops_thoughts and END_OF_THOUGHT in content:
            # Left to the template both answers may become the same few tokens.
            continuations.append(content)
            continue
        turns = (*messages, *turn)
        whole = apply_template(turns, form.tokenizer, form.rendering, for_answer=False)
        if not whole.startswith(text):
            if END_OF_THOUGHT in content:
                raise UserError(
                    "the chat template writes another prompt before an answer with thoughts than "
                    "generation is given.",
                    mend="Give a template for thinking with `--chat-template FILE`, or leave the "
                    "thoughts out of the answers.",
                )
            raise rewrites_history()
        # From the last special token on: a prompt may open the thought that the answer begins with.
        begin = text.rfind(form.border[0]) if form.border else 0
        if not _is_written(content, whole[max(begin, 0) :]):
            raise UserError(
                "the chat template leaves out a part of the answer.",
                mend="Give a template that writes all of it with `--chat-template FILE`, or plain "
                "text with `--chat never`.",
            )
        continuations.append(_answer_text(whole[len(text) :], form))
    return RenderedTree(text, tuple(continuations))


def _is_written(content: str, text: str) -> bool:
    """Tell whether a text holds an answer, whatever white space the template took off or put in."""
    return content.strip() in text or "".join(content.split()) in "".join(text.split())


def _as_messages(prompt: Text, form: Format) -> Text:
    """Make a plain prompt a user message where a template is applied."""
    if form.chat:
        if not isinstance(prompt, str):
            return prompt
        if form.end_text not in prompt:
            return (Message("user", prompt),)
        raise UserError(
            f"the prompt already holds the chat template's '{form.end_text}'.",
            mend="Keep text that was rendered before with `--chat never`, or give its messages.",
        )
    if isinstance(prompt, str):
        return prompt
    if form.rendering.chat == "never":
        raise UserError(
            "conversations cannot be kept as plain text.",
            mend="Leave out `--chat never`, or give prompt and completion as strings.",
        )
    raise no_template("")


def _prompt_text(prompt: Text, form: Format) -> str:
    if isinstance(prompt, str):
        return prompt
    text = apply_template(prompt, form.tokenizer, form.rendering, for_answer=True)
    return text.removesuffix(form.surplus)


def _answer_text(text: str, form: Format) -> str:
    """Cut what the template writes after the answer: the end-of-turn token and what follows it."""
    if not text.endswith(form.tail):
        text = text[: text.rfind(form.end_text)] if form.end_text in text else text
    text = text.removesuffix(form.tail)
    # The token would swallow these blanks as well when the conversation is read as a whole.
    return text.rstrip() if form.end_strips_left else text


# --- tokens -------------------------------------------------------------------------------------


def _example(
    record: Record, index: int, trees: Sequence[TokenTree], form: Format, where: str
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
        trees=tuple(trees),
        index=index,
        label=kind.label(record),
        rewards=kind.rewards(record),
        numbers=kind.numbers(record),
        id=where,
    )


def _intern(tree: TokenTree, vocabulary: Sequence[int]) -> TokenTree:
    prompt, *continuations = (
        tuple(map(vocabulary.__getitem__, ids)) for ids in (tree.prompt, *tree.continuations)
    )
    return TokenTree(prompt, tuple(continuations))


def _notes(form: Format) -> tuple[str, ...]:
    notes = []
    if form.surplus:
        notes.append(
            f"The template's generation prompt ends in {form.surplus!r}, which its text of whole "
            "conversations lacks: answers are trained, and generated here, without it."
        )
    if form.opening:
        notes.append(
            f"The template writes {form.opening!r} before every answer: it is trained as a part of "
            "them."
        )
    if form.drops_thoughts:
        notes.append(
            "The template leaves thoughts out of answers: where rows have `<think>...</think>`, "
            "it is trained as it stands there."
        )
    if form.chat and not form.writes_end:
        notes.append(
            f"The template ends answers with no special token: '{form.end_text}' is put there."
        )
    return tuple(notes)
