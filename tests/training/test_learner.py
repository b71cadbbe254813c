"""A loss, its statistics and its gradient are those of the formula, however a batch is divided."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import nn

from accordant.base.errors import UserError
from accordant.models.heads import ValueHead
from accordant.objectives.assembly import assemble
from accordant.objectives.batch import column_means, evaluate, family_metrics
from accordant.objectives.inputs import LossOutput
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.registry import (
    Objective,
    bind_options,
    get_objective,
    objective,
    temporary_objectives,
)
from accordant.scoring.engine import TreeScorer, score
from accordant.scoring.frozen import Frozen
from accordant.scoring.score_cache import keep_scores
from accordant.scoring.scores import Scores, from_lists
from accordant.tokens.trees import TokenTree
from accordant.training.learner import Learner
from tests.training.runs import KINDS, make_examples, make_model

METHODS = pytest.mark.parametrize("method", sorted(KINDS))


def learner_of(method: str, policy: nn.Module | None = None) -> Learner:
    """A learner whose reference is another random model."""
    objective, other = get_objective(method), make_model(seed=9)
    examples = make_examples(method, 6)
    with torch.no_grad():
        kept = keep_scores(examples, score(other, [t for e in examples for t in e.trees]))
    return Learner(objective, bind_options(objective, {}), policy or make_model(), Frozen(kept))


@METHODS
def test_a_loss_is_scoring_assembly_and_evaluation_by_hand(method: str) -> None:
    learner, examples = learner_of(method), make_examples(method, 6)
    policy = score(learner.policy, [tree for example in examples for tree in example.trees])
    inputs = assemble(learner.objective, policy, learner.reference.scores(examples), examples)
    output = evaluate(learner.objective, inputs, learner.options)
    weights = torch.ones(6) if output.weights is None else output.weights
    loss = learner.loss(examples)
    mean = (output.losses * weights).sum() / weights.sum()
    assert loss.mean.item() == pytest.approx(mean.item())
    assert loss.metrics().averages() == family_metrics(inputs, output).averages()


@METHODS
def test_the_parts_of_a_batch_add_up_to_it(method: str) -> None:
    whole, divided = learner_of(method), learner_of(method)
    examples = make_examples(method, 6)
    loss = whole.loss(examples)
    loss.mean.backward()
    parts, means = [examples[:1], examples[1:4], examples[4:]], None
    if divided.objective.batch_means is not None:
        with torch.no_grad():
            sums = [divided.statistics(divided.inputs(part)) for part in parts]
        means = column_means(torch.stack(sums).sum(0))
    losses = [divided.loss(part, means) for part in parts]
    weight = sum(part.weight for part in losses)
    for part in losses:
        (part.total / weight).backward()
    assert float(sum(part.total for part in losses) / weight) == pytest.approx(float(loss.mean))
    for one, two in zip(whole.policy.parameters(), divided.policy.parameters(), strict=True):
        assert one.grad is None or (one.grad - two.grad).abs().max() < 1e-5


def test_weights_of_examples_make_the_loss_a_population_s() -> None:
    learner, examples = learner_of("dpo"), make_examples("dpo", 3)
    inputs = learner.inputs(examples)
    twice = learner.inputs([examples[0], examples[0], examples[2]])
    weighed = learner.evaluate(inputs, weights=torch.tensor([2.0, 0.0, 1.0]))
    assert float(weighed.mean) == pytest.approx(float(learner.evaluate(twice).mean))


def test_prepared_examples_are_scored_under_the_weights_as_they_stand() -> None:
    learner, examples = learner_of("dpo"), make_examples("dpo", 4)
    inputs = learner.prepare(examples)
    before = learner.evaluate(inputs()).mean
    with torch.no_grad():
        for weight in learner.policy.parameters():
            weight.mul_(1.5)
    after = learner.evaluate(inputs()).mean
    assert float(after) != pytest.approx(float(before))
    assert torch.equal(after, learner.loss(examples).mean)


class Coin(nn.Module):
    """A policy of one number: the log-odds that any token is what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.odds = nn.Parameter(torch.zeros(()))

    def lay_out(self, trees: Sequence[TokenTree]) -> Callable[[], Scores]:
        lengths = [[0.0] * len(run) for tree in trees for run in tree.continuations]
        still = from_lists(lengths, [n for n, t in enumerate(trees) for _ in t.continuations])

        def scores() -> Scores:
            ones = torch.ones_like(still.logps)
            return Scores(
                ones * nn.functional.logsigmoid(self.odds), still.owner, still.lengths, still.tree
            )

        return scores


def test_a_policy_that_scores_trees_itself_learns_like_a_model() -> None:
    coin = Coin()
    assert isinstance(coin, TreeScorer)
    learner, examples = learner_of("sft", coin), make_examples("sft", 4)
    assert float(learner.loss(examples).mean) == pytest.approx(0.6931, abs=1e-4)
    optimizer = torch.optim.SGD(coin.parameters(), lr=1.0)
    for _ in range(5):
        optimizer.zero_grad()
        learner.loss(examples).mean.backward()
        optimizer.step()
    assert float(learner.loss(examples).mean) < 0.3


def test_the_reference_gets_no_gradient() -> None:
    model = make_model()
    start = copy.deepcopy(model)

    class Live:
        def scores(self, examples: Sequence[object]) -> Scores:
            return score(start, list(itertools.chain.from_iterable(e.trees for e in examples)))

    objective = get_objective("dpo")
    learner = Learner(objective, bind_options(objective, {}), model, Live())
    learner.loss(make_examples("dpo", 2)).mean.backward()
    assert all(weight.grad is None for weight in start.parameters())
    assert any(weight.grad is not None for weight in model.parameters())


def bradley_terry(pairs: PairwiseScores) -> LossOutput:
    """-log sigmoid of the difference of the last tokens' values."""
    chosen, rejected = (
        side.policy.last_tokens(side.policy.values)[:, 0] for side in (pairs.chosen, pairs.rejected)
    )
    metrics = {"accuracy": (chosen > rejected).float().mean().detach()}
    return LossOutput(-nn.functional.logsigmoid(chosen - rejected), metrics=metrics)


@pytest.fixture
def reward_objective() -> Iterator[Objective]:
    with temporary_objectives():
        objective(
            name="last_value",
            feedback="comparison",
            needs_reference=False,
            paper="Bradley and Terry 1952",
            formula="-log sigma(v_w - v_l)",
            reads=("values", "entropy"),
        )(bradley_terry)
        yield get_objective("last_value")


def test_a_head_learns_preferences_from_the_values_its_objective_reads(
    reward_objective: Objective,
) -> None:
    examples, model, head = make_examples("dpo", 24), make_model(), ValueHead(32)
    learner = Learner(reward_objective, {}, model, head=head)
    before = learner.loss(examples)
    weights = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(weights, lr=3e-3)
    for _ in range(15):
        optimizer.zero_grad()
        learner.loss(examples).mean.backward()
        optimizer.step()
    after = learner.loss(examples)
    assert float(before.output.metrics["accuracy"]) < 0.75
    assert float(after.output.metrics["accuracy"]) > 0.9
    assert float(after.mean) < 0.5 * float(before.mean)
    assert after.inputs.chosen.policy.entropy is not None
    assert after.inputs.chosen.policy.hidden is None


def test_an_objective_of_values_without_a_head_is_refused(reward_objective: Objective) -> None:
    learner = Learner(reward_objective, {}, make_model())
    with pytest.raises(UserError, match="'last_value' reads values, and there is no head"):
        learner.loss(make_examples("dpo", 2))
    with pytest.raises(ValueError, match="'logits' is not among entropy, hidden, values"):
        objective(
            name="another",
            feedback="comparison",
            needs_reference=False,
            paper="none",
            formula="0",
            reads=("logits",),
        )
