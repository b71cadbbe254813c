"""Online DPO: two answers of the policy, the better one by a reward."""

from __future__ import annotations

from accordant.loops.labellers import ByReward
from accordant.loops.recipe import Draw, Recipe

RECIPE = Recipe(
    name="online_dpo",
    summary="DPO on pairs of the policy's own answers, labelled by a reward as it learns.",
    paper="Guo et al. 2024 (arXiv 2402.04792), Direct Language Model Alignment from Online AI "
    "Feedback",
    draws=(Draw(count=2),),
    # Equal rewards are dropped; counting one of them as better would teach the place of an answer.
    labeller=ByReward(),
    objective="dpo",
    options={"beta": 0.1},
    sampling={"temperature": 0.9},
    settings={"schedule": "linear"},
)
