"""From the engine's scores to the record an objective takes.

Knows how continuations of each record type are ordered. Knows nothing of models or text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from accordant.data.examples import Example
from accordant.objectives.feedback import check_feedback
from accordant.objectives.inputs import (
    BinaryScores,
    DemonstrationScores,
    ListwiseScores,
    PairwiseScores,
    Sequences,
)

if TYPE_CHECKING:
    from accordant.objectives.registry import Objective
    from accordant.scoring.scores import Scores

Builder = Callable[[Sequences, Sequence[Example]], Any]


def assemble(
    objective: Objective, policy: Scores, reference: Scores | None, examples: Sequence[Example]
) -> Any:
    """Build the scores record that `objective` takes.

    The reference never receives a gradient: it is detached here.

    Args:
        objective: whose record to build.
        policy: scores of all continuations of all trees of `examples`, in order.
        reference: the reference's scores of the same continuations; None when the objective needs
            none.
        examples: records in tokens, of types the objective can use.

    Returns:
        an instance of `objective.inputs`.

    Raises:
        UserError: the examples are of a type the objective cannot use.
        ValueError: scores and examples do not belong together.
    """
    check_feedback(objective, {example.kind for example in examples})
    expected = sum(_counts(examples))
    if policy.count != expected:
        raise ValueError(f"{policy.count} scores for {expected} continuations")
    if objective.needs_reference:
        if reference is None:
            raise ValueError(f"objective {objective.name!r} needs reference scores")
        if not torch.equal(reference.lengths, policy.lengths):
            raise ValueError("reference and policy scores are of different continuations")
        reference = reference.detach()
    else:
        reference = None
    if objective.inputs not in _BUILDERS:
        raise ValueError(f"nothing builds {objective.inputs.__name__}")
    inputs = _BUILDERS[objective.inputs](Sequences(policy, reference), examples)
    if objective.mismatched and inputs.mismatched is None:
        raise ValueError(f"objective {objective.name!r} needs mismatched answers in every example")
    return inputs


def _demonstrations(scores: Sequences, examples: Sequence[Example]) -> DemonstrationScores:
    _expect(1, _counts(examples))
    return DemonstrationScores(scores)


def _binary(scores: Sequences, examples: Sequence[Example]) -> BinaryScores:
    counts = _counts(examples)
    answers = [count - example.mismatched for count, example in zip(counts, examples, strict=True)]
    _expect(1, answers)
    if any(example.label is None for example in examples):
        raise ValueError("a binary example has no label")
    device = scores.policy.lengths.device
    desirable = torch.tensor([example.label for example in examples], device=device)
    first = _starts(counts)
    matched = scores.select(torch.tensor(first, device=device))
    if not all(example.mismatched for example in examples):
        return BinaryScores(matched, desirable)
    others = torch.tensor([start + 1 for start in first], device=device)
    return BinaryScores(matched, desirable, scores.select(others))


def _pairs(scores: Sequences, examples: Sequence[Example]) -> PairwiseScores:
    _expect(2, _counts(examples))
    chosen = torch.arange(0, 2 * len(examples), 2, device=scores.policy.lengths.device)
    return PairwiseScores(scores.select(chosen), scores.select(chosen + 1))


def _rankings(scores: Sequences, examples: Sequence[Example]) -> ListwiseScores:
    counts = _counts(examples)
    rewards: list[float] = []
    for example, count in zip(examples, counts, strict=True):
        numbers = example.rewards or tuple(-float(rank) for rank in range(1, count + 1))
        if len(numbers) != count:
            raise ValueError(f"{len(numbers)} rewards for {count} ranked answers")
        rewards.extend(numbers)
    lengths = scores.policy.lengths
    ranking = torch.arange(len(counts), device=lengths.device).repeat_interleave(
        torch.tensor(counts, device=lengths.device)
    )
    return ListwiseScores(scores, ranking, _like(rewards, scores.policy.logps))


_BUILDERS: dict[type, Builder] = {
    DemonstrationScores: _demonstrations,
    BinaryScores: _binary,
    PairwiseScores: _pairs,
    ListwiseScores: _rankings,
}


def _counts(examples: Sequence[Example]) -> list[int]:
    """Continuations of every example, over all of its trees."""
    return [sum(len(tree.continuations) for tree in example.trees) for example in examples]


def _expect(answers: int, counts: list[int]) -> None:
    for place, count in enumerate(counts):
        if count != answers:
            raise ValueError(f"example {place} has {count} answers where {answers} are expected")


def _starts(counts: list[int]) -> list[int]:
    starts, total = [], 0
    for count in counts:
        starts.append(total)
        total += count
    return starts


def _like(numbers: list[float], tensor: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=tensor.dtype, device=tensor.device)
