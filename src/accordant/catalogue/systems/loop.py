"""Systems that sample, label and train in turns, and systems that build data for it."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

LOOP = (
    System(
        id="S20",
        slug="spa",
        title="Spread preference annotation from a small seed (SPA)",
        room="loop",
        works="Preferences read from the model's own logits, smoothed where they look noisy, with "
        "decoupled noise detection.",
        claim="From a seed of 3 % of the labels it improves on DPO on the seed alone.",
        paper=Paper(
            "Spread Preference Annotation: Direct Preference Judgment for Efficient LLM Alignment",
            "Kim et al.",
        ),
    ),
    System(
        id="S21",
        slug="cyclealign",
        title="Iterative distillation from a black-box ranker (CycleAlign)",
        room="loop",
        works="A black-box ranker with changing demonstrations and the model's own ranking; what "
        "they agree on is the pseudo-label.",
        claim="Agreement grows over the cycles and beats distillation in one pass.",
        paper=Paper(
            "CycleAlign: Iterative Distillation from Black-box LLM to White-box Models for Better "
            "Human Alignment",
            "Hong et al.",
            2023,
        ),
    ),
    System(
        id="S44",
        slug="dialectical-alignment",
        title="Dialectical alignment under conflicting contexts",
        room="data + loop",
        works="Strategies for conflicts between context and knowledge; demonstrations and "
        "preferences from AI feedback.",
        claim="It resists poisoned contexts and keeps the editing of knowledge in context.",
        paper=Paper(
            "Dialectical Alignment: Resolving the Tension of 3H and Security Threats of LLMs",
            "Yang et al.",
            2024,
        ),
    ),
    System(
        id="S49",
        slug="align-anything",
        title="Learning from language feedback across modalities (Align-Anything)",
        room="loop + evaluation",
        works="Critique and refinement as feedback; an evaluation aware of modality: selection and "
        "synergy.",
        claim="At equal labels, language feedback beats binary preference.",
        paper=Paper(
            "Align Anything: Training All-Modality Models to Follow Instructions with Language "
            "Feedback",
            "Ji et al.",
            2024,
        ),
    ),
    System(
        id="S55",
        slug="scir",
        title="Self-consistent internal rewards (SCIR)",
        room="loop",
        works="The model's internal reward models are made consistent; only data they agree on is "
        "used.",
        claim="Consistency and accuracy rise over self-rewarding.",
        paper=Paper(
            "Self-Consistency of the Internal Reward Models Improves Self-Rewarding Language "
            "Models",
            "Zhou et al.",
            2025,
        ),
    ),
    System(
        id="S60",
        slug="ipo-md",
        title="Online IPO and IPO with mirror descent (IPO-MD)",
        room="loop",
        works="Online IPO, and sampling from a mixture of the policy and its reference.",
        claim="On a cyclic preference it reaches the regularised Nash policy.",
        paper=Paper(
            "Human Alignment of Large Language Models through Online Preference Optimisation",
            "Calandriello et al.",
            2024,
        ),
    ),
    System(
        id="S61",
        slug="reward-augmented",
        title="Reward-augmented relabelling of pairs",
        room="data",
        works="Every pair is relabelled twice, conditioned on the score to be reached.",
        claim="It beats DPO on the same data.",
        paper=Paper(
            "Reward-Augmented Data Enhances Direct Preference Alignment of LLMs",
            "Zhang et al.",
            2024,
        ),
        how_to_run="accordant reproduce reward-augmented",
        reproduce="accordant_studies.claims.reward_augmented:reproduce",
    ),
)
