"""The losses by family: one file each, found by being there.

A file registers its losses with `registry.objective`. Knows scores and options; imports no torch.
"""

from __future__ import annotations

from accordant.base.discovery import load_modules

load_modules(__name__, __path__)
