"""What `accordant reproduce` runs, and what it refuses."""

from __future__ import annotations

import pytest

from accordant.base.errors import UserError
from accordant.catalogue.system import System
from accordant_studies.reproduce import run_reproduction


def test_a_planned_system_says_so() -> None:
    planned = System("S00", "toy", "Toy", "rewards", "Nothing.", "A claim.")
    with pytest.raises(UserError, match="planned"):
        run_reproduction(planned)
