"""A little language with gold programs: describe what the prompt lists, politely.

Knows token ids, its grammar and what is right, polite and long in it. Knows nothing of models or
losses. A prompt lists objects; an answer names each with its own noun, in order, each noun alone or
after an adjective that is polite, plain or rude:

    prompt   <start> CAT TREE SHIP <answer>
    answer   nice cat | tree | awful ship | <end>

Every part of a gold reward is a program, so nothing has to be judged.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OBJECTS = 8
ADJECTIVES = 4  # of each manner
GOALS = 5
MANNERS = ("polite", "plain", "rude")

START, ANSWER, END, JUDGED = range(4)
FIRST_OBJECT = 4
FIRST_NOUN = FIRST_OBJECT + OBJECTS
FIRST_ADJECTIVE = FIRST_NOUN + OBJECTS
FIRST_GOAL = FIRST_ADJECTIVE + ADJECTIVES * len(MANNERS)
VOCABULARY = FIRST_GOAL + GOALS

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Writer:
    """How demonstrations are written; all are probabilities.

    Args:
        adjective: of an adjective before a noun.
        manners: of polite, plain and rude ones among them.
        mistake: of a noun being a wrong one, any of them.
        confused: of a noun being that of the next object, always the same wrong one.
    """

    adjective: float = 0.5
    manners: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    mistake: float = 0.0
    confused: float = 0.0


def draw_prompts(count: int, seed: int, *, objects: int = 3) -> list[Tokens]:
    """Draw prompts independently that list so many objects each."""
    draw = random.Random(seed)
    return [make_prompt(draw.randrange(OBJECTS) for _ in range(objects)) for _ in range(count)]


def every_prompt(seed: int, *, objects: int = 3) -> list[Tokens]:
    """Return all prompts that list so many objects, each once, in an order of the seed's own."""
    prompts = [make_prompt(listed) for listed in itertools.product(range(OBJECTS), repeat=objects)]
    random.Random(seed).shuffle(prompts)
    return prompts


def split_prompts(held_out: int, seed: int) -> tuple[list[Tokens], list[Tokens]]:
    """Return so many prompts to measure on, and all others to train on.

    There are 512 in all, so that prompts drawn independently for both would mostly be the same.
    """
    prompts = every_prompt(seed)
    return prompts[:held_out], prompts[held_out:]


def draw_from(pool: Sequence[Tokens], count: int, seed: int) -> list[Tokens]:
    """Draw prompts of a pool, each as often as it is drawn."""
    return random.Random(seed).choices(pool, k=count)


def make_prompt(objects: Iterable[int], goal: int | None = None) -> Tokens:
    """Return the prompt that lists these objects, `0 .. OBJECTS - 1`.

    Args:
        objects: what to describe.
        goal: a quality to aim at, `0 .. GOALS - 1`, written before the objects; None for none.
    """
    aim = () if goal is None else (FIRST_GOAL + goal,)
    return (START, *aim, *(FIRST_OBJECT + number for number in objects), ANSWER)


def with_goal(prompt: Tokens, goal: int) -> Tokens:
    """Return the same prompt, aiming at a quality `0 .. GOALS - 1`."""
    return make_prompt(objects_of(prompt), goal)


def with_judgment(prompt: Tokens, wrong: Sequence[int]) -> Tokens:
    """Return the prompt after a judgment that names the words an answer should not have used."""
    return (*prompt[:-1], JUDGED, *wrong, ANSWER)


def objects_of(prompt: Tokens) -> Tokens:
    """Return what a prompt lists, `0 .. OBJECTS - 1`; a judgment and a goal are passed over."""
    listed = prompt[: prompt.index(JUDGED)] if JUDGED in prompt else prompt
    return tuple(token - FIRST_OBJECT for token in listed if _is_object(token))


def write(prompt: Tokens, writer: Writer, draw: random.Random) -> Tokens:
    """Return an answer as `writer` writes it, its end token included."""
    answer: list[int] = []
    for number in objects_of(prompt):
        if draw.random() < writer.adjective:
            (manner,) = draw.choices(range(len(MANNERS)), writer.manners)
            answer.append(FIRST_ADJECTIVE + manner * ADJECTIVES + draw.randrange(ADJECTIVES))
        if draw.random() < writer.mistake:
            number = (number + draw.randrange(1, OBJECTS)) % OBJECTS
        if writer.confused and draw.random() < writer.confused:
            number = (number + 1) % OBJECTS
        answer.append(FIRST_NOUN + number)
    return (*answer, END)


def write_all(prompts: Sequence[Tokens], writer: Writer, seed: int) -> list[Tokens]:
    """Return an answer to every prompt."""
    draw = random.Random(seed)
    return [write(prompt, writer, draw) for prompt in prompts]


def accuracy(prompt: Tokens, answer: Tokens) -> float:
    """Return the share of objects named in their place, of the longer of both lists, in [0, 1]."""
    wanted = objects_of(prompt)
    named = nouns_of(answer)
    right = sum(a == b for a, b in zip(wanted, named, strict=False))
    return right / max(len(wanted), len(named))


def nouns_of(answer: Tokens) -> Tokens:
    """Return objects an answer names, in its order."""
    return tuple(token - FIRST_NOUN for token in answer if _is_noun(token))


def manner_of(token: int) -> str | None:
    """Return `polite`, `plain` or `rude` for an adjective, None for any other token."""
    place = token - FIRST_ADJECTIVE
    return MANNERS[place // ADJECTIVES] if 0 <= place < ADJECTIVES * len(MANNERS) else None


def manner_share(answer: Tokens, manner: str) -> float:
    """Return adjectives of one manner per noun; per answer where there is no noun."""
    count = sum(manner_of(token) == manner for token in answer)
    return count / max(len(nouns_of(answer)), 1)


def is_grammatical(answer: Tokens) -> bool:
    """Say whether it is nouns, each after at most one adjective, and one end token."""
    if not answer or answer[-1] != END:
        return False
    before_noun = False
    for token in answer[:-1]:
        if _is_noun(token):
            before_noun = False
        elif manner_of(token) is None or before_noun:
            return False
        else:
            before_noun = True
    return not before_noun


def quality(prompt: Tokens, answer: Tokens) -> float:
    """Return the gold reward: accuracy, plus half the polite share, minus the rude share.

    An answer that is not grammatical gets -1.
    """
    if not is_grammatical(answer):
        return -1.0
    manners = 0.5 * manner_share(answer, "polite") - manner_share(answer, "rude")
    return accuracy(prompt, answer) + manners


def wrong_words(prompt: Tokens, answer: Tokens) -> list[bool]:
    """Say of every token whether it is a fault: a rude adjective, or a noun out of place."""
    wanted = objects_of(prompt)
    faults, named = [], 0
    for token in answer:
        if _is_noun(token):
            right = named < len(wanted) and wanted[named] == token - FIRST_NOUN
            faults.append(not right)
            named += 1
        else:
            faults.append(manner_of(token) == "rude")
    return faults


def spell(tokens: Tokens) -> str:
    """Return tokens as words, to look at."""
    return " ".join(map(_word, tokens))


def _is_object(token: int) -> bool:
    return FIRST_OBJECT <= token < FIRST_NOUN


def _is_noun(token: int) -> bool:
    return FIRST_NOUN <= token < FIRST_ADJECTIVE


def _word(token: int) -> str:
    if token < FIRST_OBJECT:
        return ("<start>", "<answer>", "<end>", "<judged>")[token]
    if _is_object(token):
        return f"OBJECT{token - FIRST_OBJECT}"
    if _is_noun(token):
        return f"noun{token - FIRST_NOUN}"
    manner = manner_of(token)
    if manner is not None:
        return f"{manner}{(token - FIRST_ADJECTIVE) % ADJECTIVES}"
    return f"<goal{token - FIRST_GOAL}>"
