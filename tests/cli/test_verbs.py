"""What the verbs that only look print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from accordant.catalogue.registry import get_system
from accordant.objectives.registry import list_objectives, temporary_objectives


def test_catalogue_json_is_an_array_of_all_systems(cli: Any) -> None:
    entries = json.loads(cli("catalogue", "--json").stdout)
    assert [entry["id"] for entry in entries] == [f"S{n:02}" for n in range(1, 76)]
    for entry in entries:
        system = get_system(entry["slug"])
        assert (entry["title"], entry["room"], entry["claim"]) == (
            system.title,
            system.room,
            system.claim,
        )
        assert entry["state"] in ("works", "planned")


def test_catalogue_filters_its_table_and_its_json_alike(cli: Any) -> None:
    filters = ("--room", "decoding", "--search", "search")
    entries = json.loads(cli("catalogue", *filters, "--json").stdout)
    table = cli("catalogue", *filters).stdout
    assert 0 < len(entries) < 75
    for entry in entries:
        assert entry["slug"] in table
    assert "bco" not in table


def test_catalogue_that_matches_nothing_says_so_and_stays_valid_json(cli: Any) -> None:
    result = cli("catalogue", "--search", "zzzz")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No system matches" in result.stderr
    assert json.loads(cli("catalogue", "--search", "zzzz", "--json").stdout) == []


def test_catalogue_shows_one_system_in_full(cli: Any) -> None:
    system = get_system("steer")
    for name in ("steer", "S09"):
        output = cli("catalogue", name).stdout
        for text in (system.title, system.claim, system.works, "planned"):
            assert text in output


def test_objectives_json_lists_the_registry(cli: Any) -> None:
    entries = json.loads(cli("objectives", "--json").stdout)
    assert [entry["name"] for entry in entries] == [entry.name for entry in list_objectives()]
    dpo = next(entry for entry in entries if entry["name"] == "dpo")
    assert dpo["needs_reference"] is True
    assert dpo["feedback"] == ["comparison"]
    assert "beta" in {option["name"] for option in dpo["options"]}
    assert dpo["formula"]
    assert dpo["paper"]


def test_objectives_shows_one_with_its_options(cli: Any) -> None:
    output = cli("objectives", "dpo").stdout
    assert "--option beta" in output
    assert "sft" in cli("objectives", "--feedback", "demonstration").stdout
    assert "dpo" not in cli("objectives", "--feedback", "demonstration").stdout


OWN = '''
from accordant.objectives import LossOutput, PairwiseScores
from accordant.objectives.registry import objective

@objective(name="own_loss", feedback="comparison", needs_reference=False, paper="none", formula="0")
def own_loss(pairs: PairwiseScores, *, gap: float = 1.0) -> LossOutput:
    """A loss of one's own."""
    return LossOutput(pairs.chosen.policy.sum() * gap)
'''


def test_objectives_lists_those_of_a_users_file(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    with temporary_objectives():
        assert "own_loss" in cli("objectives", "--objective-file", str(file)).stdout
    assert "own_loss" not in cli("objectives").stdout
    missing = cli("objectives", "--objective-file", str(tmp_path / "none.py"))
    assert missing.exit_code == 2
    assert "none.py" in missing.stderr


def test_catalogue_by_a_category_shows_every_system_once_and_gaps(cli: Any) -> None:
    table = cli("catalogue", "--by", "direction").stdout
    assert "a gap: no system here" in table
    groups = json.loads(cli("catalogue", "--by", "training-family", "--json").stdout)
    assert sum(map(len, groups.values())) == 75
    assert "bco" in groups["offline rank-based"]
    wrong = cli("catalogue", "--by", "goals")
    assert wrong.exit_code == 2
    assert "Did you mean 'goal'?" in wrong.stderr
