"""Chance that is a function of what it is for: no order, batch or process can change it.

Knows texts and hashes. Imports no numerical library.
"""

from __future__ import annotations

import hashlib


def hashed_uniform(text: str) -> float:
    """Return a number in [0, 1) that depends on `text` alone: chance that no order can change."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    # 53 bits are what a float holds: more could round up to 1.
    return (int.from_bytes(digest, "little") >> 11) / 2**53
