"""Systems on reinforcement-learning environments."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

CONTROL = (
    System(
        id="S11",
        slug="aligndiff",
        title="Behaviour-customisable diffusion planning (AlignDiff)",
        room="control",
        works="A model of attribute strengths and a diffusion planner conditioned on them.",
        claim="Planned behaviour matches the strengths asked for, and switches on request.",
        paper=Paper(
            "AlignDiff: Aligning Diverse Human Preferences via Behavior-Customisable Diffusion "
            "Model",
            "Dong et al.",
            2023,
        ),
    ),
    System(
        id="S37",
        slug="regret-preferences",
        title="Regret as a model of human preference",
        room="control",
        works="Preference models by regret and by partial return, and reward learning with both.",
        claim="Regret identifies rewards where partial return cannot.",
        paper=Paper(
            "Models of human preference for learning reward functions", "Knox et al.", 2022
        ),
    ),
    System(
        id="S46",
        slug="parl",
        title="Policy alignment as bilevel optimisation (PARL)",
        room="control",
        works="The bilevel algorithm A-PARL.",
        claim="It needs fewer samples than the alternation that ignores how data depend on the "
        "policy.",
        paper=Paper(
            "PARL: A Unified Framework for Policy Alignment in Reinforcement Learning from Human "
            "Feedback",
            "Chakraborty et al.",
            2023,
        ),
    ),
)
