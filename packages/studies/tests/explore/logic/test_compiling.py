"""Structures compile to the losses they stand for, and entailment orders the losses."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accordant.base.errors import UserError
from accordant.objectives.batch import evaluate
from accordant.objectives.inputs import Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.registry import (
    bind_options,
    get_objective,
    is_built_in,
    temporary_objectives,
)
from accordant.scoring.scores import from_lists
from accordant_studies.explore.logic.compiling import Term, compile_terms, register_structure
from accordant_studies.explore.logic.counting import log_count
from accordant_studies.explore.logic.decompiling import decompile
from accordant_studies.explore.logic.formulas import entails, formula_of
from accordant_studies.explore.logic.links import hinge, logistic, sigmoid, squared
from accordant_studies.explore.logic.recognising import random_pairs
from accordant_studies.explore.logic.structures import (
    Structure,
    from_tables,
    relation,
    structure,
    unconditioned,
)

TWO = ("M_w", "M_l")
FOUR = ("M_w", "M_l", "R_w", "R_l")
CPO = structure("Implies(M_l, M_w)", "Or(M_w, M_l)", "And(M_w, M_l)")
ORPO = structure("Implies(M_l, M_w)", "Xor(M_w, M_l)")
chances = st.lists(st.lists(st.floats(0.01, 0.99), min_size=4, max_size=4), min_size=1, max_size=4)


def loss_of(meaning: Structure, p_w: float, p_l: float) -> float:
    import numpy as np

    pairs = random_pairs(np.array([[p_w, p_l, 0.5, 0.5]]), per_token=False)
    return Term(meaning, logistic()).loss(pairs).item()


@pytest.mark.parametrize(
    ("meaning", "expected"),
    [(CPO, 0.405465), (ORPO, 0.318454), (structure("M_w & ~M_l"), 1.139434)],
    ids=["cpo", "orpo", "and-not"],
)
def test_the_worked_numbers(meaning: Structure, expected: float) -> None:
    assert loss_of(meaning, 0.4, 0.2) == pytest.approx(expected, abs=5e-7)


def test_the_unconditioned_loss_is_minus_the_log_of_the_formulas_probability() -> None:
    implication = unconditioned(structure("Implies(M_l, M_w)").core)
    assert loss_of(implication, 0.4, 0.2) == pytest.approx(-math.log(1 - 0.2 * 0.6))


def test_cpo_differs_from_orpo_by_the_world_where_both_hold() -> None:
    only_w, only_l, both = 0b0010, 0b0100, 0b1000
    assert ORPO.tables(TWO) == (only_w, only_l)
    assert CPO.tables(TWO) == (only_w | both, only_l | both)


@given(above=st.integers(1, 2**16 - 1), below=st.integers(1, 2**16 - 1), rows=chances)
def test_a_compiled_loss_equals_the_sum_over_worlds(above: int, below: int, rows) -> None:
    import numpy as np

    pairs = random_pairs(np.array(rows), per_token=False)
    found = Term(from_tables(above, below, FOUR), logistic(0.7)).loss(pairs)
    for loss, row in zip(found.tolist(), rows, strict=True):
        counts = [sum(_weight(w, row) for w in range(16) if t >> w & 1) for t in (above, below)]
        ratio = math.log(counts[0] / counts[1])
        assert loss == pytest.approx(math.log1p(math.exp(-0.7 * ratio)), abs=1e-8)


def _weight(world: int, row: list[float]) -> float:
    return math.prod(p if world >> k & 1 else 1 - p for k, p in enumerate(row))


def grid() -> PairwiseScores:
    import numpy as np

    points = np.linspace(0.05, 0.95, 7)
    return random_pairs(
        np.array([(w, r, 0.5, 0.5) for w, r in itertools.product(points, points)]), per_token=False
    )


def test_entailment_orders_the_losses_of_all_formulas_of_two_propositions() -> None:
    pairs, compared = grid(), 0
    formulas = {table: formula_of(table, TWO) for table in range(1, 15)}
    losses = {
        table: Term(unconditioned(f), logistic()).loss(pairs) for table, f in formulas.items()
    }
    for one, other in itertools.product(formulas, repeat=2):
        nowhere_smaller = bool((losses[one] >= losses[other] - 1e-9).all())
        # For unconditioned structures the order of losses is entailment, in both directions.
        assert entails(formulas[one], formulas[other]) == nowhere_smaller
        compared += entails(formulas[one], formulas[other])
    assert compared == 14 + 36  # each entails itself; the inclusions between unlike tables


@given(one=st.integers(1, 2**16 - 2), other=st.integers(1, 2**16 - 2), rows=chances)
def test_entailment_orders_the_losses_of_formulas_with_a_reference(one, other, rows) -> None:
    import numpy as np

    premise = one & other  # so that something is entailed
    if premise == 0:
        return
    pairs = random_pairs(np.array(rows), per_token=False)
    strong, weak = (
        Term(unconditioned(formula_of(table, FOUR)), logistic()).loss(pairs)
        for table in (premise, other)
    )
    assert (strong >= weak - 1e-9).all()


def test_entailment_orders_the_losses_of_all_structures_of_two_propositions() -> None:
    pairs = grid()
    sides = [(a, b) for a in range(1, 16) for b in range(1, 16)]
    weights = {"M_w": pairs.chosen.policy.sum(), "M_l": pairs.rejected.policy.sum()}
    counts = {table: log_count(table, TWO, weights) for table in range(1, 16)}
    for (a, b), (c, d) in itertools.product(sides, repeat=2):
        if a & ~c == 0 and d & ~b == 0:
            assert (counts[a] - counts[b] <= counts[c] - counts[d] + 1e-9).all()
    assert relation(from_tables(2, 12, TWO), from_tables(10, 4, TWO)) == "entails"


@pytest.mark.parametrize(
    ("link", "of"),
    [
        (logistic(0.5), lambda r: math.log1p(math.exp(-0.5 * r))),
        (
            logistic(2.0, 0.1),
            lambda r: 0.9 * math.log1p(math.exp(-2 * r)) + 0.1 * math.log1p(math.exp(2 * r)),
        ),
        (hinge(0.5, 2.0), lambda r: max(0.0, 2 - 0.5 * r)),
        (squared(0.5, 3.0), lambda r: (0.5 * r - 3) ** 2),
        (sigmoid(0.5), lambda r: 1 / (1 + math.exp(0.5 * r))),
    ],
)
def test_links_are_what_their_names_say(link, of) -> None:
    ratios = torch.linspace(-4, 4, 9, dtype=torch.float64)
    expected = [of(r) for r in ratios.tolist()]
    torch.testing.assert_close(link.apply(ratios), torch.tensor(expected, dtype=torch.float64))


def test_a_copy_of_the_policy_doubles_its_pull() -> None:
    """DPO-positive's second log p_w; the paper reads it as a copy, too."""
    import numpy as np

    rows = np.random.default_rng(0).uniform(0.05, 0.95, (8, 4))
    found = Term(decompile("M_w**2 * R_l / (M_l * R_w)"), logistic()).log_ratio(
        random_pairs(rows, per_token=False)
    )
    w, rejected, ref_w, ref_l = np.log(rows).T
    assert found.numpy() == pytest.approx(2 * w + ref_l - rejected - ref_w, abs=1e-9)


def test_a_structure_about_a_reference_needs_scores_of_one() -> None:
    answers = Sequences(from_lists([[-1.0]]))
    with pytest.raises(ValueError, match="reference"):
        compile_terms([Term(structure("M_w & R_l"), logistic())], PairwiseScores(answers, answers))


def test_a_registered_structure_trains_like_any_other() -> None:
    with temporary_objectives():
        compiled = register_structure("own_orpo", ORPO, summary="Odds.", per_token=True)
        assert compiled is get_objective("own_orpo")
        assert (compiled.feedback, compiled.needs_reference) == (("comparison",), False)
        assert "M(x, y_w) and not M(x, y_l)" in compiled.formula
        policy = from_lists([[-0.5, -1.5]], dtype=torch.float64)
        policy.logps.requires_grad_()
        pairs = PairwiseScores(Sequences(policy), Sequences(from_lists([[-0.7]])))
        output = evaluate(compiled, pairs, bind_options(compiled, {"beta": 2.0}))
        odds = (-1.0 - math.log1p(-math.exp(-1.0))) - (-0.7 - math.log1p(-math.exp(-0.7)))
        assert output.losses.item() == pytest.approx(math.log1p(math.exp(-2 * odds)))
        (gradient,) = torch.autograd.grad(output.losses.sum(), policy.logps)
        assert (gradient < 0).all()
        assert not is_built_in(compiled)
        with pytest.raises(ValueError, match="taken"):
            register_structure("own_orpo", CPO, summary="Another of that name.")
        with pytest.raises(UserError, match="beta"):
            bind_options(compiled, {"beta": -1})
        with pytest.raises(ValueError, match="no world"):
            register_structure("empty", structure("M_w & ~M_w"), summary="Nothing.")
