"""Systems that act while text is generated: guides, search, interventions, speculation."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

DECODING = (
    System(
        id="S01",
        slug="fspad",
        title="Lossless speculative decoding with feature sampling (FSPAD)",
        room="decoding/speculation",
        works="A draft head on the target's features that sees the sampled token, trained by "
        "partial alignment distillation; tree drafts verified without loss, greedy and sampled.",
        claim="The output distribution is that of plain decoding; accepted runs are longer than "
        "those of an EAGLE-style draft trained on the same data.",
        paper=Paper(
            "Boosting Lossless Speculative Decoding via Feature Sampling and Partial Alignment "
            "Distillation",
            "Gui et al.",
            2024,
        ),
    ),
    System(
        id="S08",
        slug="pas",
        title="Personality alignment by activation steering (PAS)",
        room="decoding/interventions",
        works="Scoring of the Big Five inventory, probes on attention heads, and a search for the "
        "strength of the intervention.",
        claim="Answers move toward a person's inventory in a fraction of DPO's time.",
        paper=Paper("Personality Alignment of Large Language Models", "Zhu et al.", 2024),
    ),
    System(
        id="S09",
        slug="steer",
        title="Contrastive expert guidance and negative prompting (STEER)",
        room="decoding/guides",
        works="Guidance by the contrast of a tuned expert with its base, away from negative "
        "prompts.",
        claim="At equal coherence, samples are more diverse than nucleus sampling from the expert.",
        paper=Paper(
            "Steering Language Generation: Harnessing Contrastive Expert Guidance and Negative "
            "Prompting for Coherent and Diverse Synthetic Data Generation",
            "O'Neill et al.",
            2023,
        ),
    ),
    System(
        id="S48",
        slug="transfer-q",
        title="Decoding by a transferred value function (Transfer Q*)",
        room="decoding/search",
        works="The value of a target reward from a model aligned to it, or to another reward.",
        claim="At equal KL it earns more of the target reward than decoding by the reference's "
        "value.",
        paper=Paper(
            "Transfer Q Star: Principled Decoding for LLM Alignment", "Chakraborty et al.", 2024
        ),
    ),
    System(
        id="S53",
        slug="logit-fusion",
        title="Dynamic fusion of small experts' logits",
        room="decoding/guides",
        works="Weights over small experts, chosen at every step under a KL constraint; several "
        "tasks at once.",
        claim="It closes most of the gap to tuning the large model and beats a fixed ratio.",
        paper=Paper(
            "On Giant's Shoulders: Effortless Weak to Strong by Dynamic Logits Fusion",
            "Fan et al.",
            2024,
        ),
    ),
    System(
        id="S56",
        slug="representation-tradeoff",
        title="Alignment against helpfulness under representation engineering",
        room="decoding/interventions",
        works="Contrast directions; alignment and helpfulness measured against the strength.",
        claim="The gain in alignment is linear in the strength, the harm to helpfulness quadratic.",
        paper=Paper(
            "Tradeoffs Between Alignment and Helpfulness in Language Models with Representation "
            "Engineering",
            "Wolf et al.",
            2024,
        ),
    ),
    System(
        id="S59",
        slug="deal",
        title="Decoding-time alignment by heuristic-guided search (DeAL)",
        room="decoding/search",
        works="Search guided by programmatic and learned rewards of lookaheads.",
        claim="Constraints are met more often at a small loss of quality.",
        paper=Paper(
            "DeAL: Decoding-time Alignment for Large Language Models", "Huang et al.", 2024
        ),
    ),
    System(
        id="S65",
        slug="nudging",
        title="Nudging by a small aligned model",
        room="decoding/guides",
        works="Where the base model is uncertain, a small aligned model gives the next word, also "
        "across tokenizers.",
        claim="Few nudged tokens bring a large gain.",
        paper=Paper(
            "Nudging: Inference-time Alignment of LLMs via Guided Decoding", "Fei et al.", 2024
        ),
    ),
)
