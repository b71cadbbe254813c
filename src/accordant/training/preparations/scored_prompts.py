"""Prompts scored with their answers, as one text: for preferences over whole exchanges (DOVE).

Knows token ids. Takes no model, so all is done in the plan.
"""

from __future__ import annotations

from dataclasses import replace

from accordant.objectives.preparations import ScoredPrompts
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from accordant.training.preparations.mechanism import prepares
from accordant.training.preparations.workbench import Parts, Workbench


def score_prompt(example: Example) -> Example:
    """Move every prompt but its first token into the continuations.

    The first token follows nothing, so no model says how likely it is.
    """

    def moved(tree: TokenTree) -> TokenTree:
        rest = tree.prompt[1:]
        return TokenTree(tree.prompt[:1], tuple(rest + answer for answer in tree.continuations))

    return replace(example, trees=tuple(map(moved, example.trees)))


def score_prompts(_: ScoredPrompts, __: Workbench, parts: Parts) -> Parts:
    """Let every tree begin with its first token alone."""
    return parts.with_examples([score_prompt(example) for example in parts.all])


prepares(ScoredPrompts, plan=score_prompts)
