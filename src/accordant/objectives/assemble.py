"""From the engine's scores to the record an objective takes.

Knows how continuations of each record type are ordered. Knows nothing of models or text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from accordant.objectives.feedback import check_feedback, check_labels
from accordant.objectives.inputs import (
    BinaryScores,
    DemonstrationScores,
    JudgmentScores,
    ListwiseScores,
    PairwiseScores,
    SelfSamples,
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
    aligned: Sequence[Scores] = (),
) -> Any:
    """Build the scores record that `objective` takes.

    The reference never receives a gradient: it is detached here.

    Args:
        objective: whose record to build.
        policy: scores of all continuations of all trees of `examples`, in order.
        reference: the reference's scores of the same continuations; None when the objective needs
            none.
        examples: records in tokens, of types and with labels the objective can use.
        aligned: scores of the same continuations under further frozen models, each on its own
            tokens; at least one when the objective reads them.

    Returns:
        an instance of `objective.inputs`.

    Raises:
        UserError: the examples are of a type, or carry a label, the objective cannot use.
        ValueError: scores and examples do not belong together.
    """
    check_feedback(objective, {example.kind for example in examples})
    check_labels(objective, examples)
    expected = sum(_counts(examples)) + sum(example.self_samples for example in examples)
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
    scores = Sequences(policy, reference, _aligned(objective, expected, aligned))
    own, samples = _own_and_samples(scores, examples)
    inputs = _BUILDERS[objective.inputs](own, examples)
    if objective.self_samples:
        if not all(example.self_samples for example in examples):
            raise ValueError(f"objective {objective.name!r} needs self-samples in every example")
        inputs = replace(inputs, self_samples=samples)
    if "reward_gap" in objective.needs and inputs.reward_gaps is None:
        raise ValueError(f"objective {objective.name!r} needs a reward gap in every example")
    if objective.scored_prompts and any(len(t.prompt) > 1 for e in examples for t in e.trees):
        raise ValueError(f"objective {objective.name!r} needs prompts scored with their answers")
    if objective.mismatched and inputs.mismatched is None:
        raise ValueError(f"objective {objective.name!r} needs mismatched answers in every example")
    return inputs


def _aligned(objective: Objective, expected: int, aligned: Sequence[Scores]) -> tuple[Scores, ...]:
    if not objective.aligned:
        return ()
    if not aligned:
        raise ValueError(f"objective {objective.name!r} needs scores of aligned models")
    if any(scores.count != expected for scores in aligned):
        raise ValueError("aligned and policy scores are of different continuations")
    return tuple(scores.detach() for scores in aligned)


def _own_and_samples(
    scores: Sequences, examples: Sequence[Example]
) -> tuple[Sequences, SelfSamples | None]:
    """The records' own answers, and apart from them what the start model answered itself."""
    if not any(example.self_samples for example in examples):
        return scores, None
    own: list[int] = []
    sampled: list[int] = []
    owners: list[int] = []
    first = 0
    for place, (example, count) in enumerate(zip(examples, _counts(examples), strict=True)):
        end = first + count + example.self_samples
        own.extend(range(first, first + count))
        sampled.extend(range(first + count, end))
        owners.extend([place] * example.self_samples)
        first = end
    device = scores.policy.lengths.device
    taken, others, owner = (torch.tensor(part, device=device) for part in (own, sampled, owners))
    return scores.select(taken), SelfSamples(scores.select(others), owner)


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
    weights = _weights(examples, scores.policy.logps)
    first = _starts(counts)
    matched = scores.select(torch.tensor(first, device=device))
    if not all(example.mismatched for example in examples):
        return BinaryScores(matched, desirable, weights=weights)
    others = torch.tensor([start + 1 for start in first], device=device)
    return BinaryScores(matched, desirable, scores.select(others), weights=weights)


def _pairs(scores: Sequences, examples: Sequence[Example]) -> PairwiseScores:
    _expect(2, _counts(examples))
    chosen = torch.arange(0, 2 * len(examples), 2, device=scores.policy.lengths.device)
    return PairwiseScores(
        scores.select(chosen),
        scores.select(chosen + 1),
        votes=_votes(examples, scores.policy.logps),
        reward_gaps=_reward_gaps(examples, scores.policy.logps),
    )


def _votes(examples: Sequence[Example], like: Tensor) -> Tensor | None:
    """Votes of all pairs, `[n, 2]`, one for the choice where a pair has none; None if none has."""
    if all(example.votes is None for example in examples):
        return None
    votes = [example.votes or (1, 0) for example in examples]
    return like.new_tensor(votes)


def _reward_gaps(examples: Sequence[Example], like: Tensor) -> Tensor | None:
    gaps = [example.reward_gap for example in examples if example.reward_gap is not None]
    return _like(gaps, like) if len(gaps) == len(examples) else None


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


def _weights(examples: Sequence[Example], like: Tensor) -> Tensor | None:
    """`Example.weight` of all examples, or None where none of them has one."""
    given = [example.weight for example in examples if example.weight is not None]
    if given and len(given) != len(examples):
        raise ValueError(f"{len(given)} of {len(examples)} examples have a weight")
    return _like(given, like) if given else None


def _counts(examples: Sequence[Example]) -> list[int]:
    """Continuations of every example, over all of its trees, without self-samples."""
    return [
        sum(len(tree.continuations) for tree in example.trees) - example.self_samples
        for example in examples
    ]


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
