"""Models: found by name, loaded, adapted, identified and saved as ordinary folders.

Knows transformers and PEFT. Knows nothing of feedback, losses or sampling.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "adapters": (
            "LoraOptions",
            "adapt",
            "attach_lora",
            "base_model_of",
            "is_adapted",
            "reference_mode",
            "without_wrappers",
        ),
        "facts": ("ModelFacts", "position_limit", "read_facts", "read_model_config", "text_config"),
        "heads": ("ValueHead", "load_head", "save_head"),
        "families": ("describe_apart", "rope_switch", "why_apart"),
        "hooks": (
            "Edit",
            "LayerSite",
            "Site",
            "backbone_of",
            "captured",
            "decoder_layers",
            "edited",
        ),
        "identity": ("weights_identity",),
        "loading": ("LoadedModel", "default_device", "load", "load_model", "load_tokenizer"),
        "merging": ("export_merged", "merge_adapter"),
        "precision": ("arithmetic",),
        "quiet": ("quiet_transformers",),
        "saving": ("check_output_folder", "save_model"),
        "settings": (
            "AdapterSettings",
            "HubSettings",
            "MEMORY",
            "MODEL",
            "ModelSettings",
            "Precision",
        ),
        "sources": ("ModelSource", "RUN_MODEL", "resolve_source"),
    },
)
