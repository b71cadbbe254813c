"""Length limits, mismatched answers and scored prompts, on examples in tokens.

Knows token ids. Knows nothing of text or files. Continuations are never cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from accordant.base.errors import UserError
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree

Truncation = Literal["error", "drop", "truncate-prompt-left"]


@dataclass(frozen=True, slots=True)
class Limited:
    """Examples within the limit, and the indices of those that were cut or left out."""

    examples: tuple[Example, ...]
    truncated: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()


def tree_length(tree: TokenTree) -> int:
    """Tokens of the prompt and the longest continuation together."""
    return len(tree.prompt) + max(map(len, tree.continuations))


def example_length(example: Example) -> int:
    """Tokens of the longest single sequence in an example."""
    return max(map(tree_length, example.trees))


def limit_examples(
    examples: Sequence[Example],
    max_tokens: int | None,
    truncation: Truncation,
    start_id: int | None,
    place: Callable[[int], str],
) -> Limited:
    """Bring examples within `max_tokens` by the policy.

    Args:
        examples: in the order of their records.
        max_tokens: tokens a prompt and one continuation may have together.
        truncation: what to do with longer ones. `truncate-prompt-left` drops those whose
            continuation alone leaves no room for a prompt token, and judgments, which would lose
            what was said of the answer.
        start_id: token that stays first in a cut prompt (BOS).
        place: names the row of an example's index.

    Raises:
        UserError: a longer one under `error`, or nothing left.
    """
    if max_tokens is None:
        return Limited(tuple(examples))
    if max_tokens < 2:
        raise UserError(f"found {max_tokens}, expected at least 2.", where="--max-length")
    longer = [example for example in examples if example_length(example) > max_tokens]
    if not longer:
        return Limited(tuple(examples))
    if truncation == "error":
        raise _too_long(longer, len(examples), max_tokens, place)
    kept: list[Example] = []
    truncated: list[int] = []
    dropped: list[int] = []
    for example in examples:
        short = _shorten(example, max_tokens, start_id, truncation)
        if short is None:
            dropped.append(example.index)
        else:
            kept.append(short)
            if short is not example:
                truncated.append(example.index)
    if not kept:
        raise UserError(
            f"all {len(examples):,} records are longer than {max_tokens:,} tokens.",
            where="--max-length",
            mend=f"Raise it; the longest record has {max(map(example_length, longer)):,} tokens.",
        )
    return Limited(tuple(kept), tuple(truncated), tuple(dropped))


def _too_long(
    longer: Sequence[Example], total: int, max_tokens: int, place: Callable[[int], str]
) -> UserError:
    first = longer[0]
    tree = max(first.trees, key=tree_length)
    return UserError(
        f"prompt ({len(tree.prompt):,} tokens) and continuation "
        f"({max(map(len, tree.continuations)):,} tokens) are together longer than "
        f"{max_tokens:,} tokens; so are {len(longer):,} of {total:,} records, the longest with "
        f"{max(map(example_length, longer)):,} tokens.",
        where=place(first.index),
        mend="Raise --max-length, or choose `--truncation drop` or `--truncation "
        "truncate-prompt-left`.",
    )


def _shorten(
    example: Example, max_tokens: int, start_id: int | None, truncation: Truncation
) -> Example | None:
    """Return the example within the limit, itself where it fits, None where it is dropped."""
    if example_length(example) <= max_tokens:
        return example
    if truncation == "drop" or example.kind == "judgment":
        return None
    if any(max(map(len, tree.continuations)) >= max_tokens for tree in example.trees):
        return None
    trees = tuple(_cut_prompt(tree, max_tokens, start_id) for tree in example.trees)
    return replace(example, trees=trees)


def _cut_prompt(tree: TokenTree, max_tokens: int, start_id: int | None) -> TokenTree:
    room = max_tokens - max(map(len, tree.continuations))
    if len(tree.prompt) <= room:
        return tree
    prompt = tree.prompt[-room:]
    # Models attend to BOS throughout; a ChatML token that opens every turn is no such token.
    if room > 1 and tree.prompt[0] == start_id and tree.prompt.count(start_id) == 1:
        prompt = (tree.prompt[0], *prompt[1:])
    return TokenTree(prompt, tree.continuations)


def score_prompts(examples: Sequence[Example]) -> tuple[Example, ...]:
    """Move every prompt but its first token into the continuations.

    The first token follows nothing, so no model says how likely it is.
    """

    def moved(tree: TokenTree) -> TokenTree:
        rest = tree.prompt[1:]
        return TokenTree(tree.prompt[:1], tuple(rest + answer for answer in tree.continuations))

    return tuple(replace(example, trees=tuple(map(moved, example.trees))) for example in examples)


def add_mismatched(
    examples: Sequence[Example], max_tokens: int | None, place: Callable[[int], str]
) -> tuple[Example, ...]:
    """Give every example the answer of another one as a second continuation.

    It is the answer of the next example, from the last on to the first; examples with the same
    prompt are passed over (their answers would match) unless there is no other, and so are answers
    that would not fit in `max_tokens`.

    Raises:
        UserError: fewer than two examples, several continuations, or no answer fits.
    """
    if len(examples) < 2:
        raise UserError(
            f"mismatched answers need at least 2 records, found {len(examples)}.",
            mend="Give more records, or choose a method without them.",
        )
    if any(len(e.trees) != 1 or len(e.trees[0].continuations) != 1 for e in examples):
        raise UserError(
            f"mismatched answers are for records with one answer, found {examples[0].kind} records."
        )
    one_prompt = len({example.trees[0].prompt for example in examples}) == 1
    return tuple(
        _with_mismatched(examples, i, one_prompt, max_tokens, place) for i in range(len(examples))
    )


def _with_mismatched(
    examples: Sequence[Example],
    at: int,
    one_prompt: bool,
    max_tokens: int | None,
    place: Callable[[int], str],
) -> Example:
    tree = examples[at].trees[0]
    room = None if max_tokens is None else max_tokens - len(tree.prompt)
    for step in range(1, len(examples)):
        other = examples[(at + step) % len(examples)].trees[0]
        answer = other.continuations[0]
        if (one_prompt or other.prompt != tree.prompt) and (room is None or len(answer) <= room):
            pair = TokenTree(tree.prompt, (tree.continuations[0], answer))
            return replace(examples[at], trees=(pair,), mismatched=True)
    raise UserError(
        f"no other record's answer fits after this prompt of {len(tree.prompt):,} tokens.",
        where=place(examples[at].index),
        mend="Raise --max-length, or remove the record.",
    )
