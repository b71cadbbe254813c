"""Verifiable rules for answers: pure functions of text, with no model in the judgement.

Knows words and sentences, and how a function becomes a reward. `is_concise` labels the bundled
feedback and is a reward too, so that what the demo trains on and what it is measured by are the
same stated thing.
"""

from __future__ import annotations

import math
import re

from accordant.rewards.registry import register_reward

MAX_SENTENCES = 2
MAX_WORDS = 60
MIN_WORDS = 3

_ABBREVIATIONS = {"etc.", "vs.", "dr.", "mr.", "mrs.", "ms.", "st.", "approx.", "jr.", "sr.", "ca."}
_CLOSERS = "\"')]}*_”’»"
_LIST_MARK = re.compile(r"^\s*(?:[-*•#>]+|\d{1,3}[.)])\s+")
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+")
_MARK_ALONE = re.compile(r"(?:[-*•#>]+|\d{1,3}[.)])")

# Said wherever such a rule judges: brief nonsense wins by it.
FORM_ONLY = "it reads form alone, so that an answer without sense can win"


def count_sentences(text: str) -> int:
    """Count sentences: runs of words up to `.`, `!`, `?` or the end of a line.

    A line break ends a sentence, so every item of a list counts. List marks, dots inside numbers,
    initials and abbreviations such as `e.g.` end none, except where the line ends.
    """
    count = 0
    for line in text.splitlines():
        words = _LIST_MARK.sub("", line).split()
        is_open = False
        for word in words:
            # What no mark ends, such as a heading, is a sentence all the same.
            is_open = True
            if _ends_sentence(word):
                count += 1
                is_open = False
        count += is_open
    return count


def ends_cleanly(text: str) -> bool:
    """Return whether the last word carries final punctuation (`.`, `!`, `?`; quotes may follow)."""
    bare = text.rstrip().rstrip(_CLOSERS)
    return bare.endswith((".", "!", "?")) and not bare.endswith("..")


def is_concise(text: str, finished: bool) -> bool:
    """Return whether an answer keeps the rule of the bundled feedback.

    It does when the model ended the answer itself (`finished`), the answer ends with final
    punctuation, and it has at most 2 sentences and 3 to 60 words.
    """
    words = len(text.split())
    return (
        finished
        and MIN_WORDS <= words <= MAX_WORDS
        and ends_cleanly(text)
        and count_sentences(text) <= MAX_SENTENCES
    )


@register_reward(
    "rule:concise",
    "the model ended the answer itself, with final punctuation, in at most "
    f"{MAX_SENTENCES} sentences and {MIN_WORDS} to {MAX_WORDS} words (1) or it did not (0); "
    f"{FORM_ONLY}",
)
def score_concision(prompt: str, text: str, finished: bool) -> float:  # noqa: ARG001
    """Return 1 for an answer that keeps the rule of the bundled feedback, 0 for any other."""
    return float(is_concise(text, finished))


@register_reward("shorter", f"fewer words are better, none at all is worst; {FORM_ONLY}")
def score_brevity(prompt: str, text: str, finished: bool) -> float:  # noqa: ARG001
    """Return minus the number of words; minus infinity for an empty answer."""
    words = len(text.split())
    # Saying nothing would be the shortest of all.
    return -float(words) if words else -math.inf


@register_reward(
    "finished", f"the model ended its answer itself (1) or was cut off (0); {FORM_ONLY}"
)
def score_ending(prompt: str, text: str, finished: bool) -> float:  # noqa: ARG001
    """Return 1 for an answer that the model ended, 0 for one that reached the limit."""
    return float(finished)


def _ends_sentence(word: str) -> bool:
    bare = word.rstrip(_CLOSERS)
    # "e.g." and "1." end a word and not a sentence, wherever they stand.
    if not bare.endswith((".", "!", "?")) or bare.lower() in _ABBREVIATIONS:
        return False
    return not (_INITIALS.fullmatch(bare) or _MARK_ALONE.fullmatch(bare))
