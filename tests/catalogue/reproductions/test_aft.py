"""AFT's reproduction: right and wrong are what a program says, and it runs."""

from __future__ import annotations

import pytest

from accordant.catalogue.laboratory.language import END, FIRST_NOUN, make_prompt
from accordant.catalogue.laboratory.transformer import Schooling, start_model
from accordant.catalogue.reproductions import aft
from accordant.data.examples import Example
from accordant.data.trees import TokenTree


def _hardly_schooled(seed: int) -> object:
    return start_model(seed, Schooling(prompts=512, epochs=2))


def test_an_answer_is_right_if_it_names_everything_and_is_grammatical() -> None:
    prompt, nouns = make_prompt((0, 3)), (FIRST_NOUN, FIRST_NOUN + 3)
    assert aft._right(prompt, (*nouns, END)) == 1
    assert aft._right(prompt, nouns) == 0  # without an end
    assert aft._right(prompt, (nouns[0], END)) == 0


def test_right_answers_are_those_with_a_reward_of_one() -> None:
    tree = TokenTree((1,), ((2,), (3,), (4,)))
    example = Example("ranking", (tree,), 0, rewards=(1.0, 1.0, 0.0))
    kept = [one.trees[0].continuations for one in aft._right_ones([example])]
    assert kept == [((2,),), ((3,),)]


def test_it_measures_every_constraint_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aft, "start_model", _hardly_schooled)
    monkeypatch.setattr(aft, "PROMPTS", 24)
    monkeypatch.setattr(aft, "EPOCHS", 1)
    monkeypatch.setattr(aft, "HELD_OUT", 4)
    result = aft.reproduce((0, 1))
    assert {row.condition for row in result.rows} == {"start", aft.IMITATION, *aft.OPTIONS}
    assert len(result.checks) == 4
    assert result == aft.reproduce((0, 1))


@pytest.mark.study
def test_the_push_harms_and_the_boundary_takes_most_of_the_harm_away() -> None:
    """Not the part that no harm at all is left: its interval is as wide as its tolerance.

    That the boundary has more gold held on one processor and not on another: its sign is asserted.
    """
    harm, _, more_gold, more_right = aft.reproduce(None).checks
    assert harm.holds
    assert more_gold.evidence.estimate > 0
    assert more_right.holds
