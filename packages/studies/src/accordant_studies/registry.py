"""Find the studies of all installed wheels, by the slug of their system.

Knows the entry-point group `accordant.studies`: every entry names a package with one module per
system, called by its slug with `_` for `-`, which has a function `study() -> Study`. A study is
registered by standing there.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from types import ModuleType

from accordant.base.discovery import load_modules
from accordant.base.errors import UserError
from accordant.catalogue.system import System
from accordant_studies.study import Study

GROUP = "accordant.studies"


def list_studies() -> dict[str, ModuleType]:
    """Import the studies of all wheels and return their modules, by slug."""
    packages = [point.load() for point in entry_points(group=GROUP)]
    modules = [m for package in packages for m in load_modules(package.__name__, package.__path__)]
    return {module.__name__.rpartition(".")[2].replace("_", "-"): module for module in modules}


def get_study(system: System) -> Study:
    """Return the study of a system's claim.

    Raises:
        UserError: the system is planned, or a survey, which claims nothing that could be run.
    """
    if system.kind == "taxonomy":
        raise UserError(
            f"{system.id} {system.slug} is a survey: it claims nothing that could be reproduced.",
            mend=f"`{system.how_to_run}` shows its categories.",
        )
    module = list_studies().get(system.slug)
    if module is None:
        raise UserError(
            f"{system.id} {system.slug} is planned: its claim cannot be reproduced yet.",
            mend="`accordant catalogue --state works` lists what can.",
        )
    study: Study = module.study()
    return study
