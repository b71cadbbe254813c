"""The losses that train a reward: one file each, found by being there.

They read values of a head instead of log-probabilities, and are registered like any other loss;
`align` has no head and refuses them. Knows scores and options; imports no torch.
"""

from __future__ import annotations

from accordant.base.discovery import load_modules

load_modules(__name__, __path__)
