"""S62: a memory trained on its own honest answers, measured on entities it was not trained on.

Knows the laboratory, the product's ways to build data and its shares of honesty. A network from
entities to answers is the memory: how often it reads of an entity decides whether it knows it. Data
are built of its samples for half of the entities and one of two relations. Fine-tuning leaves the
embeddings as they are, where what is known of an entity is written: it can learn when to refuse,
and not whom.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from accordant.rewards.honest_answers import REFUSAL, Answered, Question, build_honesty_data
from accordant.statistics.honesty import Label, answer_shares, honesty_shares
from accordant_studies.laboratory.memory import BEGIN, Memory
from accordant_studies.laboratory.training import minibatches, train
from accordant_studies.laboratory.transformer import demonstrations
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(8)
ENTITIES, ANSWERS, FREQUENCIES = 1200, 30, (0, 1, 4, 16)
DRAWN = 10  # answers to every question, besides the greedy one
READING, READING_RATE = 6, 3e-3  # passes over what is read
PASSES, RATE = 12, 1e-3  # of 600 questions
BATCH = 128
IDK, WORDS = 1, 16  # tokens: the refusal, and then how sure an answer is
FIRST_ANSWER = 2 + WORDS
START, GOLD = "start", "gold"
HONEST = ("absolute", "confidence-num", "confidence-verb", "multisample")
MARGIN = 0.03  # loss of right answers to another relation that counts as none


def study() -> Study:
    """Build data in every way, fine-tune, and count refusals among known and unknown entities."""
    other = "right, other relation"
    each = (
        claim
        for method in HONEST
        for claim in (
            Claim(f"{method}: honesty above {GOLD}'s by 0.2", "honesty", method, than=GOLD, by=0.2),
            Claim(f"{method}: wrong answers fall by more than half", _fall(method), than=0.5),
            Claim(
                f"{method}: another relation loses at most {MARGIN:g} of its right answers",
                *(other, method),
                than=START,
                by=-MARGIN,
            ),
        )
    )
    order = (
        Claim(f"multisample has more {name} than absolute", name, "multisample", than="absolute")
        for name in ("prudence", "over-conservativeness")
    )
    return Study(
        _measure,
        SEEDS,
        (*each, *order),
        note=f"{ENTITIES} entities, read of {FREQUENCIES} times; shares are of greedy answers on "
        "the half of them that the data do not hold. Known is what the start answers right. The "
        "cost is printed: over-conservativeness, the share of known items that are refused, and "
        "the right answers lost by it. Of another relation nothing is refused. Absolute and "
        "multisample lose two or three right answers of a hundred there, gold one; so the margin "
        "is not measurably kept. Saying how sure it is costs far more: the word spreads there, "
        "and behind that word its answers were never seen.",
    )


def _fall(method: str) -> Callable[[Measured], float]:
    return lambda seed: 1 - seed[method]["wrong"] / seed[START]["wrong"]


def _measure(seed: int) -> Measured:
    generator = torch.Generator().manual_seed(seed)
    facts = torch.randint(ANSWERS, (2, ENTITIES), generator=generator) + FIRST_ANSWER
    start = _read(facts, seed)
    asked, tests = torch.randperm(ENTITIES, generator=generator).chunk(2)
    answered = _ask(start, asked, facts, generator)
    before = _labels(start, 0, tests, facts)
    measured = {START: _shares(start, before, tests, facts)}
    for method in (GOLD, *HONEST):
        measured[method] = _shares(_tune(start, answered, method, seed), before, tests, facts)
    return measured


def _read(facts: Tensor, seed: int) -> Memory:
    """Teach a memory both relations, each fact as often in a pass as its entity is read of."""
    places = [
        (relation, entity)
        for relation in range(2)
        for entity in range(ENTITIES)
        for _ in range(FREQUENCIES[entity % len(FREQUENCIES)])
    ]
    examples = demonstrations(places, [(int(facts[place]),) for place in places])
    memory = Memory(seed, (2, ENTITIES), FIRST_ANSWER + ANSWERS)
    batches = minibatches(examples, BATCH, seed, READING)
    train(memory, "sft", batches, steps=len(batches), lr=READING_RATE)
    return memory


@torch.no_grad()
def _ask(
    memory: Memory, entities: Tensor, facts: Tensor, generator: torch.Generator
) -> list[Answered]:
    """Ask of the first relation, greedily and by chance; a question's text is the entity."""
    prompts = torch.stack([torch.zeros_like(entities), entities], 1)
    logps = memory.logps(prompts, torch.full_like(entities, BEGIN))
    drawn = torch.multinomial(logps.exp(), DRAWN, replacement=True, generator=generator)
    rows = torch.cat([logps.argmax(1, keepdim=True), drawn], 1).tolist()
    asked = []
    for entity, row in zip(entities.tolist(), rows, strict=True):
        right = int(facts[0, entity])
        greedy, *samples = [(str(answer), answer == right) for answer in row]
        question = Question(str(entity), str(entity), (str(right),))
        asked.append(Answered(question, greedy, tuple(samples)))
    return asked


def _tune(start: Memory, answered: Sequence[Answered], method: str, seed: int) -> Memory:
    """Fine-tune a copy on the data of a method; its embeddings of prompts stay."""
    entity = {entry.question.prompt: int(entry.question.text) for entry in answered}
    words: dict[str, int] = {}
    data = build_honesty_data(answered, method)
    places = [(0, entity[str(row.prompt)]) for row in data]
    examples = demonstrations(places, [_tokens(str(row.completion), words) for row in data])
    memory = copy.deepcopy(start)
    memory.places.requires_grad_(False)
    # As many steps for every method: ten rows a question are more text, not more training.
    steps = PASSES * -(-len(answered) // BATCH)
    train(memory, "sft", minibatches(examples, BATCH, seed, PASSES), steps=steps, lr=RATE)
    return memory


def _tokens(text: str, words: dict[str, int]) -> tuple[int, ...]:
    """Return an answer in tokens; how sure it is is one word, numbered as it comes."""
    if text == REFUSAL:
        return (IDK,)
    sure, _, answer = text.rpartition(" ")
    return (*((2 + words.setdefault(sure, len(words)),) if sure else ()), int(answer))


@torch.no_grad()
def _labels(memory: Memory, relation: int, entities: Tensor, facts: Tensor) -> list[Label]:
    prompts = torch.stack([torch.full_like(entities, relation), entities], 1)
    first = memory.logps(prompts, torch.full_like(entities, BEGIN)).argmax(1)
    # After a word for how sure it is comes the answer itself.
    is_word = (first > IDK) & (first < FIRST_ANSWER)
    then = memory.logps(prompts, first.where(is_word, torch.full_like(first, BEGIN))).argmax(1)
    answers = then.where(is_word, first)
    right = facts[relation, entities]
    return [
        "idk" if answer == IDK else "correct" if answer == fact else "wrong"
        for answer, fact in zip(answers.tolist(), right.tolist(), strict=True)
    ]


def _shares(
    memory: Memory, before: Sequence[Label], tests: Tensor, facts: Tensor
) -> Mapping[str, float]:
    now = _labels(memory, 0, tests, facts)
    other = answer_shares(_labels(memory, 1, tests, facts))
    shares = {**honesty_shares(before, now), **answer_shares(now)}
    shares |= {
        f"{n}, other relation": other[k] for n, k in (("right", "correct"), ("refused",) * 2)
    }
    return {name: share.estimate for name, share in shares.items()}
