"""What every room stands on: errors for people, whole files, locks, settings and options.

Knows no room above. Imports neither torch nor transformers.
"""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "chance": ("hashed_uniform",),
        "discovery": ("load_modules", "find_entry", "summarise_entry"),
        "errors": ("UserError", "did_you_mean", "nearest"),
        "files": ("open_journal", "whole_folder", "write_whole"),
        "locks": ("lock",),
        "options": (
            "Count",
            "Fraction",
            "HalfOpenHalf",
            "NonNegative",
            "Positive",
            "Value",
            "bind_values",
            "read_options",
        ),
        "processes": (
            "is_first_process",
            "is_main_process",
            "process_count",
            "process_number",
            "wait_for_processes",
        ),
        "public": ("lazy_names",),
        "setting_values": ("change_settings", "load_settings", "settings_to_yaml"),
        "settings": (
            "OUTPUT",
            "Option",
            "OutputSettings",
            "Settings",
            "options_of",
            "setting",
        ),
        "yaml_files": ("parse_value", "read_yaml", "to_yaml"),
    },
)
