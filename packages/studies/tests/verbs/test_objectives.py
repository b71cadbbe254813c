"""Looking at one objective, at two, and at their order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accordant.objectives.registry import list_objectives, temporary_objectives

OWN = '''
import torch
from accordant.objectives import LossOutput, PairwiseScores
from accordant.objectives.registry import objective

@objective(name="own_loss", feedback="comparison", needs_reference=False, paper="none", formula="?")
def own_loss(pairs: PairwiseScores, *, beta: float = 1.0) -> LossOutput:
    """A loss of one's own."""
    gap = pairs.chosen.policy.sum() - pairs.rejected.policy.sum()
    return LossOutput(torch.nn.functional.softplus(-beta * gap))
'''


@pytest.mark.parametrize("entry", list_objectives(), ids=lambda entry: entry.name)
def test_every_objective_can_be_shown(cli: Any, entry: Any) -> None:
    result = cli("objectives", "show", entry.name)
    assert result.exit_code == 0, result.output
    for text in (entry.summary[:60], entry.paper.split()[0], "Logic"):
        assert text in result.stdout


def test_show_prints_mathematics_logic_and_a_plot(cli: Any) -> None:
    output = cli("objectives", "show", "dpo").stdout
    assert "-(1 - e) log sigmoid(beta m)" in output
    assert "M(x, y_l) and Ref(x, y_w) implies M(x, y_w) and Ref(x, y_l)" in output
    assert "-log sigmoid(0.1 rho)" in output
    assert output.count("*") > 60
    assert "-30" in output
    assert output.isascii()


def test_what_rows_must_say_is_shown(cli: Any) -> None:
    assert "`votes_chosen` and `votes_rejected`" in " ".join(
        cli("objectives", "irepo").stdout.split()
    )
    entry = json.loads(cli("objectives", "mm_dpo", "--json").stdout)
    assert entry["needs"] == ["reward_gap"]
    assert "needs of each row" not in cli("objectives", "dpo").stdout


def test_a_name_alone_shows_it(cli: Any) -> None:
    assert cli("objectives", "ipo").stdout == cli("objectives", "show", "ipo").stdout
    for arguments in (("show", "ipo", "--json"), ("ipo", "--json"), ("--json", "ipo")):
        assert json.loads(cli("objectives", *arguments).stdout)["name"] == "ipo"


def test_show_takes_options_and_a_span(cli: Any) -> None:
    shown = json.loads(
        cli("objectives", "show", "dpo", "--option", "beta=0.5", "--span", "4", "--json").stdout
    )
    assert shown["chosen_options"]["beta"] == 0.5
    assert shown["logic"]["terms"][0]["link"] == "-log sigmoid(0.5 rho)"
    assert shown["profile"]["margins"][0] == -4
    even = shown["profile"]["lines"][0]["losses"][30]
    assert even == pytest.approx(0.693147, abs=1e-6)


def test_compare_says_how_two_stand_to_each_other(cli: Any) -> None:
    output = cli("objectives", "compare", "retain_dpo", "ln_dpo").stdout
    assert "retain_dpo entails ln_dpo." in output
    assert "the term of retain_dpo is nowhere smaller than that of ln_dpo" in output
    assert "rejected retain_dpo" in output
    assert "differ most at margin" in output
    assert "The structures are equivalent." in cli("objectives", "compare", "dpo", "ipo").stdout


def test_compare_finds_where_gradients_point_apart(cli: Any) -> None:
    found = json.loads(
        cli("objectives", "compare", "dpo", "ipo", "--option", "ipo.tau=0.5", "--json").stdout
    )
    assert [entry["name"] for entry in found["objectives"]] == ["dpo", "ipo"]
    # IPO draws the margin back once it is beyond 1 / (2 tau) = 1; DPO pushes it on.
    assert any(
        "From margin 2 to 30" in text and "opposite ways" in text for text in found["remarks"]
    )


def test_compare_of_unlike_feedback_compares_what_can_be(cli: Any) -> None:
    result = cli("objectives", "compare", "kto", "dpo")
    assert result.exit_code == 0
    assert "different feedback" in result.stdout


def test_pages_need_no_other_file(cli: Any, tmp_path: Path) -> None:
    calls = {
        "show.html": ("show", "orpo"),
        "compare.html": ("compare", "dpo", "ipo"),
        "lattice.html": ("lattice",),
    }
    for name, arguments in calls.items():
        result = cli("objectives", *arguments, "--html", str(tmp_path / "new" / name))
        assert result.exit_code == 0, result.output
        page = (tmp_path / "new" / name).read_text(encoding="utf-8")
        assert page.startswith("<!DOCTYPE html>")
        assert "Plotly" in page
        assert "<script src" not in page
        assert page.count('data-plot="') >= 1
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(calls)


def test_the_lattice_is_drawn_in_characters_and_json(cli: Any) -> None:
    assert "entails dpo, ipo, ln_dpo" in cli("objectives", "lattice").stdout
    found = json.loads(cli("objectives", "lattice", "--json").stdout)
    names = [entry["names"] for entry in found["structures"]]
    above, below = names.index(["unlikelihood (w and not l)"]), names.index(["sft"])
    assert [above, below] in found["entails"]


def test_a_users_loss_is_shown_with_its_logic(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    for before in (("--objective-file", str(file), "show"), ("--objective-file", str(file))):
        with temporary_objectives():
            output = cli("objectives", *before, "own_loss").stdout
        assert "M(x, y_l) implies M(x, y_w)" in output
        assert "Recognised from the numbers" in output
    with temporary_objectives():
        after = cli("objectives", "compare", "own_loss", "cpo", "--objective-file", str(file))
    assert "The structures are equivalent." in after.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dpoo",), "Did you mean 'dpo'"),
        (("show", "dpoo"), "Did you mean 'dpo'"),
        (("compare", "dpo", "ippo"), "Did you mean 'ipo'"),
        (("show", "dpo", "--option", "beta"), "NAME=VALUE"),
        (("show", "dpo", "--option", "bta=1"), "Did you mean 'beta'"),
        (("compare", "dpo", "ipo", "--option", "orpo.beta=1"), "The two are dpo and ipo"),
        (("--feedback", "binary", "show", "dpo"), "nothing is listed"),
        (("--feedback", "binry"), "binary"),
        (("show", "dpo", "--html", "/proc/none/page.html"), "cannot be written"),
        (("compare", "dpo"), "Missing argument"),
        (("show", "dpo", "--span", "100"), "span"),
    ],
)
def test_mistakes_are_told_and_end_with_2(cli: Any, arguments: tuple, message: str) -> None:
    result = cli("objectives", *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_listing_imports_neither_torch_nor_sympy_nor_plotly() -> None:
    program = (
        "import sys; from accordant.cli.main import app; from typer.testing import CliRunner; "
        "assert CliRunner().invoke(app, ['objectives', '--json']).exit_code == 0; "
        "print({'torch', 'sympy', 'plotly'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
