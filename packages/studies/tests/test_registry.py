"""Studies are found by slug, and exactly the systems that work have one."""

from __future__ import annotations

import pytest

from accordant.base.errors import UserError
from accordant.catalogue import get_system, list_systems
from accordant_studies.registry import get_study, list_studies

WORKING = [system for system in list_systems(state="works") if system.kind == "method"]


def test_exactly_the_methods_that_work_have_a_study() -> None:
    assert set(list_studies()) == {system.slug for system in WORKING}


@pytest.mark.parametrize("system", WORKING, ids=lambda system: system.slug)
def test_every_study_declares_claims_and_enough_seeds(system) -> None:
    study = get_study(system)
    assert len(set(study.seeds)) == len(study.seeds) >= 3
    statements = [claim.statement for claim in study.claims]
    assert len(set(statements)) == len(statements) > 0
    assert study.note.endswith(".")


def test_a_planned_system_says_so() -> None:
    with pytest.raises(UserError, match="S09 steer is planned"):
        get_study(get_system("steer"))


def test_a_survey_has_categories_and_no_study() -> None:
    with pytest.raises(UserError, match=r"S10 .* is a survey.*--by goal"):
        get_study(get_system("S10"))
