"""How many runs a machine has room for."""

from __future__ import annotations

import pytest

from accordant.runs.sweep.machine import Machine, find_places, look

GB = 10**9


def machine(**changes: object) -> Machine:
    return Machine(**{"cores": 8, "threads": 8, "free_memory": 64 * GB, **changes})


def test_one_run_at_a_time_where_one_uses_all_cores() -> None:
    places = find_places(machine(), 10, GB, None)
    assert places.count == 1
    assert "8 of 8 cores" in places.reason


def test_runs_of_few_threads_share_the_cores() -> None:
    assert find_places(machine(threads=2), 10, GB, None).count == 4


def test_memory_bounds_the_number() -> None:
    places = find_places(machine(threads=1, free_memory=8 * GB), 10, 2 * GB, None)
    assert (places.count, places.reason) == (3, "free memory")
    assert find_places(machine(threads=1, free_memory=GB), 10, 2 * GB, None).count == 1


def test_there_are_never_more_places_than_runs() -> None:
    assert find_places(machine(threads=1), 2, GB, None).count == 2
    assert find_places(machine(threads=1), 2, GB, 5).count == 2


def test_the_user_decides_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    places = find_places(machine(), 10, GB, 4)
    assert places.count == 4
    assert "room is for 1" in places.reason
    assert {env["OMP_NUM_THREADS"] for env in places.environments} == {"2"}


def test_what_the_user_set_for_threads_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert find_places(machine(), 10, GB, 4).environments == ({}, {}, {}, {})


def test_runs_are_spread_over_accelerators_as_their_memory_allows() -> None:
    two = machine(accelerators=("3", "5"), free_accelerator_memory=(40 * GB, 40 * GB))
    places = find_places(two, 10, 20 * GB, None)
    assert [env["CUDA_VISIBLE_DEVICES"] for env in places.environments] == ["3", "5"]
    crowded = machine(accelerators=("0",), free_accelerator_memory=(80 * GB,))
    assert find_places(crowded, 10, GB, None).count == 4, "one accelerator serves only a few"


def test_this_machine_is_seen() -> None:
    seen = look("cpu")
    assert seen.cores >= 1
    assert seen.threads >= 1
    assert 10**8 < seen.free_memory < 10**14
    assert seen.accelerators == ()
