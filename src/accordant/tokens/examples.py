"""A feedback record in tokens: what training, scoring and the reference cache work on.

Knows token trees, labels, and what was attached to a record under a name: numbers, and further
answers to its prompt. Knows nothing of text, models, or of who attaches what and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from accordant.tokens.trees import TokenTree


@dataclass(frozen=True, slots=True)
class Example:
    """One record in tokens.

    Args:
        kind: record type, a name of `feedback.kinds`.
        trees: one tree, or two for a joint pair (chosen, then rejected) and for a judgment (the
            answer after prompt and judgment, then after the prompt alone, in the same tokens).
            Continuations stand in the order of the record: chosen then rejected for a comparison,
            best first for a ranking. Extra answers follow those of the last tree.
        index: place of the record in its data set, from 0.
        label: thumb of a binary record or verdict of a judgment, None elsewhere.
        rewards: numbers a ranking's order came from, best first; None where there are none.
        numbers: rows of numbers by name: what the record says beyond its type (`votes`,
            `reward_gap`), and what preparations computed (`prompt_weight`, `baseline`).
        extra_answers: how many of the last tree's last continuations are no part of the record,
            by name (`mismatched`, `self_samples`), in the order they stand in.
        id: what the example is called wherever a run names it, such as its file and row; the same
            in all copies and unique within a run.
    """

    kind: str
    trees: tuple[TokenTree, ...]
    index: int
    label: bool | None = None
    rewards: tuple[float, ...] | None = None
    # Left out of the hash, as dicts have none; equality compares them.
    numbers: Mapping[str, tuple[float, ...]] = field(default_factory=dict, hash=False)
    extra_answers: Mapping[str, int] = field(default_factory=dict, hash=False)
    id: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", f"example {self.index}")

    @property
    def num_tokens(self) -> int:
        """Count the tokens the example takes in a packed row."""
        return sum(tree.num_tokens for tree in self.trees)

    @property
    def num_apart(self) -> int:
        """Count the tokens of all its sequences one by one, where no prompt is shared."""
        return sum(tree.num_apart for tree in self.trees)

    @property
    def own_trees(self) -> tuple[TokenTree, ...]:
        """Return the trees with the record's own answers alone."""
        extra = sum(self.extra_answers.values())
        if not extra:
            return self.trees
        last = self.trees[-1]
        return (*self.trees[:-1], TokenTree(last.prompt, last.continuations[:-extra]))

    def has(self, name: str) -> bool:
        """Tell whether numbers or answers are attached under this name."""
        return name in self.numbers or name in self.extra_answers


def with_numbers(example: Example, name: str, values: Sequence[float]) -> Example:
    """Return the example with a row of numbers under `name`, in place of an earlier one."""
    return replace(example, numbers={**example.numbers, name: tuple(values)})


def with_answers(example: Example, name: str, answers: Sequence[tuple[int, ...]]) -> Example:
    """Return the example with further answers to its last prompt, in place of earlier ones.

    Args:
        example: a record in tokens.
        name: of the answers.
        answers: their token ids, at least one.
    """
    kept = [run for tree in example.own_trees[-1:] for run in tree.continuations]
    place = len(kept)
    counts: dict[str, int] = {}
    for other, count in example.extra_answers.items():
        if other != name:
            kept += example.trees[-1].continuations[place : place + count]
            counts[other] = count
        place += count
    tree = TokenTree(example.trees[-1].prompt, (*kept, *answers))
    counts[name] = len(answers)
    return replace(example, trees=(*example.trees[:-1], tree), extra_answers=counts)
