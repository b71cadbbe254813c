"""One walk over all pairs gives every check what it would have got alone, one answer at a time."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from accordant.checks.pairs import Pair, list_pairs, read_pairs, summed_logps, tokens_of
from accordant.checks.similarity import ches_scores, normalised_ches_scores, read_similarities
from accordant.scoring.apart import plain_logps
from accordant.scoring.engine import ScoreOptions
from accordant.scoring.installation import install
from accordant.scoring.scores import Scores
from accordant.tokens.examples import Example
from accordant.tokens.trees import TokenTree
from tests.families import VOCABULARY, tiny_model

Run = tuple[int, ...]


def tokens(count: int, seed: int) -> Run:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(0, VOCABULARY, (count,), generator=generator).tolist())


def examples() -> list[Example]:
    """Two comparisons, a joint pair and a ranking with a tie."""
    drawn = [tokens(length, seed) for seed, length in enumerate((7, 5, 9, 20, 3, 1, 4, 6, 2, 8))]
    return [
        Example("comparison", (TokenTree(drawn[0], (drawn[1], drawn[2])),), 0),
        Example("comparison", (TokenTree(drawn[3], (drawn[4], drawn[5])),), 1),
        Example(
            "joint_pair",
            (TokenTree(drawn[0], (drawn[6],)), TokenTree(drawn[3], (drawn[7],))),
            2,
        ),
        Example(
            "ranking",
            (TokenTree(drawn[1], (drawn[8], drawn[9], drawn[4])),),
            3,
            rewards=(2.0, 1.0, 1.0),
        ),
    ]


def plain_states(model: nn.Module, prompt: Run, answer: Run) -> Tensor:
    """States from the prompt's last token to the answer's last but one, as the paper sums them."""
    ids = torch.tensor([prompt + answer])
    with torch.no_grad():
        states: Tensor = model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0]
    return states[len(prompt) - 1 : -1].double()


def slow(model: nn.Module, trees: Sequence[TokenTree]) -> list[float]:
    """Both answers' log-probabilities, lengths and CHES scores, one sequence at a time."""
    answers = [(tree.prompt, answer) for tree in trees for answer in tree.continuations]
    (chosen, rejected) = (plain_states(model, *one) for one in answers)
    with torch.no_grad():
        logps = [float(part.sum()) for tree in trees for part in plain_logps(model, tree)]
    lengths = torch.tensor([[len(chosen)], [len(rejected)]]).double()
    sums = chosen.sum(0, keepdim=True), rejected.sum(0, keepdim=True)
    return [
        *logps,
        *lengths[:, 0].tolist(),
        float(normalised_ches_scores(*sums, *lengths)),
        ches_scores(*sums),
    ]


def test_preferences_of_every_kind_are_listed() -> None:
    assert list_pairs(examples()) == [
        Pair(0, 0, 1),
        Pair(1, 0, 1),
        Pair(2, 0, 1),
        Pair(3, 0, 1),
        Pair(3, 0, 2),
    ]
    assert tokens_of(examples()[2], 1) == tokens(6, 7)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
@pytest.mark.parametrize("budget", [1, 40, 4096])
def test_the_walk_equals_one_sequence_at_a_time(family: str, budget: int) -> None:
    plain = tiny_model(family)
    model = install(copy.deepcopy(plain))
    seen: list[int] = []
    given = examples()
    readings, states = {"logps": summed_logps, "ches": read_similarities}, ScoreOptions(hidden=True)
    found = read_pairs(model, given, readings, states, row_tokens=budget, advance=seen.append)
    for number, pair in enumerate(list_pairs(given)):
        example = given[pair.example]
        trees = example.trees
        if example.kind == "ranking":
            runs = tuple(tokens_of(example, answer) for answer in (pair.chosen, pair.rejected))
            trees = (TokenTree(example.trees[0].prompt, runs),)
        expected = torch.tensor(slow(plain, trees)).double()
        measured = torch.cat([found["logps"][number], found["ches"][number, :2]])
        torch.testing.assert_close(measured, expected, rtol=1e-4, atol=1e-3)
    assert sum(seen) == sum(example.num_tokens for example in given)
    assert not model.training


def test_the_head_is_left_out_where_nobody_reads_log_probabilities() -> None:
    model = install(tiny_model("llama"))
    seen: list[Scores] = []

    def keep(scores: Scores, chosen: Tensor, rejected: Tensor) -> Tensor:
        seen.append(scores)
        return read_similarities(scores, chosen, rejected)

    calls: list[int] = []
    handle = model.lm_head.register_forward_pre_hook(lambda *_: calls.append(1))
    states = ScoreOptions(logps=False, hidden=True)
    alone = read_pairs(model, examples(), {"ches": keep}, states, row_tokens=4096)["ches"]
    handle.remove()
    assert not calls
    assert seen[0].logps.isnan().all()
    readings = {"a": read_similarities, "b": summed_logps}
    both = ScoreOptions(hidden=True)
    together = read_pairs(model, examples(), readings, both, row_tokens=4096)["a"]
    torch.testing.assert_close(alone, together)
