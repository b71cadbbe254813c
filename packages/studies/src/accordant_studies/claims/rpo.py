"""S18: the SFT term of RPO against over-optimisation, on all strings of three letters.

Knows the laboratory. The policy remembers one letter, so answers that were never compared move
with those that were, as in a network. Voters see a proxy that counts a letter; gold agrees up to
three of it and then falls, so whoever follows the proxy too far loses gold.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from accordant_studies.laboratory import exact, labelling, worlds
from accordant_studies.laboratory.labelling import Pairs
from accordant_studies.laboratory.training import Batch, train
from accordant_studies.laboratory.worlds import TabularPolicy
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(12)
PAIRS = 200
STEPS = 1000
EVERY = 10
ENOUGH = 3  # of the counted letter
# The loss weighs the SFT term by beta eta. The default is the paper's; ten and forty times as much
# show how the effect grows.
BETA = 0.1
PAPER, WEAK, STRONG = "rpo, eta 0.005", "rpo, eta 0.05", "rpo, eta 0.2"
CONDITIONS = {
    "dpo": ("dpo", {"beta": BETA}),
    PAPER: ("rpo", {"beta": BETA, "eta": 0.005}),
    WEAK: ("rpo", {"beta": BETA, "eta": 0.05}),
    STRONG: ("rpo", {"beta": BETA, "eta": 0.2}),
}


def study() -> Study:
    """Train DPO and RPO on the same votes, long enough to over-optimise."""
    fall, chosen = "fall from the peak", "chosen log-prob"
    return Study(
        _measure,
        SEEDS,
        (
            Claim("gold peaks later with rpo, in doublings of dpo's step", _doublings),
            Claim("gold falls less from its peak with rpo", fall, lower=STRONG, than="dpo"),
            Claim("and with a quarter of that weight", fall, lower=WEAK, than="dpo"),
            Claim("and with the paper's weight", fall, lower=PAPER, than="dpo"),
            Claim("rpo keeps the chosen log-prob higher", chosen, higher=STRONG, than="dpo"),
            Claim(
                "rpo moves less mass to unseen answers", "unseen answers", lower=STRONG, than="dpo"
            ),
        ),
        units={"peak step": "steps", "gold at the peak": "gold", fall: "gold"}
        | {chosen: "nats", "KL from the start": "nats"},
        note=f"All run {STEPS} steps at beta {BETA}; a gold that never falls peaks at the last. "
        "'unseen answers' is the mass on answers that no comparison held. Expectations are over "
        "all 1,093 answers, without sampling. An eta of 0.005 is the default and the paper's; the "
        "others show how the effect grows with the weight. Nothing here tells the term from less "
        "training.",
    )


def _doublings(measured: Measured) -> float:
    """Return by how many doublings RPO's peak comes after DPO's."""
    late, early = (measured[name]["peak step"] for name in (STRONG, "dpo"))
    # A ratio: from 50 to 100 is as much later as from 500 to 1,000.
    return math.log2(late / early)


def _measure(seed: int) -> Measured:
    world = worlds.strings(letters=3, longest=6, memory=1)
    count = torch.tensor([[answer.count(0) for answer in world.answers]]).double()
    gold = count.clamp(max=ENOUGH) - (count - ENOUGH).clamp(min=0)
    start = worlds.random_writer(world, seed, ending=-2.0)  # about four letters
    logps = start.logps().detach()
    pairs = labelling.draw_pairs(world, logps, PAIRS, seed + 1)
    votes = labelling.vote(pairs, count, seed + 2)
    decided = labelling.majority(pairs, votes, voters=1)
    return {
        name: _run(start, decided, gold, objective, options)
        for name, (objective, options) in CONDITIONS.items()
    }


def _run(
    start: TabularPolicy, pairs: Pairs, gold: Tensor, objective: str, options: dict[str, float]
) -> dict[str, float]:
    world = start.world
    policy = TabularPolicy(world, start.logits.detach())
    seen = torch.zeros(1, world.size, dtype=torch.float64)
    seen[0, pairs.first] = seen[0, pairs.second] = 1.0
    history = train(
        policy,
        objective,
        [Batch(labelling.comparisons(world, pairs))],
        reference=start,
        options=options,
        steps=STEPS,
        lr=0.02,
        watch=lambda _: {"gold": exact.expectation(policy.logps(), gold)},
        every=EVERY,
    )
    peak = max(history[1:], key=lambda row: row["gold"])
    end = policy.logps().detach()
    return {
        "peak step": peak["step"],
        "gold at the peak": peak["gold"],
        "fall from the peak": peak["gold"] - history[-1]["gold"],
        "chosen log-prob": float(end[0, pairs.first].mean()),
        "unseen answers": exact.expectation(end, 1 - seen),
        "KL from the start": exact.kl(end, start.logps().detach()),
    }
