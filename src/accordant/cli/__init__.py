"""The command line: one thin file per verb, no logic; `verbs` finds those of other wheels."""

from __future__ import annotations

from accordant.base.public import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, {"verbs": ("Verb", "list_verbs", "load_verb")})
