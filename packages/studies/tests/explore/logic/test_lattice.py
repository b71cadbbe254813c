"""The lattice holds exactly the entailments, drawn without loss."""

from __future__ import annotations

import itertools

from accordant.reports.drawing import draw_chart
from accordant_studies.explore.logic.lattice import build_lattice, draw_text, lattice_chart
from accordant_studies.explore.logic.readings import FORMS, form
from accordant_studies.explore.logic.structures import from_tables, relation, structure

NAMES = ("M_w", "M_l")


def test_covers_generate_the_order_and_none_is_redundant() -> None:
    meanings = {
        f"{above}-{below}": from_tables(above, below, NAMES)
        for above, below in itertools.product((2, 3, 10, 11, 14), (4, 5, 12))
    }
    lattice = build_lattice(meanings)
    places = range(len(lattice.classes))
    reached = {i: {j for k, j in lattice.covers if k == i} for i in places}
    for _ in places:
        for i in places:
            reached[i] |= set().union(*(reached[j] for j in reached[i]), set())
    for i, j in itertools.product(places, repeat=2):
        entails = relation(lattice.meanings[i], lattice.meanings[j]) == "entails"
        assert (j in reached[i]) == entails
    for i, j in lattice.covers:
        assert not any((i, k) in lattice.covers and j in reached[k] for k in places)


def test_equivalent_structures_share_a_place() -> None:
    lattice = build_lattice(
        {"a": structure("Implies(M_l, M_w)"), "b": structure("~M_l | M_w"), "c": structure("M_w")}
    )
    assert lattice.classes == (("a", "b"), ("c",))
    assert lattice.covers == ((1, 0),)
    assert lattice.layers == ((1,), (0,))


def test_the_new_loss_stands_above_dpo() -> None:
    assert relation(form(FORMS["retain_dpo"]), form(FORMS["dpo, ipo, ln_dpo"])) == "entails"
    text = draw_text(build_lattice({name: form(ratio) for name, ratio in FORMS.items()}))
    assert "entails dpo, ipo, ln_dpo" in text.partition("  retain_dpo\n")[2]
    assert "M(x, y_l) and Ref(x, y_w) implies M(x, y_w) and Ref(x, y_l)" in text
    for name in FORMS:
        assert f"  {name}\n" in text


def test_the_figure_draws_every_class_and_cover() -> None:
    lattice = build_lattice({name: form(ratio) for name, ratio in FORMS.items()})
    figure = draw_chart(lattice_chart(lattice))
    assert len(figure.data) == len(lattice.covers) + 1
    assert set(figure.data[-1].text) == set(FORMS)
