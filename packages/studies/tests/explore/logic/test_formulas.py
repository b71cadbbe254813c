"""Formulas are read without being run, tabulated exactly, and written as people read them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant_studies.explore.logic.formulas import (
    entails,
    equivalent,
    formula_of,
    names_in,
    parse,
    simplify,
    tabulate,
    write,
)

NAMES = ("M_w", "M_l", "R_w", "R_l")
tables = st.integers(0, 2**16 - 1)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Implies(M_l, M_w)", lambda w, r: not r or w),
        ("M_l >> M_w", lambda w, r: not r or w),
        ("M_w and not M_l", lambda w, r: w and not r),
        ("M_w & ~M_l", lambda w, r: w and not r),
        ("Xor(M_w, M_l)", lambda w, r: w != r),
        ("Equivalent(M_w, M_l)", lambda w, r: w == r),
        ("M_w | M_l", lambda w, r: w or r),
        ("True", lambda w, r: True),
        ("False", lambda w, r: False),
    ],
)
def test_a_table_holds_the_worlds_where_the_formula_holds(text: str, meaning) -> None:
    table = tabulate(parse(text), ("M_w", "M_l"))
    for world, (r, w) in enumerate(itertools.product((False, True), repeat=2)):
        assert bool(table >> world & 1) == meaning(w, r)


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "M_w + M_l", "M_q", "Implies(M_w", "M_w(M_l)", "And(M_w, x=M_l)", "1"],
)
def test_what_is_no_formula_is_refused_and_never_run(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


@given(table=tables)
def test_a_formula_made_from_a_table_has_that_table(table: int) -> None:
    formula = formula_of(table, NAMES)
    assert tabulate(formula, NAMES) == table
    assert equivalent(simplify(formula), formula)


@given(one=tables, other=tables)
def test_entailment_is_inclusion_of_worlds(one: int, other: int) -> None:
    premise, conclusion = formula_of(one, NAMES), formula_of(other, NAMES)
    assert entails(premise, conclusion) == (one & ~other == 0)
    assert equivalent(premise, conclusion) == (one == other)


def test_entailment_agrees_with_satisfiability_over_all_formulas_of_two_propositions() -> None:
    from sympy.logic.boolalg import And, Not
    from sympy.logic.inference import satisfiable

    formulas = [formula_of(table, NAMES[:2]) for table in range(16)]
    for premise, conclusion in itertools.product(formulas, repeat=2):
        counterexample = satisfiable(And(premise, Not(conclusion)))
        assert entails(premise, conclusion) == (counterexample is False)


def test_a_table_over_too_few_propositions_is_refused() -> None:
    with pytest.raises(ValueError, match="R_w"):
        tabulate(parse("M_w & R_w"), ("M_w",))
    assert names_in(parse("R_l & M_l")) == ("M_l", "R_l")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Implies(M_l, M_w)", "M(x, y_l) implies M(x, y_w)"),
        ("M_w | ~M_l", "M(x, y_l) implies M(x, y_w)"),
        ("M_w & ~M_l", "M(x, y_w) and not M(x, y_l)"),
        (
            "~M_l | ~R_w | (M_w & R_l)",
            "M(x, y_l) and Ref(x, y_w) implies M(x, y_w) and Ref(x, y_l)",
        ),
        ("(M_w & ~M_l) | (M_l & ~M_w)", "M(x, y_w) xor M(x, y_l)"),
        ("~M_w | ~M_l", "not M(x, y_w) or not M(x, y_l)"),
        ("M_w >> M_w", "true"),
    ],
)
def test_formulas_are_written_as_people_read_them(text: str, written: str) -> None:
    assert write(simplify(parse(text))) == written
