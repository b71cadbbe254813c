"""S39: whether entropy and mass of the likeliest tokens turn before gold falls, in long DPO.

Knows the laboratory, what the monitor measures, and the check, whose own criterion is put to the
test. A small transformer is trained far too long on few pairs of its own answers, some of which are
labelled the wrong way round; beside it, just as long, on many that are labelled right. Gold is a
program, read from fresh answers to prompts that no pair is of.

Numbers of pairs, share of wrong labels, rate and beta of the long run were chosen on other seeds,
by gold alone, so that it rises and then falls. Nothing turns in time here. Entropy is highest at
the start, since what is learnt first is to leave words out; the check takes a fall from the first
step on for the learning itself, and stays silent. After its peak gold falls because answers lose
their grammar, which spreads probability over more tokens: entropy does not turn down, it goes up or
stays. Mass goes on rising and turns, where it does, hundreds of steps after gold.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from accordant.catalogue.laboratory.language import (
    END,
    VOCABULARY,
    Tokens,
    quality,
    split_prompts,
)
from accordant.catalogue.laboratory.study import Measured, Study, repeat
from accordant.catalogue.laboratory.training import minibatches, train
from accordant.catalogue.laboratory.transformer import (
    Schooling,
    Shape,
    clone,
    gold_comparisons,
    mean_gold,
    sample,
    start_model,
)
from accordant.catalogue.reproduce import Check, Reproduction, beats, not_worse, over_seeds
from accordant.data.examples import Example
from accordant.data.trees import TokenTree
from accordant.diagnostics.during.over_optimisation import over_optimisation, smooth
from accordant.diagnostics.findings import Finding
from accordant.diagnostics.watched import Measurement, Watched
from accordant.diagnostics.watching import Probe, answer, look
from accordant.scoring.engine import score_all

SEEDS = tuple(range(10, 16))  # none of those that the design was chosen on
SHAPE = Shape(width=64, layers=2)
RATE, BATCH = 1e-4, 32
STEPS, EVERY = 800, 20
HELD_OUT = 128  # of the 512 prompts; one pair and, at every look, nine answers each
TOP_K, NARROW = 10, 3  # the check's, and one nearer to the share of a large vocabulary
WINDOW = 5  # looks that a gold curve is averaged over
KEPT = 0.03  # gold that the control may lose from its peak and still count as keeping it
SHIPPED = (8, 4)  # prompts of the monitor of `accordant align`, and looks here for one of its ten
LONG, CONTROL = "few pairs, some wrong", "many pairs, all right"


@dataclass(frozen=True, slots=True)
class Arm:
    """What is trained on.

    Args:
        prompts: with pairs.
        each: pairs of a prompt.
        wrong: share of pairs that are labelled the wrong way round.
        beta: of DPO.
    """

    prompts: int
    each: int
    wrong: float
    beta: float


# At the beta of the long run gold falls in half the runs on clean labels as well: the control has
# to be one that keeps it.
ARMS = {LONG: Arm(384, 2, 0.2, 0.2), CONTROL: Arm(384, 10, 0.0, 0.5)}


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a run: as the check sees it, over fewer tokens, as shipped, and gold twice."""

    seen: Measurement
    narrow: Measurement
    shipped: Measurement
    gold: float
    gold_again: float  # of other answers: where the peak is and how high must not share their noise
    chosen: float


def reproduce(seeds: tuple[int, ...] | None) -> Reproduction:
    """Train both arms and compare the step of the finding with that of gold's peak."""
    study = repeat(_measure, seeds or SEEDS)
    units = {"peak": "steps", "turn": "steps", "raised at": "steps", "chosen, after peak": "nats"}
    return Reproduction(study.rows(units), _checks(study), study.seeds, note=_note())


def _note() -> str:
    return (
        f"DPO at rate {RATE:g}, {STEPS} steps of {BATCH} pairs, looked at every {EVERY} steps; "
        f"beta is {ARMS[LONG].beta:g}, in the control {ARMS[CONTROL].beta:g}, since at the former "
        f"gold falls on clean labels, too. Gold is averaged over {WINDOW} looks; the step of its "
        "peak and its height are read from different answers. 'raised at' is the first look at "
        "which the check raises a finding from what it has seen so far, 'turn' the step that the "
        f"finding names; both are {STEPS + EVERY} where there is none. 'after peak' is the last "
        f"looks against those around the peak. The vocabulary has {VOCABULARY} tokens, some 20 of "
        f"them likely at an open place at the start: the {TOP_K} likeliest leave out a part that "
        "can grow, but hold a far larger share of the vocabulary than in a language model, so the "
        f"same is shown for {NARROW}. 'shipped' is the check with the {SHIPPED[0]} prompts and ten "
        "looks of the monitor of a run. A run of the control in which gold falls after all is "
        "counted with it: its finding is then a late one and no false one."
    )


def _checks(study: Study) -> tuple[Check, ...]:
    def long(quantity: str) -> list[float]:
        return study.values(LONG, quantity)

    def control(quantity: str) -> list[float]:
        return study.values(CONTROL, quantity)

    def falls(quantity: str) -> list[float]:
        return [-value for value in long(quantity)]

    return (
        beats("gold rises", long("gold at peak"), long("gold at start")),
        beats("then it falls", long("gold at peak"), long("gold at end")),
        not_worse(
            f"in the control it falls by at most {KEPT:g}",
            control("gold at end"),
            control("gold at peak"),
            KEPT,
        ),
        Check("the check raises a finding", over_seeds(long("raised")), threshold=0.5),
        beats("the indicators turn before gold's peak", long("peak"), long("turn")),
        beats("the finding is raised before gold's peak", long("peak"), long("raised at")),
        Check("entropy falls after gold's peak", over_seeds(falls("entropy, after peak"))),
        Check("mass falls after gold's peak", over_seeds(falls("mass, after peak"))),
        Check(
            "chosen answers go on getting likelier while gold falls",
            over_seeds(long("chosen, after peak")),
        ),
        Check(
            "in the control nothing is raised",
            over_seeds([1 - value for value in control("raised")]),
            threshold=0.5,
        ),
    )


def _measure(seed: int) -> Measured:
    start = start_model(seed, Schooling(), SHAPE)
    held_out, rest = split_prompts(HELD_OUT, seed)
    measured = {}
    for name, arm in ARMS.items():
        used = rest[: arm.prompts]
        pairs = _pairs(start, used, arm, 1000 * seed)
        unseen = _pairs(start, held_out, replace(arm, each=1), 1000 * seed + 1)
        measured[name] = _summary(_run(start, (pairs, unseen), held_out, arm.beta, seed))
    return measured


def _pairs(start: Any, prompts: Sequence[Tokens], arm: Arm, seed: int) -> list[Example]:
    """Two answers of the start's each, the better chosen; ties are left out, some turned round."""
    repeated = [prompt for prompt in prompts for _ in range(arm.each)]
    # A prompt that occurs again gets further answers.
    examples = gold_comparisons(repeated, sample(start, repeated, 2, seed), quality)
    draw = random.Random(seed)
    return [_turned(one) if draw.random() < arm.wrong else one for one in examples]


def _turned(example: Example) -> Example:
    (tree,) = example.trees
    return replace(example, trees=(TokenTree(tree.prompt, tree.continuations[::-1]),))


def _run(
    start: Any,
    data: tuple[Sequence[Example], Sequence[Example]],
    prompts: Sequence[Tokens],
    beta: float,
    seed: int,
) -> list[_Look]:
    """Train for all steps on the first of the data, held out the second; what every look saw."""
    policy, looks, (pairs, unseen) = clone(start), list[_Look](), data
    margin, chosen = _margin(start, policy, unseen), _chosen(policy, pairs[: len(unseen)])
    probes = (
        _probe(prompts, seed),
        _probe(prompts, seed, NARROW),
        _probe(prompts[: SHIPPED[0]], seed),
    )

    def watch(step: int) -> dict[str, float]:
        reward = beta * margin()
        seen, narrow, shipped = (
            look(policy, probe, (), answer(policy, probe), step, reward) for probe in probes
        )
        gold, again = (
            mean_gold(prompts, sample(policy, prompts, 4, 1000 * seed + extra), quality)
            for extra in (2, 3)
        )
        looks.append(_Look(seen, narrow, shipped, gold, again, chosen()))
        return {}

    train(
        policy,
        "dpo",
        minibatches(pairs, BATCH, seed, epochs=1 + STEPS * BATCH // len(pairs)),
        steps=STEPS,
        lr=RATE,
        reference=start,
        options={"beta": beta},
        watch=watch,
        every=EVERY,
    )
    return looks


def _probe(prompts: Sequence[Tokens], seed: int, top_k: int = TOP_K) -> Probe:
    return Probe(prompts=tuple(prompts), stop_ids=(END,), max_new_tokens=12, top_k=top_k, seed=seed)


def _margin(start: Any, policy: Any, pairs: Sequence[Example]) -> Callable[[], float]:
    """Mean margin of log-ratios; times beta it is what a trainer logs of held-out pairs."""
    trees = [example.trees[0] for example in pairs]
    before = score_all(start, trees).sum()

    def measure() -> float:
        ratios = score_all(policy, trees).sum() - before
        return float((ratios[0::2] - ratios[1::2]).mean())

    return measure


def _chosen(policy: Any, pairs: Sequence[Example]) -> Callable[[], float]:
    """Mean log-probability of chosen answers that are trained on, nats."""
    trees = [example.trees[0] for example in pairs]
    return lambda: float(score_all(policy, trees).sum()[0::2].mean())


def _summary(looks: Sequence[_Look]) -> dict[str, float]:
    curve, again = (averaged(values) for values in ([x.gold for x in looks], _again(looks)))
    peak = max(range(len(curve)), key=curve.__getitem__)
    wide, narrow = ([one.seen for one in looks], [one.narrow for one in looks])
    shipped = [one.shipped for one in looks][:: SHIPPED[1]]

    def after_peak(values: Sequence[float]) -> float:
        smoothed = averaged(values)
        return smoothed[-1] - smoothed[peak]

    return {
        "gold at start": looks[0].gold_again,
        "gold at peak": again[peak],
        "gold at end": again[-1],
        "peak": float(looks[peak].seen.step),
        **_verdict(wide),
        **{f"{NARROW} tokens: {name}": value for name, value in _verdict(narrow).items()},
        **{f"shipped: {name}": value for name, value in _verdict(shipped).items()},
        "entropy, after peak": after_peak([one.entropy for one in wide]),
        "entropy, made to sum to one, after peak": after_peak(
            [one.renormalised_entropy for one in wide]
        ),
        "mass, after peak": after_peak([one.top_mass for one in wide]),
        f"{NARROW} tokens: entropy, after peak": after_peak([one.entropy for one in narrow]),
        f"{NARROW} tokens: mass, after peak": after_peak([one.top_mass for one in narrow]),
        "chosen, after peak": after_peak([one.chosen for one in looks]),
        "held-out margin, after peak": after_peak([one.held_out_reward for one in wide]),
    }


def _again(looks: Sequence[_Look]) -> list[float]:
    return [one.gold_again for one in looks]


def _verdict(seen: Sequence[Measurement]) -> dict[str, float]:
    """Whether and when the check raises a finding, and where its two indicators are highest."""
    finding, never = first_finding(seen), float(STEPS + EVERY)

    def highest(values: Sequence[float]) -> float:
        smoothed = smooth(tuple(values))
        return float(seen[max(range(len(smoothed)), key=smoothed.__getitem__)].step)

    return {
        "raised": float(finding is not None),
        "turn": never if finding is None else finding.charts[0].marks[0].value,
        "raised at": never if finding is None else float(finding.step or 0),
        "entropy is highest at": highest([one.entropy for one in seen]),
        "mass is highest at": highest([one.top_mass for one in seen]),
    }


def first_finding(measurements: Sequence[Measurement]) -> Finding | None:
    """The check's first finding, asked after every measurement as a monitor asks; None for none."""
    for count in range(1, len(measurements) + 1):
        finding = over_optimisation(Watched(tuple(measurements[:count]), top_k=TOP_K))
        if finding.raised:
            return finding
    return None


def averaged(values: Sequence[float]) -> list[float]:
    """Means over a centred window; at the ends over what there is of it."""
    half = WINDOW // 2
    windows = (values[max(0, at - half) : at + half + 1] for at in range(len(values)))
    return [sum(window) / len(window) for window in windows]
