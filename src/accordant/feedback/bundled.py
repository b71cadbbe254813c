"""The comparisons that come with the package.

Knows where they are. Their making, rule and licence are described in `bundled/README.md`.
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Literal

FILES = {"train": "feedback.jsonl", "held_out": "held_out.jsonl"}


def bundled_path(part: Literal["train", "held_out"]) -> Path:
    """The JSONL file of bundled comparisons to train on, or of those held out.

    The prompts of the two files differ. The package is installed as plain files, so the path exists
    as long as the package does.

    Raises:
        KeyError: `part` is neither.
    """
    return Path(str(importlib.resources.files("accordant.feedback") / "bundled" / FILES[part]))
