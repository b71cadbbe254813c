"""Aligning while decoding: guides, and with time search, interventions and speculation."""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {"guides.registry": ("Guide", "bind_guide", "guide", "list_guides")},
)
