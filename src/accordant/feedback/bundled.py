"""The comparisons and questions that come with the package.

Knows where they are. Their making, rule and licence are described in `bundled/README.md`.
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import Literal

FILES = {
    "train": "feedback.jsonl",
    "held_out": "held_out.jsonl",
    "questions": "questions.jsonl",
}


def bundled_path(content: Literal["train", "held_out", "questions"]) -> Path:
    """Return the JSONL file of bundled comparisons to train on, of those held out, or of questions.

    The prompts of the files differ. The package is installed as plain files, so the path exists
    as long as the package does.

    Raises:
        KeyError: `content` is none of them.
    """
    return Path(str(importlib.resources.files("accordant.feedback") / "bundled" / FILES[content]))
