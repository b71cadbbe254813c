"""S53: small experts' logits fused into a large model, their weights anew at every token.

Knows the laboratory and the guides. A large and a small model are told two tables of facts; asked
for them, both mostly evade. Tuning on half of a table's questions teaches to answer. The other half
is asked here, greedily, and only the fact is right: the small model, which knows few facts, can
teach the large one to answer, but not what. Fixed ratios read the same three models.
"""

from __future__ import annotations

import random
from statistics import fmean
from typing import Any

from accordant.decoding.guides.registry import bind_guide
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.sampling.stepper import Guided, ModelStepper
from accordant_studies.laboratory.language import END, Tokens
from accordant_studies.laboratory.transformer import Shape, clone, imitate, new_model
from accordant_studies.study import Claim, Measured, Study, fresh_seeds

SEEDS = fresh_seeds(8)
STATED, ASKED, _END, EVADE, ANSWER, TABLE = range(6)
TABLES, SUBJECTS, VALUES = 2, 96, 40
SUBJECT = TABLE + TABLES
VALUE = SUBJECT + SUBJECTS
LARGE, SMALL = Shape(128, 1, 4), Shape(16, 1, 2)
EPOCHS, EVADED = 60, 0.9  # passes over the facts; share of questions evaded in each
LIGHT, HARD = (40, 1e-3), (100, 2e-3)  # passes and rate that teach large and small to answer
RATIOS = (0.5, 1.0, 1.5, 2.0)
DYNAMIC, UNIT, MEAN, AVERAGE = "dynamic", "ratio 1", "ratios, mean", "average of the two"
CENTROID, TWO = "two tasks, centroid", "two tasks, ratio 1"
Facts = dict[Tokens, int]


def study() -> Study:
    """Ask what tuning did not ask, of the large model alone, tuned, and under every guide."""
    return Study(
        _measure,
        SEEDS,
        (
            Claim("most of the gap to tuning is closed", "gap closed", DYNAMIC, than=0.8),
            Claim("it beats the mean over fixed ratios", "right", DYNAMIC, than=MEAN),
            Claim("it beats the unit ratio", "right", DYNAMIC, than=UNIT),
            Claim("two tasks: it beats the unit ratio", "right", CENTROID, than=TWO),
        ),
        note=f"Shares right of the {SUBJECTS // 2} facts of a table that tuning did not ask for, "
        f"after {EPOCHS} passes over both tables. The best ratio in hindsight is the best of "
        f"{', '.join(map(str, RATIOS))} on the very facts that are asked; of two tasks "
        "it is the mean, under an expert of each.",
    )


def _measure(seed: int) -> Measured:
    draw = random.Random(seed)
    keys: list[Tokens] = [(TABLE + t, SUBJECT + s) for t in range(TABLES) for s in range(SUBJECTS)]
    facts = {key: VALUE + draw.randrange(VALUES) for key in keys}
    large, small = (_schooled(facts, shape, seed) for shape in (LARGE, SMALL))
    draw.shuffle(keys)
    tables = [[key for key in keys if key[0] == TABLE + t] for t in range(TABLES)]
    known = [{key: facts[key] for key in table[: SUBJECTS // 2]} for table in tables]
    asked = [{key: facts[key] for key in table[SUBJECTS // 2 :]} for table in tables]
    experts = [_tuned(small, half, HARD, seed) for half in known]
    one, two = _tuned(large, known[0], LIGHT, seed), _tuned(large, known[0] | known[1], LIGHT, seed)

    def right(guide: str, *models: Any, tasks: int = 1, **options: object) -> float:
        mixed = Guided([ModelStepper(m) for m in models], bind_guide(guide, len(models), options))
        return fmean(_share_right(mixed, half) for half in asked[:tasks])

    single = (large, small, experts[0])
    fixed = [right("proxy_tuning", *single, alpha=ratio) for ratio in RATIOS]
    shares = {
        "large": right("average", large),
        "expert": right("average", experts[0]),
        "large tuned": right("average", one),
        AVERAGE: right("average", large, experts[0]),
        UNIT: fixed[RATIOS.index(1.0)],
        MEAN: fmean(fixed),
        "best ratio in hindsight": max(fixed),
        DYNAMIC: right("logit_fusion", *single),
        "two tasks, large tuned": right("average", two, tasks=TABLES),
        TWO: right("proxy_tuning", large, small, *experts, tasks=TABLES),
        CENTROID: right("logit_fusion", large, small, *experts, tasks=TABLES),
    }
    gap = shares["large tuned"] - shares["large"]
    closed = (shares[DYNAMIC] - shares["large"]) / gap if gap else float("nan")
    extra = {DYNAMIC: {"gap closed": closed}}
    return {name: {"right": share, **extra.get(name, {})} for name, share in shares.items()}


def _schooled(facts: Facts, shape: Shape, seed: int) -> Any:
    """Train a model that is told all facts and sees most questions evaded."""
    draw = random.Random(seed)
    pairs: list[tuple[Tokens, Tokens]] = []
    for _ in range(EPOCHS):
        for key, value in facts.items():
            answer = (EVADE, END) if draw.random() < EVADED else (ANSWER, value, END)
            pairs += [((STATED, *key, ANSWER), (value, END)), ((ASKED, *key), answer)]
    model = new_model(seed, shape, VALUE + VALUES)
    prompts, answers = zip(*pairs, strict=True)
    return imitate(model, prompts, answers, seed, epochs=1, lr=3e-3)


def _tuned(model: Any, facts: Facts, how: tuple[int, float], seed: int) -> Any:
    """Train a copy to answer the questions of these facts."""
    prompts = [(ASKED, *key) for key in facts]
    answers = [(ANSWER, value, END) for value in facts.values()]
    return imitate(clone(model), prompts, answers, seed, epochs=how[0], lr=how[1])


def _share_right(stepper: Guided, facts: Facts) -> float:
    prompts = [(ASKED, *key) for key in facts]
    options = SamplingOptions(4, temperature=0, stop_ids=(END,), batch_size=len(prompts))
    drawn = LocalSampler(stepper).sample(prompts, options)
    answers = zip(drawn, facts.values(), strict=True)
    return fmean(sample.tokens == (ANSWER, value) for (sample,), value in answers)
