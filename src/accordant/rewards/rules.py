"""Verifiable rules for answers: pure functions of text, with no model in the judgement.

Knows words and sentences. Used to label the bundled feedback and as a judge of generations, so that
what the demo trains on and what it is measured by are the same stated thing.
"""

from __future__ import annotations

import re

MAX_SENTENCES = 2
MAX_WORDS = 60
MIN_WORDS = 3

_ABBREVIATIONS = {"etc.", "vs.", "dr.", "mr.", "mrs.", "ms.", "st.", "approx.", "jr.", "sr.", "ca."}
_CLOSERS = "\"')]}*_”’»"
_LIST_MARK = re.compile(r"^\s*(?:[-*•#>]+|\d{1,3}[.)])\s+")
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+")
_MARK_ALONE = re.compile(r"(?:[-*•#>]+|\d{1,3}[.)])")


def count_sentences(text: str) -> int:
    """Number of sentences: runs of words up to `.`, `!`, `?` or the end of a line.

    A line break ends a sentence, so every item of a list counts. List marks, dots inside numbers,
    initials and abbreviations such as `e.g.` end none, except where the line ends.
    """
    count = 0
    for line in text.splitlines():
        words = _LIST_MARK.sub("", line).split()
        is_open = False
        for word in words:
            is_open = True
            if _ends_sentence(word):
                count += 1
                is_open = False
        count += is_open
    return count


def ends_cleanly(text: str) -> bool:
    """Whether the last word carries final punctuation (`.`, `!`, `?`; quotes may follow)."""
    bare = text.rstrip().rstrip(_CLOSERS)
    return bare.endswith((".", "!", "?")) and not bare.endswith("..")


def is_concise(text: str, finished: bool) -> bool:
    """The rule of the bundled feedback.

    True when the model ended the answer itself (`finished`), the answer ends with final
    punctuation, and it has at most 2 sentences and 3 to 60 words.
    """
    words = len(text.split())
    return (
        finished
        and MIN_WORDS <= words <= MAX_WORDS
        and ends_cleanly(text)
        and count_sentences(text) <= MAX_SENTENCES
    )


def concise_score(text: str, finished: bool) -> float:
    """1.0 for an answer that keeps the rule of `is_concise`, 0.0 for any other."""
    return float(is_concise(text, finished))


def _ends_sentence(word: str) -> bool:
    bare = word.rstrip(_CLOSERS)
    if not bare.endswith((".", "!", "?")) or bare.lower() in _ABBREVIATIONS:
        return False
    return not (_INITIALS.fullmatch(bare) or _MARK_ALONE.fullmatch(bare))
