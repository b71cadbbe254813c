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
    if longer and truncation == "error":
        raise _too_long(longer, len(examples), max_tokens)
    # Without any room every longer one is dropped.
    room = max_tokens if truncation == "truncate-prompt-left" else 0
    cut = {example.index: _cut(example, room, start_id) for example in longer}
    shortened = (cut.get(example.index, example) for example in examples)
    kept = tuple(example for example in shortened if example is not None)
    if longer and not kept:
        raise UserError(
            f"all {len(examples):,} records are longer than {max_tokens:,} tokens.",
            where="--max-length",
            mend=f"Raise it; the longest record has {max(map(example_length, longer)):,} tokens.",
        )
    truncated = tuple(index for index, example in cut.items() if example is not None)
    dropped = tuple(index for index, example in cut.items() if example is None)
    return Limited(kept, truncated, dropped)


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


def _cut(example: Example, max_tokens: int, start_id: int | None) -> Example | None:
    """Cut prompts from the left; None where that would leave nothing of one, or of a judgment."""
    answers = [max(map(len, tree.continuations)) for tree in example.trees]
    if KINDS[example.kind].reread is not None or max(answers) >= max_tokens:
        return None
    trees = []
    for tree, longest in zip(example.trees, answers, strict=True):
        room = max_tokens - longest
        prompt = tree.prompt[-room:]
        is_cut = len(prompt) < len(tree.prompt)
        # Models attend to BOS throughout; a ChatML token that opens every turn is no such token.
        if is_cut and room > 1 and tree.prompt[0] == start_id and tree.prompt.count(start_id) == 1:
            prompt = (tree.prompt[0], *prompt[1:])
        trees.append(TokenTree(prompt, tree.continuations))
    return replace(example, trees=tuple(trees))
