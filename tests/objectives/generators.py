"""Random batches of every kind of feedback, as hypothesis strategies.

Hypothesis draws the structure (how many examples, answers, tokens; labels, ties, options) and a
seed; the numbers come from the seed, so that shrinking does not march into kinks of a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from accordant.base.settings import Option
from accordant.objectives.assembly import assemble
from accordant.objectives.batch import column_means, column_totals, evaluate
from accordant.objectives.registry import Objective, bind_options
from accordant.scoring.scores import Scores, from_lists
from accordant.tokens.examples import Example, with_answers, with_numbers
from accordant.tokens.trees import TokenTree


@dataclass(frozen=True)
class Case:
    """Examples with log-probabilities of every token of each of their continuations."""

    examples: tuple[Example, ...]
    policy: tuple[tuple[tuple[float, ...], ...], ...]  # [examples][continuations][tokens]
    reference: tuple[tuple[tuple[float, ...], ...], ...]

    def take(self, order: Sequence[int]) -> Case:
        """Some of the examples, in the order given."""
        parts = (self.examples, self.policy, self.reference)
        return Case(*(tuple(part[i] for i in order) for part in parts))

    def with_totals(self, total: Callable[[int, int], float]) -> Case:
        """Every continuation with one token of log-probability `total(example, continuation)`.

        The reference gives each of them -5.
        """
        policy = tuple(
            tuple((total(e, c),) for c in range(len(row))) for e, row in enumerate(self.policy)
        )
        reference = tuple(tuple((-5.0,) for _ in row) for row in self.policy)
        return replace(self, policy=policy, reference=reference)


def flat_scores(rows: Sequence[Sequence[Sequence[float]]], dtype: torch.dtype) -> Scores:
    """Scores of all continuations of all examples."""
    tree = [i for i, row in enumerate(rows) for _ in row]
    return from_lists([tokens for row in rows for tokens in row], tree, dtype)


def build(
    objective: Objective,
    case: Case,
    dtype: torch.dtype = torch.float64,
    logps: Tensor | None = None,
) -> tuple[Any, Tensor]:
    """The objective's inputs, and the leaf tensor of policy log-probabilities they depend on."""
    policy = flat_scores(case.policy, dtype)
    leaf = policy.logps.requires_grad_() if logps is None else logps
    reference = flat_scores(case.reference, dtype) if objective.needs_reference else None
    scores = replace(policy, logps=leaf)
    return assemble(objective, scores, reference, case.examples), leaf


def global_means(objective: Objective, cases: Sequence[Case], options: dict) -> Tensor | None:
    """Batch statistics over several parts of one batch, as a trainer gathers them."""
    if objective.batch_means is None:
        return None
    totals = [column_totals(objective, build(objective, case)[0], options) for case in cases]
    return column_means(torch.stack(totals).sum(0))


def gradient_sums(objective: Objective, case: Case, dtype: torch.dtype) -> list[list[float]]:
    """Gradient of the mean loss with respect to each continuation's log-probability."""
    inputs, leaf = build(objective, case, dtype)
    output = evaluate(objective, inputs, bind_options(objective, {}))
    (gradient,) = torch.autograd.grad(output.losses.mean(), leaf)
    per_continuation = flat_scores(case.policy, dtype).sum_tokens(gradient).tolist()
    rows, start = [], 0
    for row in case.policy:
        rows.append(per_continuation[start : start + len(row)])
        start += len(row)
    return rows


@st.composite
def cases(draw: st.DrawFn, objective: Objective, min_examples: int = 1) -> Case:
    """A batch of 1 to 4 examples the objective can be trained on, with short answers."""
    kind = draw(st.sampled_from(objective.feedback))
    count = draw(st.integers(min_examples, 4))
    lengths = [draw(_answer_lengths(kind)) for _ in range(count)]
    examples = tuple(
        attach(
            objective,
            replace(draw(_examples(kind, index, row)), **draw(_labels(objective))),
            numbers=draw(_numbers_of(objective)),
            answers=draw(_extra_lengths(objective)),
        )
        for index, row in enumerate(lengths)
    )
    lengths = [[len(a) for tree in e.trees for a in tree.continuations] for e in examples]
    seed = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    policy, reference = (
        tuple(tuple(_numbers(n, seed) for n in row) for row in lengths) for _ in range(2)
    )
    return Case(examples, policy, reference)


def options_of(objective: Objective) -> st.SearchStrategy[dict]:
    """Options of the objective: some left out, the others within their ranges."""
    return st.fixed_dictionaries(
        {}, optional={option.name: _values(option) for option in objective.options}
    ).map(lambda given: bind_options(objective, given))


def _values(option: Option) -> st.SearchStrategy:
    if option.choices:
        return st.sampled_from(option.choices)
    if option.type_name == "text":
        # A text has a grammar of its own, which the tests of its loss know.
        return st.just(option.default)
    if option.type_name == "true or false":
        return st.booleans()
    bounds = option.bounds
    low, low_open = bounds.get("gt", bounds.get("ge")), "gt" in bounds
    high, high_open = bounds.get("lt", bounds.get("le")), "lt" in bounds
    if low is None:
        low, low_open = -2.0, False
    if high is None:
        high, high_open = low + 2.0, False
    if option.type_name == "whole number":
        return st.integers(int(low) + low_open, int(high) - high_open)
    # Ends that are excluded are also kept at a distance: 1 / (2 tau) at tau = 1e-300 is no case.
    margin = 0.02 * (high - low)
    return st.floats(low + margin * low_open, high - margin * high_open)


# What preparations attach, by its name: rows of numbers, or lengths of further answers. A density
# ratio may lie outside of the usual limits, and of two baselines each has a mean of its own.
NUMBERS: dict[str, st.SearchStrategy[tuple[float, ...] | None]] = {
    "baseline": st.tuples(st.floats(-3, -0.01), st.floats(-3, -0.01)),
    "prompt_weight": st.tuples(st.floats(0.1, 12.0)),
    "reward_gap": st.tuples(st.floats(-2, 8)),
    "votes": st.none() | st.tuples(st.integers(1, 9), st.integers(0, 9)),
}
ANSWERS = {
    "mismatched": st.lists(st.integers(1, 3), min_size=1, max_size=1),
    "self_samples": st.lists(st.integers(1, 3), min_size=1, max_size=3),
}


def attach(
    objective: Objective,
    example: Example,
    numbers: Mapping[str, tuple[float, ...] | None],
    answers: Mapping[str, Sequence[int]],
) -> Example:
    """The example as the objective's preparations would leave it."""
    for need in objective.prepare:
        name = need.attaches
        if (row := numbers.get(name)) is not None:
            example = with_numbers(example, name, row)
        if name in answers:
            example = with_answers(example, name, [(7,) * length for length in answers[name]])
    return example


def _numbers_of(
    objective: Objective,
) -> st.SearchStrategy[dict[str, tuple[float, ...] | None]]:
    names = {need.attaches for need in objective.prepare}
    return st.fixed_dictionaries({name: NUMBERS[name] for name in NUMBERS if name in names})


def _extra_lengths(objective: Objective) -> st.SearchStrategy[dict[str, list[int]]]:
    names = {need.attaches for need in objective.prepare}
    return st.fixed_dictionaries({name: ANSWERS[name] for name in ANSWERS if name in names})


def _labels(objective: Objective) -> st.SearchStrategy[dict[str, bool]]:
    """A label among those the objective can use, where it names any."""
    if not objective.labels:
        return st.just({})
    return st.fixed_dictionaries({"label": st.sampled_from(objective.labels)})


def _answer_lengths(kind: str) -> st.SearchStrategy[list[int]]:
    fewest, most = {
        "demonstration": (1, 1),
        "binary": (1, 1),
        "comparison": (2, 2),
        "joint_pair": (2, 2),
        "ranking": (1, 4),
        "judgment": (1, 1),
    }[kind]
    if kind == "judgment":
        return st.integers(1, 3).map(lambda length: [length, length])
    return st.lists(st.integers(1, 3), min_size=fewest, max_size=most)


@st.composite
def _examples(draw: st.DrawFn, kind: str, index: int, lengths: list[int]) -> Example:
    answers = tuple((7,) * length for length in lengths)
    label = draw(st.booleans()) if kind in ("binary", "judgment") else None
    rewards = None
    if kind == "ranking" and draw(st.booleans()):
        numbers = st.lists(st.integers(0, 3), min_size=len(answers), max_size=len(answers))
        rewards = tuple(float(n) for n in sorted(draw(numbers), reverse=True))
    # Prompts of one token suit losses that score prompts, whose trees begin with one token, too.
    if kind in ("joint_pair", "judgment"):
        trees = tuple(TokenTree((1,), (answer,)) for answer in answers)
    else:
        trees = (TokenTree((1,), answers),)
    return Example(kind, trees, index, label, rewards)


def _numbers(count: int, seed: torch.Generator) -> tuple[float, ...]:
    draws = torch.rand(count, generator=seed, dtype=torch.float64)
    return tuple((-3 * draws - 0.01).tolist())
