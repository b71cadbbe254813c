"""Equations are read as the formulas they count, or refused with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant_studies.explore.logic.decompiling import NoFormulaError, counted_by, decompile
from accordant_studies.explore.logic.formulas import equivalent, parse, tabulate

NAMES = ("M_w", "M_l", "R_w")


@pytest.mark.parametrize(
    ("ratio", "core", "condition", "added"),
    [
        ("M_w / M_l", "Implies(M_l, M_w)", "Or(M_w, M_l)", "And(M_w, M_l)"),
        ("M_w * (1 - M_l) / (M_l * (1 - M_w))", "Implies(M_l, M_w)", "Xor(M_w, M_l)", "False"),
        ("M_w * (1 - M_l) / (1 - M_w * (1 - M_l))", "M_w & ~M_l", "True", "False"),
        ("M_w / (1 - M_w)", "M_w", "True", "False"),
        (
            "M_w * R_l / (M_l * R_w)",
            "Implies(And(M_l, R_w), And(M_w, R_l))",
            "Or(And(M_l, R_w), And(M_w, R_l))",
            "And(M_w, M_l, R_w, R_l)",
        ),
        (
            "M_w**2 * R_l / (M_l * R_w * M_w)",  # a common factor is no part of the ratio
            "Implies(And(M_l, R_w), And(M_w, R_l))",
            "Or(And(M_l, R_w), And(M_w, R_l))",
            "And(M_w, M_l, R_w, R_l)",
        ),
        (
            "M_w**2 / M_l",  # DPO-positive's second pull on the chosen answer: a copy of the policy
            "Implies(M_l, And(M_w, C_w))",
            "Or(M_l, And(M_w, C_w))",
            "And(M_l, M_w, C_w)",
        ),
    ],
)
def test_ratios_are_read_as_the_papers_structures(ratio, core, condition, added) -> None:
    found = decompile(ratio)
    assert equivalent(found.core, parse(core))
    assert equivalent(found.condition, parse(condition))
    assert equivalent(found.added, parse(added))


@given(table=st.integers(0, 255))
def test_the_count_of_any_formula_is_read_back_as_it(table: int) -> None:
    parts = []
    for world in range(8):
        if table >> world & 1:
            factors = [n if world >> k & 1 else f"(1 - {n})" for k, n in enumerate(NAMES)]
            parts.append(" * ".join(factors))
    assert tabulate(counted_by(" + ".join(parts) or "0"), NAMES) == table


@pytest.mark.parametrize(
    ("polynomial", "why"),
    [
        ("M_w + M_l", "where M_w, M_l holds 2 times"),
        ("M_w - M_l", "where M_l holds -1 times"),
        ("2 * M_w", "2 times"),
        ("M_w**3", "power 3"),
        ("R_w**2", "power 2"),
        ("M_w * (R_l + M_l)", "2 times"),  # Jensen-Shannon's, see readings
    ],
)
def test_what_counts_no_formula_says_why(polynomial: str, why: str) -> None:
    with pytest.raises(NoFormulaError, match=why):
        counted_by(polynomial)


@pytest.mark.parametrize("text", ["exp(M_w)", "M_q", "M_w /", "M_w * 0.5", "__import__('os')"])
def test_what_is_no_quotient_is_refused_and_never_run(text: str) -> None:
    with pytest.raises(ValueError):
        decompile(text)
