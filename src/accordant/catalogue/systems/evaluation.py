"""Systems that measure a model: suites, experiments, norms."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

EVALUATION = (
    System(
        id="S05",
        slug="principal-agent",
        title="Principal-agent conflicts in a shopping task",
        room="evaluation",
        works="A shopping task with conflict and information asymmetry, in a factorial design with "
        "its statistics.",
        claim="The agent's deviation is measured with confidence intervals across conditions.",
        paper=Paper(
            "Of Models and Tin Men: A Behavioural Economics Study of Principal-Agent Problems in "
            "AI Alignment using Large-Language Models",
            "Phelps and Ranson",
            2023,
        ),
    ),
    System(
        id="S17",
        slug="progressgym",
        title="Alignment with moral progress (ProgressGym)",
        room="evaluation",
        works="The challenges Follow, Predict and Coevolve, with lifelong and extrapolative "
        "algorithms.",
        claim="Where values drift steadily, extrapolative alignment beats lifelong alignment.",
        paper=Paper(
            "ProgressGym: Alignment with a Millennium of Moral Progress", "Qiu et al.", 2024
        ),
    ),
    System(
        id="S22",
        slug="dynamic-normativity",
        title="Necessary and sufficient conditions for value alignment",
        room="evaluation/norms",
        works="The conditions as checks on a pipeline, and guard models.",
        claim="It reports which conditions a given pipeline meets.",
        paper=Paper(
            "Dynamic Normativity: Necessary and Sufficient Conditions for Value Alignment",
            "Corrêa",
            2024,
        ),
    ),
    System(
        id="S24",
        slug="beyond-preferences",
        title="Normative standards for roles, beyond preferences",
        room="evaluation/norms",
        works="Standards of a role as documents that stakeholders agree on and models are checked "
        "against.",
        claim="A standard catches what a preference win rate rewards.",
        paper=Paper("Beyond Preferences in AI Alignment", "Zhi-Xuan et al.", 2024),
    ),
    System(
        id="S27",
        slug="trustworthy",
        title="Trustworthiness in seven categories",
        room="evaluation",
        works="Seven categories with 29 sub-categories; the eight measured ones as suites.",
        claim="A given model gets a score per sub-category.",
        paper=Paper(
            "Trustworthy LLMs: a Survey and Guideline for Evaluating Large Language Models' "
            "Alignment",
            "Liu et al.",
            2023,
        ),
    ),
    System(
        id="S51",
        slug="rag-rewardbench",
        title="Reward models in retrieval-augmented generation (RAG-RewardBench)",
        room="evaluation",
        works="Four scenarios of retrieval-augmented answers for any reward model.",
        claim="Given reward models get a table per scenario.",
        paper=Paper(
            "RAG-RewardBench: Benchmarking Reward Models in Retrieval Augmented Generation for "
            "Preference Alignment",
            "Jin et al.",
            2024,
        ),
    ),
    System(
        id="S62",
        slug="honesty",
        title="Alignment for honesty",
        room="evaluation + data",
        works="Prudence, over-conservativeness and honesty; three ways to build training data.",
        claim="Honesty rises without loss of accuracy.",
        paper=Paper("Alignment for Honesty", "Yang et al.", 2023),
    ),
    System(
        id="S70",
        slug="alignment-faking",
        title="Alignment faking",
        room="evaluation",
        works="Free and paid tiers, a scratchpad, the compliance gap, and labels of the reasoning.",
        claim="The gap of a given model is measured with intervals, also for a planted faker.",
        paper=Paper("Alignment faking in large language models", "Greenblatt et al.", 2024),
    ),
    System(
        id="S74",
        slug="emergent-misalignment",
        title="Emergent misalignment from narrow tuning",
        room="evaluation",
        works="Narrow tuning, free-form questions, judge scores, and a backdoor.",
        claim="Rates are measured with controls, with the trigger on and off.",
        paper=Paper(
            "Emergent Misalignment: Narrow finetuning can produce broadly misaligned LLMs",
            "Betley et al.",
            2025,
        ),
    ),
)
