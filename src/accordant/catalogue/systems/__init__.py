"""The records, grouped by room: add a system by adding a record to the file of its room."""

from __future__ import annotations

from accordant.catalogue.system import System
from accordant.catalogue.systems.collect import COLLECT
from accordant.catalogue.systems.control import CONTROL
from accordant.catalogue.systems.decoding import DECODING
from accordant.catalogue.systems.diagnostics import DIAGNOSTICS
from accordant.catalogue.systems.evaluation import EVALUATION
from accordant.catalogue.systems.loop import LOOP
from accordant.catalogue.systems.objectives import OBJECTIVES
from accordant.catalogue.systems.rewards import REWARDS
from accordant.catalogue.systems.surveys import SURVEYS
from accordant.catalogue.systems.training import TRAINING
from accordant.catalogue.systems.vision import VISION

ALL: tuple[System, ...] = (
    *COLLECT,
    *CONTROL,
    *DECODING,
    *DIAGNOSTICS,
    *EVALUATION,
    *LOOP,
    *OBJECTIVES,
    *REWARDS,
    *SURVEYS,
    *TRAINING,
    *VISION,
)
