"""Surveys: their categories become fields of the catalogue, their measurable parts checks."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

SURVEYS = (
    System(
        id="S10",
        slug="survey-alignment-goals",
        title="A survey of alignment goals",
        room="catalogue",
        kind="taxonomy",
        works="The goals of alignment (instructions, preferences, values) as a field of the "
        "catalogue.",
        paper=Paper(
            "From Instructions to Intrinsic Human Values: A Survey of Alignment Goals for Big "
            "Models",
            "Yao et al.",
            2023,
        ),
    ),
    System(
        id="S13",
        slug="survey-bidirectional",
        title="Bidirectional human-AI alignment, a framework",
        room="catalogue",
        kind="taxonomy",
        works="The two directions, AI to humans and humans to AI, as a field of the catalogue.",
        paper=Paper(
            "Towards Bidirectional Human-AI Alignment: A Systematic Review for Clarifications, "
            "Framework, and Future Directions",
            "Shen et al.",
            2024,
        ),
    ),
    System(
        id="S23",
        slug="survey-llm-alignment",
        title="A survey of language model alignment, outer and inner",
        room="catalogue",
        kind="taxonomy",
        works="Outer and inner alignment, interpretability, attacks and evaluation as fields of "
        "the catalogue.",
        paper=Paper("Large Language Model Alignment: A Survey", "Shen et al.", 2023),
    ),
    System(
        id="S75",
        slug="survey-human-alignment",
        title="A survey of aligning language models with humans",
        room="catalogue",
        kind="taxonomy",
        works="Data, training and evaluation as fields of the catalogue.",
        paper=Paper("Aligning Large Language Models with Human: A Survey", "Wang et al.", 2023),
    ),
)
