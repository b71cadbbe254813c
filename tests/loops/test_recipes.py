"""Every recipe in the folder names what there is, and listing recipes loads no torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from accordant.base.errors import UserError
from accordant.loops.recipe import Draw, Passes, Recipe, find_recipe, list_recipes
from accordant.loops.run import recipe_settings
from accordant.objectives.registry import bind_options, get_objective
from accordant.sampling.samples import SamplingOptions


@pytest.mark.parametrize("recipe", list_recipes().values(), ids=lambda recipe: recipe.name)
def test_a_recipe_names_what_there_is(recipe: Recipe) -> None:
    objective = get_objective(recipe.objective)
    bind_options(objective, recipe.options)
    if recipe.labeller is not None:
        assert recipe.labeller.kind in objective.feedback
        assert recipe.labeller.needs in ("reward", "preference", "implicit")
    SamplingOptions(**recipe.sampling)
    settings = recipe_settings(recipe)
    assert set(recipe.advice) <= set(recipe.settings)
    assert recipe.warnings(settings) == []
    assert recipe.summary.endswith(".")
    assert recipe.paper
    assert not objective.on_policy or recipe.on_policy
    assert find_recipe(recipe.name) is recipe


def test_listing_recipes_loads_no_torch() -> None:
    code = (
        "import sys; from accordant.loops import list_recipes; "
        "assert 'ipo_md' in list_recipes(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UserError, match="there is no recipe 'ipomd'") as caught:
        find_recipe("ipomd")
    assert "ipo_md" in caught.value.mend


def test_who_sets_momentum_in_a_game_is_warned() -> None:
    recipe = find_recipe("ipo_md")
    (warning,) = recipe.warnings(recipe_settings(recipe, adam_beta1=0.9))
    assert warning.startswith("adam_beta1 is 0.9, not 0.0: in a game")


def test_numbers_out_of_range_are_refused() -> None:
    for wrong in (lambda: Draw(0), lambda: Draw(1, reference=1.5), lambda: Passes()):
        with pytest.raises(ValueError, match="expected"):
            wrong()
    with pytest.raises(ValueError, match="expected"):
        Passes(steps=1, epochs=1)
    with pytest.raises(ValueError, match="drawn and labelled, or neither"):
        replace(find_recipe("ipo_md"), labeller=None)
