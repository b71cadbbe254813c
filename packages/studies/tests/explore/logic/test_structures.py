"""Structures stand to each other as their sides do, and losses follow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accordant_studies.explore.logic.formulas import equivalent, formula_of
from accordant_studies.explore.logic.structures import (
    from_tables,
    prefer,
    relation,
    structure,
)

NAMES = ("M_w", "M_l")


@given(above=st.integers(0, 2**16 - 1), below=st.integers(0, 2**16 - 1))
def test_preferring_some_worlds_to_others_gives_those_two_sides(above: int, below: int) -> None:
    names = ("M_w", "M_l", "R_w", "R_l")
    found = prefer(formula_of(above, names), formula_of(below, names))
    assert found.tables(names) == (above, below)


def test_all_256_structures_of_two_propositions_are_different() -> None:
    built = [from_tables(above, below, NAMES) for above in range(16) for below in range(16)]
    assert len({s.tables(NAMES) for s in built}) == 256


def test_a_structure_is_written_with_its_condition_and_what_it_adds() -> None:
    cpo = structure("Implies(M_l, M_w)", "Or(M_w, M_l)", "And(M_w, M_l)")
    assert equivalent(cpo.preferred, structure("M_w").core)
    assert equivalent(cpo.dispreferred, structure("M_l").core)
    assert str(cpo) == (
        "M(x, y_l) implies M(x, y_w); given M(x, y_w) or M(x, y_l); adding M(x, y_w) and M(x, y_l)"
    )
    assert str(structure("M_w")) == "M(x, y_w)"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (structure("M_w & ~M_l"), structure("M_w"), "entails"),
        (structure("M_w"), structure("Implies(M_l, M_w)"), "entails"),
        (structure("Implies(M_l, M_w)"), structure("M_w & ~M_l"), "is entailed by"),
        (structure("Implies(M_l, M_w)"), structure("~M_l | M_w"), "equivalent"),
        (
            structure("Implies(M_l, M_w)", "Xor(M_w, M_l)"),
            structure("Implies(M_l, M_w)", "Or(M_w, M_l)", "And(M_w, M_l)"),
            "incomparable",
        ),
        (structure("M_w"), structure("R_w"), "incomparable"),
    ],
)
def test_relations_between_structures(one, other, expected: str) -> None:
    assert relation(one, other) == expected
    opposite = {"entails": "is entailed by", "is entailed by": "entails"}
    assert relation(other, one) == opposite.get(expected, expected)
