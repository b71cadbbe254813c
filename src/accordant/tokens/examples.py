"""A feedback record in tokens: what training, scoring and the reference cache work on.

Knows token trees and labels. Knows nothing of text or models; `data.rendering` makes these.
"""

from __future__ import annotations

from dataclasses import dataclass

from accordant.tokens.trees import TokenTree


@dataclass(frozen=True, slots=True)
class Example:
    """One record in tokens.

    Args:
        kind: record type, a key of `data.records.RECORD_TYPES`.
        trees: one tree, or two for a joint pair (chosen, then rejected) and for a judgment (the
            answer after prompt and judgment, then after the prompt alone, in the same tokens).
            Continuations stand in the order of the record: chosen then rejected for a comparison,
            best first for a ranking.
        index: place in the data set after loading, from 0; names the row in caches and reports.
        label: thumb of a binary record or verdict of a judgment, None elsewhere.
        rewards: numbers a ranking's order came from, best first; None where there are none.
        votes: people who preferred the chosen and the rejected answer of a comparison; None where
            nobody counted.
        reward_gap: by how much a comparison's chosen answer was rated higher; None where it was
            not rated.
        mismatched: whether the last continuation of the tree is another example's answer, put
            there for objectives that estimate a baseline from mismatched pairs (KTO).
        self_samples: how many of the tree's last continuations are answers the start model gave
            itself, put there for objectives that compare with them (D2O).
        weight: how much the example counts for objectives that read it, such as the density ratio
            of its prompt (BCO); None where nobody weighed it.
    """

    kind: str
    trees: tuple[TokenTree, ...]
    index: int
    label: bool | None = None
    rewards: tuple[float, ...] | None = None
    mismatched: bool = False
    votes: tuple[int, int] | None = None
    reward_gap: float | None = None
    self_samples: int = 0
    weight: float | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens the example takes in a packed row."""
        return sum(tree.num_tokens for tree in self.trees)
