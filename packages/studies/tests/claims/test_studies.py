"""Every study measures what it says, and the same twice.

A study is tested by standing in the table of small settings. What is special about one is tested in
a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accordant.objectives.registry import list_objectives
from accordant_studies.claims import (
    aft,
    bco,
    copg,
    cut,
    d2o,
    dove,
    honesty,
    ipo_md,
    irepo,
    lipo,
    logit_fusion,
    mm_rlhf,
    poft,
    preference_dissection,
    pro,
    profile,
    reward_transform,
    rpo,
)
from accordant_studies.claims import gradient_entanglement as entanglement
from accordant_studies.claims import weak_to_strong_deception as deception
from accordant_studies.laboratory.transformer import Schooling, Shape, start_model
from accordant_studies.registry import list_studies
from accordant_studies.study import Measured


def schooled(**schooling: Any) -> Callable[..., Any]:
    """A start model that has read little, in place of a study's own."""
    return lambda seed, *_: start_model(seed, Schooling(**schooling))


def lesson(**schooling: Any) -> Callable[[], Schooling]:
    return lambda: Schooling(**schooling)


HARDLY, READ_600 = schooled(prompts=128, epochs=1), schooled(prompts=600)
TINY = Shape(width=32, layers=1)
# Study -> constants of its module in small, and the conditions it measures then.
SMALL: dict[str, tuple[dict[str, Any], set[str]]] = {
    "aft": (
        {"start_model": schooled(prompts=512, epochs=2), "HELD_OUT": 480, "EPOCHS": 1},
        {"start", aft.IMITATION, *aft.OPTIONS},
    ),
    "bco": (
        {"start_model": HARDLY, "EACH": 30, "EPOCHS": 1, "HELD_OUT": 4},
        {"start", *bco.CONDITIONS},
    ),
    "copg": (
        {"STEPS": {False: 30, True: 10}, "BANDITS": 2, "ROUNDS": 4},
        {*copg.OFF_POLICY, *copg.ON_POLICY, copg.DRAWN},
    ),
    "cut": (
        {"READING": 64, "JUDGED": 48, "HELD_OUT": 24, "STEPS": 2, "BATCH": 16, "SHAPE": TINY}
        | {"Schooling": lesson(prompts=256, epochs=1)},
        {"start", *cut.CONDITIONS},
    ),
    "d2o": (
        {"PROMPTS": 120, "ANCHORS": 3, "STEPS": 2, "BATCH": 16, "HELD_OUT": 20, "SHAPE": TINY}
        | {"CONDITIONS": {d2o.D2O: (3, 0.1, 2), d2o.ONE: (1, 0.1, 2), d2o.NONE: (1, 1e-6, 1)}}
        | {"Schooling": lesson(prompts=512, epochs=1)},
        {"start", d2o.D2O, d2o.ONE, d2o.NONE},
    ),
    "dove": ({"STEPS": 20}, {"start", dove.DPO, dove.BOTH, dove.ALONE, dove.BIASED, dove.MORE}),
    "gradient-entanglement": (
        {"start_model": READ_600, "PAIRS": 8},
        {entanglement.ALIKE, entanglement.APART, "all pairs"},
    ),
    "ipo-md": (
        {"ROUNDS": 4, "PAIRS": 8},
        {ipo_md.START, ipo_md.ONLINE, ipo_md.MIXED, ipo_md.OFFLINE, ipo_md.DPO, ipo_md.MOMENTUM},
    ),
    "honesty": (
        {"ENTITIES": 40, "READING": 2, "PASSES": 2},
        {honesty.START, honesty.GOLD, *honesty.HONEST},
    ),
    "irepo": (
        {"BETAS": {"irepo": (0.5,), "dpo": (4.0,)}, "ROUNDS": 1, "PAIRS": 60, "DISTANCES": (0.02,)},
        {*irepo.METHODS, irepo.FEW, irepo.MANY},
    ),
    "lipo": (
        {"start_model": HARDLY, "TESTS": 480, "VALIDATION": 4, "EPOCHS": 1, "DISTANCE": 0.0},
        {"start", *lipo.OBJECTIVES},
    ),
    "logit-fusion": (
        {"SUBJECTS": 12, "EPOCHS": 2, "LIGHT": (2, 1e-3), "HARD": (2, 2e-3)}
        | {"LARGE": TINY, "SMALL": Shape(width=8, layers=1, heads=2)},
        {"large", "expert", "large tuned", "best ratio in hindsight", "two tasks, large tuned"}
        | {logit_fusion.AVERAGE, logit_fusion.UNIT, logit_fusion.MEAN, logit_fusion.DYNAMIC}
        | {logit_fusion.TWO, logit_fusion.CENTROID},
    ),
    "ln-dpo": (
        {"BETAS": (0.1, 0.4), "RATES": (0.03,), "STEPS": 100},
        {"data", "start", "dpo", "ln_dpo"},
    ),
    "mm-rlhf": (
        {"PAIRS": 40, "PASSES": 2},
        {mm_rlhf.LOW, mm_rlhf.MIDDLE, mm_rlhf.HIGH, mm_rlhf.SCALED, mm_rlhf.DEALT}
        | {mm_rlhf.UNDISPUTED},
    ),
    "nlpositionality": (
        {"TABLES": 2, "ITEMS": 100, "RESAMPLES": 20},
        {"labels side with one country", "labels side with nobody"},
    ),
    "poft": (
        {"DEMONSTRATIONS": 40, "STEPS": 4, "BATCH": 20, "PROMPTS": 20, "SHAPE": TINY}
        | {"Schooling": lesson(prompts=256, epochs=1)},
        {"start"}
        | {f"{loss}, {kind}" for loss in poft.OBJECTIVES for kind in ("clean", "corrupted")},
    ),
    "preference-dissection": (
        {"REPEATS": 2, "PAIRS": 300, "FEW": 60, "EACH": 60, "DRAWS": 200, "MANY_DRAWS": 200},
        {preference_dissection.WHOLE, preference_dissection.GROUPS, preference_dissection.SMALL}
        | {preference_dissection.SPARSE}
        | {preference_dissection.APART.format(n) for n in (60, 300)},
    ),
    "pro": (
        {"start_model": HARDLY, "PROMPTS": 16, "EPOCHS": 1, "HELD_OUT": 4},
        {"start", pro.AS_MANY, *(f"rankings of {length}" for length in pro.LENGTHS)},
    ),
    "profile": (
        {"start_model": READ_600, "PAIRS": 64, "HELD_OUT": 60, "WRITTEN": 20, "EPOCHS": 1},
        set(profile.ARMS),
    ),
    "ranking-accuracy": (
        {"start_model": READ_600, "PAIRS": 64, "HELD_OUT": 64, "EPOCHS": 2},
        {"held-out pairs"},
    ),
    "reward-augmented": (
        {"PAIRS": 60, "SHOWN": 64, "STEPS": 2, "BATCH": 16, "HELD_OUT": 20, "SHAPE": TINY}
        | {"Schooling": lesson(prompts=1024, epochs=2, lr=4e-3)},
        {"start", "dpo", "reward-augmented dpo"},
    ),
    "reward-transform": (
        {"PROMPTS": 40, "ANSWERS": 60, "REFERENCES": 16},
        {reward_transform.OURS, *reward_transform.RIVALS},
    ),
    "rpo": ({"STEPS": 100}, set(rpo.CONDITIONS)),
    "weak-to-strong-deception": (
        {"WORDS": 8, "FACTS_READ": 1500, "EPOCHS": 1},
        {*deception.SIZES, "large, through the middle"},
    ),
}
# Two that train the embedded model are tested in tests/real, and the logic's parts one by one.
ELSEWHERE = {"likelihood-displacement", "over-optimisation", "preference-logic"}
# What the numbers of a seed in small must look like.
PLAUSIBLE: dict[str, Callable[[Measured], bool]] = {
    "gradient-entanglement": lambda seed: seed["all pairs"]["both directions as predicted"] > 0.9,
    "nlpositionality": lambda seed: (
        {x for row in seed.values() for x in row.values()} <= {0, 0.5, 1}
    ),
    "preference-dissection": lambda seed: (
        0.7 < seed[preference_dissection.WHOLE]["95 % intervals that cover"] <= 1
        and seed[preference_dissection.WHOLE]["change by swapping"] < 1e-9
    ),
    "profile": lambda seed: (
        seed[profile.LONGER]["length, labels"] > 0 > seed[profile.SHORTER]["length, labels"]
    ),
    "ranking-accuracy": lambda seed: (
        (own := seed["held-out pairs"])["loss, trained"] <= own["loss at the start"] + 1e-9
        and own["ranking accuracy, start"] < own["ranking accuracy, ideal"]
        and own["ranking accuracy, trained"] <= 1
    ),
    "weak-to-strong-deception": lambda seed: all(
        0 <= row["right, under A alone"] <= 1 for row in seed.values()
    ),
}


def test_every_study_is_tested() -> None:
    assert set(SMALL) | ELSEWHERE == set(list_studies())


@pytest.mark.parametrize("slug", SMALL)
def test_a_study_measures_every_condition_and_repeats_itself(
    slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = list_studies()[slug]
    constants, conditions = SMALL[slug]
    for name, value in constants.items():
        monkeypatch.setattr(module, name, value)
    study, registered = module.study(), list_objectives()
    measured = study.measure(0)
    assert set(measured) == conditions
    for claim in study.claims:
        claim.evidence(measured)
    assert PLAUSIBLE.get(slug, bool)(measured)
    assert list_objectives() == registered
    again = study.measure(0)
    for condition, numbers in measured.items():
        # So short a training may change no answer, and a score of ties alone is NaN.
        assert numbers == pytest.approx(again[condition], rel=0, abs=0, nan_ok=True)
