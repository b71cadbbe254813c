"""The memory of facts: it scores like its own table of words, and learns what it reads."""

from __future__ import annotations

import torch

from accordant.scoring.engine import score
from accordant.tokens.trees import TokenTree
from accordant_studies.laboratory.memory import BEGIN, Memory
from accordant_studies.laboratory.training import minibatches, train
from accordant_studies.laboratory.transformer import demonstrations


def test_scores_are_those_of_its_words_one_after_another() -> None:
    memory = Memory(0, (2, 5), 7)
    trees = [TokenTree((0, 3), ((4, 2), (6,))), TokenTree((1, 0), ((1,),))]
    scores = score(memory, trees)
    rows = [((0, 3), BEGIN, 4), ((0, 3), 4, 2), ((0, 3), BEGIN, 6), ((1, 0), BEGIN, 1)]
    expected = torch.stack(
        [memory.logps(torch.tensor([p]), torch.tensor([b]))[0, word] for p, b, word in rows]
    )
    torch.testing.assert_close(scores.logps, expected)
    assert scores.lengths.tolist() == [2, 1, 1]
    assert scores.tree.tolist() == [0, 0, 1]


def test_it_learns_what_it_reads_and_nothing_of_the_rest() -> None:
    memory = Memory(1, (40,), 12)
    places = [(i,) for i in range(30)]
    examples = demonstrations(places, [(1 + i % 11,) for i in range(30)])
    train(memory, "sft", minibatches(examples, 30, 0, 80), steps=80, lr=1e-2)
    with torch.no_grad():
        asked = torch.arange(40)[:, None]
        top = memory.logps(asked, torch.full((40,), BEGIN)).exp().max(1).values
    assert top[:30].min() > 0.9
    assert top[30:].mean() < 0.7


def test_its_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again = Memory(3, (4,), 5), Memory(3, (4,), 5)
    assert torch.equal(torch.get_rng_state(), state)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
