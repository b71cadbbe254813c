"""From the engine's scores to the record an objective takes.

Knows how continuations of each record type are ordered, and where attached answers stand. Knows
nothing of models, text, or of how preparations are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from accordant.objectives.feedback import check_feedback, check_labels
from accordant.objectives.inputs import (
    Attached,
    BinaryScores,
    DemonstrationScores,
    ExtraAnswers,
    JudgmentScores,
    ListwiseScores,
    PairwiseScores,
    Sequences,
)
from accordant.tokens.examples import Example

if TYPE_CHECKING:
    from accordant.objectives.registry import Objective
    from accordant.scoring.scores import Scores

Builder = Callable[[Sequences, Sequence[Example]], Any]


def assemble(
    objective: Objective,
    policy: Scores,
    reference: Scores | None,
    examples: Sequence[Example],
) -> Any:
    """Build the scores record that `objective` takes.

    The reference never receives a gradient: it is detached here.

    Args:
        objective: whose record to build.
        policy: scores of all continuations of all trees of `examples`, in order.
        reference: the reference's scores of the same continuations; None when the objective needs
            none.
        examples: records in tokens, of types and with labels the objective can use, and prepared
            as it asks.

    Returns:
        an instance of `objective.inputs`.

    Raises:
        UserError: the examples are of a type, or carry a label, the objective cannot use.
        ValueError: scores and examples do not belong together, or a preparation was not done.
    """
    check_feedback(objective, {example.kind for example in examples})
    check_labels(objective, examples)
    expected = sum(len(tree.continuations) for example in examples for tree in example.trees)
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
    for need in objective.prepare:
        if not need.optional and not all(map(need.is_done, examples)):
            raise ValueError(f"objective {objective.name!r} needs {need.noun} in every example")
    scores = Sequences(policy, reference)
    groups = _groups(examples)
    inputs = _BUILDERS[objective.inputs](_select(scores, groups[_OWN]), examples)
    if not objective.prepare:
        return inputs
    return replace(inputs, attached=_attached(objective, scores, examples, groups))


# Name of the record's own answers among the groups of continuations.
_OWN = ""
Group = list[tuple[int, int]]  # continuation and the example it belongs to


def _groups(examples: Sequence[Example]) -> dict[str, Group]:
    """Tell the records' own answers from each kind of attached ones."""
    groups: dict[str, Group] = {_OWN: []}
    first = 0
    for place, (example, own) in enumerate(zip(examples, _counts(examples), strict=True)):
        for name, count in ((_OWN, own), *example.extra_answers.items()):
            groups.setdefault(name, []).extend((at, place) for at in range(first, first + count))
            first += count
    return groups


def _select(scores: Sequences, group: Group) -> Sequences:
    if len(group) == scores.policy.count:
        return scores
    return scores.select(torch.tensor([at for at, _ in group], device=scores.policy.lengths.device))


def _attached(
    objective: Objective,
    scores: Sequences,
    examples: Sequence[Example],
    groups: dict[str, Group],
) -> Attached:
    """Collect what the objective's preparations gave to all of the examples."""
    numbers, answers = {}, {}
    for need in objective.prepare:
        name = need.attaches
        if any(name in example.numbers for example in examples):
            given = [example.numbers.get(name, need.default) for example in examples]
            rows = [row for row in given if row is not None]
            # Numbers that only some examples have are none at all: whoever reads them is told.
            if len(rows) == len(examples):
                numbers[name] = scores.policy.logps.new_tensor(rows)
        if all(name in example.extra_answers for example in examples):
            owner = torch.tensor([n for _, n in groups[name]], device=scores.policy.lengths.device)
            answers[name] = ExtraAnswers(_select(scores, groups[name]), owner)
    return Attached(numbers, answers)


def _demonstrations(scores: Sequences, examples: Sequence[Example]) -> DemonstrationScores:
    _expect(1, _counts(examples))
    return DemonstrationScores(scores)


def _binary(scores: Sequences, examples: Sequence[Example]) -> BinaryScores:
    _expect(1, _counts(examples))
    if any(example.label is None for example in examples):
        raise ValueError("a binary example has no label")
    device = scores.policy.lengths.device
    desirable = torch.tensor([example.label for example in examples], device=device)
    return BinaryScores(scores, desirable)


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


def _judgments(scores: Sequences, examples: Sequence[Example]) -> JudgmentScores:
    _expect(2, _counts(examples))
    device = scores.policy.lengths.device
    judged = torch.arange(0, 2 * len(examples), 2, device=device)
    lengths = scores.policy.lengths
    if not torch.equal(lengths[judged], lengths[judged + 1]):
        raise ValueError("a judged answer has other tokens with its judgment than without")
    good = torch.tensor([bool(example.label) for example in examples], device=device)
    return JudgmentScores(scores.select(judged), scores.select(judged + 1), good)


_BUILDERS: dict[type, Builder] = {
    DemonstrationScores: _demonstrations,
    BinaryScores: _binary,
    PairwiseScores: _pairs,
    ListwiseScores: _rankings,
    JudgmentScores: _judgments,
}


def _counts(examples: Sequence[Example]) -> list[int]:
    """Count every example's own answers, over all of its trees."""
    return [sum(len(tree.continuations) for tree in example.own_trees) for example in examples]


def _expect(answers: int, counts: list[int]) -> None:
    for place, count in enumerate(counts):
        if count != answers:
            raise ValueError(f"example {place} has {count} answers where {answers} are expected")


def _like(numbers: list[float], tensor: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=tensor.dtype, device=tensor.device)
