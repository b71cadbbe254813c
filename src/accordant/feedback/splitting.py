"""Feedback into training and held-out parts that share no prompt.

Knows records and their prompts. Knows nothing of tokens or models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace

from accordant.base.errors import UserError
from accordant.feedback.kinds import prompts_of
from accordant.feedback.loading import Feedback
from accordant.feedback.records import Record


def split_feedback(
    feedback: Feedback, held_out: float | int, seed: int = 0
) -> tuple[Feedback, Feedback]:
    """Hold out part of the feedback, so that no prompt is on both sides.

    Records with the same prompt stay together, and so do the turns of one conversation. Which
    prompts are held out depends on their text and the seed alone: adding rows moves few others.
    The held-out part has the size asked for, or slightly less where groups do not add up to it.

    Args:
        feedback: loaded feedback.
        held_out: a float above 0 and below 1 is a fraction of the records, a whole number from 1
            on a count.
        seed: another seed, other prompts.

    Returns:
        training part, held-out part; records keep their order.

    Raises:
        UserError: an impossible size, or one prompt for all records.
    """
    wanted = _wanted(held_out, len(feedback.records))
    groups = _groups(feedback.records)
    if len(groups) < 2:
        raise UserError(
            "all records share one prompt, so none can be held out without it being trained on.",
            where=feedback.source,
            mend="Give feedback on more prompts, a separate evaluation set (--held-out-data), or "
            "measure nothing (--held-out 0).",
        )
    # A hash of prompt and seed: adding rows moves few others, which a shuffle would.
    by_chance = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).hexdigest())
    taken: set[int] = set()
    for key in by_chance:
        if len(taken) + len(groups[key]) <= wanted:
            taken.update(groups[key])
    if not taken:
        taken.update(sorted(groups.values(), key=len)[0])
    held = tuple(feedback.records[place] for place in sorted(taken))
    kept = tuple(r for place, r in enumerate(feedback.records) if place not in taken)
    return replace(feedback, records=kept), replace(feedback, records=held)


def _wanted(held_out: float | int, total: int) -> int:
    is_fraction = isinstance(held_out, float) and 0 < held_out < 1
    if not is_fraction and (held_out != int(held_out) or held_out < 1):
        raise UserError(
            f"cannot hold out {held_out}.",
            mend="Give a fraction between 0 and 1, or a count of at least 1.",
        )
    wanted = max(round(held_out * total), 1) if is_fraction else int(held_out)
    if wanted >= total:
        raise UserError(
            f"cannot hold out {wanted:,} of {total:,} records: none would be left to train on.",
            mend="Hold out fewer.",
        )
    return wanted


def _groups(records: tuple[Record, ...]) -> dict[str, list[int]]:
    """Join records that share a prompt or a row of the source; name groups by their least key."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            # Halving the path keeps the walks short where all rows share one prompt.
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    keys = [list(_keys(record)) for record in records]
    for first, *others in keys:
        for other in others:
            least, greater = sorted((root(first), root(other)))
            parent[greater] = least
    groups: dict[str, list[int]] = {}
    for place, (first, *_) in enumerate(keys):
        groups.setdefault(root(first), []).append(place)
    return groups


def _keys(record: Record) -> Iterator[str]:
    for prompt in prompts_of(record):
        if isinstance(prompt, str):
            yield f"prompt:{json.dumps(prompt.strip())}"
        else:
            yield f"prompt:{json.dumps([(m.role, m.content.strip()) for m in prompt])}"
    # The turns of one conversation are records of one row, with prompts that contain each other.
    if record.origin is not None:
        yield f"row:{record.origin}"
