"""S06: adding centred log-sigmoids of two rewards against adding the rewards, at equal divergence.

Knows the product's rewards and exact policies over listed answers. Every policy is the start tilted
by a reward, pi0 exp(lambda u), which is what KL-regularised learning converges to; one lambda for
all prompts brings each to the same mean divergence, so only what is rewarded differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from accordant.rewards.registry import FunctionReward
from accordant.rewards.reward import Answer, Reward, score_single
from accordant.rewards.wrappers import (
    Calibrated,
    combine_rewards,
    select_attribute,
    transform_reward,
    with_reference_answers,
)
from accordant_studies.study import Claim, Measured, Share, Study, fresh_seeds

Floats = NDArray[np.float64]

SEEDS = fresh_seeds(20)
PROMPTS, ANSWERS, REFERENCES = 100, 400, 64
SCALES = (1.0, 2.0)  # of the two properties: no two reward models have the same
OPPOSED, ERROR, OFFSET = -0.5, 0.5, 2.0
DISTANCES = {"KL 1": 1.0, "KL 2": 2.0, "KL 3": 3.0, "KL 2, heavy tails": 2.0}
WEIGHTS = tuple(np.linspace(0.1, 0.9, 9).tolist())
OURS, RAW, OF_SUM, TUNED = "sum of lsc", "raw sum", "lsc of the sum", "tuned weights"
MIN = "min of z-scores"
RIVALS = (RAW, OF_SUM, TUNED, "sum of z-scores", "sum of sigmoids", MIN)


def study() -> Study:
    """Count outputs that are bad in a property, one to each prompt, under every reward."""
    fewer = (
        Claim(f"{at}: {pair} more often than the reverse", pair + f", {at}", OURS, than=0.5)
        for rival in (RAW, OF_SUM, TUNED)
        for at in DISTANCES
        if (pair := f"good where {rival} is bad")
    )
    kept = (
        Claim(f"{at}: more of both properties than with {MIN}", f"gold, {at}", OURS, than=MIN)
        for at in [*DISTANCES][:3]
    )
    return Study(
        _measure,
        SEEDS,
        (*fewer, *kept),
        note=f"{PROMPTS} prompts a seed with {ANSWERS} listed answers; properties of deviations "
        f"{SCALES}, correlated {OPPOSED}; rewards are gold with an error (normal, or Student's t "
        "with 2 degrees of freedom) and a number for each prompt that comparisons cannot tell. Bad "
        f"is below the start's mean for the prompt. '{TUNED}' is the weighted raw sum with the "
        f"best of {len(WEIGHTS)} weights for this very count, chosen by gold. It is not claimed "
        f"that {MIN} has more bad outputs: it has fewer, see the rows.",
    )


def _measure(seed: int) -> Measured:
    random = np.random.default_rng(seed)
    start = random.dirichlet(np.ones(ANSWERS), PROMPTS)
    covariance = np.array([[1, OPPOSED], [OPPOSED, 1]]) * np.outer(SCALES, SCALES)
    gold = random.multivariate_normal([0, 0], covariance, (PROMPTS, ANSWERS))
    bad = (gold < (start[..., None] * gold).sum(1, keepdims=True)).any(2)
    errors = random.normal(size=gold.shape), random.standard_t(2, gold.shape)
    seen = gold + OFFSET * random.normal(size=(PROMPTS, 1, 2))
    utilities = [_utilities(seen + ERROR * error, start, random) for error in errors]
    quantiles = random.random((PROMPTS, 1))
    measured: dict[str, dict[str, float]] = {name: {} for name in (OURS, *RIVALS)}
    for at, divergence in DISTANCES.items():
        scored = utilities["tails" in at]
        policies = {name: _tilt(start, scored[name], divergence) for name in scored}
        tuned = [policies.pop(str(weight)) for weight in WEIGHTS]
        policies[TUNED] = min(tuned, key=lambda policy: float((policy * bad).sum()))
        # One output a prompt: trials are independent, so the intervals of shares are exact.
        is_bad = {
            name: bad[np.arange(PROMPTS), (policy.cumsum(1) < quantiles).sum(1) % ANSWERS]
            for name, policy in policies.items()
        }
        for name, row in measured.items():
            row[f"bad in a property, {at}"] = Share(int(is_bad[name].sum()), PROMPTS)
            row[f"gold, {at}"] = float((policies[name] * gold.sum(2)).sum() / PROMPTS)
        for rival in RIVALS:
            apart = is_bad[rival] != is_bad[OURS]
            better = Share(int((apart & is_bad[rival]).sum()), int(apart.sum()))
            measured[OURS][f"good where {rival} is bad, {at}"] = better
    return measured


def _utilities(values: Floats, start: Floats, random: np.random.Generator) -> dict[str, Floats]:
    """Score every answer by every reward, `[prompts, answers]`, from `values [.., .., 2]`."""

    def look_up(answers: Sequence[Answer]) -> Floats:
        places = np.array([(int(str(answer.prompt)), int(answer.text)) for answer in answers])
        return values[places[:, 0], places[:, 1]]

    def listed(places: Floats) -> list[Answer]:
        return [Answer(str(x), str(int(y))) for x, row in enumerate(places) for y in row]

    both = FunctionReward("both", "two properties", look_up, ("first", "second"))
    everything = listed(np.tile(np.arange(ANSWERS), (PROMPTS, 1)))
    reference = listed(np.array([random.choice(ANSWERS, REFERENCES, p=row) for row in start]))
    return {
        name: score_single(with_reference_answers(reward, reference), everything).reshape(
            start.shape
        )
        for name, reward in _rewards(both).items()
    }


def _rewards(both: Reward) -> dict[str, Reward]:
    raw, parts = (
        combine_rewards((both,)),
        (select_attribute(both, "first"), select_attribute(both, "second")),
    )
    centred, zscores = Calibrated(both, "centre", {"q": 0.85}), Calibrated(both, "zscore")
    return {
        str(weight): combine_rewards(parts, "sum", (weight, 1 - weight)) for weight in WEIGHTS
    } | {
        OURS: combine_rewards((Calibrated(both, "lsc"),)),
        RAW: raw,
        OF_SUM: Calibrated(raw, "lsc"),
        "sum of z-scores": combine_rewards((zscores,)),
        "sum of sigmoids": combine_rewards((transform_reward(centred, "sigmoid"),)),
        MIN: combine_rewards((zscores,), "min"),
    }


def _tilt(start: Floats, utility: Floats, divergence: float) -> Floats:
    """Return pi0 exp(lambda u) at a mean divergence from pi0, nats, `[prompts, answers]`."""

    def tilted(strength: float) -> tuple[Floats, float]:
        logits = strength * (utility - utility.max(1, keepdims=True))
        weights = start * np.exp(logits)
        total = weights.sum(1, keepdims=True)
        policy = weights / total
        return policy, float((policy * (logits - np.log(total))).sum() / PROMPTS)

    return tilted(brentq(lambda strength: tilted(strength)[1] - divergence, 0.0, 1e3))[0]
