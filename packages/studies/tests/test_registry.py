"""Studies are found by slug, and exactly the systems that work have one."""

from __future__ import annotations

import pytest

from accordant.base.errors import UserError
from accordant.catalogue import get_system, list_systems
from accordant_studies.registry import get_study, list_studies


def test_exactly_the_systems_that_work_have_a_study() -> None:
    assert set(list_studies()) == {system.slug for system in list_systems(state="works")}


@pytest.mark.parametrize("system", list_systems(state="works"), ids=lambda system: system.slug)
def test_every_study_declares_claims_and_enough_seeds(system) -> None:
    study = get_study(system)
    assert len(set(study.seeds)) == len(study.seeds) >= 3
    statements = [claim.statement for claim in study.claims]
    assert len(set(statements)) == len(statements) > 0
    assert study.note.endswith(".")


def test_a_planned_system_says_so() -> None:
    with pytest.raises(UserError, match="S09 steer is planned"):
        get_study(get_system("steer"))
