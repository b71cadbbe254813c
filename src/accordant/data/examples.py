"""A feedback record in tokens: what training, scoring and the reference cache work on.

Knows token trees and labels. Knows nothing of text or models; `data.rendering` makes these.
"""

from __future__ import annotations

from dataclasses import dataclass

from accordant.data.trees import TokenTree


@dataclass(frozen=True, slots=True)
class Example:
    """One record in tokens.

    Args:
        kind: record type, a key of `data.records.RECORD_TYPES`.
        trees: one tree, or two for a joint pair (chosen, then rejected). Continuations stand in
            the order of the record: chosen then rejected for a comparison, best first for a
            ranking.
        index: place in the data set after loading, from 0; names the row in caches and reports.
        label: thumb of a binary record or verdict of a judgment, None elsewhere.
        rewards: numbers a ranking's order came from, best first; None where there are none.
        mismatched: whether the last continuation of the tree is another example's answer, put
            there for objectives that estimate a baseline from mismatched pairs (KTO).
    """

    kind: str
    trees: tuple[TokenTree, ...]
    index: int
    label: bool | None = None
    rewards: tuple[float, ...] | None = None
    mismatched: bool = False

    @property
    def num_tokens(self) -> int:
        """Tokens the example takes in a packed row."""
        return sum(tree.num_tokens for tree in self.trees)
