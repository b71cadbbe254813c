"""Systems for images: diffusion, CLIP, continual learning, distillation of classifiers."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

VISION = (
    System(
        id="S07",
        slug="amu-tuning",
        title="Logit bias for few-shot CLIP (AMU-Tuning)",
        room="vision",
        works="Auxiliary features, a linear probe started from features, training in several "
        "branches, and fusion by uncertainty.",
        claim="With 1 to 16 examples per class it beats zero-shot and a plain linear-probe bias.",
        paper=Paper(
            "AMU-Tuning: Effective Logit Bias for CLIP-based Few-shot Learning",
            "Tang et al.",
            2024,
        ),
    ),
    System(
        id="S31",
        slug="mapo",
        title="Margin-aware preference optimization of diffusion (MaPO)",
        room="vision",
        works="A margin-aware objective for diffusion models that needs no reference.",
        claim="It adapts further than Diffusion-DPO when data and reference differ, with less "
        "memory.",
        paper=Paper(
            "Margin-aware Preference Optimization for Aligning Diffusion Models without Reference",
            "Hong et al.",
            2024,
        ),
    ),
    System(
        id="S32",
        slug="uer",
        title="Unbiased experience replay for online continual learning (UER)",
        room="vision",
        works="Angle and norm factors of logits, and unbiased experience replay.",
        claim="On a stream of new classes it is more accurate than plain replay.",
        paper=Paper(
            "UER: A Heuristic Bias Addressing Approach for Online Continual Learning",
            "Lin et al.",
            2023,
        ),
    ),
    System(
        id="S63",
        slug="dual-head-distillation",
        title="Dual-head knowledge distillation",
        room="vision",
        works="Two heads for losses on probabilities and on logits, with aligned gradients.",
        claim="It beats either loss and their plain sum.",
        paper=Paper(
            "Dual-Head Knowledge Distillation: Enhancing Logits Utilization with an Auxiliary Head",
            "Yang et al.",
            2024,
        ),
    ),
)
