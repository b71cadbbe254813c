"""Find the studies of all installed wheels, by the slug of their system.

Knows the entry-point group `accordant.studies`: every entry names a package with one module per
system, called by its slug with `_` for `-`, which has a function `study() -> Study`. A study is
registered by standing there. Imports no study until it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from accordant.base.errors import UserError
from accordant.catalogue.system import System
from accordant_studies.study import Study

GROUP = "accordant.studies"


def list_studies() -> dict[str, str]:
    """Return the module of every study, by slug."""
    packages = [point.load() for point in entry_points(group=GROUP)]
    return {
        module.name.replace("_", "-"): f"{package.__name__}.{module.name}"
        for package in packages
        for module in iter_modules(package.__path__)
    }


def get_study(system: System) -> Study:
    """Return the study of a system's claim.

    Raises:
        UserError: the system is planned: there is nothing to run yet.
    """
    module = list_studies().get(system.slug)
    if module is None:
        raise UserError(
            f"{system.id} {system.slug} is planned: its claim cannot be reproduced yet.",
            mend="`accordant catalogue --state works` lists what can.",
        )
    study: Study = import_module(module).study()
    return study
