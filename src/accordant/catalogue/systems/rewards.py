"""Systems that learn, calibrate, transform or combine rewards."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

REWARDS = (
    System(
        id="S06",
        slug="reward-transform",
        title="Transforming and combining rewards",
        room="rewards",
        works="The centred log-sigmoid transform; a sum of transformed rewards as a conjunction.",
        claim="The combined policy has fewer outputs that are bad in one property than with raw "
        "sums.",
        paper=Paper(
            "Transforming and Combining Rewards for Aligning Large Language Models",
            "Wang et al.",
            2024,
        ),
    ),
    System(
        id="S12",
        slug="pal",
        title="Pluralistic alignment with ideal points (PAL)",
        room="rewards",
        works="An ideal-point reward, a mixture of prototypes, and new users from few comparisons.",
        claim="On a population of k groups it beats one Bradley-Terry model, and places a new user "
        "from few comparisons.",
        paper=Paper(
            "PAL: Pluralistic Alignment Framework for Learning from Heterogeneous Preferences",
            "Chen et al.",
            2024,
        ),
    ),
    System(
        id="S30",
        slug="more",
        title="Multi-objective reward learning over diversified preferences (MORE)",
        room="rewards",
        works="Multi-objective reward learning and the calibration of reward models.",
        claim="It is better calibrated on shared preferences than a reward model trained on the "
        "mixture.",
        paper=Paper(
            "On Diversified Preferences of Large Language Model Alignment", "Zeng et al.", 2023
        ),
    ),
    System(
        id="S35",
        slug="maxmin-rlhf",
        title="Max-min alignment with a mixture of reward models",
        room="rewards + loop",
        works="A mixture of reward models learned by expectation-maximisation, and the max-min "
        "policy over it.",
        claim="The minority's win rate rises and the majority's is kept.",
        paper=Paper(
            "MaxMin-RLHF: Alignment with Diverse Human Preferences", "Chakraborty et al.", 2024
        ),
    ),
    System(
        id="S38",
        slug="helpsteer2-preference",
        title="Ratings complemented with preferences",
        room="rewards",
        works="Reward models from Bradley-Terry, its margin and scaled forms, regression, and "
        "their combination.",
        claim="On matched data, scaled Bradley-Terry started from regression is best.",
        paper=Paper(
            "HelpSteer2-Preference: Complementing Ratings with Preferences", "Wang et al.", 2024
        ),
    ),
    System(
        id="S58",
        slug="helpsteer2",
        title="Multi-attribute reward models and attribute steering (HelpSteer2)",
        room="rewards",
        works="A regression reward model of several attributes, and SteerLM 2.0.",
        claim="Attributes are predicted, and steering follows the attributes asked for.",
        paper=Paper(
            "HelpSteer2: Open-source dataset for training top-performing reward models",
            "Wang et al.",
            2024,
        ),
    ),
    System(
        id="S67",
        slug="mm-rlhf",
        title="Critique-based reward model with dynamic reward scaling",
        room="rewards",
        works="A reward model that criticises before it scores, and weights of pairs from its "
        "margin.",
        claim="On pairs of mixed quality, scaling beats a fixed weight.",
        paper=Paper(
            "MM-RLHF: The Next Step Forward in Multimodal LLM Alignment", "Zhang et al.", 2025
        ),
        how_to_run="accordant reproduce mm-rlhf",
        reproduce="accordant_studies.claims.mm_rlhf:reproduce",
    ),
    System(
        id="S71",
        slug="infalign",
        title="Inference-aware alignment (InfAlign)",
        room="rewards",
        works="Rewards calibrated and transformed for the procedure used at inference: best of n, "
        "worst of n.",
        claim="A higher best-of-n win rate than the identity reward at equal KL.",
        paper=Paper(
            "InfAlign: Inference-aware language model alignment", "Balashankar et al.", 2024
        ),
    ),
    System(
        id="S73",
        slug="easy-to-hard",
        title="Easy-to-hard generalization of evaluators",
        room="rewards",
        works="Process and outcome reward models trained on easy problems and used on hard ones.",
        claim="Re-ranking hard problems with them beats majority vote.",
        paper=Paper(
            "Easy-to-Hard Generalization: Scalable Alignment Beyond Human Supervision",
            "Sun et al.",
            2024,
        ),
    ),
)
