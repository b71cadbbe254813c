"""Length limits on examples in tokens.

Knows token ids. Knows nothing of text or files. Continuations are never cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from accordant.base.errors import UserError
from accordant.feedback.kinds import KINDS
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
    """Count the tokens of the prompt and the longest continuation together."""
    return len(tree.prompt) + max(map(len, tree.continuations))


def example_length(example: Example) -> int:
    """Count the tokens of the longest single sequence in an example."""
    return max(map(tree_length, example.trees))


def limit_examples(
    examples: Sequence[Example],
    max_tokens: int | None,
    truncation: Truncation,
    start_id: int | None,
) -> Limited:
    """Bring examples within `max_tokens` by the policy.

    Args:
        examples: in the order of their records.
        max_tokens: tokens a prompt and one continuation may have together.
        truncation: what to do with longer ones. `truncate-prompt-left` drops those whose
            continuation alone leaves no room for a prompt token, and judgments, which would lose
            what was said of the answer.
        start_id: token that stays first in a cut prompt (BOS).

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
        raise _too_long(longer, len(examples), max_tokens)
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


def _too_long(longer: Sequence[Example], total: int, max_tokens: int) -> UserError:
    first = longer[0]
    tree = max(first.trees, key=tree_length)
    return UserError(
        f"prompt ({len(tree.prompt):,} tokens) and continuation "
        f"({max(map(len, tree.continuations)):,} tokens) are together longer than "
        f"{max_tokens:,} tokens; so are {len(longer):,} of {total:,} records, the longest with "
        f"{max(map(example_length, longer)):,} tokens.",
        where=first.id,
        mend="Raise --max-length, or choose `--truncation drop` or `--truncation "
        "truncate-prompt-left`.",
    )


def _shorten(
    example: Example, max_tokens: int, start_id: int | None, truncation: Truncation
) -> Example | None:
    """Return the example within the limit, itself where it fits, None where it is dropped."""
    if example_length(example) <= max_tokens:
        return example
    if truncation == "drop" or KINDS[example.kind].reread is not None:
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
