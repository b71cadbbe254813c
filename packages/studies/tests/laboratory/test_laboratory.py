"""The laboratory's worlds are exact, and registered losses are trained on them, not copies."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from accordant_studies.laboratory import exact, labelling, worlds
from accordant_studies.laboratory.labelling import Pairs
from accordant_studies.laboratory.training import Batch, make_learner, minibatches, train
from accordant_studies.laboratory.worlds import TabularPolicy, World

WORLDS = {
    "arms": worlds.arms(7, contexts=3),
    "strings": worlds.strings(letters=3, longest=6, contexts=2),
    "forgetful": worlds.strings(letters=3, longest=4, contexts=2, memory=1),
}
ANY_WORLD = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
SMALL = worlds.strings(letters=2, longest=2, contexts=2)


def _rewards(world: World, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(world.contexts, world.size, generator=generator, dtype=torch.float64)


def _slow_logp(policy: TabularPolicy, context: int, answer: int) -> float:
    """One token after the other, with a softmax by hand over what is allowed."""
    world, total = policy.world, 0.0
    for state, token in zip(world.paths[answer], world.answers[answer], strict=True):
        logits = policy.logits[context, state].tolist()
        possible = [x for x, ok in zip(logits, world.allowed[state].tolist(), strict=True) if ok]
        total += logits[token] - math.log(sum(math.exp(x) for x in possible))
    return total


def test_the_strings_of_three_letters_are_all_there() -> None:
    world = WORLDS["strings"]
    assert world.size == sum(3**n for n in range(7))
    assert len(set(world.answers)) == world.size
    assert world.lengths.max() == 7  # six letters and the end token


@ANY_WORLD
def test_probabilities_of_all_answers_sum_to_one(world: World) -> None:
    policy = worlds.random_policy(world, seed=1, scale=2.0)
    totals = policy.logps().exp().sum(-1)
    assert torch.allclose(totals, torch.ones_like(totals), atol=1e-12)


@ANY_WORLD
def test_scores_are_those_of_the_slow_way(world: World) -> None:
    policy = worlds.random_policy(world, seed=2)
    picked = [(0, 0), (1, 3), (1, world.size - 1), (0, 5)]
    trees = [world.tree(0, [0, 5]), world.tree(1, [3, world.size - 1])]
    scores = policy.lay_out(trees)()
    expected = [_slow_logp(policy, *picked[i]) for i in (0, 3, 1, 2)]
    assert scores.sum().tolist() == pytest.approx(expected, abs=1e-12)
    assert scores.tree.tolist() == [0, 0, 1, 1]
    lengths = [len(world.answers[answer]) for answer in (0, 5, 3, world.size - 1)]
    assert scores.lengths.tolist() == lengths
    everything = policy.logps().detach()
    assert [float(everything[c, a]) for c, a in picked] == pytest.approx(
        [_slow_logp(policy, c, a) for c, a in picked], abs=1e-12
    )


def test_the_optimum_has_the_highest_regularised_reward() -> None:
    world = SMALL
    reference = worlds.random_policy(world, 5).logps().detach()
    rewards = _rewards(world, 6)
    best = exact.optimum(reference, rewards, 0.5)
    top = exact.regularised_reward(best, reference, rewards, 0.5)
    # The value at the optimum is beta log Z, and every other policy loses beta KL to it.
    partition = (reference + rewards / 0.5).logsumexp(-1)
    assert top == pytest.approx(0.5 * float(partition.mean()), abs=1e-12)
    for seed in range(5):
        other = worlds.random_policy(world, seed, scale=2.0).logps().detach()
        value = exact.regularised_reward(other, reference, rewards, 0.5)
        assert top - value == pytest.approx(0.5 * exact.kl(other, best), abs=1e-12)


def test_win_rate_is_that_of_all_pairs_of_answers() -> None:
    first, second = (worlds.random_policy(SMALL, seed).logps().detach() for seed in (7, 8))
    rewards = _rewards(SMALL, 9)
    slow = sum(
        math.exp(first[c, a])
        * math.exp(second[c, b])
        / (1 + math.exp(rewards[c, b] - rewards[c, a]))
        for c in range(2)
        for a in range(SMALL.size)
        for b in range(SMALL.size)
    )
    assert exact.win_rate(first, second, exact.preference(rewards)) == pytest.approx(slow / 2)
    assert exact.win_rate(first, first, exact.preference(rewards, 0)) == pytest.approx(0.5)


def _steepness(
    objective: str, batch: Batch, policy: TabularPolicy, reference: TabularPolicy
) -> float:
    """The largest slope of an objective's mean loss at a policy."""
    learner = make_learner(policy, objective, reference, options={"beta": 0.7})
    loss = learner.evaluate(learner.prepare(batch.examples)(), weights=batch.weights).mean
    return float(torch.autograd.grad(loss, policy.logits)[0].abs().max())


def _policy_of(world: World, logps: torch.Tensor) -> TabularPolicy:
    """The policy with these log-probabilities, in a world where answers share states only as long
    as they begin alike: every choice has the mass of the answers that make it."""
    logits = torch.zeros(world.contexts, world.states, world.choices, dtype=torch.float64)
    for number, answer in enumerate(world.answers):
        for state, token in zip(world.paths[number], answer, strict=True):
            logits[:, state, token] += logps[:, number].exp()
    return TabularPolicy(world, logits.clamp(min=1e-300).log())


def _population(world: World, rewards: torch.Tensor) -> Batch:
    """Every pair of answers, weighed by how often voters choose the first."""
    pairs = labelling.every_pair(world)
    weights = pairs.gaps(rewards).sigmoid()
    return Batch(labelling.comparisons(world, pairs), weights)


@pytest.mark.parametrize("world", [worlds.arms(6, contexts=2), SMALL], ids=["arms", "strings"])
def test_dpo_on_the_population_is_flat_exactly_at_the_optimum(world: World) -> None:
    reference = worlds.random_policy(world, 10)
    rewards = _rewards(world, 11)
    best = exact.optimum(reference.logps().detach(), rewards, 0.7)
    batch = _population(world, rewards)

    assert _steepness("dpo", batch, _policy_of(world, best), reference) < 1e-8
    assert _steepness("dpo", batch, reference, reference) > 1e-3


@pytest.mark.parametrize("world", [worlds.arms(6, contexts=2), SMALL], ids=["arms", "strings"])
def test_copg_is_flat_exactly_at_the_optimum_whoever_sampled(world: World) -> None:
    reference = worlds.random_policy(world, 17)
    rewards = _rewards(world, 18)
    best = exact.optimum(reference.logps().detach(), rewards, 0.7)
    pairs = labelling.every_pair(world)
    answers = torch.stack([pairs.first, pairs.second], dim=1)
    sampler = worlds.random_policy(world, 19, scale=2.0).logps().detach().exp()
    weights = sampler[pairs.contexts, pairs.first] * sampler[pairs.contexts, pairs.second]
    batch = Batch(labelling.rankings(world, pairs.contexts, answers, rewards), weights)

    assert _steepness("copg", batch, _policy_of(world, best), reference) < 1e-8
    assert _steepness("copg", batch, reference, reference) > 1e-3


def test_training_dpo_on_the_population_reaches_the_optimum() -> None:
    world = worlds.arms(5)
    policy = worlds.random_policy(world, 12)
    reference = copy.deepcopy(policy)
    rewards = _rewards(world, 13)
    best = exact.optimum(policy.logps().detach(), rewards, 0.5)

    def watch(step: int) -> dict[str, float]:
        return {"kl": exact.kl(policy.logps(), best)}

    seen = train(
        policy,
        "dpo",
        [_population(world, rewards)],
        reference=reference,
        options={"beta": 0.5},
        steps=400,
        lr=0.05,
        watch=watch,
        every=100,
    )
    assert [row["step"] for row in seen] == [0, 100, 200, 300, 400]
    assert seen[0]["kl"] > 0.05
    assert seen[-1]["kl"] < 1e-6


def test_training_is_deterministic_and_needs_no_layout_twice() -> None:
    world = WORLDS["forgetful"]

    def run() -> torch.Tensor:
        policy = worlds.random_policy(world, 14)
        pairs = labelling.draw_pairs(world, policy.logps(), 40, seed=1)
        batches = minibatches(labelling.comparisons(world, pairs), 16, seed=2, epochs=2)
        assert [len(batch.examples) for batch in batches] == [16, 16, 8] * 2
        train(policy, "dpo", batches, steps=10, lr=0.01)
        train(policy, "dpo", lambda step: batches[step % len(batches)], steps=3, lr=0.01)
        return policy.logps().detach()

    assert torch.equal(run(), run())


def test_votes_follow_bradley_terry_and_flips() -> None:
    world = worlds.arms(2)
    rewards = torch.tensor([[1.0, 0.0]])
    many = 20_000
    ones = torch.ones(many, dtype=torch.long)
    pairs = Pairs(0 * ones, 0 * ones, ones)
    share = labelling.vote(pairs, rewards, seed=3, voters=1).double().mean()
    assert float(share) == pytest.approx(1 / (1 + math.exp(-1)), abs=0.01)
    flipped = labelling.vote(pairs, rewards, seed=4, voters=5, temperature=0, flips=0.2)
    assert float(flipped.double().mean()) / 5 == pytest.approx(0.8, abs=0.01)
    chosen = labelling.majority(pairs, flipped, voters=5)
    wins = float((chosen.first == 0).double().mean())
    assert wins == pytest.approx(0.8**5 + 5 * 0.8**4 * 0.2 + 10 * 0.8**3 * 0.04, abs=0.01)
    assert len(labelling.comparisons(world, chosen)) == many


def test_pairs_are_of_different_answers_drawn_from_the_sampler() -> None:
    world = worlds.arms(3)
    logps = torch.tensor([[0.6, 0.3, 0.1]]).log()
    pairs = labelling.draw_pairs(world, logps, 20_000, seed=5)
    assert bool((pairs.first != pairs.second).all())
    share = [float((pairs.first == arm).double().mean()) for arm in range(3)]
    assert share == pytest.approx([0.6, 0.3, 0.1], abs=0.015)
    drawn = labelling.draw_answers(logps, torch.zeros(20_000, dtype=torch.long), 1, seed=6)
    assert float((drawn == 0).double().mean()) == pytest.approx(0.6, abs=0.015)


def test_every_kind_of_feedback_trains_what_takes_it() -> None:
    world = SMALL
    rewards = _rewards(world, 15)
    contexts = torch.arange(12) % world.contexts
    start = worlds.random_policy(world, 16)
    answers = labelling.draw_answers(start.logps(), contexts, 3, seed=8)
    single = answers[:, 0]
    kinds = {
        "sft": labelling.demonstrations(world, contexts, single),
        "kto": labelling.thumbs(world, contexts, single, rewards[contexts, single] > 0),
        "plackett_luce": labelling.rankings(world, contexts, answers, rewards),
    }
    for name, examples in kinds.items():
        policy = worlds.random_policy(world, 16)
        train(policy, name, [Batch(examples)], steps=20, lr=0.05)
        assert exact.kl(policy.logps(), start.logps()) > 1e-3, name
    joint = labelling.joint_pairs(world, (contexts[:6], single[:6]), (contexts[6:], single[6:]))
    assert [len(example.trees) for example in joint] == [2] * 6


def test_a_loss_on_policy_reaches_its_target_where_the_policy_itself_is_sampled() -> None:
    world = worlds.arms(4)
    rewards = _rewards(world, 3)
    policy = worlds.random_policy(world, 4)
    start = policy.logps().detach()
    target = exact.optimum(start, rewards, 1.0)

    def sampled(step: int) -> Batch:
        contexts = torch.zeros(8, dtype=torch.long)
        answers = labelling.draw_answers(policy.logps().detach(), contexts, 8, seed=step)
        return Batch(labelling.rankings(world, contexts, answers, rewards))

    train(policy, "f_dpg", sampled, steps=60, lr=0.1, options={"beta": 1.0})
    assert exact.kl(policy.logps(), target) < 0.2 * exact.kl(start, target)


def test_comparisons_keep_gaps_and_votes_turned_with_the_answers() -> None:
    world = worlds.arms(3)
    pairs = Pairs(torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([1, 2]))
    rewards = torch.tensor([[0.0, 2.0, 5.0]])
    votes = labelling.voted_comparisons(world, pairs, torch.tensor([1, 4]), voters=5)
    assert [e.trees[0].continuations for e in votes] == [((1,), (0,)), ((1,), (2,))]
    assert [e.numbers["votes"] for e in votes] == [(4, 1), (4, 1)]
    gaps = [e.numbers["reward_gap"] for e in labelling.comparisons(world, pairs, rewards)]
    assert gaps == [(-2.0,), (-3.0,)]
    assert not any(e.has("reward_gap") for e in labelling.comparisons(world, pairs))


def test_rankings_are_sorted_and_keep_their_numbers() -> None:
    world = worlds.arms(5)
    rewards = torch.tensor([[0.0, 3.0, 1.0, 2.0, 4.0]])
    (example,) = labelling.rankings(world, torch.tensor([0]), torch.tensor([[2, 4, 0]]), rewards)
    assert example.trees[0].continuations == ((4,), (2,), (0,))
    assert example.rewards == (4.0, 1.0, 0.0)


def test_between_two_points_of_a_frontier_gold_is_interpolated_and_beyond_it_unknown() -> None:
    frontier = [(0.6, 4.0), (0.0, 1.0), (0.2, 2.0)]
    assert exact.at_distance(frontier, 0.1) == pytest.approx(1.5)
    assert exact.at_distance(frontier, 0.5) == pytest.approx(3.5)
    assert math.isnan(exact.at_distance(frontier, 0.7))


def test_every_vote_is_a_comparison_for_the_answer_it_went_to() -> None:
    pairs = labelling.Pairs(torch.tensor([0, 1]), torch.tensor([2, 0]), torch.tensor([3, 1]))
    voted = labelling.every_vote(pairs, torch.tensor([2, 0]), voters=3)
    assert voted.contexts.tolist() == [0, 0, 0, 1, 1, 1]
    assert voted.first.tolist() == [2, 2, 3, 1, 1, 1]
    assert voted.second.tolist() == [3, 3, 2, 0, 0, 0]
