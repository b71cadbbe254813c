"""The catalogue is complete, agrees with the plan, and promises nothing that does not work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accordant.base.errors import UserError
from accordant.catalogue import AXES, System, get_system, list_systems, read_systems, rooms
from accordant.catalogue.registry import ALL

PLAN = Path(__file__).parents[3] / "shared" / "SYSTEMS.md"


# The plan names rooms as they were called before the house was built.
RENAMED = {
    "data": "feedback",
    "diagnostics": "checks",
    "evaluation": "suites",
    "loop": "loops",
    "collect": "packages/collect",
    "control": "packages/control",
    "vision": "packages/vision",
}


LOSSES = {"binary", "demonstration", "listwise", "pairwise", "policy_gradient", "token"}


def in_the_house(rooms_of_the_plan: str) -> str:
    renamed = []
    for room in rooms_of_the_plan.split(" + "):
        first, slash, rest = room.partition("/")
        if first == "objectives" and rest in LOSSES:
            first = "objectives/losses"
        renamed.append(RENAMED.get(first, first) + slash + rest)
    return " + ".join(renamed)


def test_the_catalogue_holds_the_75_systems_once() -> None:
    assert [system.id for system in list_systems()] == [f"S{n:02}" for n in range(1, 76)]
    assert len({system.slug for system in ALL}) == 75
    assert len({system.title for system in ALL}) == 75


@pytest.mark.skipif(not PLAN.is_file(), reason="the plan of systems is not beside this checkout")
def test_ids_slugs_rooms_and_kinds_are_those_of_the_plan() -> None:
    row = re.compile(r"^\| (S\d\d) \| (\S+) \| ([^|]+?) \| ([^|]+?) \|", re.MULTILINE)
    planned = {
        id_: (slug, in_the_house(room), "taxonomy" if text.startswith("*taxonomy*") else "method")
        for id_, slug, room, text in row.findall(PLAN.read_text(encoding="utf-8"))
    }
    assert {s.id: (s.slug, s.room, s.kind) for s in ALL} == planned


@pytest.mark.parametrize("system", ALL, ids=lambda system: system.slug)
def test_a_record_is_complete_and_claims_only_what_it_can_show(system: System) -> None:
    assert system.title
    assert system.works.endswith(".")
    assert bool(system.claim) == (system.kind == "method")
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", system.slug)
    assert (system.state == "works") == bool(system.how_to_run)


TABLE = '[S99]\nslug = "toy"\ntitle = "Toy"\nroom = "rewards"\nworks = "It plays."\n'


AXES_LINE = (
    'axes = { goal = "value", direction = "both", locus = "outer", data_origin = "humans", '
    'training_family = "sft", paradigm = "none" }'
)


def test_every_system_has_its_place_in_every_survey() -> None:
    for system in ALL:
        assert system.axes is not None
        # A survey's paradigm is its subject; a method's claim is judged somehow.
        assert system.kind == "taxonomy" or system.axes.paradigm != "none"
    surveys = {s.how_to_run.rpartition(" ")[2] for s in ALL if s.kind == "taxonomy"}
    assert surveys <= {name.replace("_", "-") for name in AXES}


def test_a_record_is_a_table_of_the_file() -> None:
    paper = 'paper = { title = "Play", year = 1938 }\n'
    (system,) = read_systems(TABLE + paper)
    assert (system.id, system.slug, system.state, system.kind) == (
        "S99",
        "toy",
        "planned",
        "method",
    )
    assert str(system.paper) == "Play (1938)"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('clame = "It plays."', "S99: there is no field 'clame'. Did you mean 'claim'"),
        ('paper = { titel = "Play" }', "S99, paper: there is no field 'titel'"),
        ("claim = 3", "S99: claim = 3 is not of type str"),
        ('paper = "Play"', "S99: paper"),
        ('kind = "game"', "kind 'game'"),
        ('axes = { goal = "fun" }', "S99, axes: "),
        (AXES_LINE.replace("outer", "upper"), "locus 'upper' is none of outer, inner, both, none"),
    ],
)
def test_a_mistake_in_the_file_is_an_error_that_names_the_system(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        read_systems(f"{TABLE}{line}\n")
    with pytest.raises(ValueError, match=r"S99: .*'works'"):
        read_systems(TABLE.replace('works = "It plays."\n', ""))


def test_a_room_includes_its_parts_and_joined_rooms() -> None:
    found = {system.slug for system in list_systems(room="objectives")}
    assert {"bco", "irepo", "preference-logic"} <= found
    assert {s.slug for s in list_systems(room="feedback")} >= {"honesty", "reward-augmented"}
    for room in rooms():
        assert list_systems(room=room)
    # A room is not a prefix of a longer name.
    with pytest.raises(UserError, match="Did you mean 'decoding'"):
        list_systems(room="decodin")


def test_filters_take_away_and_never_add() -> None:
    everything = set(list_systems())
    assert set(list_systems(state="works")) | set(list_systems(state="planned")) == everything
    found = list_systems(search="Reward model")
    assert found
    assert set(found) < everything
    assert set(list_systems(search="reward", room="loops")) <= set(list_systems(room="loops"))


def test_a_system_is_found_by_slug_and_by_id() -> None:
    for system in ALL:
        assert get_system(system.slug) is system
        assert get_system(system.id) is system


def test_an_unknown_slug_names_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'nudging'"):
        get_system("nudgin")
    with pytest.raises(UserError, match="accordant catalogue"):
        get_system("zzzzzzzz")
