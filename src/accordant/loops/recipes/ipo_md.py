"""Online IPO on a preference model, with answers of a mixture of the policy and its reference.

IPO on pairs of the policy itself ends at the Nash policy of the game that is regularised by tau
KL(policy || reference). With a share b of the reference in what is drawn, the mixture is a Nash
policy, of strength tau / (1 - b): to compare at one strength, take tau (1 - b) and answer with the
mixture. That is exact for answers of one token; longer ones are mixed token by token.
"""

from __future__ import annotations

from accordant.loops.labellers import ByPreference
from accordant.loops.recipe import Draw, Recipe

RECIPE = Recipe(
    name="ipo_md",
    summary="Online IPO: two answers of the policy, mixed with the reference, and a preference.",
    paper="Calandriello et al. 2024 (arXiv 2403.08635), online IPO and IPO-MD",
    # b = 1/8 is the smaller of two published values; 0 is online IPO.
    draws=(Draw(count=2, reference=0.125),),
    labeller=ByPreference(),
    objective="ipo",
    # Summed log-ratios: divided by length, the target margin would have another tau for each pair.
    options={"tau": 0.1, "length_normalised": False},
    settings={"adam_beta1": 0.0, "schedule": "linear", "warmup": 0.0},
    advice={
        "adam_beta1": "in a game the gradient turns as the policy moves, and momentum makes the "
        "policy circle round the Nash policy instead of reaching it.",
        "schedule": "with a rate that does not fall the policy keeps circling near its end.",
    },
)
