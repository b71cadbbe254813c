"""Rendered text to token trees: where prompt and continuation meet in tokens.

Knows text, tokenizers and the format they were read to have. Knows nothing of records or models.

A prompt and its answer are tokenised as one text, so that the tokens are those the model reads when
the whole conversation is rendered. The tree's prompt is what these tokens share with the prompt's
own, as generation takes them: nearly always all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accordant.tokens.template import Format
from accordant.tokens.trees import TokenTree

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LETTER = "a"


@dataclass(frozen=True, slots=True)
class RenderedTree:
    """A prompt and its continuations as the model reads them.

    Args:
        prompt: text up to where an answer begins.
        continuations: text of each answer, without the end-of-turn token that follows it.
    """

    prompt: str
    continuations: tuple[str, ...]


def token_ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Tokenise texts as they are: no special tokens added, nothing cut."""
    if not texts:
        return []
    encoded = tokenizer(
        list(texts),
        add_special_tokens=False,
        padding=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    return list(encoded["input_ids"])


def prompt_ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Tokenise prompts as they are when a letter follows; alone where they would merge with it.

    A single blank at the end is left to the answer, which begins with a token that carries it.
    """
    # Alone a text may end otherwise: GPT-2's rules merge two line breaks at the end of a text, and
    # part them when a word follows.
    letter = tokenizer.convert_tokens_to_ids(LETTER)
    carries_blank = token_ids([f"b {LETTER}"], tokenizer)[0][-1]
    followed = token_ids([text + LETTER for text in texts], tokenizer)
    last = (letter, carries_blank)
    merged = [i for i, ids in enumerate(followed) if not ids or ids[-1] not in last]
    alone = dict(zip(merged, token_ids([texts[i] for i in merged], tokenizer), strict=True))
    return [alone[i] if i in alone else ids[:-1] for i, ids in enumerate(followed)]


def continuation_ids(text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokenise a completion apart from its prompt, without what a tokenizer puts before texts."""
    # Sentencepiece tokenizers put a blank before every text; after a lead it is not the first.
    for lead in (LETTER, "\n"):
        before, joined = token_ids([lead, lead + text], tokenizer)
        if joined[: len(before)] == before:
            return joined[len(before) :]
    return token_ids([text], tokenizer)[0]


def join_trees(rendered: Sequence[RenderedTree], form: Format) -> Iterator[TokenTree]:
    """Tokenise rendered trees in one batch, every continuation with its end-of-turn token."""
    # Tokenizers cut text at special tokens before anything else, so an answer is tokenised with the
    # end of its prompt from the last one on: a long prompt is read once, not once an answer.
    mark, mark_id = form.border or ("", 0)
    borders = [max(tree.prompt.rfind(mark), 0) if mark else 0 for tree in rendered]
    texts = [
        tree.prompt[border:] + continuation
        for tree, border in zip(rendered, borders, strict=True)
        for continuation in tree.continuations
    ]
    tails = iter(token_ids(texts, form.tokenizer))
    prompts = prompt_ids([tree.prompt for tree in rendered], form.tokenizer)
    for tree, border, prompt in zip(rendered, borders, prompts, strict=True):
        head = prompt[: len(prompt) - 1 - prompt[::-1].index(mark_id)] if border else []
        yield _join(tree, prompt, [head + next(tails) for _ in tree.continuations], form)


def _join(
    tree: RenderedTree, prompt: list[int], wholes: list[list[int]], form: Format
) -> TokenTree:
    shared = min(_common_length(prompt, whole) for whole in wholes)
    if shared == len(prompt) or (form.chat and shared > 0):
        # Where a token straddles the border (a line break that begins the answer may merge with the
        # one that ends the prompt), the rest of the prompt belongs to the continuations.
        continuations = [whole[shared:] for whole in wholes]
        prompt = prompt[:shared]
    else:
        # Text kept as it is obeys no template: generation would never see a cut prompt.
        continuations = [continuation_ids(text, form.tokenizer) for text in tree.continuations]
    ended = (ids if ids[-1:] == [form.end_id] else [*ids, form.end_id] for ids in continuations)
    return TokenTree(begin_prompt(tuple(prompt), form), tuple(map(tuple, ended)))


def _common_length(prompt: list[int], whole: list[int]) -> int:
    if whole[: len(prompt)] == prompt:
        return len(prompt)
    return next(i for i, x in enumerate(prompt) if i >= len(whole) or whole[i] != x)


def begin_prompt(ids: tuple[int, ...], form: Format) -> tuple[int, ...]:
    """Put what the tokenizer begins texts with (BOS) before a prompt, once."""
    if form.chat:
        return ids  # Templates write it themselves.
    if not ids:
        return form.start
    return ids if ids[: len(form.prefix)] == form.prefix else (*form.prefix, *ids)
