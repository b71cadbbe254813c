"""What is said of every registered loss on comparisons is true of the numbers it returns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.objectives.generators import options_of

from accordant.base.options import Positive
from accordant.objectives.batch import evaluate
from accordant.objectives.inputs import Attached, LossOutput, Sequences
from accordant.objectives.kinds.comparison import PairwiseScores
from accordant.objectives.registry import (
    bind_options,
    get_objective,
    is_built_in,
    list_objectives,
    objective,
    temporary_objectives,
)
from accordant.scoring.scores import from_lists
from accordant_studies.explore.logic.compiling import compile_terms
from accordant_studies.explore.logic.readings import _READINGS, FORMS, NO_FORMULA, form, read
from accordant_studies.explore.logic.recognising import recognise
from accordant_studies.explore.logic.relating import _main
from accordant_studies.explore.logic.structures import relation

PAIRWISE = [
    entry for entry in list_objectives() if is_built_in(entry) and entry.inputs is PairwiseScores
]


def random_batch(seed: int) -> PairwiseScores:
    """Pairs with answers of unlike lengths, in float64, rated alike."""
    drawn = np.random.default_rng(seed)
    lengths = drawn.integers(1, 5, (2, 6))

    def scores(side: int):
        return from_lists(
            [list(-drawn.uniform(0.05, 2.0, n)) for n in lengths[side]], dtype=torch.float64
        )

    chosen, rejected = (Sequences(scores(side), scores(side)) for side in (0, 1))
    return PairwiseScores(
        chosen, rejected, attached=Attached({"reward_gap": torch.zeros(6, 1, dtype=torch.float64)})
    )


@pytest.mark.parametrize("entry", PAIRWISE, ids=lambda entry: entry.name)
@given(data=st.data(), seed=st.integers(0, 1000))
@settings(max_examples=12)
def test_compiling_what_was_decompiled_gives_the_registered_loss(entry, data, seed: int) -> None:
    options = data.draw(options_of(entry))
    reading = read(entry, options)
    if not reading.terms:
        assert reading.note.startswith("none")
        return
    pairs = random_batch(seed)
    expected = evaluate(entry, pairs, options).losses
    torch.testing.assert_close(
        compile_terms(reading.terms, pairs).losses, expected, rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("entry", PAIRWISE, ids=lambda entry: entry.name)
def test_every_loss_on_comparisons_has_a_formula_or_a_reason(entry) -> None:
    reading = read(entry)
    assert reading.terms or len(reading.note) > 20


def test_the_tables_name_registered_losses() -> None:
    names = {entry.name for entry in PAIRWISE}
    assert set(_READINGS) | set(NO_FORMULA) <= names | {"sft", "poft"}


@pytest.mark.parametrize("name", ["dpo", "ln_dpo", "simpo", "hinge", "retain_dpo"])
def test_what_the_equation_says_is_found_without_it(name: str) -> None:
    entry = get_objective(name)
    (term,) = read(entry).terms
    found = recognise(entry, bind_options(entry, {}))
    assert found is not None
    assert relation(found.structure, term.structure) == "equivalent"
    assert found.per_token == term.per_token
    assert found.margin == pytest.approx(term.margin, abs=1e-6)
    assert found.link.formula == term.link.formula


@pytest.mark.parametrize("name", ["tdpo", "mapo", "discopo"])
def test_nothing_is_recognised_where_there_is_no_logistic_or_hinge_loss(name: str) -> None:
    entry = get_objective(name)
    assert recognise(entry, bind_options(entry, {})) is None


def test_a_users_loss_is_recognised_from_its_numbers() -> None:
    with temporary_objectives():

        @objective(
            name="mine", feedback="comparison", needs_reference=True, paper="none", formula="?"
        )
        def mine(pairs: PairwiseScores, *, beta: Positive = 0.3) -> LossOutput:
            """What the chosen answer gained must outweigh the rejected answer's probability."""
            moved = pairs.chosen.log_ratio() - pairs.rejected.policy.sum()
            return LossOutput(torch.nn.functional.softplus(-beta * moved))

        (term,) = read(get_objective("mine")).terms
        assert relation(term.structure, form("M_w / (R_w * M_l)")) == "equivalent"
        assert term.link.scale == 0.3


def test_f_dpo_is_dpo_for_the_reverse_kl_and_has_no_formula_otherwise() -> None:
    entry = get_objective("f_dpo")
    assert read(entry, {"divergence": "reverse_kl"}).terms[0].structure == form(
        FORMS["dpo, ipo, ln_dpo"]
    )
    assert "twice" in read(entry).note


def test_losses_on_other_feedback_say_that_the_logic_is_of_pairs() -> None:
    assert "pairs" in read(get_objective("kto")).note


def test_the_names_in_the_lattice_are_of_losses_with_those_structures() -> None:
    for names, ratio in FORMS.items():
        for name in names.split(", "):
            if "(" in name:
                continue
            term = _main(read(get_objective(name), {"gamma": 0} if name == "simpo" else {}))
            assert relation(term.structure, form(ratio)) == "equivalent", name
