"""Systems that look at data, models and runs, and return findings; and the statistics room."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

DIAGNOSTICS = (
    System(
        id="S14",
        slug="profile",
        title="Factor-level preferences of people and models (PROFILE)",
        room="diagnostics",
        works="Factors are extracted, preferences scored factor by factor, and people compared "
        "with models.",
        claim="A planted preference for length is found, with its sign.",
        paper=Paper(
            "Uncovering Factor Level Preferences to Improve Human-Model Alignment",
            "Oh et al.",
            2024,
        ),
        how_to_run="accordant check bundled --only profile",
        reproduce="accordant_studies.claims.profile:reproduce",
    ),
    System(
        id="S25",
        slug="ranking-accuracy",
        title="Ranking accuracy and its ideal",
        room="diagnostics",
        works="Ranking accuracy, idealised ranking accuracy, and how hard each pair is to flip.",
        claim="Trained accuracy stays far under the ideal; hard pairs stay wrong.",
        paper=Paper(
            "Preference Learning Algorithms Do Not Learn Preference Rankings", "Chen et al.", 2024
        ),
        how_to_run="accordant check bundled --only ranking-accuracy",
        reproduce="accordant_studies.claims.ranking_accuracy:reproduce",
    ),
    System(
        id="S26",
        slug="nlpositionality",
        title="Whom data sets and models agree with (NLPositionality)",
        room="diagnostics",
        works="Agreement with demographic groups, with corrections for the number of tests.",
        claim="A planted skew toward one group is found, and no other.",
        paper=Paper(
            "NLPositionality: Characterizing Design Biases of Datasets and Models",
            "Santy et al.",
            2023,
        ),
        how_to_run="accordant check FEEDBACK --only positionality "
        "--option positionality.annotations=FILE",
        reproduce="accordant_studies.claims.nlpositionality:reproduce",
    ),
    System(
        id="S28",
        slug="gradient-entanglement",
        title="Gradient entanglement in margin losses",
        room="diagnostics",
        works="Inner products and norms of chosen and rejected gradients, the conditions on them, "
        "down to tokens.",
        claim="The condition predicts the direction in which both log-probabilities move.",
        paper=Paper(
            "A Common Pitfall of Margin-based Language Model Alignment: Gradient Entanglement",
            "Yuan et al.",
            2024,
        ),
        how_to_run="accordant check bundled --only gradient-entanglement",
        reproduce="accordant_studies.claims.gradient_entanglement:reproduce",
    ),
    System(
        id="S33",
        slug="preference-dissection",
        title="Dissecting human and model preferences",
        room="diagnostics",
        works="Bayesian logistic regression over properties of answers, per scenario and judge.",
        claim="Planted weights are recovered, with intervals.",
        paper=Paper("Dissecting Human and LLM Preferences", "Li et al.", 2024),
        how_to_run="accordant check bundled --only dissection",
        reproduce="accordant_studies.claims.preference_dissection:reproduce",
    ),
    System(
        id="S39",
        slug="over-optimisation",
        title="Indicators of likelihood over-optimisation",
        room="diagnostics",
        works="Entropy over the top-k tokens and top-k probability mass, followed during training.",
        claim="The indicators turn before the held-out reward falls.",
        paper=Paper(
            "Understanding Likelihood Over-optimisation in Direct Alignment Algorithms",
            "Shi et al.",
            2024,
        ),
        how_to_run="accordant align --data bundled --output-dir runs/watched --stop-on warning",
        reproduce="accordant_studies.claims.over_optimisation:reproduce",
    ),
    System(
        id="S54",
        slug="likelihood-displacement",
        title="Likelihood displacement and CHES scores",
        room="diagnostics",
        works="CHES scores of pairs and filtering by them.",
        claim="Training on No over Never raises Yes; filtering by CHES prevents it.",
        paper=Paper(
            "Unintentional Unalignment: Likelihood Displacement in Direct Preference Optimization",
            "Razin et al.",
            2024,
        ),
        how_to_run="accordant check bundled --only ches",
        reproduce="accordant_studies.claims.likelihood_displacement:reproduce",
    ),
    System(
        id="S64",
        slug="compositional-partial-correlation",
        title="Partial correlations of compositions",
        room="statistics",
        works="Partial correlations and variances of log-ratios.",
        claim="They do not depend on the reference component and recover a known graph.",
        paper=Paper("Partial correlations in compositional data analysis", "Erb", 2020),
    ),
    System(
        id="S69",
        slug="weak-to-strong-deception",
        title="Deception from weak to strong",
        room="diagnostics",
        works="Conflict zones, the deception score, and bootstrapping through a middle model.",
        claim="Deception is found and grows with the gap between the models.",
        paper=Paper(
            "Super(ficial)-alignment: Strong Models May Deceive Weak Models in Weak-to-Strong "
            "Generalization",
            "Yang et al.",
            2024,
        ),
        how_to_run="accordant check FEEDBACK --only weak-to-strong "
        "--option weak-to-strong.predictions=FILE",
        reproduce="accordant_studies.claims.weak_to_strong_deception:reproduce",
    ),
)
