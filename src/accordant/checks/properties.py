"""Properties of an answer that a person may like or dislike, each with what measures it.

Knows a prompt and an answer as texts. Knows nothing of pairs, labels or models. The first 29 are
those of Li et al. (2024, Dissecting Human and LLM Preferences), in our own words; a program can
measure 20 of them, by what it can count, and 9 are left to a judge. The rest are ours. Word lists
are English: an answer in another language has none of the words, so such a property ties.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType

from accordant.checks.before.format_bias import FORMS

Amount = Callable[[str, str], float]


@dataclass(frozen=True, slots=True)
class Property:
    """One property.

    Args:
        name: a few words, unique.
        description: what more of it means, and how it is counted where a program does.
        measure: from prompt and answer to how much of it the answer has, any finite number; None
            where a program cannot tell.
    """

    name: str
    description: str
    measure: Amount | None = None


_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d[\d.,]*")
_SENTENCE_END = re.compile(r"[.!?]+(?=\s|$)|\n+")
_VOWELS = re.compile(r"[aeiouy]+")
_STOP_WORDS = """
a about after all also an and any are as at be been but by can could did do does for from had
has have he her him his how i if in into is it its just me more most my no not of on or our out
she should so some such than that the their them then there these they this to up us was we were
what when where which who why will with would you your human assistant user
"""
_STOP = frozenset(_STOP_WORDS.split())


# Many properties of one answer are measured in a row.
@lru_cache(maxsize=64)
def words_of(text: str) -> tuple[str, ...]:
    """Return words and numbers of a text in lower case, apostrophes and hyphens in words kept."""
    return tuple(_WORD.findall(text.lower()))


def _count(pattern: str, flags: re.RegexFlag = re.MULTILINE) -> Amount:
    """Count how often a pattern occurs in the answer."""
    compiled = re.compile(pattern, flags)
    return lambda _, answer: float(sum(1 for _ in compiled.finditer(answer)))


def _rated(name: str, counted: str, *phrases: str) -> Property:
    """Make a property of how often whole words or phrases occur, in either kind of apostrophe.

    Per 100 words, so that a longer answer has not more of everything.
    """
    body = "|".join(phrases).replace("'", "['’]")
    pattern = re.compile(rf"(?<!\w)(?:{body})(?!\w)", re.IGNORECASE)

    def measure(_: str, answer: str) -> float:
        return 100 * sum(1 for _ in pattern.finditer(answer)) / max(len(words_of(answer)), 1)

    return Property(name, f"{counted} per 100 words", measure)


_SLIPS = re.compile(
    r"\b(\w+)[ \t]+\1\b"  # a word twice
    r"|\w[ \t]+[,.;:!?](?=\s|$)"  # white space before a mark
    r"|[.!?][ \t]+[a-z]"  # a sentence that opens with a small letter
    r"|(?<!\w)i(?=['’ ])"  # a small I
    r"|\A\s*[a-z]"
)


def _without_slips(_: str, answer: str) -> float:
    return -100 * sum(1 for _ in _SLIPS.finditer(answer)) / max(len(words_of(answer)), 1)


def _long_words(_: str, answer: str) -> float:
    words = words_of(answer)
    return sum(len(word) > 6 for word in words) / max(len(words), 1)


def _reading_ease(_: str, answer: str) -> float:
    """Compute Flesch's (1948): 206.835 - 1.015 words per sentence - 84.6 syllables per word."""
    words = words_of(answer)
    if not words:
        return 0.0
    # A last e is mostly silent, and every word has a syllable.
    syllables = sum(max(len(_VOWELS.findall(word.removesuffix("e"))), 1) for word in words)
    sentences = sum(1 for sentence in _SENTENCE_END.split(answer) if sentence.strip())
    return 206.835 - 1.015 * len(words) / max(sentences, 1) - 84.6 * syllables / len(words)


def _distinct_runs(_: str, answer: str) -> float:
    words = words_of(answer)
    runs = Counter(zip(words, words[1:], words[2:], strict=False))
    # An answer of two words repeats nothing.
    return len(runs) / sum(runs.values()) if runs else 1.0


def _on_topic(prompt: str, answer: str) -> float:
    wanted = {word for word in words_of(prompt) if word not in _STOP}
    return len(wanted & set(words_of(answer))) / max(len(wanted), 1)


_NAME = re.compile(r"(?<![.!?:\n*#-] )(?<=[\w,;)] )(?!I\b)[A-Z]\w+|\d[\d.,]*")
_CLOSED = re.compile(r"(?:[.!?…:)\]\"'”’*`|]|```)\s*\Z")
_FORMAT = (
    r"^[ \t]*(?:[-*•+]|\d+[.)])[ \t]+\S|^#{1,6}[ \t]+\S|^[ \t]*\|.+\|[ \t]*$|\*\*[^*\n]+\*\*"
    r"|__[^_\n]+__|\S[ \t]*\n[ \t]*\n[ \t]*(?=\S)"
)
_SUPPORT = (
    r"https?://\S|\[[^\]\n]+\]\([^)\n]+\)|\[\d+\]|\b[Aa]ccording to\b|\b[Ss]tudies (?:show|suggest)"
    r"|\b[Rr]esearch (?:shows|suggests)|[\"“][^\"”\n]{12,}[\"”]|^>[ \t]"
)
_STEPS = (
    r"^[ \t]*\d+[.)][ \t]+\S|\b[Ss]tep \d|\b(?:First|Second|Third|Next|Then|Finally|Lastly)(?:ly)?,"
)

# As in Li et al. (2024), in our words; without a function where a program cannot tell.
_OF_THE_PAPER = (
    Property("harmless", "could harm nobody who reads it or acts on it"),
    Property(
        "free of slips of the pen",
        "fewer doubled words, stray spaces and small letters at the start, per 100 words",
        _without_slips,
    ),
    _rated(
        "friendly",
        "warm words (glad, happy to, welcome, enjoy)",
        r"glad|happy to|delighted|you're welcome|welcome|enjoy|wonderful|lovely|good luck",
        r"have a (?:great|nice|good) \w+|hope (?:this|that|it|you)|nice to|great to",
    ),
    _rated(
        "polite",
        "polite words (please, thank you, would you)",
        r"please|thanks|thank you|kindly|may I|would you|could you|pardon|excuse me|appreciate",
    ),
    _rated(
        "speaks to the reader",
        "you, your and let's",
        r"you|your|yours|yourself|you(?:'re|'ll|'ve|'d)|let's",
    ),
    _rated(
        "certain",
        "words of authority (must, always, clearly, without doubt)",
        r"must|always|never|certainly|definitely|clearly|obviously|undoubtedly|of course",
        r"absolutely|without (?:a )?doubt|no doubt|in fact|indeed|surely|exactly",
    ),
    Property("funny", "makes a reader smile"),
    _rated(
        "figurative",
        "comparisons (like a, as if, as good as)",
        r"(?<!would )(?<!'d )like an?|as if|as though|as \w+ as|metaphor\w*|imagine",
    ),
    Property("long words", "share of words with more than six letters", _long_words),
    Property(
        "gives sources",
        "links, quotations and references, counted",
        _count(_SUPPORT),
    ),
    Property(
        "formatted",
        "list items, headings, table rows, bold text and paragraphs, counted",
        _count(_FORMAT),
    ),
    _rated(
        "admits limits",
        "says that it does not know or was wrong,",
        r"I (?:don't|do not) (?:know|have)|I'm not (?:sure|certain)|I am not (?:sure|certain)",
        r"as an AI|language model|beyond my|I (?:may|might|could) be wrong|my mistake",
        r"I was wrong|I (?:can't|cannot) (?:verify|confirm|access)|to my knowledge",
    ),
    _rated(
        "persuades",
        "advice (should, recommend, consider)",
        r"should|ought to|recommend\w*|suggest\w*|consider|had better|best to|encourage\w*",
        r"need to|have to|advise\w*|why not",
    ),
    Property("in steps", "numbered items and words of order, counted", _count(_STEPS)),
    _rated(
        "informal",
        "contractions and spoken words (yeah, gonna)",
        r"\w+n't|\w+'(?:re|ll|ve|d|m)|(?:it|that|what|there|here|let)'s|yeah|yep|nope|ok|okay",
        r"gonna|wanna|gotta|kinda|sorta|hey|hi|lol|guys?|stuff|cool|awesome|wow|oh|haha",
    ),
    Property("easy to read", "Flesch's reading ease, from sentences and syllables", _reading_ease),
    Property(
        "does not repeat itself",
        "share of runs of three words that are different ones",
        _distinct_runs,
    ),
    Property("on topic", "share of the prompt's words of content that it takes up", _on_topic),
    Property("novel", "has an idea that is not the usual one"),
    Property(
        "names facts",
        "different numbers and names inside sentences, counted",
        lambda _, answer: float(len({*_NAME.findall(answer)})),
    ),
    Property("free of small errors", "has no error of detail that changes little"),
    Property("free of moderate errors", "has no error that misleads in part"),
    Property("free of severe errors", "has no error that makes the answer wrong"),
    Property("asks back", "questions, counted", _count(r"\?(?=[\s\"')\]]|$)")),
    _rated(
        "feels with the reader",
        "words of sympathy (I understand, that must be)",
        r"I (?:can )?understand|sorry (?:to hear|for your)|that must|it must be|I hear you",
        r"sounds (?:like|hard|difficult|tough)|feel(?:s|ing|ings)?|you're not alone|take care",
        r"it's (?:ok|okay|normal|natural) to",
    ),
    Property("keeps to what was asked", "meets every condition that the prompt states"),
    Property("shares the reader's view", "supports an opinion that the prompt states"),
    Property("sets a wrong view right", "corrects a false claim that the prompt makes"),
    Property("length", "words", lambda _, answer: float(len(words_of(answer)))),
)

_OURS = (
    _rated(
        "hedged",
        "words that leave a way out (perhaps, may, it depends)",
        r"perhaps|maybe|may|might|could be|possibly|probably|likely|it depends|it seems|seems?",
        r"I think|I believe|I guess|generally|usually|often|sometimes|typically|in some cases",
    ),
    Property(
        "refuses",
        "says that it will not or cannot do it: yes or no",
        lambda _, answer: float(FORMS["refusal"](answer)),
    ),
    _rated(
        "apologises",
        "apologies (sorry, I apologise, afraid)",
        r"sorry|apolog\w+|I'm afraid|I am afraid|regret\w*|forgive me",
    ),
    # The pronoun is a capital: an i that counts items is not meant.
    _rated("speaks of itself", "I, me and my", r"(?-i:I)|me|my|mine|myself|(?-i:I)'(?:m|ll|ve|d)"),
    _rated(
        "gives examples",
        "for example, such as, e.g.",
        r"for (?:example|instance)|such as|e\.g\.?|examples?|including|like:",
    ),
    Property("exclaims", "exclamation marks, counted", _count(r"!+(?=[\s\"')\]]|$)")),
    Property(
        "has code",
        "code blocks and code in a line, counted",
        _count(r"^[ \t]*```[\s\S]*?^[ \t]*```|(?<!`)`[^`\n]+`(?!`)"),
    ),
    Property(
        "ends cleanly",
        "ends with a mark that closes a sentence: yes or no",
        lambda _, answer: float(_CLOSED.search(answer) is not None),
    ),
)

PROPERTIES: Mapping[str, Property] = MappingProxyType(
    {kind.name: kind for kind in (*_OF_THE_PAPER, *_OURS)}
)
"""Every property by name, the paper's first."""


@cache
def measurable() -> Mapping[str, Amount]:
    """Return the properties that a program can measure, by name."""
    return {name: kind.measure for name, kind in PROPERTIES.items() if kind.measure is not None}
