"""Which loss a check assumes pairs will be trained with.

Knows the registry of objectives. Knows nothing of scores or models, and never imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accordant.base.errors import UserError
from accordant.feedback.kinds import KINDS
from accordant.objectives.feedback import check_feedback
from accordant.objectives.registry import Objective, bind_options, get_objective


def pair_objective(
    method: str | None, beta: float | None, record_type: str
) -> tuple[Objective, Mapping[str, Any]]:
    """Return the objective for pairs of this type, and its options.

    Args:
        method: its name; the usual one when None.
        beta: replaces the default where the objective has such an option; its own when None.
        record_type: of the pairs.

    Raises:
        UserError: there is none of this name, it cannot be trained on these pairs, or it reads
            more than their log-probabilities.
    """
    objective = get_objective(method or KINDS[record_type].usual)
    check_feedback(objective, {record_type})
    # Other models or samples are not there before training, and a check does not make them.
    if any(not need.optional for need in objective.prepare):
        raise UserError(
            f"objective {objective.name!r} reads more than the log-probabilities of two answers.",
            where="method",
            mend="Choose an objective on pairs, such as dpo, ipo or simpo.",
        )
    given = {}
    # A check asks for one beta of whatever objective it assumes, and some have none.
    if beta is not None and any(option.name == "beta" for option in objective.options):
        given["beta"] = beta
    return objective, bind_options(objective, given)
