"""Systems that gather feedback and values from people."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

COLLECT = (
    System(
        id="S15",
        slug="moral-graph",
        title="Values cards and the moral graph",
        room="collect",
        works="Values cards, stories, edges of growing wisdom, the moral graph, and the values "
        "that win in a context.",
        claim="An expert's value rises to the top without anybody being labelled an expert.",
        paper=Paper(
            "What are human values, and how do we align AI to them?",
            "Klingefjord, Lowe and Edelman",
            2024,
        ),
    ),
    System(
        id="S52",
        slug="openassistant",
        title="Crowd-sourced conversation trees (OpenAssistant)",
        room="collect",
        works="Conversation trees, tasks, rankings, labels, moderation, and export.",
        claim="Many people work at once, nothing is lost, and rankings merge correctly.",
        paper=Paper(
            "OpenAssistant Conversations: Democratizing Large Language Model Alignment",
            "Köpf et al.",
            2023,
        ),
    ),
)
