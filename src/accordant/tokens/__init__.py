"""Records in tokens: templates, token trees, their limits and their packing.

Knows records, chat templates and tokenizers. Knows nothing of models, scores or losses.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "examples": ("Example", "with_answers", "with_numbers"),
        "fingerprint": ("fingerprint_examples", "fingerprint_tokenizer"),
        "lengths": ("Lengths", "bin_lengths", "describe_lengths"),
        "limits": ("example_length", "limit_examples"),
        "rendering": ("Encoded", "encode", "encode_prompt", "render"),
        "settings": ("TemplateSettings",),
        "template": ("Rendering", "applies_template", "end_of_turn_ids"),
        "trees": (
            "FILLER",
            "PackedRow",
            "Segment",
            "TokenTree",
            "fill_row",
            "pack_row",
            "plan_rows",
            "subtree_ends",
        ),
        "whole": ("encode_whole",),
    },
)
